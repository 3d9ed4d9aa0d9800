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

#define UPLOADS_MAX 16  /* receiving at once: each has a thread, HASHER_PIECES pieces and four descriptors */
#define PARTIALS_MAX 64 /* that wait to be continued besides: each keeps a name and room in its store */
#define SLOTS_MAX (UPLOADS_MAX + PARTIALS_MAX)

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
    struct library_marks marks;
    struct library_news news;
    void (*changed)(void *owner, const json_t *image);
    void *changed_owner;
    struct told told[TOLD_MAX];
    struct observer *observer; /* NULL: not wanted */
    void (*store_changed)(void *owner, const json_t *store);
    void *store_changed_owner;
    struct transfers *transfers;
    struct look_cache *looks; /* NULL when out of memory; it does without */
    struct library_slot *slots;
    size_t slots_count, receiving;
    struct library_limits limits;

    /* Of those that can be continued (library_partial.c): */
    pthread_cond_t rested;    /* one is not busy any more, nothing is received, or the expiry has a new deadline */
    pthread_t expiry;
    bool expiry_runs, ending;
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

/* Of a mark that is not kept with its image, with the use lock held. */
void library_mark_moved(struct library *l, const struct library_place *place, const char *to);

/* Completes "unclean". */
void library_add_mark(struct library *l, json_t *image);

/* Fills "drives" and "unclean"; takes "etag" away while a host can write to the image. */
void library_add_use(struct library *l, json_t *image);

void library_notify(struct library *l, const json_t *image);
/* Whether the same was told just now; if not, it counts as told from now on. */
bool library_was_told(struct library *l, const json_t *image);
void library_notify_deleted(struct library *l, const struct library_place *place);

/* Looks for what earlier lives left in the store, once: removes what is of no use, and takes up the uploads that can be
 * continued. Before anything is received into the store. */
void library_collect(struct library *l, struct store *store, const struct store_entry *in);

/* Starts with nothing, and ends the thread that throws old uploads away. */
void library_partial_start(struct library *l);
void library_partial_stop(struct library *l);

/* ---- what is being received: a name is taken, and the image is shown as incomplete (library_slots.c) ---- */

/* Embedded in what receives. Constant while it is in the list, but for: */
struct library_slot {
    struct library_slot *next;          /* the library's lock guards these: */
    bool listed;                        /* shown as an incomplete image */
    bool cancelled;                     /* the name is free again; whoever receives fails at its next step */
    struct library_interrupt interrupt; /* of who waits for bytes now */
    _Atomic int64_t received;           /* this has no guard */

    struct library *library;
    struct library_place place;
    int64_t length;                     /* -1: unknown */
    char sha256[SHA256_TEXT_MAX];       /* what the content must have; "": none was declared */
    bool replace;                       /* the name existed */
    char if_match[IMAGE_ETAG_MAX];      /* of what is replaced; "": any */
    msec started;                       /* real time */
    struct transfer *transfer;          /* from library_slot_show() to library_slot_end() */
    bool partial;                       /* it is a struct library_partial */
    void (*cancel)(struct library *l, const char *id); /* after `cancelled` was set, unlocked; NULL: nothing more to do */
};

/* Checks the request and fills the slot. */
int library_slot_init(struct library_slot *s, struct library *l, const struct library_upload_request *rq,
                      struct err *e);

/* Takes the name: `exists` where somebody else receives it. */
int library_slot_take(struct library_slot *s, struct err *e);

/* 0: bytes are wanted; -1: not, with *e or *ret_exists. `in`: entered at the slot's place. */
int library_slot_decide(struct library_slot *s, const struct library_upload_request *rq, const struct store_entry *in,
                        bool *ret_exists, struct err *e);

/* At most UPLOADS_MAX receive at once: too_many_requests. library_slot_rest() ends it. */
int library_slot_receive(struct library_slot *s, struct err *e);
void library_slot_rest(struct library_slot *s);

/* Shows it as an image and as a transfer. rq->id may be NULL; place, size, started and cancel are filled in. */
int library_slot_show(struct library_slot *s, struct transfer_request *rq, struct err *e);

/* The length is known now, or is not any more (-1). */
void library_slot_length(struct library_slot *s, int64_t length);

/* The sum of all bytes so far. */
void library_slot_progress(struct library_slot *s, int64_t received);
int library_slot_check(struct library_slot *s, struct err *e); /* 0, or -1 with *e: cancelled */

/* Publishes with the use lock held, unless it was cancelled or what it replaces is in use. */
int library_slot_publish(struct library_slot *s, int (*publish)(struct library_slot *s, void *owner, struct err *e),
                         void *owner, struct err *e);

/* The image that was published, as JSON; `sha256` where the file system has no place for it. */
json_t *library_slot_result(struct library_slot *s, const struct store_entry *in, const char *sha256, struct err *e);

/* Gives the name back. *why NULL: it became `image` (borrowed), which the listener is told, too. */
void library_slot_end(struct library_slot *s, const struct err *why, const json_t *image);

/* `to` takes the place of `from` in the list, with its transfer: the same upload, received in another way. */
void library_slot_move(struct library_slot *from, struct library_slot *to);

/* Of an upload in one piece; and its end, once its slot was taken over. */
struct library_slot *library_upload_slot(struct library_upload *u);
const struct store_entry *library_upload_entry(const struct library_upload *u);
void library_upload_leave(struct library_upload *u);

/* Finds a slot and does something with it, with the lock held. */
struct library_slot *library_slot_of_transfer(struct library *l, const char *id);

/* The incomplete image at that place as JSON, or NULL. */
json_t *library_slot_json(struct library *l, const struct library_place *place);

/* Cancels what is received there, and hides it. False where there is none. */
bool library_slot_cancel(struct library *l, const struct library_place *place);

/* Adds the incomplete images that the query is after to `items`, which has room for SLOTS_MAX. Returns how many. */
size_t library_slot_list(struct library *l, const struct library_place *place, const struct listing_query *q,
                         struct listing_item *items);
