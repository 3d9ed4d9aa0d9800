#include "api/unclean.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "gadget/mirror.h"
#include "images/thread.h"
#include "images/unclean.h"

struct unclean_marks {
    struct library *library;
    struct api_marks kept;
    pthread_mutex_t lock; /* held for moments, and for the database: */
    pthread_cond_t news;
    json_t *waiting;      /* as struct api_marks gives them, with "tried"; its items are replaced, not changed */
    bool wanted, stopping;
    pthread_t thread;
    bool runs;
};

/* ---- the list; locked ---- */

static bool is_of(const json_t *item, const char *store, const char *image)
{
    return strcmp(json_text(item, "image"), image) == 0 && strcmp(json_text(item, "store"), store) == 0;
}

static void drop(struct unclean_marks *u, size_t at)
{
    u->kept.settle(u->kept.owner, json_text(json_array_get(u->waiting, at), "operation"));
    json_array_remove(u->waiting, at);
}

static json_t *get(void *owner, const char *store, const char *image)
{
    struct unclean_marks *u = owner;
    json_t *mark = NULL;
    pthread_mutex_lock(&u->lock);
    for (size_t i = json_array_size(u->waiting); i-- > 0 && !mark;) { /* the newest counts */
        const json_t *item = json_array_get(u->waiting, i);
        if (is_of(item, store, image)) mark = json_copy(json_object_get(item, "mark")); /* the library adds to it */
    }
    pthread_mutex_unlock(&u->lock);
    return mark;
}

static void rename_it(struct unclean_marks *u, size_t at, const char *to)
{
    json_t *item = json_copy(json_array_get(u->waiting, at));
    json_put_text(item, "image", to);
    u->kept.rename(u->kept.owner, json_text(item, "operation"), to);
    json_array_set_new(u->waiting, at, item);
}

static void moved(void *owner, const char *store, const char *image, const char *to)
{
    struct unclean_marks *u = owner;
    pthread_mutex_lock(&u->lock);
    for (size_t i = json_array_size(u->waiting); i-- > 0;) {
        if (!is_of(json_array_get(u->waiting, i), store, image)) continue;
        if (to)
            rename_it(u, i, to);
        else
            drop(u, i);
    }
    pthread_mutex_unlock(&u->lock);
}

static void note_tried(struct unclean_marks *u, size_t at)
{
    json_t *item = json_copy(json_array_get(u->waiting, at));
    json_put_flag(item, "tried", true);
    json_array_set_new(u->waiting, at, item);
}

static void tried(struct unclean_marks *u, const char *operation, bool kept)
{
    pthread_mutex_lock(&u->lock);
    for (size_t i = json_array_size(u->waiting); i-- > 0;) {
        if (strcmp(json_text(json_array_get(u->waiting, i), "operation"), operation) != 0) continue;
        if (kept)
            drop(u, i);
        else
            note_tried(u, i);
    }
    pthread_mutex_unlock(&u->lock);
}

/* ---- bringing them to their images ---- */

static void bring(struct unclean_marks *u, const json_t *item)
{
    struct unclean mark;
    struct err e = {0};
    const char *store = json_text(item, "store"), *image = json_text(item, "image");
    int result = unclean_parse(json_object_get(item, "mark"), &mark, &e);
    if (result == 0) result = library_mark_unclean(u->library, store, image, &mark, &e);
    if (result == 0)
        log_warning("%s in store %s is marked unclean (%s)", image, store, mark.reason);
    else if (!json_flag(item, "tried"))
        log_warning("%s in store %s is unclean; that is not kept with it: %s", image, store, e.text);
    tried(u, json_text(item, "operation"), result == 0);
}

static void *run(void *arg)
{
    struct unclean_marks *u = arg;
    pthread_mutex_lock(&u->lock);
    for (;;) {
        while (!u->wanted && !u->stopping) pthread_cond_wait(&u->news, &u->lock);
        if (u->stopping) break;
        u->wanted = false;
        cleanup_json json_t *now = json_copy(u->waiting);
        size_t i;
        json_t *item;
        json_array_foreach(now, i, item) {
            if (u->stopping) break;
            pthread_mutex_unlock(&u->lock);
            bring(u, item);
            pthread_mutex_lock(&u->lock);
        }
    }
    pthread_mutex_unlock(&u->lock);
    return NULL;
}

void unclean_marks_retry(struct unclean_marks *u)
{
    pthread_mutex_lock(&u->lock);
    u->wanted = json_array_size(u->waiting) > 0;
    if (u->wanted) pthread_cond_signal(&u->news);
    pthread_mutex_unlock(&u->lock);
}

/* ---- what operations tell ---- */

static json_t *mark_of(const json_t *operation, const char *reason)
{
    struct unclean mark = {0};
    const char *at = json_text(operation, "emptied_at");
    if (!*at) at = json_text(operation, "finished_at");
    if (clock_parse_rfc3339(at, &mark.at) < 0) mark.at = clock_real_ms();
    snprintf(mark.by, sizeof mark.by, "%s", json_text(operation, "by"));
    snprintf(mark.operation, sizeof mark.operation, "%s", json_text(operation, "id"));
    snprintf(mark.reason, sizeof mark.reason, "%s", reason);
    return unclean_json(&mark);
}

static void add(struct unclean_marks *u, const char *operation, const char *store, const char *image, json_t *mark)
{
    pthread_mutex_lock(&u->lock);
    if (u->kept.add(u->kept.owner, operation, store, image, mark) > 0) {
        json_t *item = json_object();
        json_put_text(item, "operation", operation);
        json_put_text(item, "store", store);
        json_put_text(item, "image", image);
        json_put(item, "mark", json_incref(mark));
        json_array_append_new(u->waiting, item);
        u->wanted = true;
        pthread_cond_signal(&u->news);
    }
    pthread_mutex_unlock(&u->lock);
}

void unclean_marks_note(struct unclean_marks *u, const json_t *operation)
{
    char store[STORE_REF_MAX];
    struct err e;
    const json_t *taken = json_object_get(operation, "taken");
    const char *reason = json_is_object(taken) ? json_text(taken, "unclean") : "";
    if (!mirror_is_finished(operation) || !*reason) return;
    if (library_store_ref(u->library, json_text(taken, "store"), store, &e) < 0) {
        log_warning("%s is unclean, but %s", json_text(taken, "image"), e.text);
        return;
    }
    cleanup_json json_t *mark = mark_of(operation, reason);
    if (mark) add(u, json_text(operation, "id"), store, json_text(taken, "image"), mark);
}

/* ---- life ---- */

static int begin(struct unclean_marks *u, struct err *e)
{
    u->waiting = u->kept.waiting(u->kept.owner);
    if (!u->waiting) u->waiting = json_array();
    if (!u->waiting) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    u->wanted = json_array_size(u->waiting) > 0;
    int errnum = images_thread_start(&u->thread, run, u);
    if (errnum) return err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start a thread");
    u->runs = true;
    return 0;
}

struct unclean_marks *unclean_marks_new(struct library *l, const struct api_marks *kept, struct err *e)
{
    struct unclean_marks *u = calloc(1, sizeof *u);
    if (!u) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    u->library = l;
    u->kept = *kept;
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->news, NULL);
    if (begin(u, e) < 0) {
        unclean_marks_free(u);
        return NULL;
    }
    library_set_marks(l, &(struct library_marks){u, get, moved});
    return u;
}

void unclean_marks_free(struct unclean_marks *u)
{
    if (!u) return;
    pthread_mutex_lock(&u->lock);
    u->stopping = true;
    pthread_cond_signal(&u->news);
    pthread_mutex_unlock(&u->lock);
    if (u->runs) pthread_join(u->thread, NULL);
    library_set_marks(u->library, &(struct library_marks){0});
    json_decref(u->waiting);
    pthread_cond_destroy(&u->news);
    pthread_mutex_destroy(&u->lock);
    free(u);
}
