/*
 * library_upload.c - an upload in one piece: a failure, or a client that goes away, leaves nothing of it.
 */
#include <stdio.h>

#include "images/library_state.h"

struct library_upload {
    struct library_slot slot; /* first */
    struct store_entry in;
    struct ingest *ingest;
    struct err why;           /* why it ends, as far as that is known */
    bool counted_elsewhere;   /* the transfer's progress is not that of the image's bytes */
    json_t *more;             /* members for the result */
};

static void upload_free(struct library_upload *u)
{
    ingest_free(u->ingest);
    store_leave(&u->in);
    json_decref(u->more);
    free(u);
}

/* Ends what was taken; the bytes go first, so that whoever takes the name finds the room. */
static void upload_end(struct library_upload *u, const struct err *why, const json_t *image)
{
    ingest_free(take_ptr(u->ingest));
    library_slot_rest(&u->slot);
    library_slot_end(&u->slot, why, image);
    upload_free(u);
}

static int open_upload(struct library_upload *u, const struct library_upload_request *rq, bool *ret_exists,
                       struct err *e)
{
    struct transfer_request transfer = {
        .kind = rq->kind, .method = rq->method ? rq->method : "put", .source = rq->source, .user = rq->user,
        .peer = rq->peer,
    };
    struct store *store = u->slot.place.store;
    if (store_enter(store, u->slot.place.folder, &u->in, e) < 0) return -1;
    library_collect(u->slot.library, store, &u->in);
    if (library_slot_decide(&u->slot, rq, &u->in, ret_exists, e) < 0) return -1;
    u->ingest = ingest_begin(u->slot.library->ops, store, &u->in, u->slot.length, e);
    return u->ingest ? library_slot_show(&u->slot, &transfer, e) : -1;
}

struct library_upload *library_upload_begin(struct library *l, const struct library_upload_request *rq,
                                            bool *ret_exists, struct err *e)
{
    *ret_exists = false;
    if (e) *e = (struct err){0};
    struct library_upload *u = calloc(1, sizeof *u);
    if (!u) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    u->in = (struct store_entry)STORE_OUTSIDE;
    err_set(&u->why, ERR_ABORTED, "The client went away before the end");
    if (library_slot_init(&u->slot, l, rq, e) < 0 || library_slot_receive(&u->slot, e) < 0) {
        upload_free(u);
        return NULL;
    }
    if (library_slot_take(&u->slot, e) < 0) {
        library_slot_rest(&u->slot);
        upload_free(u);
        return NULL;
    }
    if (open_upload(u, rq, ret_exists, e) == 0) return u;
    upload_end(u, &u->why, NULL);
    return NULL;
}

/* ---- bytes, and the end ---- */

static int check_size(const struct library_upload *u, size_t len, struct err *e)
{
    int64_t max = u->slot.library->limits.upload_max;
    if (u->slot.length >= 0 || ingest_received(u->ingest) + (int64_t)len <= max) return 0;
    return err_set(e, ERR_TOO_LARGE, "More than the %lld bytes came that are accepted", (long long)max);
}

static int take(struct library_upload *u, const void *data, size_t len, struct err *e)
{
    if (library_slot_check(&u->slot, e) < 0 || check_size(u, len, e) < 0 || ingest_write(u->ingest, data, len, e) < 0)
        return -1;
    if (u->counted_elsewhere)
        atomic_store(&u->slot.received, ingest_received(u->ingest));
    else
        library_slot_progress(&u->slot, ingest_received(u->ingest));
    return 0;
}

int library_upload_write(struct library_upload *u, const void *data, size_t len, struct err *e)
{
    struct err why;
    if (take(u, data, len, &why) == 0) return 0;
    if (u->why.code == ERR_ABORTED) u->why = why; /* the first */
    if (e) *e = why;
    return -1;
}

static int publish(struct library_slot *s, void *owner, struct err *e)
{
    const struct library_upload *u = owner;
    return ingest_publish(u->ingest, s->place.name, s->replace, s->if_match[0] ? s->if_match : NULL, e);
}

static int complete(struct library_upload *u, struct err *e)
{
    if (library_slot_check(&u->slot, e) < 0) return -1;
    if (ingest_seal(u->ingest, u->slot.sha256[0] ? u->slot.sha256 : NULL, e) < 0) return -1;
    return library_slot_publish(&u->slot, publish, u, e);
}

json_t *library_upload_finish(struct library_upload *u, bool *ret_replaced, struct err *e)
{
    struct err why = {0};
    *ret_replaced = u->slot.replace;
    if (complete(u, &why) < 0) {
        upload_end(u, &why, NULL);
        if (e) *e = why;
        return NULL;
    }
    int synced = ingest_sync_name(u->ingest, &why);
    json_t *json = library_slot_result(&u->slot, &u->in, ingest_sha256(u->ingest), synced < 0 ? NULL : &why);
    if (json && u->more) json_object_update(json, u->more);
    upload_end(u, synced < 0 || !json ? &why : NULL, json); /* those who listen hear of it: it is there */
    if (synced == 0 && json) return json;
    json_decref(json);
    if (e) *e = why;
    return NULL;
}

void library_upload_abort(struct library_upload *u)
{
    if (u) upload_end(u, &u->why, NULL);
}

/* ---- from elsewhere ---- */

const char *library_upload_id(const struct library_upload *u)
{
    return transfer_id(u->slot.transfer);
}

void library_upload_fail(struct library_upload *u, const struct err *why)
{
    upload_end(u, why, NULL);
}

int library_upload_check(struct library_upload *u, struct err *e)
{
    return library_slot_check(&u->slot, e);
}

int library_upload_expect(struct library_upload *u, int64_t length, struct err *e)
{
    if (length > u->slot.library->limits.upload_max)
        return err_set(e, ERR_TOO_LARGE, "The image has %lld bytes; at most %lld are accepted", (long long)length,
                       (long long)u->slot.library->limits.upload_max);
    if (ingest_expect(u->ingest, length, e) < 0) return -1;
    library_slot_length(&u->slot, length);
    if (!u->counted_elsewhere) transfer_size(u->slot.transfer, length);
    return 0;
}

void library_upload_digest(struct library_upload *u, const char *sha256)
{
    snprintf(u->slot.sha256, sizeof u->slot.sha256, "%s", sha256);
}

void library_upload_source(struct library_upload *u, int64_t bytes, int64_t size)
{
    if (!u->counted_elsewhere || bytes == 0) transfer_size(u->slot.transfer, size);
    u->counted_elsewhere = true;
    transfer_progress(u->slot.transfer, bytes);
}

void library_upload_pause(struct library_upload *u, const struct err *why)
{
    transfer_pause(u->slot.transfer, why);
}

void library_upload_resume(struct library_upload *u)
{
    transfer_resume(u->slot.transfer);
}

int library_upload_restart(struct library_upload *u, struct err *e)
{
    struct library_slot *s = &u->slot;
    ingest_free(take_ptr(u->ingest));
    library_slot_length(s, -1);
    atomic_store(&s->received, 0);
    transfer_size(s->transfer, -1);
    transfer_progress(s->transfer, 0);
    u->ingest = ingest_begin(s->library->ops, s->place.store, &u->in, -1, e);
    return u->ingest ? 0 : -1;
}

void library_upload_add(struct library_upload *u, const char *name, json_t *value)
{
    if (!u->more) u->more = json_object();
    json_put(u->more, name, value);
}

int library_upload_fd(const struct library_upload *u)
{
    return ingest_fd(u->ingest);
}

int library_upload_filled(struct library_upload *u, struct err *e)
{
    return ingest_filled(u->ingest, e);
}

/* ---- for library_piece.c ---- */

struct library_slot *library_upload_slot(struct library_upload *u)
{
    return &u->slot;
}

const struct store_entry *library_upload_entry(const struct library_upload *u)
{
    return &u->in;
}

/* Its slot was taken over: only what is its own ends. */
void library_upload_leave(struct library_upload *u)
{
    library_slot_rest(&u->slot);
    upload_free(u);
}
