/*
 * library_piece.c - an upload in pieces: its beginning, each piece, and how it becomes an image.
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

/* ---- a new upload ---- */

static int fill_record(struct record *r, const struct library_slot *s, const struct library_upload_request *rq,
                       const char *method, const char *note, struct err *e)
{
    if (strlen(note) > RECORD_NOTE_MAX)
        return err_set(e, ERR_TOO_LARGE, "The upload's metadata have more than %d bytes", RECORD_NOTE_MAX);
    *r = (struct record){.size = s->length, .replace = s->replace, .started = s->started};
    snprintf(r->name, sizeof r->name, "%s", s->place.name);
    snprintf(r->folder, sizeof r->folder, "%s", s->place.folder);
    snprintf(r->sha256, sizeof r->sha256, "%s", s->sha256);
    snprintf(r->if_match, sizeof r->if_match, "%s", s->if_match);
    snprintf(r->method, sizeof r->method, "%s", method);
    snprintf(r->user, sizeof r->user, "%s", rq->user ? rq->user : "");
    snprintf(r->peer, sizeof r->peer, "%s", rq->peer ? rq->peer : "");
    snprintf(r->work, sizeof r->work, "%s", rq->work ? rq->work : "");
    snprintf(r->note, sizeof r->note, "%s", note);
    return 0;
}

static void fill_status(const struct library_partial *p, int64_t offset, const char *note,
                        struct library_partial_status *ret)
{
    *ret = (struct library_partial_status){.offset = offset, .length = p->slot.length, .expires = partial_expires(p)};
    snprintf(ret->id, sizeof ret->id, "%s", p->id);
    snprintf(ret->note, sizeof ret->note, "%s", note);
}


static int create_files(struct library_partial *p, const struct record *r, const struct store_entry *in,
                        struct err *e)
{
    struct partial file;
    if (partial_create(&file, p->slot.library->ops, p->slot.place.store, in, p->id, r, e) < 0) return -1;
    p->number = file.mark.number;
    p->promised = partial_close(&file);
    if (partial_show(p, r, e) == 0) return 0;
    partial_remove(p->slot.library->ops, in->root_fd, p->id, NULL);
    return -1;
}

/* What is packed and what comes out of it are there at the same time, and the one is hardly ever smaller than the other. */
static int check_room_for_both(const struct library_partial *p, const struct store_entry *in, struct err *e)
{
    int64_t left = (int64_t)in->free - atomic_load(&p->slot.place.store->promised);
    if (p->slot.length <= left / 2) return 0;
    return err_set(e, ERR_NO_SPACE, "What is sent and the image made of it need twice %lld bytes; the store has %lld left",
                   (long long)p->slot.length, (long long)MAX(left, 0));
}

static int create(struct library_partial *p, const struct library_upload_request *rq, const char *method,
                  const char *note, struct err *e)
{
    bool exists = false;
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    struct library *l = p->slot.library;
    cleanup_free struct record *r = malloc(sizeof *r);
    if (!r) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (store_enter(p->slot.place.store, p->slot.place.folder, &in, e) < 0) return -1;
    library_collect(l, p->slot.place.store, &in);
    if (library_slot_decide(&p->slot, rq, &in, &exists, e) < 0)
        return exists ? err_set(e, ERR_EXISTS, "\"%s\" is there already, with this very content", p->slot.place.name)
                      : -1;
    if (fill_record(r, &p->slot, rq, method, note, e) < 0 || (rq->work && check_room_for_both(p, &in, e) < 0)) return -1;
    return create_files(p, r, &in, e);
}

/* An upload of this name and size of which no byte has come: its maker missed our answer, and begins again. */
static void replace_untouched(struct library *l, const struct library_partial *p)
{
    char id[HIDDEN_ID_MAX] = "";
    struct err why;
    pthread_mutex_lock(&l->lock);
    for (const struct library_slot *s = l->slots; s; s = s->next) {
        const struct library_partial *other = (const struct library_partial *)s;
        if (s->partial && !other->busy && s->length == p->slot.length && atomic_load(&s->received) == 0 &&
            strcmp(s->place.ref, p->slot.place.ref) == 0 && strcmp(s->place.name, p->slot.place.name) == 0)
            memcpy(id, other->id, sizeof id);
    }
    pthread_mutex_unlock(&l->lock);
    struct library_partial *other = id[0] ? partial_acquire(l, id, false, NULL) : NULL;
    if (!other) return;
    err_set(&why, ERR_CANCELLED, "The upload of \"%s\" was begun again", other->slot.place.name);
    partial_drop(other, &why, NULL);
}

int library_partial_create(struct library *l, const struct library_upload_request *rq, const char *method,
                           const char *note, struct library_partial_status *ret, struct err *e)
{
    char id[HIDDEN_ID_MAX];
    if (rq->length < 0) return err_set(e, ERR_BAD_REQUEST, "The length must be known");
    if (hidden_make_id(id) < 0) return err_set(e, ERR_INTERNAL, "Cannot get random bytes");
    struct library_partial *p = partial_new(l, id, rq, e);
    if (!p) return -1;
    replace_untouched(l, p);
    if (library_slot_take(&p->slot, e) < 0) {
        partial_free(p);
        return -1;
    }
    if (create(p, rq, method, note, e) < 0) {
        partial_end(p, NULL, NULL);
        return -1;
    }
    partial_pause(p, 0, NULL);
    fill_status(p, 0, note, ret);
    partial_rest(p);
    return 0;
}

/* ---- from an upload in one piece ---- */

/* The new one is busy, and has the other's name and transfer. */
static struct library_partial *take_over(struct library_upload *u, const char *id, int64_t length, struct err *e)
{
    struct library_slot *from = library_upload_slot(u);
    const struct library_upload_request rq = {
        .store = from->place.ref, .name = from->place.name, .length = length,
        .sha256 = from->sha256[0] ? from->sha256 : NULL,
    };
    struct library_partial *p = partial_new(from->library, id, &rq, e);
    if (!p) return NULL;
    p->slot.started = from->started;
    p->slot.replace = from->replace;
    memcpy(p->slot.if_match, from->if_match, sizeof p->slot.if_match);
    return p;
}

int library_partial_from(struct library_upload *u, int64_t length, const char *note, struct err *e)
{
    char id[TRANSFER_ID_MAX];
    struct partial file;
    snprintf(id, sizeof id, "%s", library_upload_id(u));
    cleanup_json json_t *transfer = transfers_get(library_upload_slot(u)->library->transfers, id, e);
    struct library_partial *p = transfer ? take_over(u, id, length, e) : NULL;
    cleanup_free struct record *r = malloc(sizeof *r);
    const struct library_upload_request rq = {.user = json_text(transfer, "user"), .peer = json_text(transfer, "peer")};
    if (!p) return -1;
    if (!r || fill_record(r, &p->slot, &rq, json_text(transfer, "method"), note, e) < 0 ||
        partial_create(&file, p->slot.library->ops, p->slot.place.store, library_upload_entry(u), p->id, r, e) < 0) {
        partial_free(p);
        return r ? -1 : err_set(e, ERR_UNAVAILABLE, "Out of memory");
    }
    p->number = file.mark.number;
    p->promised = partial_close(&file);
    library_slot_move(library_upload_slot(u), &p->slot);
    library_upload_leave(u);
    transfer_size(p->slot.transfer, length);
    partial_pause(p, 0, NULL);
    partial_rest(p);
    return 0;
}

void library_partial_each(struct library *l, const char *method, void (*found)(void *owner, const char *id),
                          void *owner)
{
    library_partial_find(l);
    cleanup_json json_t *all = transfers_list(l->transfers);
    size_t i;
    json_t *transfer;
    json_array_foreach(json_object_get(all, "transfers"), i, transfer)
        if (strcmp(json_text(transfer, "method"), method) == 0 &&
            strcmp(json_text(transfer, "state"), transfer_state_names[TRANSFER_PAUSED]) == 0)
            found(owner, json_text(transfer, "id"));
}

/* ---- where it stands ---- */

/* Of one that nobody knows: was it finished? Its record tells for a while. */
static int find_finished(struct library *l, const char *id, struct library_partial_status *ret, struct err *e)
{
    cleanup_free struct partial_look *look = malloc(sizeof *look);
    for (size_t i = 0; look && i < l->stores_count; i++) {
        struct store_entry in cleanup_store = STORE_OUTSIDE;
        if (store_enter(&l->stores[i], "", &in, NULL) < 0) continue;
        if (partial_look(l->ops, in.root_fd, id, look, NULL) != PARTIAL_FINISHED) continue;
        *ret = (struct library_partial_status){
            .offset = look->record.size, .length = look->record.size, .finished = true};
        snprintf(ret->id, sizeof ret->id, "%s", id);
        snprintf(ret->note, sizeof ret->note, "%s", look->record.note);
        return (int)i;
    }
    cleanup_json json_t *transfer = transfers_get(l->transfers, id, NULL);
    if (strcmp(json_text(transfer, "code"), err_name(ERR_UPLOAD_EXPIRED)) == 0)
        return err_set(e, ERR_UPLOAD_EXPIRED, "The upload \"%.32s\" was thrown away: nobody went on with it", id);
    return err_set(e, ERR_NOT_FOUND, "There is no upload \"%.32s\"", id);
}

static struct library_partial *acquire(struct library *l, const char *id, bool take, struct err *e)
{
    struct err why;
    if (!hidden_id_check(id)) {
        err_set(e, ERR_NOT_FOUND, "There is no upload \"%.32s\"", id);
        return NULL;
    }
    struct library_partial *p = partial_acquire(l, id, take, &why);
    if (!p && why.code == ERR_NOT_FOUND) {
        library_partial_find(l);
        p = partial_acquire(l, id, take, &why);
    }
    if (!p && e) *e = why;
    return p;
}

/* Its files are not as they should be: the image was published by a rename that came late, or somebody removed them. */
static int lost(struct library_partial *p, struct library_partial_status *ret, struct err *e)
{
    struct library *l = p->slot.library;
    char id[HIDDEN_ID_MAX];
    struct err why;
    memcpy(id, p->id, sizeof id);
    err_set(&why, ERR_NOT_FOUND, "The upload of \"%s\" is not there any more", p->slot.place.name);
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    json_t *image = NULL;
    if (find_finished(l, id, ret, NULL) >= 0 &&
        store_enter(p->slot.place.store, p->slot.place.folder, &in, NULL) == 0)
        image = library_slot_result(&p->slot, &in, "", NULL);
    partial_end(p, image ? NULL : &why, image);
    json_decref(image);
    if (ret->finished) return 0;
    if (e) *e = why;
    return -1;
}

/* While its image is made nobody may interrupt it, and nobody needs to. */
static bool conversion_status(struct library *l, const char *id, struct library_partial_status *ret)
{
    bool found = false;
    pthread_mutex_lock(&l->lock);
    for (const struct library_slot *s = l->slots; s && !found; s = s->next) {
        const struct library_partial *p = (const struct library_partial *)s;
        found = s->partial && p->converting && strcmp(p->id, id) == 0;
        if (found) fill_status(p, p->slot.length, "", ret);
    }
    pthread_mutex_unlock(&l->lock);
    ret->packed = ret->converting = found;
    return found;
}

int library_partial_status(struct library *l, const char *id, struct library_partial_status *ret, struct err *e)
{
    struct err why;
    *ret = (struct library_partial_status){0};
    if (conversion_status(l, id, ret)) return 0;
    struct library_partial *p = acquire(l, id, true, &why);
    if (!p && why.code == ERR_NOT_FOUND && hidden_id_check(id)) return find_finished(l, id, ret, e) < 0 ? -1 : 0;
    if (!p) {
        if (e) *e = why;
        return -1;
    }
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    cleanup_free struct partial_look *look = malloc(sizeof *look);
    int state = -1;
    if (!look)
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
    else if (store_enter(p->slot.place.store, "", &in, e) == 0)
        state = partial_look(l->ops, in.root_fd, id, look, e);
    if (state == PARTIAL_NONE || state == PARTIAL_FINISHED) return lost(p, ret, e);
    if (state == PARTIAL_WAITING) {
        fill_status(p, look->mark.offset, look->record.note, ret);
        ret->packed = look->record.work[0] && look->mark.offset == look->record.size;
    }
    partial_rest(p);
    return state < 0 ? -1 : 0;
}

int library_partial_delete(struct library *l, const char *id, struct err *e)
{
    struct err why;
    struct library_partial *p = acquire(l, id, true, &why);
    if (p) {
        err_set(&why, ERR_CANCELLED, "The upload of \"%s\" was cancelled", p->slot.place.name);
        return partial_drop(p, &why, e);
    }
    cleanup_free struct library_partial_status *status = malloc(sizeof *status);
    if (why.code != ERR_NOT_FOUND || !hidden_id_check(id) || !status) {
        if (e) *e = why;
        return -1;
    }
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    int store = find_finished(l, id, status, e);
    if (store < 0 || store_enter(&l->stores[store], "", &in, e) < 0) return -1;
    return partial_remove(l->ops, in.root_fd, id, e);
}

void library_partial_fail(struct library *l, const char *id, const struct err *why)
{
    struct library_partial *p = acquire(l, id, false, NULL);
    if (p) partial_drop(p, why, NULL);
}

/* ---- a piece ---- */

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
    *piece = (struct library_piece){.in = STORE_OUTSIDE, .held = held, .partial = acquire(l, id, false, e)};
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
    fill_status(p, *ret_image ? p->slot.length : partial_kept(&piece->file), piece->file.record.note, ret);
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
