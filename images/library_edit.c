/*
 * library_edit.c - what an image is called, noted and marked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "images/library_state.h"
#include "images/note.h"
#include "images/rename_job.h"
#include "images/unclean.h"

#define WRITABLE (S_IWUSR | S_IWGRP) /* as incoming.c leaves it for the group, where that may read */

/* The mark is the file's own permission: every program respects it, and it survives a copy. */
static int set_readonly(int fd, const struct stat *st, bool readonly, const char *name, struct err *e)
{
    mode_t wanted = readonly ? st->st_mode & ~(mode_t)0222 : st->st_mode | WRITABLE;
    bool is_so = !(st->st_mode & 0222);
    if (is_so == readonly) return 0;
    struct stat now;
    if (fchmod(fd, wanted & 07777) < 0)
        return err_set_errno(e, errno == EPERM ? ERR_STORE_CANNOT : store_code_for_errno(errno), errno,
                             "Cannot change the permissions of \"%s\"", name);
    if (fstat(fd, &now) == 0 && !(now.st_mode & 0222) == readonly) return 0;
    return err_set(e, ERR_STORE_CANNOT, "The store's file system does not keep permissions"); /* some say yes and forget */
}

static int check_target(struct library *l, const struct library_place *from, const struct library_place *to,
                        const struct store_entry *in, struct err *e)
{
    struct stat st;
    cleanup_json json_t *coming = library_slot_json(l, to);
    if (coming) return err_set(e, ERR_EXISTS, "\"%s\" is being received", to->name);
    int exists = image_stat_at(in->folder_fd, to->name, &st, e);
    if (exists > 0) return err_set(e, ERR_EXISTS, "There is an image \"%s\" already", to->name);
    if (exists < 0) return -1;
    struct library_use use = library_ask_use(l, from->ref, from->name);
    json_decref(use.drives);
    return use.in_use ? err_set(e, ERR_IMAGE_IN_USE, "The image \"%s\" is in a drive", from->name) : 0;
}

/* On FAT a new name is that of an empty file until the inode was written (incoming_sync_name()), and the old one is gone
 * with the directory: so the file first. If it fails, a power failure may bring back the old name. */
static void sync_name(struct library *l, const struct store_entry *in, int fd)
{
    if (l->ops->sync(fd) == 0) l->ops->sync(in->folder_fd);
}

static int rename_unused(struct library *l, const struct library_place *from, const struct library_place *to,
                         const struct store_entry *in, int fd, struct err *e)
{
    bool unknown;
    const struct rename_request rq = {
        .from_dir = in->folder_fd, .to_dir = in->folder_fd, .from = from->name, .to = to->name};
    library_use_lock(l);
    int result = check_target(l, from, to, in, e);
    if (result == 0) result = store_rename(from->store, l->ops, &rq, &unknown, e);
    if (result == 0) library_mark_moved(l, from, to->name);
    library_use_unlock(l);
    if (result == 0) sync_name(l, in, fd);
    return result;
}

static int acknowledge(struct library *l, const struct library_place *place, int fd, struct err *e)
{
    library_use_lock(l);
    int result = unclean_write(l->ops, fd, NULL, e);
    if (result == 0) library_mark_moved(l, place, NULL);
    library_use_unlock(l);
    return result;
}

/* The gentle things first, and nothing before all can be expected to work. */
static int apply(struct library *l, const struct library_place *from, const struct library_place *to,
                 const struct library_edit *edit, const struct store_entry *in, int fd, const struct stat *st,
                 struct err *e)
{
    bool renamed = strcmp(from->name, to->name) != 0;
    if (renamed && check_target(l, from, to, in, e) < 0) return -1;
    if (edit->note && note_write(l->ops, fd, edit->note, e) < 0) return -1;
    if (edit->acknowledge && acknowledge(l, from, fd, e) < 0) return -1;
    if (edit->readonly && set_readonly(fd, st, *edit->readonly, from->name, e) < 0) return -1;
    return renamed ? rename_unused(l, from, to, in, fd, e) : 0;
}

static int check_edit(struct library *l, const char *store, const char *name, const struct library_edit *edit,
                      struct library_place *from, struct library_place *to, struct err *e)
{
    if (library_place(l, store, name, from, e) < 0) return -1;
    if (library_place(l, store, edit->name ? edit->name : name, to, e) < 0) return -1;
    return edit->note ? note_check(edit->note, e) : 0;
}

static int open_image(struct library *l, const struct library_place *from, const char *if_match,
                      const struct store_entry *in, struct stat *st, struct err *e)
{
    char etag[IMAGE_ETAG_MAX];
    struct err why = {0};
    cleanup_close int fd = image_open_at(in->folder_fd, from->name, st, &why);
    cleanup_json json_t *coming = fd < 0 ? library_slot_json(l, from) : NULL;
    if (coming) return err_set(e, ERR_IMAGE_INCOMPLETE, "\"%s\" is still being received", from->name);
    if (fd < 0) {
        if (e) *e = why;
        return -1;
    }
    image_etag(st, etag);
    if (if_match && strcmp(if_match, "*") != 0 && strcmp(if_match, etag) != 0)
        return err_set(e, ERR_PRECONDITION, "The image \"%s\" is not the one that If-Match names", from->name);
    if (in->readonly) return err_set(e, ERR_STORE_READ_ONLY, "The store \"%s\" is read-only", from->ref);
    return take_fd(&fd);
}

json_t *library_edit_image(struct library *l, const char *store, const char *name, const struct library_edit *edit,
                           struct err *e)
{
    struct library_place from, to;
    struct stat st;
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    if (check_edit(l, store, name, edit, &from, &to, e) < 0) return NULL;
    if (store_enter(from.store, from.folder, &in, e) < 0) return NULL;
    cleanup_close int fd = open_image(l, &from, edit->if_match, &in, &st, e);
    if (fd < 0 || apply(l, &from, &to, edit, &in, fd, &st, e) < 0) return NULL;
    json_t *image = library_get(l, store, to.name, e);
    if (strcmp(from.name, to.name) != 0) library_notify_deleted(l, &from);
    library_notify(l, image);
    return image;
}
