#include "api/detach.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "api/body.h"
#include "api/detach_state.h"
#include "api/handlers.h"
#include "api/insert.h"
#include "api/prefer.h"
#include "base/cond.h"
#include "base/log.h"
#include "gadget/words.h"

struct detaches *detaches_new(struct api *a)
{
    struct detaches *all = calloc(1, sizeof *all);
    if (!all) return NULL;
    all->api = a;
    pthread_mutex_init(&all->lock, NULL);
    cond_init(&all->changed);
    return all;
}

static bool any_runs(const struct detaches *all)
{
    for (size_t i = 0; i < STORES_MAX; i++)
        if (all->items[i].thread) return true;
    return false;
}

void detaches_stop(struct detaches *all)
{
    pthread_mutex_lock(&all->lock);
    all->stopped = true;
    for (size_t i = 0; i < STORES_MAX; i++) all->items[i].stop = true;
    pthread_cond_broadcast(&all->changed);
    while (any_runs(all)) pthread_cond_wait(&all->changed, &all->lock);
    pthread_mutex_unlock(&all->lock);
}

void detaches_free(struct detaches *all)
{
    if (!all) return;
    for (size_t i = 0; i < STORES_MAX; i++) {
        json_decref(all->items[i].seen);
        json_decref(all->items[i].more);
        json_decref(all->items[i].operations);
    }
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

/* With the lock held: the place of that store. There are as many as there can be stores. */
static struct detach *place_of(struct detaches *all, const char *store)
{
    struct detach *d = all->items;
    while (d->store[0] && strcmp(d->store, store) != 0) d++;
    if (d->store[0]) return d; /* constant from here on: it is read without the lock */
    snprintf(d->store, sizeof d->store, "%s", store);
    d->all = all;
    return d;
}

/* ---- told -------------------------------------------------------------------------------------------------------- */

static json_t *failure_json(const char *step, const char *code, const char *detail, const json_t *drive, msec at)
{
    json_t *o = json_object();
    json_put_text(o, "step", step);
    json_put_text(o, "code", code);
    json_put_text(o, "detail", detail);
    json_put(o, "drive", json_incref((json_t *)(uintptr_t)drive));
    json_put_time(o, "at", at);
    return o;
}

bool detach_is_attached(const json_t *seen)
{
    const char *stage = json_text(seen, "stage");
    return !stage[0] || strcmp(stage, "attached") == 0;
}

/* With the lock held. What trayd-gadget says comes first where it has its part. */
static json_t *detached_json(const struct detach *d)
{
    const json_t *seen = d->seen;
    bool ours = d->running && (!d->in_gadget || detach_is_attached(seen));
    if (!ours && detach_is_attached(seen)) return NULL;
    json_t *o = json_object();
    json_put_text(o, "step", ours ? d->step : json_text(seen, "step")[0] ? json_text(seen, "step") : "done");
    if (ours)
        json_put_time(o, "since", d->since);
    else
        json_put(o, "since", json_incref(json_object_get(seen, "since")));
    json_put_text(o, "by", ours ? d->wish.by : json_text(seen, "by"));
    json_put_flag(o, "unmounted", json_flag(seen, "unmounted"));
    json_put_flag(o, "safe_to_remove", json_flag(seen, "safe_to_remove"));
    return o;
}

void detach_describe(struct detaches *all, json_t *store)
{
    pthread_mutex_lock(&all->lock);
    const struct detach *d = place_of(all, json_text(store, "name"));
    const json_t *failed = json_object_get(d->seen, "failed");
    json_put(store, "detached", detached_json(d));
    if (d->failed)
        json_put(store, "detach_failed", failure_json(d->failed, err_name(d->err.code), d->err.text,
                                                      json_object_get(d->more, "drive"), d->failed_at));
    else if (json_is_object(failed) && !d->running)
        json_put(store, "detach_failed", failure_json(json_text(failed, "step"), json_text(failed, "code"),
                                                      json_text(failed, "detail"), NULL, 0));
    else
        json_put(store, "detach_failed", NULL);
    pthread_mutex_unlock(&all->lock);
}

void detach_publish(const struct detach *d)
{
    struct api *a = d->all->api;
    cleanup_json json_t *store = library_store(a->library, d->store, NULL);
    if (!store) return;
    detach_describe(d->all, store);
    events_publish(a->events, "store", store);
}

/* With the lock held: the door is as trayd-gadget says, unless a run of ours will see to it when it ends. */
static void follow(const struct detach *d)
{
    enum library_door door = detach_is_attached(d->seen) ? LIBRARY_OPEN : LIBRARY_CLOSED;
    if (!d->running) library_set_door(d->all->api->library, d->store, door);
}

void detach_on_store(struct detaches *all, const json_t *seen)
{
    const char *name = json_text(seen, "name");
    char known[STORE_NAME_MAX];
    if (library_store_name(all->api->library, name, known, NULL) < 0) return; /* the two were configured differently */
    pthread_mutex_lock(&all->lock);
    struct detach *d = place_of(all, name);
    json_decref(d->seen);
    d->seen = json_incref((json_t *)(uintptr_t)seen);
    follow(d);
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
    if (!detach_is_attached(seen)) detach_publish(d); /* else the observer looks, and tells */
}

static void *run(void *arg)
{
    struct detach *d = arg;
    struct detaches *all = d->all;
    struct err e = {0};
    log_info("the store %s is being taken away, by %s", d->store, d->wish.by);
    int result = detach_take_away(d, &e);
    if (result < 0) log_warning("the store %s was not taken away: %s", d->store, e.text);
    pthread_mutex_lock(&all->lock);
    d->failed = result < 0 ? d->step : NULL;
    d->failed_at = clock_real_ms();
    d->err = e;
    d->in_gadget = false;
    d->running = false;
    d->serial++;
    follow(d);
    pthread_mutex_unlock(&all->lock);
    detach_publish(d);
    pthread_mutex_lock(&all->lock);
    d->thread = false;
    pthread_cond_broadcast(&all->changed); /* the last thing that is touched: all may go then */
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static int read_wish(const json_t *body, struct detach_wish *w, struct err *e)
{
    const struct json_member members[] = {
        {.name = "mode", .kind = JSON_TEXT, .ret = w->mode, .size = sizeof w->mode},
        {.name = "patience", .kind = JSON_DURATION, .ret = &w->patience, .max = PATIENCE_LIMIT, .ret_given = &w->has_patience},
        {.name = "on_timeout", .kind = JSON_TEXT, .ret = w->on_timeout, .size = sizeof w->on_timeout},
        {.name = "lock_policy", .kind = JSON_TEXT, .ret = w->lock_policy, .size = sizeof w->lock_policy},
        {.name = "allow_collateral", .kind = JSON_FLAG, .ret = &w->allow_collateral},
        {.name = "transfers", .kind = JSON_TEXT, .ret = w->transfers, .size = sizeof w->transfers},
        {.name = "unmount", .kind = JSON_FLAG, .ret = &w->unmount},
    };
    if (json_read(body, members, ARRAY_LEN(members), e) < 0 || check_word("mode", w->mode, eject_mode_names, e) < 0 ||
        check_word("on_timeout", w->on_timeout, on_timeout_names, e) < 0 ||
        check_word("lock_policy", w->lock_policy, lock_policy_names, e) < 0)
        return -1;
    return check_word("transfers", w->transfers, detach_transfers_names, e);
}

/* With the lock held. */
static int start(struct detach *d, const struct detach_wish *w, struct err *e)
{
    pthread_t thread;
    d->wish = *w;
    d->stop = d->in_gadget = false;
    d->step = DETACH_FIRST_STEP;
    d->since = clock_real_ms();
    d->failed = NULL;
    json_decref(d->more);
    d->more = NULL;
    d->running = d->thread = true;
    library_set_door(d->all->api->library, d->store, LIBRARY_ENDING);
    int errnum = pthread_create(&thread, NULL, run, d);
    if (errnum == 0) {
        pthread_detach(thread);
        return 0;
    }
    d->running = d->thread = false;
    follow(d);
    return err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start a thread");
}

static void answer_store(struct api *a, const char *name, int status, struct api_response *rs)
{
    struct err e;
    json_t *store = library_store(a->library, name, &e);
    if (store) detach_describe(a->detaches, store);
    if (store)
        api_json(rs, status, store);
    else
        api_problem(rs, &e);
}

static void answer_under_way(struct api *a, const char *name, const struct prefer *p, struct api_response *rs)
{
    answer_store(a, name, 202, rs);
    api_header(rs, "Location", "/api/v1/stores/%s", name);
    if (p->async && !p->wait_given)
        api_header(rs, "Preference-Applied", "respond-async");
    else if (p->wait_given)
        api_header(rs, "Preference-Applied", "wait=%lld", (long long)p->wait / 1000);
}

static void answer_failed(const char *name, const char *step, const struct err *e, json_t *more,
                          struct api_response *rs)
{
    json_t *all = more ? more : json_object();
    json_put_text(all, "store", name);
    if (step) json_put_text(all, "step", step);
    api_problem_with(rs, e, all);
}

/* Is there nothing to do? With the lock held. */
static bool is_done(const struct detach *d, bool unmount)
{
    return strcmp(json_text(d->seen, "stage"), "detached") == 0 && (!unmount || json_flag(d->seen, "unmounted"));
}

/* Begins it, or joins it, and waits. Returns 1 where it is under way still, 0 where it has ended, with *ret_step, *e and
 * *ret_more where it failed, -1 with *e where it was not begun. */
static int begin_and_wait(struct detach *d, const struct detach_wish *w, const struct prefer *p,
                          const char **ret_step, json_t **ret_more, struct err *e)
{
    struct detaches *all = d->all;
    msec deadline = clock_boot_ms() + p->wait, left;
    int result = 0;
    pthread_mutex_lock(&all->lock);
    while (d->thread && !d->running) pthread_cond_wait(&all->changed, &all->lock); /* the one before says its last word */
    unsigned serial = d->serial;
    bool nothing = !d->running && is_done(d, w->unmount);
    if (!nothing && !d->running) result = start(d, w, e);
    while (result == 0 && !nothing && d->serial == serial && (left = deadline - clock_boot_ms()) > 0)
        cond_wait_ms(&all->changed, &all->lock, left);
    if (result == 0 && !nothing && d->serial == serial) result = 1;
    if (result == 0 && !nothing && d->failed) {
        *ret_step = d->failed;
        *ret_more = json_copy(d->more);
        *e = d->err;
    }
    pthread_mutex_unlock(&all->lock);
    return result;
}

/* NULL where *rs is the answer already. */
static struct detach *find(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    char name[STORE_NAME_MAX];
    struct err e;
    if (library_store_name(a->library, rq->params[0], name, &e) == 0) {
        pthread_mutex_lock(&a->detaches->lock);
        struct detach *d = place_of(a->detaches, name);
        pthread_mutex_unlock(&a->detaches->lock);
        if (gadget_client_connected(a->gadget)) return d;
        err_set(&e, ERR_UNAVAILABLE, "trayd-gadget, which owns the drives, cannot be reached");
    }
    api_problem(rs, &e);
    return NULL;
}

/* POST /api/v1/stores/{store}/detach */
void api_detach_store(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e = {0};
    struct detach_wish w = {0};
    struct prefer prefer = prefer_parse(rq->header(rq, "Prefer"));
    const char *step = NULL;
    json_t *more = NULL;
    cleanup_json json_t *body = body_parse(rq, false, &e);
    if (!body || read_wish(body, &w, &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    snprintf(w.by, sizeof w.by, "%s", rq->user);
    struct detach *d = find(a, rq, rs);
    if (!d) return;
    int result = begin_and_wait(d, &w, &prefer, &step, &more, &e);
    if (result < 0 || step)
        answer_failed(d->store, step, &e, more, rs);
    else if (result > 0)
        answer_under_way(a, d->store, &prefer, rs);
    else
        answer_store(a, d->store, 200, rs);
}

/* Ends what waits. Returns 1 where it is trayd-gadget's already, 0 otherwise. */
static int stop(struct detach *d, const char *by)
{
    struct detaches *all = d->all;
    pthread_mutex_lock(&all->lock);
    bool late = d->running && d->in_gadget;
    if (d->running && !late) d->stop = true;
    cleanup_json json_t *operations = late ? NULL : json_copy(d->operations);
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
    detach_cancel_ejects(all->api, operations, by);
    pthread_mutex_lock(&all->lock);
    while (!late && d->running) pthread_cond_wait(&all->changed, &all->lock);
    if (!late) d->failed = NULL;
    pthread_mutex_unlock(&all->lock);
    return late;
}

/* POST /api/v1/stores/{store}/attach */
void api_attach_store(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e = {0};
    struct prefer prefer = prefer_parse(rq->header(rq, "Prefer"));
    struct detach *d = find(a, rq, rs);
    if (!d) return;
    if (stop(d, rq->user)) {
        err_set(&e, ERR_TOO_LATE, "The store is just being detached");
        answer_failed(d->store, NULL, &e, NULL, rs);
        return;
    }
    json_t *request = json_object(), *problem;
    json_put_text(request, "do", "store");
    json_put_text(request, "order", "attach");
    json_put_text(request, "store", d->store);
    json_put_text(request, "by", rq->user);
    cleanup_json json_t *ok = gadget_client_call(a->gadget, request, &problem, &e);
    if (!ok && e.code != ERR_UNAVAILABLE) { /* that may mean that only the answer was lost */
        answer_failed(d->store, NULL, &e, problem, rs);
        return;
    }
    json_decref(problem);
    cleanup_json json_t *seen = gadget_client_wait_store(a->gadget, d->store, clock_boot_ms() + prefer.wait);
    const json_t *failed = json_object_get(seen, "failed");
    if (json_text(seen, "step")[0]) {
        answer_under_way(a, d->store, &prefer, rs);
    } else if (!detach_is_attached(seen)) {
        if (!e.code) err_set(&e, ERR_TOO_LATE, "The store is being taken away again");
        if (json_is_object(failed)) err_set(&e, err_from_name(json_text(failed, "code")), "%s", json_text(failed, "detail"));
        answer_failed(d->store, json_is_object(failed) ? json_text(failed, "step") : NULL, &e, NULL, rs);
    } else {
        json_decref(library_rescan(a->library, d->store, NULL));
        answer_store(a, d->store, 200, rs);
    }
}
