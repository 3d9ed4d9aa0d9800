/*
 * library_slots.c - the names under which images are being received.
 *
 * The list holds every upload, in one piece or to be continued, from the moment when its name was taken until it ended.
 * Each is a transfer as well, under whose id it can be cancelled: whoever receives is told by library_slot_check(), and
 * is woken where it waits for bytes.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "images/inspect_json.h"
#include "images/library_state.h"

/* ---- the list ---- */

static bool is_at(const struct library_slot *s, const struct library_place *place)
{
    return !s->cancelled && strcmp(s->place.ref, place->ref) == 0 && strcmp(s->place.name, place->name) == 0;
}

static struct library_slot *find(struct library *l, const struct library_place *place)
{
    struct library_slot *s = l->slots;
    while (s && !is_at(s, place)) s = s->next;
    return s;
}

int library_slot_take(struct library_slot *s, struct err *e)
{
    struct library *l = s->library;
    int result = 0;
    pthread_mutex_lock(&l->lock);
    if (find(l, &s->place)) {
        result = err_set(e, ERR_EXISTS, "\"%s\" is being received already", s->place.name);
    } else if (l->slots_count == SLOTS_MAX) {
        result = err_set(e, ERR_TOO_MANY_REQUESTS, "%d uploads are under way, or wait to be continued", SLOTS_MAX);
    } else {
        s->next = l->slots;
        l->slots = s;
        l->slots_count++;
    }
    pthread_mutex_unlock(&l->lock);
    return result;
}

static void delist(struct library_slot *s)
{
    struct library *l = s->library;
    pthread_mutex_lock(&l->lock);
    struct library_slot **link = &l->slots;
    while (*link != s) link = &(*link)->next;
    *link = s->next;
    l->slots_count--;
    pthread_mutex_unlock(&l->lock);
}

struct library_slot *library_slot_of_transfer(struct library *l, const char *id)
{
    struct library_slot *s = l->slots;
    while (s && !(s->transfer && strcmp(transfer_id(s->transfer), id) == 0)) s = s->next;
    return s;
}

int library_slot_check(struct library_slot *s, struct err *e)
{
    pthread_mutex_lock(&s->library->lock);
    bool cancelled = s->cancelled || (s->transfer && transfer_check(s->transfer, NULL) < 0);
    pthread_mutex_unlock(&s->library->lock);
    return cancelled ? err_set(e, ERR_CANCELLED, "The upload of \"%s\" was cancelled", s->place.name) : 0;
}

int library_slot_receive(struct library_slot *s, struct err *e)
{
    struct library *l = s->library;
    pthread_mutex_lock(&l->lock);
    bool full = l->receiving == UPLOADS_MAX;
    if (!full) l->receiving++;
    pthread_mutex_unlock(&l->lock);
    return full ? err_set(e, ERR_TOO_MANY_REQUESTS, "%d uploads are under way already", UPLOADS_MAX) : 0;
}

void library_slot_rest(struct library_slot *s)
{
    pthread_mutex_lock(&s->library->lock);
    if (--s->library->receiving == 0) pthread_cond_broadcast(&s->library->rested);
    pthread_mutex_unlock(&s->library->lock);
}

void library_slot_length(struct library_slot *s, int64_t length)
{
    pthread_mutex_lock(&s->library->lock);
    s->length = length;
    pthread_mutex_unlock(&s->library->lock);
}

void library_slot_move(struct library_slot *from, struct library_slot *to)
{
    struct library *l = from->library;
    pthread_mutex_lock(&l->lock);
    struct library_slot **link = &l->slots;
    while (*link != from) link = &(*link)->next;
    *link = to;
    to->next = from->next;
    to->listed = from->listed;
    to->cancelled = from->cancelled;
    to->transfer = take_ptr(from->transfer);
    pthread_mutex_unlock(&l->lock);
}

void library_slot_progress(struct library_slot *s, int64_t received)
{
    atomic_store(&s->received, received);
    if (s->transfer) transfer_progress(s->transfer, received);
}

static int64_t shown_size(const struct library_slot *s)
{
    return s->length >= 0 ? s->length : atomic_load(&s->received);
}

static json_t *incomplete_json(const struct library_slot *s)
{
    json_t *json = json_object();
    if (!json) return NULL;
    json_put_text(json, "name", s->place.name);
    json_put_text(json, "store", s->place.ref);
    json_put(json, "size", s->length >= 0 ? json_integer(s->length) : NULL);
    json_put_int(json, "received", atomic_load(&s->received));
    json_put_time(json, "modified", s->started);
    json_put_flag(json, "complete", false);
    json_put_flag(json, "readonly", false);
    json_put(json, "sha256", NULL);
    json_put(json, "note", NULL);
    json_put(json, "drives", json_array());
    json_put(json, "unclean", NULL);
    inspect_json_summary(json, NULL, 0);
    json_put(json, "etag", NULL);
    return json;
}

json_t *library_slot_json(struct library *l, const struct library_place *place)
{
    pthread_mutex_lock(&l->lock);
    struct library_slot *s = find(l, place);
    json_t *json = s && s->listed ? incomplete_json(s) : NULL;
    pthread_mutex_unlock(&l->lock);
    return json;
}

/* ---- cancelling ---- */

/* A cancelled transfer: its name is free at once, and who waits for its bytes waits no longer. */
static void on_cancel(void *owner, const char *id)
{
    struct library *l = owner;
    struct err why;
    struct library_place place;
    void (*cancel)(struct library *, const char *) = NULL;
    pthread_mutex_lock(&l->lock);
    struct library_slot *s = library_slot_of_transfer(l, id);
    bool was_listed = s && s->listed;
    if (s) {
        place = s->place;
        cancel = s->cancel;
        s->cancelled = true;
        s->listed = false;
        err_set(&why, ERR_CANCELLED, "The upload of \"%s\" was cancelled", place.name);
        if (s->interrupt.run) s->interrupt.run(s->interrupt.owner, &why);
    }
    pthread_mutex_unlock(&l->lock);
    if (was_listed) library_notify_deleted(l, &place);
    if (cancel) cancel(l, id);
}

bool library_slot_cancel(struct library *l, const struct library_place *place)
{
    char id[TRANSFER_ID_MAX] = "";
    pthread_mutex_lock(&l->lock);
    const struct library_slot *s = find(l, place);
    if (s && s->listed && s->transfer) snprintf(id, sizeof id, "%s", transfer_id(s->transfer));
    pthread_mutex_unlock(&l->lock);
    return id[0] && transfers_cancel(l->transfers, id, NULL) == 0;
}

/* place->store NULL: everywhere; place->folder and what is below it. */
static bool is_below(const struct library_slot *s, const struct library_place *place)
{
    if (!place->store) return true;
    size_t len = strlen(place->folder);
    return s->place.store == place->store && strncmp(s->place.folder, place->folder, len) == 0 &&
           (len == 0 || s->place.folder[len] == '\0' || s->place.folder[len] == '/');
}

size_t library_slot_list(struct library *l, const struct library_place *place, const struct listing_query *q,
                           struct listing_item *items)
{
    struct order_item after;
    char room[ORDER_CURSOR_MAX];
    bool resumed = *q->cursor && order_cursor_parse(q->order, q->cursor, room, &after, NULL) == 0;
    struct search *search = *q->search ? search_new(q->search) : NULL;
    size_t count = 0;
    pthread_mutex_lock(&l->lock);
    for (const struct library_slot *s = l->slots; s; s = s->next) {
        if (!s->listed || !is_below(s, place) || (search && !search_matches(search, s->place.name))) continue;
        json_t *json = incomplete_json(s);
        if (!json) continue;
        int64_t key = q->order.by == ORDER_SIZE ? shown_size(s) : s->started * 1000000;
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

/* ---- what may be received ---- */

int library_slot_init(struct library_slot *s, struct library *l, const struct library_upload_request *rq,
                      struct err *e)
{
    uint8_t digest[SHA256_BYTES];
    s->library = l;
    s->length = rq->length;
    s->started = clock_real_ms();
    s->interrupt = rq->interrupt;
    if (library_place(l, rq->store, rq->name, &s->place, e) < 0) return -1;
    if (rq->length < -1) return err_set(e, ERR_BAD_REQUEST, "The length is negative");
    if (rq->length > l->limits.upload_max)
        return err_set(e, ERR_TOO_LARGE, "The image has %lld bytes; at most %lld are accepted", (long long)rq->length,
                       (long long)l->limits.upload_max);
    if (!rq->sha256) return 0;
    if (parse_hex(rq->sha256, digest, sizeof digest) < 0)
        return err_set(e, ERR_BAD_REQUEST, "A SHA-256 has 64 hexadecimal digits");
    parse_to_hex(digest, sizeof digest, s->sha256);
    return 0;
}

/* Is what is there already what would come? It is read if its digest is not known, which is quicker than a network. */
static bool has_content(const struct library_slot *s, const struct store_entry *in, const struct library_use *use)
{
    struct stat st;
    char sha256[SHA256_TEXT_MAX];
    if (!s->sha256[0] || use->writable) return false;
    cleanup_close int fd = image_open_at(in->folder_fd, s->place.name, &st, NULL);
    if (fd < 0 || (s->length >= 0 && st.st_size != s->length)) return false;
    if (!stored_digest_read(fd, &st, sha256) && stored_digest_compute(fd, NULL, sha256, NULL) < 0) return false;
    return strcmp(sha256, s->sha256) == 0;
}

static int matches(const struct library_slot *s, const char *if_match, const struct stat *st, struct err *e)
{
    char etag[IMAGE_ETAG_MAX];
    image_etag(st, etag);
    if (strcmp(if_match, "*") == 0 || strcmp(if_match, etag) == 0) return 0;
    return err_set(e, ERR_PRECONDITION, "The image \"%s\" is not the one that If-Match names", s->place.name);
}

static int decide_existing(struct library_slot *s, const struct library_upload_request *rq,
                           const struct store_entry *in, const struct stat *st, const struct library_use *use,
                           bool *ret_exists, struct err *e)
{
    const char *name = s->place.name;
    if (rq->must_not_exist) return err_set(e, ERR_PRECONDITION, "There is an image \"%s\" already", name);
    if (!S_ISREG(st->st_mode))
        return err_set(e, ERR_EXISTS, "The name \"%s\" is taken by a folder or special file", name);
    if (rq->if_match && matches(s, rq->if_match, st, e) < 0) return -1;
    if (has_content(s, in, use)) {
        *ret_exists = true;
        return -1;
    }
    if (!rq->if_match) return err_set(e, ERR_EXISTS, "There is an image \"%s\" already", name);
    if (use->in_use) return err_set(e, ERR_IMAGE_IN_USE, "The image \"%s\" is in a drive", name);
    s->replace = true;
    if (strcmp(rq->if_match, "*") != 0) snprintf(s->if_match, sizeof s->if_match, "%s", rq->if_match);
    return 0;
}

int library_slot_decide(struct library_slot *s, const struct library_upload_request *rq, const struct store_entry *in,
                        bool *ret_exists, struct err *e)
{
    struct stat st;
    int exists = image_stat_at(in->folder_fd, s->place.name, &st, e);
    if (exists < 0) return -1;
    if (exists) {
        struct library_use use = library_ask_use(s->library, s->place.ref, s->place.name);
        int result = decide_existing(s, rq, in, &st, &use, ret_exists, e);
        json_decref(use.drives);
        if (result < 0) return -1;
    } else if (rq->if_match) {
        return err_set(e, ERR_PRECONDITION, "There is no image \"%s\" to replace", s->place.name);
    }
    if (in->readonly) return err_set(e, ERR_STORE_READ_ONLY, "The store \"%s\" is read-only", s->place.ref);
    return 0;
}

/* ---- shown, published, ended ---- */

int library_slot_show(struct library_slot *s, struct transfer_request *rq, struct err *e)
{
    struct library *l = s->library;
    rq->store = s->place.ref;
    rq->name = s->place.name;
    rq->size = s->length;
    rq->bytes = atomic_load(&s->received);
    rq->started = s->started;
    rq->cancel = on_cancel;
    rq->cancel_owner = l;
    struct transfer *x = transfer_begin(l->transfers, rq, e);
    if (!x) return -1;
    pthread_mutex_lock(&l->lock);
    s->transfer = x;
    s->listed = !s->replace; /* until it is replaced, the old image is what there is */
    cleanup_json json_t *json = s->listed ? incomplete_json(s) : NULL;
    pthread_mutex_unlock(&l->lock);
    library_notify(l, json);
    return 0;
}

static int publish_locked(struct library_slot *s, int (*publish)(struct library_slot *, void *, struct err *),
                          void *owner, struct err *e)
{
    if (library_slot_check(s, e) < 0) return -1;
    if (s->replace) {
        struct library_use use = library_ask_use(s->library, s->place.ref, s->place.name);
        json_decref(use.drives);
        if (use.in_use) return err_set(e, ERR_IMAGE_IN_USE, "The image \"%s\" is in a drive", s->place.name);
    }
    int result = publish(s, owner, e);
    if (result == 0) library_mark_moved(s->library, &s->place, NULL);
    return result;
}

int library_slot_publish(struct library_slot *s, int (*publish)(struct library_slot *s, void *owner, struct err *e),
                         void *owner, struct err *e)
{
    library_use_lock(s->library);
    int result = publish_locked(s, publish, owner, e);
    library_use_unlock(s->library);
    return result;
}

json_t *library_slot_result(struct library_slot *s, const struct store_entry *in, const char *sha256, struct err *e)
{
    struct stat st;
    cleanup_close int fd = image_open_at(in->folder_fd, s->place.name, &st, e);
    if (fd < 0) return NULL;
    struct image image;
    image_look(fd, &st, in->readonly, s->library->looks, &image);
    json_t *json = image_json(&image, s->place.ref, s->place.name);
    if (!json) err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (json && !json_text(json, "sha256")[0] && sha256[0]) json_put_text(json, "sha256", sha256);
    if (json) library_add_use(s->library, json);
    return json;
}

void library_slot_end(struct library_slot *s, const struct err *why, const json_t *image)
{
    struct library *l = s->library;
    pthread_mutex_lock(&l->lock);
    bool was_listed = s->listed;
    struct transfer *x = take_ptr(s->transfer);
    pthread_mutex_unlock(&l->lock);
    delist(s);
    if (x) transfer_end(x, why, image);
    if (image)
        library_notify(l, image);
    else if (was_listed && why)
        library_notify_deleted(l, &s->place);
}
