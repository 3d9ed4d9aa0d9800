/*
 * library_mark.c - the marks of images that were taken from a host which was writing to them.
 */
#include <string.h>

#include "images/library_state.h"
#include "images/unclean.h"

static struct library_marks marks_of(struct library *l)
{
    pthread_mutex_lock(&l->lock);
    struct library_marks marks = l->marks;
    pthread_mutex_unlock(&l->lock);
    return marks;
}

void library_mark_moved(struct library *l, const struct library_place *place, const char *to)
{
    struct library_marks marks = marks_of(l);
    if (marks.moved) marks.moved(marks.owner, place->ref, place->name, to);
}

/* What is not kept with the image yet is newer than what is. */
void library_add_mark(struct library *l, json_t *image)
{
    struct library_marks marks = marks_of(l);
    json_t *waiting = marks.get ? marks.get(marks.owner, json_text(image, "store"), json_text(image, "name")) : NULL;
    if (waiting) json_put(image, "unclean", waiting);
    json_t *mark = json_object_get(image, "unclean"), *dirty = json_object_get(image, "filesystem_dirty");
    if (json_is_object(mark)) json_put(mark, "filesystem_dirty", json_incref(dirty));
}

/* ---- marking: in the store's thread, since storage that fails is a reason for a mark ---- */

struct mark_job {
    struct store_job job;
    const struct fileops *ops;
    struct store_config config;
    char folder[FOLDER_PATH_MAX], name[NAME_BYTES_MAX + 1];
    struct unclean mark;
    int result;
    struct err err;
};

static int mark_it(const struct mark_job *j, struct err *e)
{
    struct stat st;
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    if (store_enter_directly(&j->config, j->folder, &in, e) < 0) return -1;
    cleanup_close int fd = image_open_at(in.folder_fd, j->name, &st, e);
    return fd < 0 ? -1 : unclean_write(j->ops, fd, &j->mark, e);
}

static void mark_run(struct store_job *job)
{
    struct mark_job *j = (struct mark_job *)job;
    j->result = mark_it(j, &j->err);
}

static void mark_drop(struct store_job *job)
{
    free(job);
}

static int mark_in_store(const struct fileops *ops, const struct library_place *place, const struct unclean *mark,
                         struct err *e)
{
    struct mark_job *j = malloc(sizeof *j);
    if (!j) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    *j = (struct mark_job){
        .job = {.run = mark_run, .drop = mark_drop}, .ops = ops, .config = place->store->config, .mark = *mark};
    strcpy(j->folder, place->folder);
    strcpy(j->name, place->name);
    if (store_thread_call(place->store->thread, &j->job, STORE_PATIENCE, NULL, e) < 0) return -1;
    int result = j->result;
    if (result < 0 && e) *e = j->err;
    mark_drop(&j->job);
    return result;
}

int library_mark_unclean(struct library *l, const char *store, const char *name, const struct unclean *mark,
                         struct err *e)
{
    struct library_place place;
    if (library_place(l, store, name, &place, e) < 0) return -1;
    library_use_lock(l); /* so that it is not renamed or acknowledged meanwhile */
    int result = mark_in_store(l->ops, &place, mark, e);
    library_use_unlock(l);
    if (result == 0 || e->code == ERR_STORE_CANNOT) {
        cleanup_json json_t *image = library_get(l, store, name, NULL);
        library_notify(l, image);
    }
    return result;
}
