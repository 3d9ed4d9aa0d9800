#include "images/digests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cond.h"
#include "images/order.h"
#include "images/stored_digest.h"
#include "images/thread.h"
#include "images/verify.h"

#define BUSY_PAUSE 5000 /* ms; too many other jobs are under way, the store does not answer, or nobody knows the drives */
#define PAGE 100         /* images of a store that are looked at together */

const char *const digests_mode_names[] = {"never", "new", "all", NULL};

struct waiting {
    struct waiting *next;
    msec due; /* boot time */
    char ref[STORE_REF_MAX], name[NAME_BYTES_MAX + 1];
};

struct digests {
    struct library *library;
    struct jobs *jobs;
    enum digests_mode mode;
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct waiting *first; /* in the order in which they came */
    size_t count;
    char to_walk[STORES_MAX][STORE_NAME_MAX]; /* "": none */
    msec walk_at;          /* not before; boot time */
    bool verifying, stopping;
    pthread_t thread;
    bool runs;
};

/* ---- the queue; locked ---- */

static struct waiting **find(struct digests *d, const char *ref, const char *name)
{
    struct waiting **p = &d->first;
    while (*p && (strcmp((*p)->name, name) != 0 || strcmp((*p)->ref, ref) != 0)) p = &(*p)->next;
    return p;
}

static void put(struct digests *d, const char *ref, const char *name, msec after)
{
    struct waiting **at = find(d, ref, name), *w = *at;
    if (!w && d->count < DIGESTS_WAITING_MAX && (w = calloc(1, sizeof *w))) {
        snprintf(w->ref, sizeof w->ref, "%s", ref);
        snprintf(w->name, sizeof w->name, "%s", name);
        *at = w;
        d->count++;
    }
    if (w) w->due = clock_boot_ms() + after;
}

/* The first that is due, or NULL and when one will be. */
static struct waiting *take(struct digests *d, msec *ret_due)
{
    msec now = clock_boot_ms();
    *ret_due = MSEC_NEVER;
    for (struct waiting **p = &d->first; *p; p = &(*p)->next) {
        struct waiting *w = *p;
        *ret_due = MIN(*ret_due, w->due);
        if (w->due > now) continue;
        *p = w->next;
        d->count--;
        return w;
    }
    return NULL;
}

/* Likewise; *ret_due is lowered. */
static bool take_store(struct digests *d, char ret[STORE_NAME_MAX], msec *ret_due)
{
    size_t at = 0;
    while (at < STORES_MAX && !d->to_walk[at][0]) at++;
    if (at == STORES_MAX) return false;
    *ret_due = MIN(*ret_due, d->walk_at);
    if (d->walk_at > clock_boot_ms()) return false;
    memcpy(ret, d->to_walk[at], STORE_NAME_MAX);
    d->to_walk[at][0] = '\0';
    return true;
}

static void put_store(struct digests *d, const char *name)
{
    size_t at = 0, free_at = STORES_MAX;
    for (; at < STORES_MAX && strcmp(d->to_walk[at], name) != 0; at++)
        if (!d->to_walk[at][0]) free_at = MIN(free_at, at);
    if (at == STORES_MAX && free_at < STORES_MAX) snprintf(d->to_walk[free_at], STORE_NAME_MAX, "%s", name);
}

/* ---- news ---- */

static void on_file(void *owner, const char *ref, const char *name)
{
    struct digests *d = owner;
    pthread_mutex_lock(&d->lock);
    put(d, ref, name, DIGESTS_SETTLE);
    pthread_cond_signal(&d->news);
    pthread_mutex_unlock(&d->lock);
}

static void on_store(void *owner, const char *name)
{
    struct digests *d = owner;
    if (d->mode != DIGESTS_ALL) return;
    pthread_mutex_lock(&d->lock);
    put_store(d, name);
    pthread_cond_signal(&d->news);
    pthread_mutex_unlock(&d->lock);
}

/* ---- one image ---- */

/* Is it worth while, and will the digest be kept? */
static bool is_wanted(int fd)
{
    struct stat st;
    char known[SHA256_TEXT_MAX], path[32];
    if (fstat(fd, &st) < 0 || st.st_size == 0 || (int64_t)st.st_blocks * 512 < st.st_size / 2) return false;
    if (stored_digest_read(fd, &st, known)) return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (euidaccess(path, W_OK) < 0) return false; /* EROFS as well */
    return fgetxattr(fd, STORED_DIGEST_ATTRIBUTE, NULL, 0) >= 0 || errno == ENODATA;
}

static void set_verifying(struct digests *d, bool verifying)
{
    pthread_mutex_lock(&d->lock);
    d->verifying = verifying;
    pthread_cond_signal(&d->news);
    pthread_mutex_unlock(&d->lock);
}

static void on_verified(void *owner)
{
    set_verifying(owner, false);
}

static void wait_for_end(struct digests *d)
{
    pthread_mutex_lock(&d->lock);
    while (d->verifying) pthread_cond_wait(&d->news, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

/* It has no ETag. Where it is writable in a drive, that is told when the host lets go of it; where that is not known, nobody
 * will say. */
static bool is_in_a_drive(struct digests *d, const char *ref, const char *name)
{
    cleanup_json json_t *image = library_get(d->library, ref, name, NULL);
    return json_array_size(json_object_get(image, "drives")) > 0;
}

/* Returns whether it is done with: false where it should be tried later. */
static bool look_at(struct digests *d, const char *ref, const char *name)
{
    struct library_content content;
    struct err e = {0};
    char id[TRANSFER_ID_MAX];
    if (library_content_open(d->library, ref, name, &content, &e) < 0) return e.code != ERR_UNAVAILABLE;
    bool wanted = is_wanted(content.fd);
    close(content.fd);
    if (!wanted) return true;
    if (!content.etag[0]) return is_in_a_drive(d, ref, name);
    set_verifying(d, true);
    const struct verify_request rq = {.store = ref, .name = name, .user = "trayd", .ended = on_verified, .owner = d};
    if (verify_begin(d->library, d->jobs, &rq, id, &e) < 0) {
        set_verifying(d, false);
        return e.code != ERR_TOO_MANY_REQUESTS;
    }
    wait_for_end(d);
    return true;
}

/* ---- a whole store ---- */

static bool is_stopping(struct digests *d)
{
    pthread_mutex_lock(&d->lock);
    bool stopping = d->stopping;
    pthread_mutex_unlock(&d->lock);
    return stopping;
}

/* Returns whether it came to the end; the rest is for later. */
static bool walk(struct digests *d, const char *store)
{
    char after[ORDER_CURSOR_MAX] = "";
    do {
        struct err e;
        const struct library_query q = {.store = store, .limit = PAGE, .after = after[0] ? after : NULL};
        cleanup_json json_t *page = library_list(d->library, &q, &e);
        size_t i;
        json_t *image;
        json_array_foreach(json_object_get(page, "images"), i, image) {
            if (is_stopping(d)) return false;
            bool has_none = json_flag(image, "complete") && !json_text(image, "sha256")[0];
            if (has_none && !look_at(d, json_text(image, "store"), json_text(image, "name"))) return false;
        }
        snprintf(after, sizeof after, "%s", page ? json_text(page, "next") : "");
    } while (after[0]);
    return true;
}

/* ---- the thread ---- */

static void try(struct digests *d, struct waiting *w)
{
    pthread_mutex_unlock(&d->lock);
    bool done = look_at(d, w->ref, w->name);
    pthread_mutex_lock(&d->lock);
    if (!done) put(d, w->ref, w->name, BUSY_PAUSE);
    free(w);
}

static void *run(void *arg)
{
    struct digests *d = arg;
    char store[STORE_NAME_MAX];
    msec due;
    pthread_mutex_lock(&d->lock);
    while (!d->stopping) {
        struct waiting *w = take(d, &due);
        if (w) {
            try(d, w);
        } else if (take_store(d, store, &due)) {
            pthread_mutex_unlock(&d->lock);
            bool ended = walk(d, store);
            pthread_mutex_lock(&d->lock);
            if (!ended) put_store(d, store);
            d->walk_at = ended ? 0 : clock_boot_ms() + BUSY_PAUSE;
        } else if (due == MSEC_NEVER) {
            pthread_cond_wait(&d->news, &d->lock);
        } else {
            cond_wait_ms(&d->news, &d->lock, due - clock_boot_ms());
        }
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* ---- life ---- */

static void walk_all(struct digests *d)
{
    cleanup_json json_t *stores = library_stores(d->library);
    size_t i;
    json_t *store;
    json_array_foreach(stores, i, store) on_store(d, json_text(store, "name"));
}

struct digests *digests_new(struct library *l, struct jobs *j, enum digests_mode mode, struct err *e)
{
    struct digests *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    *d = (struct digests){.library = l, .jobs = j, .mode = mode};
    pthread_mutex_init(&d->lock, NULL);
    cond_init(&d->news);
    int errnum = images_thread_start(&d->thread, run, d);
    if (errnum) {
        err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start a thread");
        digests_free(d);
        return NULL;
    }
    d->runs = true;
    library_set_news(l, &(struct library_news){d, on_file, on_store});
    if (mode == DIGESTS_ALL) walk_all(d);
    return d;
}

void digests_free(struct digests *d)
{
    if (!d) return;
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_signal(&d->news);
    pthread_mutex_unlock(&d->lock);
    if (d->runs) pthread_join(d->thread, NULL);
    while (d->first) {
        struct waiting *w = d->first;
        d->first = w->next;
        free(w);
    }
    pthread_cond_destroy(&d->news);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
