/*
 * library_piece.c - one piece of an upload that can be continued, and how the last one makes an image of it.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "images/library_partial.h"

struct library_piece {
    struct library_partial *partial; /* busy, ours */
    struct store_entry in;
    struct partial file;
    bool held;
};

/* What stays of it on the disk is what was kept. */
static void piece_rest(struct library_piece *piece)
{
    struct library_partial *p = piece->partial;
    int64_t kept = partial_kept(&piece->file);
    p->number = piece->file.mark.number;
    p->promised = partial_close(&piece->file);
    store_leave(&piece->in);
    library_slot_rest(&p->slot);
    partial_pause(p, kept, NULL);
    partial_rest(p);
    free(piece);
}

static int open_piece(struct library_piece *piece, const char *id, int64_t offset, struct err *e)
{
    struct library_partial *p = piece->partial;
    const struct library_place *place = &p->slot.place;
    if (store_enter(place->store, place->folder, &piece->in, e) < 0) return -1;
    int result = partial_open(&piece->file, p->slot.library->ops, place->store, &piece->in, id, p->promised, e);
    p->promised = 0;
    if (result < 0) return -1;
    int64_t at = partial_at(&piece->file);
    if (offset != at)
        return err_set(e, ERR_OFFSET_DIFFERS, "The upload stands at %lld, not at %lld", (long long)at,
                       (long long)offset);
    if (p->number != piece->file.mark.number) follow_rewind(p->follow); /* another service went on with it */
    return partial_begin(&piece->file, p->follow, piece->held, e);
}

struct library_piece *library_piece_begin(struct library *l, const char *id, int64_t offset, bool held,
                                          const struct library_interrupt *interrupt, struct err *e)
{
    struct library_piece *piece = calloc(1, sizeof *piece);
    if (!piece) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    *piece = (struct library_piece){.in = STORE_OUTSIDE, .held = held, .partial = partial_reach(l, id, false, e)};
    struct library_partial *p = piece->partial;
    if (!p || library_slot_receive(&p->slot, e) < 0) {
        if (p) partial_rest(p);
        free(piece);
        return NULL;
    }
    piece->file = (struct partial){.file = {.fd = -1, .hidden_fd = -1, .promised = p->promised}, .record_fd = -1};
    piece->file.mark = (struct record_mark){.offset = atomic_load(&p->slot.received), .number = p->number};
    if (open_piece(piece, id, offset, e) < 0) {
        piece_rest(piece);
        return NULL;
    }
    pthread_mutex_lock(&l->lock);
    p->slot.interrupt = *interrupt;
    pthread_mutex_unlock(&l->lock);
    transfer_resume(p->slot.transfer);
    return piece;
}

int64_t library_piece_left(const struct library_piece *piece)
{
    return piece->file.record.size - partial_at(&piece->file);
}

/* Cancelled, or another request wants it. */
static int piece_check(const struct library_piece *piece, struct err *e)
{
    struct library_partial *p = piece->partial;
    if (library_slot_check(&p->slot, e) < 0) return -1;
    pthread_mutex_lock(&p->slot.library->lock);
    bool interrupted = p->interrupted;
    pthread_mutex_unlock(&p->slot.library->lock);
    return interrupted ? err_set(e, ERR_UPLOAD_BUSY, "Another request goes on with this upload") : 0;
}

int library_piece_check(const struct library_piece *piece, struct err *e)
{
    return piece_check(piece, e);
}

void library_piece_pause(struct library_piece *piece, const struct err *why)
{
    transfer_pause(piece->partial->slot.transfer, why);
}

void library_piece_resume(struct library_piece *piece)
{
    transfer_resume(piece->partial->slot.transfer);
}

void library_piece_source(struct library_piece *piece, const char *source)
{
    transfer_source(piece->partial->slot.transfer, source);
}

int library_piece_restart(struct library_piece *piece, int64_t length, const char *note, struct err *e)
{
    struct library_partial *p = piece->partial;
    const struct fileops *ops = p->slot.library->ops;
    struct record r = piece->file.record;
    r.size = length;
    snprintf(r.note, sizeof r.note, "%s", note);
    atomic_fetch_sub(&p->slot.place.store->promised, partial_close(&piece->file));
    if (partial_remove(ops, piece->in.root_fd, p->id, e) < 0 ||
        partial_create(&piece->file, ops, p->slot.place.store, &piece->in, p->id, &r, e) < 0)
        return -1;
    follow_rewind(p->follow);
    library_slot_length(&p->slot, length);
    transfer_size(p->slot.transfer, length);
    library_slot_progress(&p->slot, 0);
    return partial_begin(&piece->file, p->follow, piece->held, e);
}

int library_piece_write(struct library_piece *piece, const void *data, size_t len, struct err *e)
{
    if (piece_check(piece, e) < 0 || partial_write(&piece->file, data, len, e) < 0) return -1;
    library_slot_progress(&piece->partial->slot, partial_at(&piece->file));
    return 0;
}

void library_piece_abort(struct library_piece *piece)
{
    struct err e;
    if (!piece) return;
    if (piece->held || partial_keep(&piece->file, &e) < 0) {
        if (!piece->held) log_warning("\"%s\": %s", piece->partial->slot.place.name, e.text);
        partial_forget(&piece->file);
    }
    piece_rest(piece);
}

static int publish(struct library_slot *s, void *owner, struct err *e)
{
    struct library_piece *piece = owner;
    bool unknown;
    int result = partial_publish(&piece->file, &unknown, e);
    if (unknown) atomic_store(&s->place.store->leftovers, true);
    return result;
}

/* The last piece. On a wrong digest nothing of the upload can be saved. */
static int complete(struct library_piece *piece, json_t **ret_image, struct err *e)
{
    struct library_partial *p = piece->partial;
    struct err why = {0};
    if (partial_keep(&piece->file, e) < 0) return -1;
    if (piece->file.record.work[0])
        return partial_seal(&piece->file, e) < 0 || partial_arrived(&piece->file, e) < 0 ? -1 : 0;
    if (partial_seal(&piece->file, &why) < 0 || library_slot_publish(&p->slot, publish, piece, &why) < 0) {
        if (e) *e = why;
        return -1;
    }
    int synced = partial_done(&piece->file, &why);
    *ret_image = library_slot_result(&p->slot, &piece->in, piece->file.sha256, synced < 0 ? NULL : &why);
    if (synced == 0 && *ret_image) return 0;
    if (e) *e = why;
    return -1;
}

/* It became an image, or is gone. */
static void piece_finish(struct library_piece *piece, const struct err *why, const json_t *image)
{
    struct library_partial *p = piece->partial;
    p->promised = partial_close(&piece->file);
    store_leave(&piece->in);
    library_slot_rest(&p->slot);
    free(piece);
    if (why && !image && why->code == ERR_DIGEST_MISMATCH)
        partial_drop(p, why, NULL);
    else
        partial_end(p, why, image);
}

void library_piece_fail(struct library_piece *piece, const struct err *why)
{
    struct library_partial *p = piece->partial;
    p->promised = partial_close(&piece->file);
    store_leave(&piece->in);
    library_slot_rest(&p->slot);
    free(piece);
    partial_drop(p, why, NULL);
}

int library_piece_end(struct library_piece *piece, bool good, struct library_partial_status *ret, json_t **ret_image,
                      struct err *e)
{
    struct library_partial *p = piece->partial;
    struct err why = {0};
    int result = 0;
    *ret_image = NULL;
    if (piece_check(piece, &why) < 0)
        result = -1;
    else if (!good)
        partial_forget(&piece->file);
    else
        result = library_piece_left(piece) > 0 ? partial_keep(&piece->file, &why) : complete(piece, ret_image, &why);

    bool published = !piece->file.file.name[0]; /* or perhaps so, where the store did not answer */
    partial_fill_status(p, *ret_image ? p->slot.length : partial_kept(&piece->file), piece->file.record.note, ret);
    ret->finished = *ret_image != NULL;
    ret->packed = result == 0 && piece->file.record.work[0] && partial_kept(&piece->file) == piece->file.record.size;
    if (result < 0) {
        if (e) *e = why;
        if (!published) partial_forget(&piece->file);
    }
    if (*ret_image) /* also where it is not synced: it is there, and those who listen hear of it */
        piece_finish(piece, result < 0 ? &why : NULL, *ret_image);
    else if (result < 0 && why.code == ERR_DIGEST_MISMATCH)
        piece_finish(piece, &why, NULL);
    else
        piece_rest(piece);
    if (result < 0) {
        json_decref(*ret_image);
        *ret_image = NULL;
    }
    return result;
}
