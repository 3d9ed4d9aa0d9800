/*
 * library_partial.c - the uploads that can be continued: whose each is, when it expires, and what is found on the disk.
 */
#include "images/library_partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cond.h"
#include "base/fd.h"
#include "base/log.h"
#include "images/thread.h"

#define FINISHED_KEPT ((msec)60 * 60 * 1000) /* ms; so long a client can ask again for an answer that it missed */

/* ---- one of them ---- */

static void on_cancel(struct library *l, const char *id);

struct library_partial *partial_new(struct library *l, const char *id, const struct library_upload_request *rq,
                                    struct err *e)
{
    struct library_partial *p = calloc(1, sizeof *p);
    if (p) p->follow = follow_new(e);
    if (!p || !p->follow) {
        free(p);
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    p->busy = true;
    snprintf(p->id, sizeof p->id, "%s", id);
    if (library_slot_init(&p->slot, l, rq, e) < 0) {
        partial_free(p);
        return NULL;
    }
    p->slot.partial = true;
    p->slot.cancel = on_cancel;
    p->slot.interrupt = (struct library_interrupt){0};
    return p;
}

void partial_free(struct library_partial *p)
{
    follow_free(p->follow);
    free(p);
}

int partial_show(struct library_partial *p, const struct record *r, struct err *e)
{
    struct transfer_request rq = {
        .kind = strcmp(r->method, "url") == 0 ? TRANSFER_DOWNLOAD : TRANSFER_UPLOAD,
        .id = p->id, .method = r->method, .user = r->user, .peer = r->peer[0] ? r->peer : NULL, .paused = true,
    };
    return library_slot_show(&p->slot, &rq, e);
}

msec partial_expires(const struct library_partial *p)
{
    return clock_real_ms() + p->deadline - clock_boot_ms();
}

/* ---- whose it is: with the lock held ---- */

static struct library_partial *find(const struct library *l, const char *id)
{
    for (struct library_slot *s = l->slots; s; s = s->next) {
        struct library_partial *p = (struct library_partial *)s;
        if (s->partial && strcmp(p->id, id) == 0) return p;
    }
    return NULL;
}

static void interrupt(struct library_partial *p)
{
    struct err why;
    err_set(&why, ERR_UPLOAD_BUSY, "Another request goes on with this upload");
    p->interrupted = true;
    if (p->slot.interrupt.run) p->slot.interrupt.run(p->slot.interrupt.owner, &why);
}

struct library_partial *partial_acquire(struct library *l, const char *id, bool take, struct err *e)
{
    msec now = clock_boot_ms(), deadline = now + (take ? PARTIAL_PATIENCE : 0);
    struct library_partial *p;
    pthread_mutex_lock(&l->lock);
    while ((p = find(l, id)) && p->busy && now < deadline) {
        interrupt(p);
        cond_wait_ms(&l->rested, &l->lock, deadline - now);
        now = clock_boot_ms();
    }
    bool busy = p && p->busy;
    if (p) p->busy = true;
    pthread_mutex_unlock(&l->lock);
    if (p && !busy) return p;
    if (busy)
        err_set(e, ERR_UPLOAD_BUSY, "A piece of this upload is being received");
    else
        err_set(e, ERR_NOT_FOUND, "There is no upload \"%.32s\"", id);
    return NULL;
}

void partial_rest(struct library_partial *p)
{
    struct library *l = p->slot.library;
    struct err why;
    pthread_mutex_lock(&l->lock);
    bool cancelled = p->slot.cancelled;
    if (!cancelled) {
        p->busy = p->interrupted = p->converting = false;
        p->slot.interrupt = (struct library_interrupt){0};
        partial_expiry_wake(l);
        pthread_cond_broadcast(&l->rested);
    }
    pthread_mutex_unlock(&l->lock);
    if (!cancelled) return;
    err_set(&why, ERR_CANCELLED, "The upload of \"%s\" was cancelled", p->slot.place.name);
    partial_drop(p, &why, NULL);
}

void partial_pause(struct library_partial *p, int64_t offset, const struct err *why)
{
    struct library *l = p->slot.library;
    pthread_mutex_lock(&l->lock);
    p->deadline = clock_boot_ms() + l->limits.upload_expires;
    pthread_mutex_unlock(&l->lock);
    library_slot_progress(&p->slot, offset);
    transfer_expires(p->slot.transfer, partial_expires(p));
    transfer_pause(p->slot.transfer, why);
}

/* ---- its end ---- */

void partial_end(struct library_partial *p, const struct err *why, const json_t *image)
{
    struct library *l = p->slot.library;
    atomic_fetch_sub(&p->slot.place.store->promised, p->promised);
    library_slot_end(&p->slot, why, image);
    partial_free(p);
    pthread_mutex_lock(&l->lock);
    pthread_cond_broadcast(&l->rested);
    pthread_mutex_unlock(&l->lock);
}

static int remove_files(struct library_partial *p, struct err *e)
{
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    if (store_enter_to_end(p->slot.place.store, "", &in, e) < 0) return -1;
    return partial_remove(p->slot.library->ops, in.root_fd, p->id, e);
}

int partial_drop(struct library_partial *p, const struct err *why, struct err *e)
{
    struct err failure;
    if (remove_files(p, &failure) < 0) {
        log_warning("Cannot remove the unfinished upload of \"%s\" now: %s", p->slot.place.name, failure.text);
        atomic_store(&p->slot.place.store->leftovers, true); /* it will be found again when the store is back */
        if (e) *e = failure;
    } else {
        failure.code = ERR_NONE;
    }
    partial_end(p, why, NULL);
    return failure.code == ERR_NONE ? 0 : -1;
}

/* A transfer that rests was cancelled. Of one that is busy, whoever receives it takes care. */
static void on_cancel(struct library *l, const char *id)
{
    struct library_partial *p = partial_acquire(l, id, false, NULL);
    if (p) partial_rest(p);
}

/* ---- expiry ---- */

/* The one that expires first and rests; NULL where there is none. */
static struct library_partial *next_to_expire(const struct library *l)
{
    struct library_partial *first = NULL;
    for (struct library_slot *s = l->slots; s; s = s->next) {
        struct library_partial *p = (struct library_partial *)s;
        if (s->partial && !p->busy && (!first || p->deadline < first->deadline)) first = p;
    }
    return first;
}

static void *expire(void *arg)
{
    struct library *l = arg;
    struct err why;
    pthread_mutex_lock(&l->lock);
    while (!l->ending) {
        msec now = clock_boot_ms();
        struct library_partial *p = next_to_expire(l);
        if (!p) {
            pthread_cond_wait(&l->rested, &l->lock);
        } else if (p->deadline > now) {
            cond_wait_ms(&l->rested, &l->lock, p->deadline - now);
        } else {
            p->busy = true;
            pthread_mutex_unlock(&l->lock);
            err_set(&why, ERR_UPLOAD_EXPIRED, "Nobody went on with the upload of \"%s\"", p->slot.place.name);
            log_info("%s: it is thrown away", why.text);
            partial_drop(p, &why, NULL);
            pthread_mutex_lock(&l->lock);
        }
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

void partial_expiry_wake(struct library *l)
{
    if (l->expiry_runs)
        pthread_cond_broadcast(&l->rested);
    else
        l->expiry_runs = images_thread_start(&l->expiry, expire, l) == 0; /* else with the next one */
}

void library_partial_start(struct library *l)
{
    cond_init(&l->rested);
}

void library_partial_stop(struct library *l)
{
    pthread_mutex_lock(&l->lock);
    l->ending = true;
    pthread_cond_broadcast(&l->rested);
    bool runs = l->expiry_runs;
    pthread_mutex_unlock(&l->lock);
    if (runs) pthread_join(l->expiry, NULL);
    for (struct library_slot *s = l->slots, *next; s; s = next) {
        next = s->next;
        if (!s->partial) continue;
        struct transfer *x = take_ptr(s->transfer);
        if (x) transfer_end(x, &(struct err){.code = ERR_INTERRUPTED, .text = "The service ends"}, NULL);
        partial_free((struct library_partial *)s); /* its files stay, for the next life */
    }
    l->slots = NULL;
    pthread_cond_destroy(&l->rested);
}

/* ---- what earlier lives left ---- */

struct search_of_store {
    struct library *library;
    struct store *store;
    const struct store_entry *in;
    bool failed;
};

static bool is_known(struct library *l, const char *id)
{
    pthread_mutex_lock(&l->lock);
    bool known = find(l, id) != NULL;
    pthread_mutex_unlock(&l->lock);
    return known;
}

/* Reserves what a file system forgot, and says what must stay promised where it cannot reserve. */
static int64_t reserve(const struct search_of_store *s, const char *id, const char *folder)
{
    struct store_entry in = *s->in;
    struct partial file;
    struct err e;
    cleanup_close int folder_fd = fd_open_beneath(in.root_fd, folder[0] ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
    if (folder_fd < 0) return 0;
    in.folder_fd = folder_fd;
    if (partial_open(&file, s->library->ops, s->store, &in, id, 0, &e) < 0)
        log_debug("The upload %s is not reserved: %s", id, e.text);
    return partial_close(&file);
}

static int adopt(const struct search_of_store *s, const char *id, const struct partial_look *look, msec left,
                 struct err *e)
{
    char store[STORE_REF_MAX];
    const struct record *r = &look->record;
    const struct library_upload_request rq = {
        .store = store_ref_format(s->store->config.name, r->folder, store), .name = r->name, .length = r->size,
        .sha256 = r->sha256[0] ? r->sha256 : NULL,
    };
    struct library_partial *p = partial_new(s->library, id, &rq, e);
    if (!p) return -1;
    p->slot.started = r->started;
    p->slot.replace = r->replace;
    memcpy(p->slot.if_match, r->if_match, sizeof p->slot.if_match);
    atomic_store(&p->slot.received, look->mark.offset);
    p->deadline = clock_boot_ms() + left;
    if (library_slot_take(&p->slot, e) < 0) {
        partial_free(p);
        return -1;
    }
    p->promised = reserve(s, id, r->folder);
    if (partial_show(p, r, e) < 0) {
        partial_end(p, NULL, NULL);
        return -1;
    }
    transfer_expires(p->slot.transfer, partial_expires(p));
    partial_rest(p);
    return 0;
}

/* How long it is still kept, by the clock on the wall: the record's time is all that a restart leaves. A clock that was
 * set back must not keep it for ever. */
static msec time_left(const struct library *l, const struct partial_look *look, bool finished)
{
    msec kept = finished ? FINISHED_KEPT : l->limits.upload_expires;
    return MIN(look->touched + kept - clock_real_ms(), kept);
}

static bool look_at(void *owner, const char *id)
{
    struct search_of_store *s = owner;
    struct library *l = s->library;
    struct err e;
    if (is_known(l, id)) return true;
    cleanup_free struct partial_look *look = malloc(sizeof *look);
    int state = look ? partial_look(l->ops, s->in->root_fd, id, look, &e) : -1;
    if (state < 0) {
        s->failed = true;
        return true;
    }
    bool finished = state == PARTIAL_FINISHED;
    msec left = state == PARTIAL_NONE ? 0 : time_left(l, look, finished);
    bool empty = state == PARTIAL_WAITING && look->record.size == 0; /* nothing could finish it */
    if (left <= 0 || empty) {
        if (partial_remove(l->ops, s->in->root_fd, id, &e) < 0) s->failed = true;
        return true;
    }
    if (finished || adopt(s, id, look, left, &e) == 0) return true;
    /* The name is taken, and no byte has come: its maker was never told, or began again. */
    if (e.code == ERR_EXISTS && look->mark.offset == 0)
        s->failed |= partial_remove(l->ops, s->in->root_fd, id, &e) < 0;
    else
        log_warning("The upload of \"%s\" cannot be continued for now: %s", look->record.name, e.text);
    return true;
}

void library_collect(struct library *l, struct store *store, const struct store_entry *in)
{
    if (in->readonly || !atomic_load(&store->leftovers)) return;
    store_collect(store, in);
    struct search_of_store s = {.library = l, .store = store, .in = in};
    cleanup_close int hidden_fd = fd_open_beneath(in->root_fd, HIDDEN_DIR, O_RDONLY | O_DIRECTORY, 0);
    if (hidden_fd < 0 ? errno != ENOENT : hidden_each_record(hidden_fd, look_at, &s) < 0) s.failed = true;
    if (s.failed) atomic_store(&store->leftovers, true);
}

void library_partial_find(struct library *l)
{
    for (size_t i = 0; i < l->stores_count; i++) {
        struct store_entry in cleanup_store = STORE_OUTSIDE;
        if (atomic_load(&l->stores[i].leftovers) && store_enter(&l->stores[i], "", &in, NULL) == 0)
            library_collect(l, &l->stores[i], &in);
    }
}
