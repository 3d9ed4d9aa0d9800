/*
 * library_state.h - what the files library*.c share; for them and their tests only.
 *
 * Two locks. `lock` guards the list of uploads and the callbacks; it is held for moments and never during I/O.
 * `use` is the lock of library_use_lock(): it orders an insert's acceptance against deleting and replacing, and is
 * held during one rename or unlink, for STORE_PATIENCE at most. Where both are taken, `use` comes first.
 */
#pragma once

#include <pthread.h>

#include "images/fileops.h"
#include "images/image.h"
#include "images/ingest.h"
#include "images/library.h"
#include "images/listing.h"
#include "images/observer.h"
#include "images/store.h"

#define UPLOADS_MAX 16 /* under way at once: each has a thread, HASHER_PIECES pieces and four descriptors */

/* ms; a request that asks all stores waits so long for the slowest, and then answers without it. */
#define ALL_STORES_PATIENCE 3000

/*
 * A change that is our own is told by whoever made it, and seen by the observer as well, once or twice, in any order:
 * the very same news within TOLD_FOR is told once. What does not fit here is told again, which does no harm.
 */
#define TOLD_MAX 32
#define TOLD_FOR 2000 /* ms */

struct told {
    uint64_t what; /* a hash of the news; 0: free */
    uint64_t place; /* of store and name */
    msec until;    /* boot time */
};

struct library {
    struct store stores[STORES_MAX]; /* constant after library_new() */
    size_t stores_count;
    const struct fileops *ops;
    pthread_mutex_t lock, use;
    struct library_usage usage;
    void (*changed)(void *owner, const json_t *image);
    void *changed_owner;
    struct told told[TOLD_MAX];
    struct observer *observer; /* NULL: not wanted */
    void (*store_changed)(void *owner, const json_t *store);
    void *store_changed_owner;
    struct look_cache *looks; /* NULL when out of memory; it does without */
    struct library_upload *uploads;
    size_t uploads_count;
};

/* An image as a client names it. */
struct library_place {
    struct store *store;
    char folder[FOLDER_PATH_MAX];
    char ref[STORE_REF_MAX]; /* canonical: with the default store's name */
    char name[NAME_BYTES_MAX + 1];
};

/* `name` may be NULL for a place that is only a folder. Returns 0, or -1 with *e (invalid_name, not_found). */
int library_place(struct library *l, const char *store, const char *name, struct library_place *ret, struct err *e);

struct library_use {
    bool in_use, writable;
    json_t *drives; /* an array, the caller's; NULL when out of memory */
};

struct library_use library_ask_use(struct library *l, const char *ref, const char *name);

/* Fills "drives"; takes "etag" away while a host can write to the image. */
void library_add_use(struct library *l, json_t *image);

void library_notify(struct library *l, const json_t *image);
/* Whether the same was told just now; if not, it counts as told from now on. */
bool library_was_told(struct library *l, const json_t *image);
void library_notify_deleted(struct library *l, const struct library_place *place);

/* ---- uploads under way (library_upload.c) ---- */

/* The incomplete image at that place as JSON, or NULL. */
json_t *library_upload_json(struct library *l, const struct library_place *place);

/* Lets the upload to that place fail at its next step, and hides it. False where there is none. */
bool library_upload_cancel(struct library *l, const struct library_place *place);

/* Adds the incomplete images that the query is after to `items`, which has room for UPLOADS_MAX. Returns how many. */
size_t library_upload_list(struct library *l, const struct library_place *place, const struct listing_query *q,
                           struct listing_item *items);
