#include <string.h>

#include "base/cond.h"
#include "base/log.h"
#include "images/hidden.h"
#include "images/library_state.h"

/* Stores that are there at start are cleaned at once; the others when the first upload comes. */
static void collect_leftovers(struct library *l)
{
    msec deadline = clock_boot_ms() + ALL_STORES_PATIENCE;
    struct enter_job *jobs[STORES_MAX];
    for (size_t i = 0; i < l->stores_count; i++) jobs[i] = store_enter_begin(&l->stores[i], "", NULL);
    for (size_t i = 0; i < l->stores_count; i++) {
        struct store_entry in cleanup_store = STORE_OUTSIDE;
        struct err e = {0};
        if (!jobs[i]) continue;
        if (store_enter_end(&l->stores[i], jobs[i], deadline, &in, &e) < 0)
            log_warning("%s", e.text);
        else
            library_collect(l, &l->stores[i], &in);
    }
}

struct library *library_new(const struct store_list *stores, struct err *e)
{
    return library_new_limited(stores, &(struct library_limits)LIBRARY_LIMITS_DEFAULT, e);
}

struct library *library_new_limited(const struct store_list *stores, const struct library_limits *limits,
                                    struct err *e)
{
    struct library *l = calloc(1, sizeof *l);
    if (!l) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    l->transfers = transfers_new();
    if (!l->transfers) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        free(l);
        return NULL;
    }
    l->ops = &fileops_kernel;
    l->limits = *limits;
    l->looks = look_cache_new();
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->use, NULL);
    library_partial_start(l);
    for (size_t i = 0; i < stores->count; i++) {
        if (store_init(&l->stores[i], &stores->items[i], e) < 0) {
            library_free(l);
            return NULL;
        }
        l->stores_count++;
    }
    collect_leftovers(l);
    return l;
}

void library_free(struct library *l)
{
    if (!l) return;
    observer_free(l->observer);
    library_partial_stop(l);
    for (size_t i = 0; i < l->stores_count; i++) store_done(&l->stores[i]);
    look_cache_unref(l->looks);
    transfers_free(l->transfers);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->use);
    free(l);
}

void library_set_usage(struct library *l, const struct library_usage *u)
{
    pthread_mutex_lock(&l->lock);
    l->usage = *u;
    pthread_mutex_unlock(&l->lock);
}

void library_set_listener(struct library *l, void (*changed)(void *owner, const json_t *image), void *owner)
{
    pthread_mutex_lock(&l->lock);
    l->changed = changed;
    l->changed_owner = owner;
    pthread_mutex_unlock(&l->lock);
}

int64_t library_upload_max(const struct library *l)
{
    return l->limits.upload_max;
}

struct transfers *library_transfers(struct library *l)
{
    return l->transfers;
}

void library_use_lock(struct library *l)
{
    pthread_mutex_lock(&l->use);
}

void library_use_unlock(struct library *l)
{
    pthread_mutex_unlock(&l->use);
}

void library_set_marks(struct library *l, const struct library_marks *m)
{
    pthread_mutex_lock(&l->lock);
    l->marks = *m;
    pthread_mutex_unlock(&l->lock);
}

void library_set_news(struct library *l, const struct library_news *n)
{
    pthread_mutex_lock(&l->lock);
    l->news = *n;
    pthread_mutex_unlock(&l->lock);
}

bool library_wait_quiet(struct library *l, msec ms)
{
    msec until = clock_boot_ms() + ms;
    pthread_mutex_lock(&l->lock);
    for (msec now; l->receiving && (now = clock_boot_ms()) < until;) cond_wait_ms(&l->rested, &l->lock, until - now);
    bool quiet = l->receiving == 0;
    pthread_mutex_unlock(&l->lock);
    return quiet;
}

static struct store *find_store(struct library *l, const char *name)
{
    if (!*name) return l->stores_count ? &l->stores[0] : NULL;
    for (size_t i = 0; i < l->stores_count; i++)
        if (strcmp(l->stores[i].config.name, name) == 0) return &l->stores[i];
    return NULL;
}

int library_place(struct library *l, const char *store, const char *name, struct library_place *ret, struct err *e)
{
    struct store_ref ref;
    if (store_ref_parse(store, &ref, e) < 0) return -1;
    if (name && image_name_check(name, e) < 0) return -1;
    ret->store = find_store(l, ref.store);
    if (!ret->store) return err_set(e, ERR_NOT_FOUND, "There is no store \"%s\"", ref.store);
    strcpy(ret->folder, ref.folder);
    store_ref_format(ret->store->config.name, ref.folder, ret->ref);
    strcpy(ret->name, name ? name : "");
    return 0;
}

int library_store_ref(struct library *l, const char *store, char ret[STORE_REF_MAX], struct err *e)
{
    struct library_place place;
    if (library_place(l, store, NULL, &place, e) < 0) return -1;
    memcpy(ret, place.ref, sizeof place.ref);
    return 0;
}

/* ---- callbacks: called without the lock ---- */

struct library_use library_ask_use(struct library *l, const char *ref, const char *name)
{
    pthread_mutex_lock(&l->lock);
    struct library_usage usage = l->usage;
    pthread_mutex_unlock(&l->lock);
    struct library_use use = {.drives = json_array()};
    if (usage.in_use && use.drives) use.in_use = usage.in_use(usage.owner, ref, name, use.drives, &use.writable);
    return use;
}

void library_add_use(struct library *l, json_t *image)
{
    struct library_use use = library_ask_use(l, json_text(image, "store"), json_text(image, "name"));
    if (use.writable) json_put(image, "etag", NULL);
    if (use.drives) json_put(image, "drives", use.drives);
    library_add_mark(l, image);
}

void library_notify(struct library *l, const json_t *image)
{
    if (!image || library_was_told(l, image)) return;
    pthread_mutex_lock(&l->lock);
    void (*changed)(void *, const json_t *) = l->changed;
    void *owner = l->changed_owner;
    pthread_mutex_unlock(&l->lock);
    if (changed) changed(owner, image);
}

void library_notify_deleted(struct library *l, const struct library_place *place)
{
    cleanup_json json_t *image = json_object();
    if (!image) return;
    json_put_text(image, "name", place->name);
    json_put_text(image, "store", place->ref);
    json_put_flag(image, "deleted", true);
    library_notify(l, image);
}
