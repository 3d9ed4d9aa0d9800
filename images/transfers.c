/*
 * transfers.c - the registry of transfers.
 *
 * Two locks. `lock` guards the lists and every transfer in them. `news` is taken before it by whoever tells the
 * listener, so that what the listener hears is in the order in which it happened; it is never wanted by those who ask.
 */
#include "images/transfers.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cond.h"
#include "base/parse.h"
#include "images/rate.h"

#define ID_BYTES 8

const char *const transfer_kind_names[] = {"upload", "download", "conversion", "verify", NULL};
const char *const transfer_state_names[] = {"running", "paused", "done", "failed", "cancelled", NULL};

struct transfer {
    struct transfers *registry;
    struct transfer *next;
    char id[TRANSFER_ID_MAX];
    enum transfer_kind kind;
    enum transfer_state state;
    char *method, *store, *name, *source, *user, *peer;
    int64_t size, bytes;
    struct rate rate;
    msec started, finished, expires; /* real */
    msec told;                       /* boot time, when the listener heard of it last */
    enum err_code code;
    char *detail;
    json_t *result;
    atomic_bool cancelled;
    void (*cancel)(void *cancel_owner, const char *id);
    void *cancel_owner;
};

struct transfers {
    pthread_mutex_t news, lock;
    pthread_cond_t finished;
    struct transfer *active, *ended; /* oldest first; newest first */
    size_t active_count, ended_count;
    bool stopped;
    void (*changed)(void *owner, const json_t *transfer);
    void *owner;
};

struct transfers *transfers_new(void)
{
    struct transfers *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    pthread_mutex_init(&t->news, NULL);
    pthread_mutex_init(&t->lock, NULL);
    cond_init(&t->finished);
    return t;
}

static void transfer_free(struct transfer *x)
{
    char *texts[] = {x->method, x->store, x->name, x->source, x->user, x->peer, x->detail};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) free(texts[i]);
    json_decref(x->result);
    free(x);
}

static void free_all(struct transfer *x)
{
    while (x) {
        struct transfer *next = x->next;
        transfer_free(x);
        x = next;
    }
}

void transfers_free(struct transfers *t)
{
    if (!t) return;
    free_all(t->active);
    free_all(t->ended);
    pthread_cond_destroy(&t->finished);
    pthread_mutex_destroy(&t->lock);
    pthread_mutex_destroy(&t->news);
    free(t);
}

void transfers_set_listener(struct transfers *t, void (*changed)(void *owner, const json_t *transfer), void *owner)
{
    pthread_mutex_lock(&t->news);
    t->changed = changed;
    t->owner = owner;
    pthread_mutex_unlock(&t->news);
}

/* ---- as JSON ---- */

static bool is_finished(const struct transfer *x)
{
    return x->state >= TRANSFER_DONE;
}

static void put_progress(json_t *json, const struct transfer *x, msec now)
{
    int64_t speed = x->state == TRANSFER_RUNNING ? rate_per_second(&x->rate, now, x->bytes) : 0;
    bool sized = x->size >= 0;
    json_put_int(json, "bytes", x->bytes);
    json_put(json, "size", sized ? json_integer(x->size) : NULL);
    json_put(json, "progress", sized ? json_real(x->size ? (double)x->bytes / (double)x->size : 1) : NULL);
    json_put_int(json, "speed", speed);
    if (sized && speed > 0)
        json_put_seconds(json, "remaining", (x->size - x->bytes) / speed * 1000);
    else
        json_put(json, "remaining", NULL);
}

static json_t *transfer_json(const struct transfer *x, msec now)
{
    json_t *json = json_object();
    if (!json) return NULL;
    json_put_text(json, "id", x->id);
    json_put_text(json, "kind", transfer_kind_names[x->kind]);
    json_put_text(json, "method", x->method);
    json_put_text(json, "name", x->name);
    json_put_text(json, "store", x->store);
    json_put_text(json, "source", x->source);
    json_put_text(json, "state", transfer_state_names[x->state]);
    json_put_flag(json, "cancelling", x->cancelled && !is_finished(x));
    put_progress(json, x, now);
    json_put_text(json, "code", x->code ? err_name(x->code) : NULL);
    json_put_text(json, "detail", x->detail);
    json_put_text(json, "user", x->user);
    json_put_text(json, "peer", x->peer);
    json_put_time(json, "started_at", x->started);
    json_put_time(json, "finished_at", x->finished);
    json_put_time(json, "expires_at", x->expires);
    json_put(json, "result", json_incref(x->result));
    return json;
}

/* ---- begin ---- */

static bool copy_text(char **ret, const char *text)
{
    return !text || (*ret = strdup(text)) != NULL;
}

static struct transfer *transfer_new(const struct transfer_request *rq)
{
    uint8_t random[ID_BYTES];
    struct transfer *x = calloc(1, sizeof *x);
    if (!x) return NULL;
    x->kind = rq->kind;
    x->state = rq->paused ? TRANSFER_PAUSED : TRANSFER_RUNNING;
    x->size = rq->size;
    x->bytes = rq->bytes;
    x->started = rq->started ? rq->started : clock_real_ms();
    x->told = clock_boot_ms();
    x->cancel = rq->cancel;
    x->cancel_owner = rq->cancel_owner;
    rate_start(&x->rate, x->told, x->bytes);
    bool ok = copy_text(&x->method, rq->method) && copy_text(&x->store, rq->store) && copy_text(&x->name, rq->name) &&
              copy_text(&x->source, rq->source) && copy_text(&x->user, rq->user) && copy_text(&x->peer, rq->peer);
    if (rq->id)
        snprintf(x->id, sizeof x->id, "%s", rq->id);
    else if ((ok = ok && getrandom(random, sizeof random, 0) == (ssize_t)sizeof random))
        parse_to_hex(random, sizeof random, x->id);
    if (ok) return x;
    transfer_free(x);
    return NULL;
}

/* The state as it is, for the listener. The caller has both locks; this gives back the second. */
static void unlock_and_tell(struct transfers *t, struct transfer *x)
{
    cleanup_json json_t *json = t->changed ? transfer_json(x, clock_boot_ms()) : NULL;
    x->told = clock_boot_ms();
    pthread_mutex_unlock(&t->lock);
    if (json) t->changed(t->owner, json);
    pthread_mutex_unlock(&t->news);
}

static void lock_to_tell(struct transfers *t)
{
    pthread_mutex_lock(&t->news);
    pthread_mutex_lock(&t->lock);
}

/* One that finished under the same id was its predecessor: the new one takes its place. */
static void forget_ended(struct transfers *t, const char *id)
{
    for (struct transfer **link = &t->ended; *link; link = &(*link)->next) {
        struct transfer *x = *link;
        if (strcmp(x->id, id) != 0) continue;
        *link = x->next;
        t->ended_count--;
        transfer_free(x);
        return;
    }
}

struct transfer *transfer_begin(struct transfers *t, const struct transfer_request *rq, struct err *e)
{
    struct transfer *x = transfer_new(rq);
    if (!x) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    x->registry = t;
    lock_to_tell(t);
    if (t->active_count == TRANSFERS_MAX) {
        pthread_mutex_unlock(&t->lock);
        pthread_mutex_unlock(&t->news);
        err_set(e, ERR_TOO_MANY_REQUESTS, "%d transfers are under way already", TRANSFERS_MAX);
        transfer_free(x);
        return NULL;
    }
    forget_ended(t, x->id);
    struct transfer **link = &t->active;
    while (*link) link = &(*link)->next;
    *link = x;
    t->active_count++;
    unlock_and_tell(t, x);
    return x;
}

const char *transfer_id(const struct transfer *x)
{
    return x->id;
}

/* ---- under way ---- */

void transfer_progress(struct transfer *x, int64_t bytes)
{
    struct transfers *t = x->registry;
    msec now = clock_boot_ms();
    pthread_mutex_lock(&t->lock);
    x->bytes = bytes;
    rate_add(&x->rate, now, bytes);
    bool due = now - x->told >= TRANSFER_NEWS_INTERVAL;
    pthread_mutex_unlock(&t->lock);
    if (!due) return;
    lock_to_tell(t);
    unlock_and_tell(t, x);
}

void transfer_size(struct transfer *x, int64_t size)
{
    lock_to_tell(x->registry);
    x->size = size;
    unlock_and_tell(x->registry, x);
}

void transfer_name(struct transfer *x, const char *name)
{
    char *copy = strdup(name);
    if (!copy) return; /* it keeps the one that it had */
    lock_to_tell(x->registry);
    free(x->name);
    x->name = copy;
    unlock_and_tell(x->registry, x);
}

void transfer_source(struct transfer *x, const char *source)
{
    char *copy = strdup(source);
    if (!copy) return;
    lock_to_tell(x->registry);
    free(x->source);
    x->source = copy;
    unlock_and_tell(x->registry, x);
}

static void set_reason(struct transfer *x, const struct err *e)
{
    free(x->detail);
    x->detail = e ? strdup(e->text) : NULL;
    x->code = e ? e->code : ERR_NONE;
}

void transfer_becomes(struct transfer *x, enum transfer_kind kind)
{
    lock_to_tell(x->registry);
    x->kind = kind;
    unlock_and_tell(x->registry, x);
}

void transfer_pause(struct transfer *x, const struct err *why)
{
    lock_to_tell(x->registry);
    x->state = TRANSFER_PAUSED;
    set_reason(x, why);
    unlock_and_tell(x->registry, x);
}

void transfer_resume(struct transfer *x)
{
    lock_to_tell(x->registry);
    x->state = TRANSFER_RUNNING;
    x->expires = 0;
    set_reason(x, NULL);
    rate_start(&x->rate, clock_boot_ms(), x->bytes);
    unlock_and_tell(x->registry, x);
}

void transfer_expires(struct transfer *x, msec real)
{
    pthread_mutex_lock(&x->registry->lock);
    x->expires = real;
    pthread_mutex_unlock(&x->registry->lock);
}

int transfer_check(const struct transfer *x, struct err *e)
{
    return atomic_load(&x->cancelled) ? err_set(e, ERR_CANCELLED, "The transfer was cancelled") : 0;
}

/* ---- the end ---- */

static void drop_oldest_ended(struct transfers *t)
{
    struct transfer **link = &t->ended;
    while ((*link)->next) link = &(*link)->next;
    transfer_free(take_ptr(*link));
    t->ended_count--;
}

static void move_to_ended(struct transfers *t, struct transfer *x)
{
    struct transfer **link = &t->active;
    while (*link != x) link = &(*link)->next;
    *link = x->next;
    t->active_count--;
    if (t->ended_count == TRANSFERS_KEPT) drop_oldest_ended(t);
    x->next = t->ended;
    t->ended = x;
    t->ended_count++;
}

void transfer_end(struct transfer *x, const struct err *e, const json_t *result)
{
    if (!x) return;
    struct transfers *t = x->registry;
    lock_to_tell(t);
    x->state = !e ? TRANSFER_DONE : x->cancelled || e->code == ERR_CANCELLED ? TRANSFER_CANCELLED : TRANSFER_FAILED;
    x->finished = clock_real_ms();
    x->expires = 0;
    x->result = json_incref((json_t *)(uintptr_t)result);
    set_reason(x, e);
    move_to_ended(t, x);
    pthread_cond_broadcast(&t->finished);
    unlock_and_tell(t, x);
}

/* ---- asking ---- */

static struct transfer *find(const struct transfers *t, const char *id)
{
    for (struct transfer *x = t->active; x; x = x->next)
        if (strcmp(x->id, id) == 0) return x;
    for (struct transfer *x = t->ended; x; x = x->next)
        if (strcmp(x->id, id) == 0) return x;
    return NULL;
}

static int unknown(const char *id, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "There is no transfer \"%s\"", id);
}

json_t *transfers_get(struct transfers *t, const char *id, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    const struct transfer *x = find(t, id);
    json_t *json = x ? transfer_json(x, clock_boot_ms()) : NULL;
    pthread_mutex_unlock(&t->lock);
    if (!x)
        unknown(id, e);
    else if (!json)
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
    return json;
}

static void append_all(json_t *list, const struct transfer *x)
{
    for (msec now = clock_boot_ms(); x; x = x->next) json_array_append_new(list, transfer_json(x, now));
}

json_t *transfers_list(struct transfers *t)
{
    json_t *list = json_array();
    pthread_mutex_lock(&t->lock);
    append_all(list, t->active);
    append_all(list, t->ended);
    pthread_mutex_unlock(&t->lock);
    return list ? json_pack("{s:o}", "transfers", list) : NULL;
}

int transfers_cancel(struct transfers *t, const char *id, struct err *e)
{
    lock_to_tell(t);
    struct transfer *x = find(t, id);
    if (!x || is_finished(x)) {
        pthread_mutex_unlock(&t->lock);
        pthread_mutex_unlock(&t->news);
        return x ? err_set(e, ERR_TOO_LATE, "The transfer \"%s\" is finished", id) : unknown(id, e);
    }
    atomic_store(&x->cancelled, true);
    void (*cancel)(void *, const char *) = x->cancel;
    void *owner = x->cancel_owner;
    unlock_and_tell(t, x);
    if (cancel) cancel(owner, id);
    return 0;
}

int transfers_wait(struct transfers *t, const char *id, msec ms, struct err *e)
{
    msec deadline = clock_boot_ms() + ms;
    pthread_mutex_lock(&t->lock);
    const struct transfer *x = find(t, id);
    for (msec now; x && !is_finished(x) && !t->stopped && (now = clock_boot_ms()) < deadline; x = find(t, id))
        cond_wait_ms(&t->finished, &t->lock, deadline - now);
    int result = !x ? unknown(id, e) : is_finished(x);
    pthread_mutex_unlock(&t->lock);
    return result;
}

void transfers_stop(struct transfers *t)
{
    pthread_mutex_lock(&t->lock);
    t->stopped = true;
    pthread_cond_broadcast(&t->finished);
    pthread_mutex_unlock(&t->lock);
}
