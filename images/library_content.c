#include <fcntl.h>
#include <string.h>

#include "images/library_state.h"
#include "images/rename_job.h"

json_t *library_get(struct library *l, const char *store, const char *name, struct err *e)
{
    struct library_place place;
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    struct stat st;
    struct err why = {0};
    if (library_place(l, store, name, &place, e) < 0 || store_enter(place.store, place.folder, &in, e) < 0) return NULL;
    cleanup_close int fd = image_open_at(in.folder_fd, name, &st, &why);
    json_t *json;
    if (fd >= 0) {
        struct image image;
        image_look(fd, &st, in.readonly, l->looks, &image);
        json = image_json(&image, place.ref, place.name);
        if (!json) err_set(&why, ERR_UNAVAILABLE, "Out of memory");
    } else {
        json = why.code == ERR_IMAGE_MISSING ? library_slot_json(l, &place) : NULL;
    }
    if (json) library_add_use(l, json);
    else if (e) *e = why;
    return json;
}

int library_content_open(struct library *l, const char *store, const char *name, struct library_content *ret,
                         struct err *e)
{
    struct library_place place;
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    struct stat st;
    if (library_place(l, store, name, &place, e) < 0 || store_enter(place.store, place.folder, &in, e) < 0) return -1;
    cleanup_close int fd = image_open_at(in.folder_fd, name, &st, e);
    if (fd < 0) {
        cleanup_json json_t *upload = library_slot_json(l, &place);
        return upload ? err_set(e, ERR_IMAGE_INCOMPLETE, "\"%s\" is still being received", name) : -1;
    }
    *ret = (struct library_content){.size = (uint64_t)st.st_size, .modified = image_modified(&st)};
    struct library_use use = library_ask_use(l, place.ref, place.name);
    json_decref(use.drives);
    if (!use.writable) image_etag(&st, ret->etag);
    fcntl(fd, F_SETFL, 0); /* O_NONBLOCK was for the open only */
    ret->fd = take_fd(&fd);
    return 0;
}

static int may_delete(const struct library_place *place, const struct store_entry *in, const char *if_match,
                      struct err *e)
{
    struct stat st;
    char etag[IMAGE_ETAG_MAX];
    int exists = image_stat_at(in->folder_fd, place->name, &st, e);
    if (exists < 0) return -1;
    if (!exists) return err_set(e, ERR_IMAGE_MISSING, "There is no image \"%s\"", place->name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_IMAGE_MISSING, "\"%s\" is no image, but a folder or special file", place->name);
    image_etag(&st, etag);
    if (if_match && strcmp(if_match, etag) != 0)
        return err_set(e, ERR_PRECONDITION, "The image \"%s\" is not the one that If-Match names", place->name);
    if (in->readonly) return err_set(e, ERR_STORE_READ_ONLY, "The store \"%s\" is read-only", place->ref);
    return 0;
}

static int unlink_unused(struct library *l, const struct library_place *place, const struct store_entry *in,
                         const char *if_match, struct err *e)
{
    bool unknown;
    int result;
    library_use_lock(l);
    struct library_use use = library_ask_use(l, place->ref, place->name);
    if (use.in_use)
        result = err_set(e, ERR_IMAGE_IN_USE, "The image \"%s\" is in a drive", place->name);
    else
        result = store_unlink(place->store, l->ops, in->folder_fd, place->name, if_match, &unknown, e);
    if (result == 0) library_mark_moved(l, place, NULL);
    library_use_unlock(l);
    json_decref(use.drives);
    return result;
}

int library_delete(struct library *l, const char *store, const char *name, const char *if_match, struct err *e)
{
    struct library_place place;
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    struct err why = {0};
    if (if_match && strcmp(if_match, "*") == 0) if_match = NULL; /* any; and a missing image fails anyway */
    if (library_place(l, store, name, &place, e) < 0 || store_enter(place.store, place.folder, &in, e) < 0) return -1;
    if (may_delete(&place, &in, if_match, &why) < 0) {
        if (why.code == ERR_IMAGE_MISSING && !if_match && library_slot_cancel(l, &place)) return 0;
        if (e) *e = why;
        return -1;
    }
    if (unlink_unused(l, &place, &in, if_match, e) < 0) return -1;
    l->ops->sync(in.folder_fd); /* if that fails, a power failure may bring the image back; it is gone for now */
    library_notify_deleted(l, &place);
    return 0;
}
