/*
 * library_observe.c - what happens in the stores without the library, told to its listeners.
 */
#include <string.h>

#include "images/library_state.h"

/* FNV-1a; a collision would keep one event quiet, once in 2^64. */
static uint64_t hash(const json_t *image)
{
    uint64_t h = 0xcbf29ce484222325;
    cleanup_free char *text = json_dumps(image, JSON_COMPACT | JSON_SORT_KEYS);
    for (const char *p = text; p && *p; p++) h = (h ^ (unsigned char)*p) * 0x100000001b3;
    return text && h ? h : 1;
}

static bool is_of(const struct told *t, uint64_t place)
{
    return t->what && t->place == place;
}

bool library_was_told(struct library *l, const json_t *image)
{
    uint64_t what = hash(image), place = hash(json_object_get(image, "store")) ^ hash(json_object_get(image, "name"));
    msec now = clock_boot_ms();
    struct told *free_one = NULL;
    bool known = false;
    pthread_mutex_lock(&l->lock);
    for (struct told *t = l->told; t < l->told + TOLD_MAX; t++) {
        known |= t->what == what && t->until > now;
        if (t->until <= now || is_of(t, place)) free_one = t; /* the newest news of a place replace the older */
    }
    if (free_one && l->observer) *free_one = (struct told){what, place, now + TOLD_FOR};
    pthread_mutex_unlock(&l->lock);
    return known;
}

static struct library_news news_of(struct library *l)
{
    pthread_mutex_lock(&l->lock);
    struct library_news news = l->news;
    pthread_mutex_unlock(&l->lock);
    return news;
}

static void on_file(void *owner, const char *ref, const char *name, bool gone)
{
    struct library *l = owner;
    struct library_place place;
    struct err e;
    if (library_place(l, ref, name, &place, &e) < 0) return;
    cleanup_json json_t *image = gone ? NULL : library_get(l, ref, name, &e);
    struct library_news news = news_of(l);
    if (image && news.file) news.file(news.owner, ref, name);
    if (image)
        library_notify(l, image);
    else if (gone || e.code == ERR_NOT_FOUND)
        library_notify_deleted(l, &place);
}

static void on_store(void *owner, const char *name)
{
    struct library *l = owner;
    struct err e;
    pthread_mutex_lock(&l->lock);
    void (*changed)(void *, const json_t *) = l->store_changed;
    void *changed_owner = l->store_changed_owner;
    pthread_mutex_unlock(&l->lock);
    cleanup_json json_t *store = library_store(l, name, &e);
    struct library_news news = news_of(l);
    if (store && json_flag(store, "attached") && news.store) news.store(news.owner, name);
    if (changed && store) changed(changed_owner, store);
}

int library_observe(struct library *l, void (*changed)(void *owner, const json_t *store), void *owner, struct err *e)
{
    pthread_mutex_lock(&l->lock);
    struct observer *before = l->observer;
    l->observer = NULL;
    l->store_changed = changed;
    l->store_changed_owner = owner;
    pthread_mutex_unlock(&l->lock);
    observer_free(before);
    if (!changed) return 0;
    struct observer *o = observer_new(l->stores, l->stores_count, &(struct observer_sink){l, on_file, on_store}, e);
    pthread_mutex_lock(&l->lock);
    l->observer = o;
    pthread_mutex_unlock(&l->lock);
    return o ? 0 : -1;
}

void library_look(struct library *l, const char *store)
{
    struct library_place place;
    if (library_place(l, store, NULL, &place, NULL) < 0) return;
    pthread_mutex_lock(&l->lock);
    if (l->observer) observer_rescan(l->observer, place.store);
    pthread_mutex_unlock(&l->lock);
}

json_t *library_rescan(struct library *l, const char *store, struct err *e)
{
    library_look(l, store);
    return library_store(l, store, e);
}
