/*
 * library_partial.h - what the files of uploads that can be continued share; for them only.
 *
 *             adopt, create                piece_begin
 *   (on the disk) ------------> RESTS  <---------------> BUSY ---> finished: the image is there
 *                                 |        rest                \-> cancelled, or its digest was wrong
 *                                 +--> expired, cancelled
 *
 * Whoever made it busy owns it, and alone may end it. All others find it by its id each time.
 */
#pragma once

#include "images/library_state.h"
#include "images/partial.h"

struct library_partial {
    struct library_slot slot;   /* first */
    char id[HIDDEN_ID_MAX];     /* constant */
    bool busy, interrupted;     /* under the library's lock; the rest belongs to who made it busy */
    bool converting;            /* likewise; busy with that */
    msec deadline;              /* boot time, when it expires; changed under the lock */
    int64_t promised;           /* of the store's, while it rests */
    struct follow *follow;
    uint64_t number;            /* of the mark up to which `follow` may have read */
};

/* How long a request that wants the upload waits until the one that has it lets go: it only has to write out what it
 * has. Clients try again after an error, so a store that is slower than this is no catastrophe. */
#define PARTIAL_PATIENCE 5000 /* ms */

/* Makes it busy. `take`: interrupts who has it, and waits. NULL with *e: not_found, upload_busy. */
struct library_partial *partial_acquire(struct library *l, const char *id, bool take, struct err *e);

/* The same by an id as a client gives it, and with a look for those that are not known yet; e may be NULL. */
struct library_partial *partial_reach(struct library *l, const char *id, bool take, struct err *e);

void partial_fill_status(const struct library_partial *p, int64_t offset, const char *note,
                         struct library_partial_status *ret);

/* It rests. One that was cancelled meanwhile is removed now. */
void partial_rest(struct library_partial *p);

/* Removes its files and ends it, as failed with *why. -1 with *e where the files could not be removed now: it is ended all
 * the same, and will be found again when its store is looked through. */
int partial_drop(struct library_partial *p, const struct err *why, struct err *e);

/* Ends it without touching its files, with *why or as an image. */
void partial_end(struct library_partial *p, const struct err *why, const json_t *image);

/* A new one, busy and not in the list, with its slot filled from the request. NULL with *e. */
struct library_partial *partial_new(struct library *l, const char *id, const struct library_upload_request *rq,
                                    struct err *e);
void partial_free(struct library_partial *p); /* not in the list */

/* Of the names that are taken: shown as paused. `r`: what its files say. */
int partial_show(struct library_partial *p, const struct record *r, struct err *e);

/* When it will expire, in real time. */
msec partial_expires(const struct library_partial *p);

/* It rests from now on, with `offset` bytes kept: its clock begins anew. `why` may be NULL. partial_rest() comes after. */
void partial_pause(struct library_partial *p, int64_t offset, const struct err *why);

/* Wakes the thread that throws old ones away, starting it with the first. The lock is held. */
void partial_expiry_wake(struct library *l);
