/*
 * library_convert.c - an upload that is all here becomes an image of another shape.
 *
 *   packed --> begin --> write ... --> finish: the image has the name --> the packed bytes go, the record stays
 *
 * A kill -9 before the name: nothing has happened, and the next life begins again. After the name and before the packed bytes
 * are gone: the next life makes the same image once more, byte for byte, finds that it is there, and is content.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "images/library_partial.h"

struct library_conversion {
    struct library_partial *partial; /* busy, ours */
    struct store_entry in;
    struct partial file;             /* what is packed */
    struct ingest *out;
    int fd;
};

/* ---- begin ---- */

static int open_packed(struct library_conversion *c, const char *id, struct err *e)
{
    char path[32];
    struct library_partial *p = c->partial;
    const struct library_place *place = &p->slot.place;
    if (store_enter(place->store, place->folder, &c->in, e) < 0) return -1;
    int result = partial_open(&c->file, p->slot.library->ops, place->store, &c->in, id, p->promised, e);
    p->promised = 0;
    if (result < 0) return -1;
    if (!c->file.record.work[0] || c->file.mark.offset != c->file.record.size)
        return err_set(e, ERR_NOT_FOUND, "There is nothing to be done with the upload \"%.32s\"", id);
    snprintf(path, sizeof path, "/proc/self/fd/%d", c->file.file.fd);
    c->fd = open(path, O_RDONLY | O_CLOEXEC); /* a helper gets it, which shall not write */
    if (c->fd < 0) return incoming_error(e);
    c->out = ingest_begin(p->slot.library->ops, place->store, &c->in, -1, e);
    return c->out ? 0 : -1;
}

static void close_packed(struct library_conversion *c)
{
    struct library_partial *p = c->partial;
    ingest_free(c->out);
    util_close_fd(&c->fd);
    p->number = c->file.mark.number;
    p->promised = partial_close(&c->file);
    store_leave(&c->in);
    library_slot_rest(&p->slot);
    free(c);
}

static void rest(struct library_conversion *c, const struct err *why)
{
    struct library_partial *p = c->partial;
    transfer_becomes(p->slot.transfer, TRANSFER_UPLOAD);
    transfer_size(p->slot.transfer, p->slot.length);
    close_packed(c);
    partial_pause(p, p->slot.length, why);
    partial_rest(p);
}

struct library_conversion *library_conversion_begin(struct library *l, const char *id,
                                                    const struct library_interrupt *interrupt, struct err *e)
{
    struct library_conversion *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    *c = (struct library_conversion){.in = STORE_OUTSIDE, .fd = -1, .partial = partial_acquire(l, id, false, e)};
    struct library_partial *p = c->partial;
    if (!p || library_slot_receive(&p->slot, e) < 0) {
        if (p) partial_rest(p);
        free(c);
        return NULL;
    }
    c->file = (struct partial){.file = {.fd = -1, .hidden_fd = -1, .promised = p->promised}, .record_fd = -1};
    c->file.mark.number = p->number;
    if (open_packed(c, id, e) < 0) {
        close_packed(c);
        partial_rest(p);
        return NULL;
    }
    pthread_mutex_lock(&l->lock);
    p->converting = true;
    p->slot.interrupt = *interrupt;
    pthread_mutex_unlock(&l->lock);
    transfer_becomes(p->slot.transfer, TRANSFER_CONVERSION);
    transfer_progress(p->slot.transfer, 0);
    transfer_resume(p->slot.transfer);
    return c;
}

int library_conversion_fd(const struct library_conversion *c)
{
    return c->fd;
}

const char *library_conversion_work(const struct library_conversion *c)
{
    return c->file.record.work;
}

const char *library_conversion_name(const struct library_conversion *c)
{
    return c->partial->slot.place.name;
}

msec library_conversion_started(const struct library_conversion *c)
{
    return c->file.record.started;
}

/* ---- bytes ---- */

int library_conversion_check(const struct library_conversion *c, struct err *e)
{
    struct library_partial *p = c->partial;
    if (library_slot_check(&p->slot, e) < 0) return -1;
    pthread_mutex_lock(&p->slot.library->lock);
    bool interrupted = p->interrupted;
    pthread_mutex_unlock(&p->slot.library->lock);
    return interrupted ? err_set(e, ERR_UPLOAD_BUSY, "Another request wants this upload") : 0;
}

static int too_large(const struct library_conversion *c, struct err *e)
{
    return err_set(e, ERR_TOO_LARGE, "The image has more than the %lld bytes that are accepted",
                   (long long)c->partial->slot.library->limits.upload_max);
}

int library_conversion_expect(struct library_conversion *c, int64_t length, struct err *e)
{
    if (length > c->partial->slot.library->limits.upload_max) return too_large(c, e);
    if (ingest_expect(c->out, length, e) < 0) return -1;
    transfer_size(c->partial->slot.transfer, length);
    return 0;
}

int library_conversion_write(struct library_conversion *c, const void *data, size_t len, struct err *e)
{
    if (ingest_received(c->out) + (int64_t)len > c->partial->slot.library->limits.upload_max) return too_large(c, e);
    return library_conversion_check(c, e) < 0 ? -1 : ingest_write(c->out, data, len, e);
}

void library_conversion_progress(struct library_conversion *c, int64_t bytes)
{
    transfer_progress(c->partial->slot.transfer, bytes);
}

/* ---- the end ---- */

static int publish(struct library_slot *s, void *owner, struct err *e)
{
    const struct library_conversion *c = owner;
    return ingest_publish(c->out, s->place.name, s->replace, s->if_match[0] ? s->if_match : NULL, e);
}

/* Was it published in an earlier life? */
static bool is_there(const struct library_conversion *c)
{
    struct stat st;
    char sha256[SHA256_TEXT_MAX];
    cleanup_close int fd = image_open_at(c->in.folder_fd, c->partial->slot.place.name, &st, NULL);
    if (fd < 0 || st.st_size != ingest_received(c->out)) return false;
    if (!stored_digest_read(fd, &st, sha256) && stored_digest_compute(fd, NULL, sha256, NULL) < 0) return false;
    return strcmp(sha256, ingest_sha256(c->out)) == 0;
}

static int complete(struct library_conversion *c, json_t **ret_image, struct err *e)
{
    struct library_slot *s = &c->partial->slot;
    if (library_conversion_check(c, e) < 0 || ingest_seal(c->out, NULL, e) < 0) return -1;
    if (library_slot_publish(s, publish, c, e) < 0 &&
        !((e->code == ERR_EXISTS || e->code == ERR_PRECONDITION) && is_there(c)))
        return -1;
    if (ingest_sync_name(c->out, e) < 0) return -1;
    *ret_image = library_slot_result(s, &c->in, ingest_sha256(c->out), e);
    if (!*ret_image) return -1;
    if (partial_spend(&c->file, e) == 0) return 0;
    json_decref(*ret_image);
    return -1;
}

int library_conversion_finish(struct library_conversion *c, json_t *more, struct err *e)
{
    struct err why = {0};
    json_t *image = NULL;
    struct library_partial *p = c->partial;
    int result = complete(c, &image, &why);
    if (result == 0) {
        if (more) json_object_update(image, more);
        close_packed(c);
        partial_end(p, NULL, image);
        json_decref(image);
    } else {
        library_conversion_fail(c, &why);
        if (e) *e = why;
    }
    json_decref(more);
    return result;
}

void library_conversion_fail(struct library_conversion *c, const struct err *why)
{
    struct library_partial *p = c->partial;
    if (why->code == ERR_INTERRUPTED || why->code == ERR_UPLOAD_BUSY || why->code == ERR_STORE_DETACHED) {
        rest(c, why);
        return;
    }
    close_packed(c);
    partial_drop(p, why, NULL);
}
