/*
 * transfers.h - the transfers under way: uploads, downloads, conversions, checksum runs. A registry; it moves no bytes.
 *
 * Who moves bytes begins a transfer, tells its progress, looks now and then whether it was cancelled, and ends it:
 *
 *   transfer_begin --> transfer_progress ... transfer_check ... --> transfer_end
 *                      ^  transfer_pause / transfer_resume  |
 *                      +------------------------------------+
 *
 * A transfer belongs to who began it until transfer_end(). It is then kept as finished for those who ask how it went:
 * the newest TRANSFERS_KEPT of them, in memory only. What must survive a restart is kept by who began it, who begins it
 * again with the same id.
 *
 * Everybody who changes a transfer may do so from any thread; the registry has one lock, held for moments. The listener
 * is called with each change, for progress at most once in TRANSFER_NEWS_INTERVAL for each transfer, from the thread that
 * made the change; it gets the states of one transfer in their order, and must not call back.
 */
#pragma once

#include "base/json.h"

#define TRANSFER_ID_MAX 20          /* 16 hexadecimal digits and NUL; room for a prefix */
#define TRANSFERS_MAX 128           /* not finished, with those that are paused; each is below 4 KiB of memory */
#define TRANSFERS_KEPT 32           /* finished; some minutes of a busy appliance */
#define TRANSFER_NEWS_INTERVAL 1000 /* ms */

enum transfer_kind {
    TRANSFER_UPLOAD,     /* a client sends an image */
    TRANSFER_DOWNLOAD,   /* we fetch one from a URL */
    TRANSFER_CONVERSION, /* one is made of something else, or of nothing */
    TRANSFER_VERIFY,     /* a checksum is computed, or compared */
};

enum transfer_state {
    TRANSFER_RUNNING,
    TRANSFER_PAUSED,     /* nobody moves bytes: an upload whose client is away, a download between two tries */
    TRANSFER_DONE,
    TRANSFER_FAILED,
    TRANSFER_CANCELLED,
};

extern const char *const transfer_kind_names[], *const transfer_state_names[]; /* on the wire; end with NULL */

struct transfers;
struct transfer;

struct transfers *transfers_new(void); /* NULL: out of memory */
void transfers_free(struct transfers *t); /* all have ended */
void transfers_set_listener(struct transfers *t, void (*changed)(void *owner, const json_t *transfer), void *owner);

/* ---- for those who move bytes ---- */

struct transfer_request {           /* all borrowed, but what stands in cancel_owner */
    enum transfer_kind kind;
    const char *id;                 /* NULL: a new one; else the one that it had before a restart */
    const char *method;             /* a word for how: "put", "tus", "url", "blank", ...; shown */
    const char *store, *name;       /* the image's; canonical store reference */
    const char *source;             /* a URL without credentials, or NULL; shown */
    const char *user, *peer;        /* who asked, and from where; peer may be NULL */
    int64_t size;                   /* bytes in all; -1: unknown */
    int64_t bytes;                  /* there already */
    msec started;                   /* real time; 0: now */
    bool paused;                    /* begins as TRANSFER_PAUSED */

    /* Somebody cancels it: called each time, without any lock, in the thread of who does. For what cannot look at
     * transfer_check() because it is paused or waits in a system call; NULL where looking is enough. It gets the id, not
     * the transfer, since that may end meanwhile; `cancel_owner` must live as long as the registry. */
    void (*cancel)(void *cancel_owner, const char *id);
    void *cancel_owner;
};

/* NULL with *e: too_many_requests, unavailable (memory). */
struct transfer *transfer_begin(struct transfers *t, const struct transfer_request *rq, struct err *e);
const char *transfer_id(const struct transfer *x);

void transfer_progress(struct transfer *x, int64_t bytes);  /* the sum so far; cheap enough for each piece */
void transfer_size(struct transfer *x, int64_t size);       /* it is known now */
void transfer_name(struct transfer *x, const char *name);   /* likewise; a download learns it from the server */
void transfer_source(struct transfer *x, const char *source); /* after a restart */
void transfer_pause(struct transfer *x, const struct err *why); /* why may be NULL; shown as code and detail */
void transfer_resume(struct transfer *x);
void transfer_becomes(struct transfer *x, enum transfer_kind kind); /* all is here, and something else is made of it */
void transfer_expires(struct transfer *x, msec real);       /* when a paused one will be thrown away; 0: never */

/* Was it cancelled? 0, or -1 with *e (cancelled). One atomic load. */
int transfer_check(const struct transfer *x, struct err *e);

/* The last call; x is gone. e NULL: done, and `result` (borrowed, may be NULL) is what came of it, an image mostly. A
 * cancelled transfer ends as cancelled, unless it was done already. */
void transfer_end(struct transfer *x, const struct err *e, const json_t *result);

/* ---- for those who ask ---- */

/*
 * {"id", "kind", "method", "name", "store", "source", "state", "cancelling", "bytes", "size", "progress" (0 to 1, null
 * where the size is unknown), "speed" (bytes a second, of the newest seconds), "remaining" (seconds, null), "code",
 * "detail" (of a failure or pause; null), "user", "peer", "started_at", "finished_at", "expires_at", "result"}
 */
json_t *transfers_get(struct transfers *t, const char *id, struct err *e); /* NULL with *e: not_found */

/* {"transfers": [...]}: those under way, oldest first, then the finished ones, newest first. */
json_t *transfers_list(struct transfers *t);

/* Asks it to end. Returns 0 (also where it was asked before), or -1 with *e: not_found, too_late (it is finished). */
int transfers_cancel(struct transfers *t, const char *id, struct err *e);

/* Waits until it is finished or `ms` are over; 1 where it is finished, 0 where not, -1 with *e where it is unknown. */
int transfers_wait(struct transfers *t, const char *id, msec ms, struct err *e);

/* Ends all waiting, now and from now on: the service stops. */
void transfers_stop(struct transfers *t);
