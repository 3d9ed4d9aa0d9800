#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "images/inspect_json.h"
#include "images/library_state.h"

struct library_upload {
    struct library *library;
    struct library_upload *next;   /* in library->uploads, under its lock: */
    bool listed;                   /* shown as an incomplete image */
    bool cancelled;                /* the name is free again; the upload fails at its next step */

    struct library_place place;
    struct store_entry in;
    int64_t length;                /* -1: unknown */
    char sha256[SHA256_TEXT_MAX];  /* "": none was declared */
    bool replace;                  /* the name existed */
    char if_match[IMAGE_ETAG_MAX]; /* of what is replaced; "": any */
    msec started;                  /* real time */
    struct ingest *ingest;
};

/* ---- the list of uploads ---- */

static bool is_at(const struct library_upload *u, const struct library_place *place)
{
    return !u->cancelled && strcmp(u->place.ref, place->ref) == 0 && strcmp(u->place.name, place->name) == 0;
}

static struct library_upload *find(struct library *l, const struct library_place *place)
{
    struct library_upload *u = l->uploads;
    while (u && !is_at(u, place)) u = u->next;
    return u;
}

static int enlist(struct library_upload *u, struct err *e)
{
    struct library *l = u->library;
    int result = 0;
    pthread_mutex_lock(&l->lock);
    if (find(l, &u->place)) {
        result = err_set(e, ERR_EXISTS, "\"%s\" is being received already", u->place.name);
    } else if (l->uploads_count == UPLOADS_MAX) {
        result = err_set(e, ERR_TOO_MANY_REQUESTS, "%d uploads are under way already", UPLOADS_MAX);
    } else {
        u->next = l->uploads;
        l->uploads = u;
        l->uploads_count++;
    }
    pthread_mutex_unlock(&l->lock);
    return result;
}

static void delist(struct library_upload *u)
{
    struct library *l = u->library;
    pthread_mutex_lock(&l->lock);
    struct library_upload **link = &l->uploads;
    while (*link != u) link = &(*link)->next;
    *link = u->next;
    l->uploads_count--;
    pthread_mutex_unlock(&l->lock);
}

static bool is_cancelled(struct library_upload *u)
{
    pthread_mutex_lock(&u->library->lock);
    bool cancelled = u->cancelled;
    pthread_mutex_unlock(&u->library->lock);
    return cancelled;
}

static int64_t shown_size(const struct library_upload *u)
{
    return u->length >= 0 ? u->length : ingest_received(u->ingest);
}

static json_t *incomplete_json(const struct library_upload *u)
{
    json_t *json = json_object();
    if (!json) return NULL;
    json_put_text(json, "name", u->place.name);
    json_put_text(json, "store", u->place.ref);
    json_put(json, "size", u->length >= 0 ? json_integer(u->length) : NULL);
    json_put_int(json, "received", ingest_received(u->ingest));
    json_put_time(json, "modified", u->started);
    json_put_flag(json, "complete", false);
    json_put_flag(json, "readonly", false);
    json_put(json, "sha256", NULL);
    json_put(json, "drives", json_array());
    inspect_json_summary(json, NULL, 0);
    json_put(json, "etag", NULL);
    return json;
}

json_t *library_upload_json(struct library *l, const struct library_place *place)
{
    pthread_mutex_lock(&l->lock);
    struct library_upload *u = find(l, place);
    json_t *json = u && u->listed ? incomplete_json(u) : NULL;
    pthread_mutex_unlock(&l->lock);
    return json;
}

bool library_upload_cancel(struct library *l, const struct library_place *place)
{
    pthread_mutex_lock(&l->lock);
    struct library_upload *u = find(l, place);
    bool found = u && u->listed;
    if (found) {
        u->cancelled = true;
        u->listed = false;
    }
    pthread_mutex_unlock(&l->lock);
    if (found) library_notify_deleted(l, place);
    return found;
}

/* place->store NULL: everywhere; place->folder and what is below it. */
static bool is_below(const struct library_upload *u, const struct library_place *place)
{
    if (!place->store) return true;
    size_t len = strlen(place->folder);
    return u->place.store == place->store && strncmp(u->place.folder, place->folder, len) == 0 &&
           (len == 0 || u->place.folder[len] == '\0' || u->place.folder[len] == '/');
}

size_t library_upload_list(struct library *l, const struct library_place *place, const struct listing_query *q,
                           struct listing_item *items)
{
    struct order_item after;
    char room[ORDER_CURSOR_MAX];
    bool resumed = *q->cursor && order_cursor_parse(q->order, q->cursor, room, &after, NULL) == 0;
    struct search *search = *q->search ? search_new(q->search) : NULL;
    size_t count = 0;
    pthread_mutex_lock(&l->lock);
    for (const struct library_upload *u = l->uploads; u; u = u->next) {
        if (!u->listed || !is_below(u, place) || (search && !search_matches(search, u->place.name))) continue;
        json_t *json = incomplete_json(u);
        if (!json) continue;
        int64_t key = q->order.by == ORDER_SIZE ? shown_size(u) : u->started * 1000000;
        struct listing_item item = listing_item_of(q->order, json, key);
        if (resumed && order_compare(q->order, &item.at, &after) <= 0)
            json_decref(json);
        else
            items[count++] = item;
    }
    pthread_mutex_unlock(&l->lock);
    search_free(search);
    return count;
}

/* ---- begin ---- */

static void upload_free(struct library_upload *u)
{
    ingest_free(u->ingest);
    store_leave(&u->in);
    free(u);
}

static struct library_upload *upload_new(struct library *l, const struct library_upload_request *rq, struct err *e)
{
    struct library_upload *u = calloc(1, sizeof *u);
    if (!u) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    u->library = l;
    u->in = (struct store_entry)STORE_OUTSIDE;
    u->length = rq->length;
    u->started = clock_real_ms();
    uint8_t digest[SHA256_BYTES];
    if (library_place(l, rq->store, rq->name, &u->place, e) < 0) goto failed;
    if (rq->length < -1) {
        err_set(e, ERR_BAD_REQUEST, "The length is negative");
        goto failed;
    }
    if (rq->sha256 && parse_hex(rq->sha256, digest, sizeof digest) < 0) {
        err_set(e, ERR_BAD_REQUEST, "A SHA-256 has 64 hexadecimal digits");
        goto failed;
    }
    if (rq->sha256) parse_to_hex(digest, sizeof digest, u->sha256);
    return u;

failed:
    upload_free(u);
    return NULL;
}

/* Is what is there already what would come? It is read if its digest is not known, which is quicker than a network. */
static bool has_content(const struct library_upload *u, const struct library_use *use)
{
    struct stat st;
    char sha256[SHA256_TEXT_MAX];
    if (!u->sha256[0] || use->writable) return false;
    cleanup_close int fd = image_open_at(u->in.folder_fd, u->place.name, &st, NULL);
    if (fd < 0 || (u->length >= 0 && st.st_size != u->length)) return false;
    if (!stored_digest_read(fd, &st, sha256) && stored_digest_compute(fd, sha256, NULL) < 0) return false;
    return strcmp(sha256, u->sha256) == 0;
}

static int matches(const struct library_upload *u, const char *if_match, const struct stat *st, struct err *e)
{
    char etag[IMAGE_ETAG_MAX];
    image_etag(st, etag);
    if (strcmp(if_match, "*") == 0 || strcmp(if_match, etag) == 0) return 0;
    return err_set(e, ERR_PRECONDITION, "The image \"%s\" is not the one that If-Match names", u->place.name);
}

static int decide_existing(struct library_upload *u, const struct library_upload_request *rq, const struct stat *st,
                           const struct library_use *use, bool *ret_exists, struct err *e)
{
    const char *name = u->place.name;
    if (rq->must_not_exist) return err_set(e, ERR_PRECONDITION, "There is an image \"%s\" already", name);
    if (!S_ISREG(st->st_mode))
        return err_set(e, ERR_EXISTS, "The name \"%s\" is taken by a folder or special file", name);
    if (rq->if_match && matches(u, rq->if_match, st, e) < 0) return -1;
    if (has_content(u, use)) {
        *ret_exists = true;
        return -1;
    }
    if (!rq->if_match) return err_set(e, ERR_EXISTS, "There is an image \"%s\" already", name);
    if (use->in_use) return err_set(e, ERR_IMAGE_IN_USE, "The image \"%s\" is in a drive", name);
    u->replace = true;
    if (strcmp(rq->if_match, "*") != 0) snprintf(u->if_match, sizeof u->if_match, "%s", rq->if_match);
    return 0;
}

/* 0: bytes are wanted; -1: not, with *e or *ret_exists. */
static int decide(struct library_upload *u, const struct library_upload_request *rq, bool *ret_exists, struct err *e)
{
    struct stat st;
    int exists = image_stat_at(u->in.folder_fd, u->place.name, &st, e);
    if (exists < 0) return -1;
    if (exists) {
        struct library_use use = library_ask_use(u->library, u->place.ref, u->place.name);
        int result = decide_existing(u, rq, &st, &use, ret_exists, e);
        json_decref(use.drives);
        if (result < 0) return -1;
    } else if (rq->if_match) {
        return err_set(e, ERR_PRECONDITION, "There is no image \"%s\" to replace", u->place.name);
    }
    if (u->in.readonly) return err_set(e, ERR_STORE_READ_ONLY, "The store \"%s\" is read-only", u->place.ref);
    return 0;
}

static int open_upload(struct library_upload *u, const struct library_upload_request *rq, bool *ret_exists,
                       struct err *e)
{
    struct store *store = u->place.store;
    if (store_enter(store, u->place.folder, &u->in, e) < 0) return -1;
    store_collect(store, &u->in);
    if (decide(u, rq, ret_exists, e) < 0) return -1;
    u->ingest = ingest_begin(u->library->ops, store, &u->in, u->length, e);
    return u->ingest ? 0 : -1;
}

struct library_upload *library_upload_begin(struct library *l, const struct library_upload_request *rq,
                                            bool *ret_exists, struct err *e)
{
    *ret_exists = false;
    if (e) *e = (struct err){0};
    struct library_upload *u = upload_new(l, rq, e);
    if (!u) return NULL;
    if (enlist(u, e) < 0) {
        upload_free(u);
        return NULL;
    }
    if (open_upload(u, rq, ret_exists, e) < 0) {
        delist(u);
        upload_free(u);
        return NULL;
    }
    pthread_mutex_lock(&l->lock);
    u->listed = !u->replace; /* until it is replaced, the old image is what there is */
    cleanup_json json_t *json = u->listed ? incomplete_json(u) : NULL;
    pthread_mutex_unlock(&l->lock);
    library_notify(l, json);
    return u;
}

/* ---- bytes, and the end ---- */

static int cancelled(struct library_upload *u, struct err *e)
{
    return is_cancelled(u) ? err_set(e, ERR_CANCELLED, "The upload of \"%s\" was cancelled", u->place.name) : 0;
}

int library_upload_write(struct library_upload *u, const void *data, size_t len, struct err *e)
{
    return cancelled(u, e) < 0 ? -1 : ingest_write(u->ingest, data, len, e);
}

static int publish_locked(struct library_upload *u, struct err *e)
{
    if (cancelled(u, e) < 0) return -1;
    if (u->replace) {
        struct library_use use = library_ask_use(u->library, u->place.ref, u->place.name);
        json_decref(use.drives);
        if (use.in_use) return err_set(e, ERR_IMAGE_IN_USE, "The image \"%s\" is in a drive", u->place.name);
    }
    return ingest_publish(u->ingest, u->place.name, u->replace, u->if_match[0] ? u->if_match : NULL, e);
}

static int publish(struct library_upload *u, struct err *e)
{
    library_use_lock(u->library);
    int result = publish_locked(u, e);
    library_use_unlock(u->library);
    return result;
}

static json_t *look_at_result(struct library_upload *u, struct err *e)
{
    struct stat st;
    cleanup_close int fd = image_open_at(u->in.folder_fd, u->place.name, &st, e);
    if (fd < 0) return NULL;
    struct image image;
    image_look(fd, &st, u->in.readonly, u->library->looks, &image);
    json_t *json = image_json(&image, u->place.ref, u->place.name);
    if (!json) err_set(e, ERR_UNAVAILABLE, "Out of memory");
    /* Known now, even where the file system has no place to keep it. */
    if (json && !json_text(json, "sha256")[0]) json_put_text(json, "sha256", ingest_sha256(u->ingest));
    return json;
}

json_t *library_upload_finish(struct library_upload *u, bool *ret_replaced, struct err *e)
{
    struct library *l = u->library;
    *ret_replaced = u->replace;
    if (cancelled(u, e) < 0 || ingest_seal(u->ingest, u->sha256[0] ? u->sha256 : NULL, e) < 0 || publish(u, e) < 0) {
        library_upload_abort(u);
        return NULL;
    }
    int synced = ingest_sync_name(u->ingest, e);
    json_t *json = look_at_result(u, synced < 0 ? NULL : e);
    delist(u);
    upload_free(u);
    if (json) library_add_use(l, json);
    library_notify(l, json); /* also when it is not synced: it is there */
    if (synced < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

void library_upload_abort(struct library_upload *u)
{
    if (!u) return;
    struct library *l = u->library;
    pthread_mutex_lock(&l->lock);
    bool was_listed = u->listed;
    pthread_mutex_unlock(&l->lock);
    struct library_place place = u->place;
    delist(u);
    upload_free(u);
    if (was_listed) library_notify_deleted(l, &place);
}
