/*
 * library_resumable.c - uploads that can be continued: begun, found, asked about, thrown away.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "images/library_partial.h"

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

void partial_fill_status(const struct library_partial *p, int64_t offset, const char *note,
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
    partial_fill_status(p, 0, note, ret);
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

struct library_partial *partial_reach(struct library *l, const char *id, bool take, struct err *e)
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
        if (found) partial_fill_status(p, p->slot.length, "", ret);
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
    struct library_partial *p = partial_reach(l, id, true, &why);
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
        partial_fill_status(p, look->mark.offset, look->record.note, ret);
        ret->packed = look->record.work[0] && look->mark.offset == look->record.size;
    }
    partial_rest(p);
    return state < 0 ? -1 : 0;
}

int library_partial_delete(struct library *l, const char *id, struct err *e)
{
    struct err why;
    struct library_partial *p = partial_reach(l, id, true, &why);
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
    struct library_partial *p = partial_reach(l, id, false, NULL);
    if (p) partial_drop(p, why, NULL);
}
