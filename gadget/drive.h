/*
 * drive.h - one drive as a pure state machine: its queue of operations, and the ladder.
 *
 * drive_step() takes an event and the time, changes the drive, and returns what is to be done. It does no I/O, reads
 * no clock and allocates nothing; the struct may be copied. The event loop (daemon_turn.c) feeds it what the kernel, the
 * clock and the clients say, and the model checker (tests/unit/test_drive_model.c) feeds it everything they could say.
 *
 * The head of the queue is the operation under way. Its phases:
 *
 *                    +--------------------- eject -----------------------+
 *   QUEUED -+-> OPENING -+-> QUIET <-> ASKING <-> LOCKED                 |
 *           |  (insert)  |     |          |          | patience ends     |
 *           +------------+     +----------+----------+-----> FORCING     |
 *                        |                                GAP -> FORCING (signal), REATTACHING
 *                        |                |                     |        |
 *                        |                +----------+----------+----> SYNCING -> FINISHED (eject)
 *                        |                           v (insert)
 *                        +-> SWAPPING        QUARANTINE -> REATTACHING -> DWELL -> INSERTING -> FINISHED
 *
 * Invariants (drive_check() makes them executable):
 *   - at most one action is outstanding;
 *   - phases OPENING, ASKING, FORCING, SWAPPING, SYNCING, REATTACHING, INSERTING have their action outstanding, the
 *     others at most an observation;
 *   - only the head of the queue is in a phase other than QUEUED;
 *   - INSERTING only while the drive is empty, and never a writable image while `stale_host`;
 *   - a drive with an overdue action is stuck, and has an empty queue;
 *   - storage is cut once for a medium, only where that is allowed, and only while the thread waits for storage.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "gadget/words.h"

#define DRIVE_QUEUE_MAX 16      /* operations on one drive; a person has two or three, a runaway script has no end */
#define DRIVE_ASK_EVERY 500     /* ms between two questions while the host holds the lock */
#define DRIVE_FORCE_RETRY 20    /* ms; forced_eject says EBUSY when the host locks again in between (storage_common.c) */
#define DRIVE_FORCE_TRIES 25
#define DRIVE_EMPTY_LONG_AGO INT64_MIN

typedef uint32_t image_key;     /* an image (store and name) as a number, equal for equal images; 0 is none */
typedef uint64_t op_key;        /* an operation; 0 is none */

struct drive_policy {           /* from the configuration; constant while the drive lives, but for the capabilities */
    enum drive_type type;
    enum lock_policy lock_policy;
    enum reattach_policy reattach;
    msec quiet, release_quiet, dwell, stuck_after;
    bool can_force;             /* the kernel has forced_eject, and it is not switched off */
    bool can_signal;            /* the function's thread is known, so that SIGUSR1 can be sent to it */
    bool can_break;             /* that, or the kernel has break_io */
    bool can_cut;               /* the storage under the medium is ours to cut when it hangs; constant for a medium */
    msec break_after;           /* a forced eject that takes longer is looked into: the host's patience is limited */
    msec cut_after;             /* one that waits for storage all that time has its storage cut */
    msec quarantine_for;        /* from a break on: how long the host may still hold a command for the old medium */
};

#define DRIVE_GAP 150           /* ms without any I/O that count as a moment in which a signal does no harm */
#define DRIVE_GAP_LOOK 20       /* ms between two looks for it */
#define DRIVE_GAP_BUDGET 1500   /* ms of looking, where what comes after it is a break, with its quarantine of minutes */
#define DRIVE_GAP_SHORT 200     /* where a reattach comes after it: with that, its hold of 0.8 s and the 1.3 s that a host takes
                                   to use what it sees (Linux: delay_use of usb-storage), the host reads again within 3 s */
#define DRIVE_BREAK_LOOK 100    /* ms between two looks at a forced eject that does not come back */

struct drive_request {
    op_key op;
    enum op_action action;
    enum eject_mode mode;       /* of the eject, also of the one that an insert begins with */
    msec patience;
    enum on_timeout on_timeout;
    enum lock_policy lock_policy;
    bool allow_collateral;
    image_key image;            /* OP_INSERT: */
    bool readonly, swap_direct, accept_stale_host, reattach;
    bool only_if_empty;         /* If-None-Match: * */
    uint64_t only_if_medium;    /* If-Match: the medium's generation; 0: any */
};

struct drive_evidence {         /* what can be seen of the host without disturbing it */
    bool known;                 /* the thread's counters could be read; unknown is never taken for quiet */
    bool shared;                /* other drives' activity counts here as well: same function */
    uint64_t bytes_read, bytes_written; /* by the host since the medium went in */
    msec last_read_at, last_write_at;   /* boot time; 0: never */
    enum lock_state lock;
    msec lock_seen_at;
    enum waiting_for waiting_for;
    msec cut_at;                /* storage that still hangs then must be cut, or the host resets the device (stall.h); 0: none */
    bool noticed;               /* the host has looked at its drives often enough to know of the medium */
};

struct drive_medium {
    image_key image;            /* 0: empty */
    bool readonly;
};

#define IMAGE_FOREIGN UINT32_MAX /* the kernel shows a file that is in none of our stores */

/* Why the kernel forgot the locks and the reports of new media: the host's reset, after which the host locks again what
 * it had locked; a signal, of which the host knows nothing; or one that ended a command, which may have been any drive's. */
enum drive_clearing { CLEARED_NOT, CLEARED_BY_HOST, CLEARED_BY_SIGNAL, CLEARED_BY_BREAK };

struct drive_op {
    struct drive_request rq;
    enum op_phase phase;
    bool hurried;               /* may be forced from now on: by /force, or by a forced eject that came after it */
    bool force_now;             /* the ladder has come to rung 2 */
    bool broke;                 /* I/O was broken for it, once, */
    msec broken_before;         /* and the drive's broken_at before that */
    msec gap_until;             /* end of the search for a moment without I/O; 0: not begun */
    bool cancelled;             /* while the kernel was being asked: ends with its "no" */
    bool verified;              /* the kernel was read since this operation became the head */
    unsigned facts;             /* so far */
    msec started_at, patience_until, next_at;
    int asked, force_tries;
    bool was_readonly, was_locked;     /* the medium, when it was last asked for, forced or swapped, */
    struct drive_evidence decided_on;  /* and what could be seen then */
};

struct drive {
    struct drive_policy policy;
    struct drive_medium medium;
    uint64_t generation;        /* rises with every insert and eject */
    msec loaded_since;          /* of the medium that is in */
    msec empty_since;           /* DRIVE_EMPTY_LONG_AGO where no dwell is owed */
    bool observed;              /* the kernel was read at least once since start */
    bool attached;              /* a UDC is bound */
    bool host_present;          /* and a host has configured it */
    bool stale_host;
    bool quarantine;            /* the drive must stay empty: */
    msec quarantine_until;      /* ... for read-only media at least till then */
    msec cut_at;                /* the storage under this medium was cut then; 0: not */
    msec broken_at;             /* I/O was broken then, and no disconnect was seen since; 0: never */
    enum drive_clearing cleared; /* while an action was outstanding */
    bool lock_lost;             /* a signal cleared the host's lock on the writable medium that is in (reannounce.h) */
    bool unannounced;           /* the host may not know that the medium that is in is another one than before: */
    int announce_tries;         /* it is announced again, */
    msec announce_at;           /* not before this */
    struct drive_evidence evidence;

    enum drive_do outstanding;  /* DO_NOTHING: none */
    uint32_t ticket;            /* of the newest action; a result with another one came too late and is ignored */
    msec outstanding_since;
    uint64_t written_before;    /* bytes_written when it was given out */
    bool stuck;                 /* it is overdue */
    bool observe_wanted;

    size_t queue_len;
    struct drive_op queue[DRIVE_QUEUE_MAX]; /* unused ones are zero */
};

/* ---- what goes in ---- */

enum drive_event_kind {
    DRIVE_REQUEST,      /* request: a new operation; see out->accepted, out->joined, out->refused */
    DRIVE_RESULT,       /* result: of the outstanding action */
    DRIVE_EVIDENCE,     /* evidence: sampled now, or time has passed */
    DRIVE_HINT_CLOSED,  /* the kernel may have let go of the image: observe */
    DRIVE_LINK,         /* attached, host_present */
    DRIVE_REENUMERATED, /* a held reattach is over: the host has seen a disconnect */
    DRIVE_CANCEL,       /* op */
    DRIVE_HURRY,        /* op: force it now */
    DRIVE_ACCEPT_STALE, /* somebody takes the risk */
    DRIVE_BREAK,        /* the operator's "let go, now"; see out->found, out->break_io and out->cut */
    DRIVE_CLEARED,      /* the kernel forgets locks and reports of new media in this function: cleared (reannounce.h) */
    DRIVE_HELD,         /* an earlier process's call is still under way on this function: stuck until RESULT */
};

enum drive_outcome {
    OUTCOME_OK,
    OUTCOME_BUSY,       /* EBUSY */
    OUTCOME_ERROR,      /* code */
};

struct drive_result {
    uint32_t ticket;            /* of the action that this is the result of */
    enum drive_outcome outcome;
    enum err_code code;
    struct drive_medium medium; /* what the kernel shows now (not for OPEN, SYNC, REATTACH); image 0 when empty */
    bool medium_known;          /* it could be read back */
};

struct drive_event {
    enum drive_event_kind kind;
    struct drive_request request;
    struct drive_result result;
    struct drive_evidence evidence; /* sampled at `now`; goes with every event */
    bool attached, host_present;
    enum drive_clearing cleared;    /* DRIVE_CLEARED */
    op_key op;
};

/* ---- what comes out ---- */

enum drive_fact {       /* bits of drive_finish.facts and drive_output.facts */
    FACT_LOCK_OVERRIDDEN = 1,  /* the host held the lock */
    FACT_FORCED = 2,           /* rung 2 was used */
    FACT_RACED_WITH_WRITE = 4, /* bytes moved while the medium was taken: the image is unclean */
    FACT_STALE_HOST = 8,       /* the drive became stale_host by it */
    FACT_REATTACHED = 16,
    FACT_UNCHANGED = 32,       /* it was so already; the kernel was not touched */
    FACT_BROKE_IO = 128,       /* rung 3: a command in flight was interrupted */
    FACT_NOT_DURABLE = 64,     /* the image could not be synced within stuck_after: it is unclean */
    FACT_CUT = 256,            /* the storage under the medium was cut */
};

struct drive_finish {
    op_key op;
    enum op_state state;       /* OP_DONE, OP_FAILED, OP_CANCELLED */
    enum err_code code;
    unsigned facts;
    struct drive_evidence evidence; /* what the decision was made on */
};

struct drive_action {
    enum drive_do what;        /* DO_NOTHING: nothing to do */
    uint32_t ticket;
    op_key op;                 /* for whom; 0 for an observation */
    image_key image;           /* OPEN, INSERT, SWAP, ANNOUNCE */
    bool readonly;
    bool allow_collateral;     /* REATTACH */
    bool breaks;               /* SIGNAL: a command may be in flight */
    bool eject;                /* REATTACH: take the medium out while the gadget is unbound */
};

struct drive_output {
    struct drive_action action;
    struct drive_finish finished[DRIVE_QUEUE_MAX + 1];
    size_t finished_len;
    enum err_code refused;     /* DRIVE_REQUEST, _CANCEL, _HURRY: why not; ERR_NONE where it was accepted */
    op_key joined;             /* DRIVE_REQUEST: the operation that this one became part of */
    bool break_io;             /* interrupt what the function is doing, now and once; nothing comes back from that */
    bool cut;                  /* cut the storage under the medium, now and once; nothing comes back from that */
    enum waiting_for found;    /* DRIVE_BREAK: what it was doing */
    bool changed;              /* the drive looks different to a client */
    bool host_ejected;         /* the medium left without an operation of ours */
    image_key left;            /* the medium that left in this step */
    unsigned facts;            /* of that leaving */
    msec wake;                 /* step again then at the latest, MSEC_NEVER if nothing is due */
};

void drive_init(struct drive *d, const struct drive_policy *policy);

/* What an earlier process knew, before the first step. quarantine_until 0: none. */
void drive_restore(struct drive *d, bool stale_host, msec quarantine_until, uint64_t generation, msec broken_at);
/* The storage under the medium was cut for another drive, whose medium lies on it too. */
void drive_was_cut(struct drive *d, msec now);
void drive_step(struct drive *d, const struct drive_event *ev, msec now, struct drive_output *out);

enum drive_state drive_state(const struct drive *d);
enum op_state drive_op_state(const struct drive_op *op);
bool drive_can_take(const struct drive_policy *p); /* there is some way to take a medium that the host does not give */
/* The action was withheld for so long that its operation has ended: it must not be carried out any more. */
bool drive_gave_up(const struct drive *d, const struct drive_action *a);
/* To ask for the medium could rob the host: its lock was taken from it by a signal. */
bool drive_lock_is_lost(const struct drive *d);
/* When the call under way is looked into, to break I/O if it waits for the host; MSEC_NEVER where that is not allowed. */
msec drive_breaks_at(const struct drive *d, msec now);
/* When the storage under the medium is cut if it hangs till then; MSEC_NEVER where that is not allowed. */
msec drive_cuts_at(const struct drive *d, msec now);
bool drive_wants_samples(const struct drive *d); /* evidence can change a decision, or somebody should see it */

/* NULL, or which invariant does not hold. */
const char *drive_check(const struct drive *d);
