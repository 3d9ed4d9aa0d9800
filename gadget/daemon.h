/*
 * daemon.h - trayd-gadget's inside: the drives, the engine that plays them, and everything that connects the two.
 *
 * One thread, one event loop. daemon.c and its parts feed the drive machines and carry out what they decide; operations.c keeps
 * the records, reattach.c leads the gadget through unbind and bind, state_file.c keeps what must survive, view.c makes
 * JSON, and socket.c talks with trayd.
 */
#pragma once

#include "gadget/engine.h"
#include "gadget/evidence.h"
#include "gadget/host_dropped.h"
#include "gadget/host_resets.h"
#include "gadget/images.h"
#include "gadget/kept.h"
#include "gadget/operations.h"
#include "gadget/reattach.h"
#include "gadget/stall.h"
#include "gadget/stores.h"

struct medium_info {               /* what people want to know of a medium, and how to recognise it */
    uint64_t device, inode, size;
    uint64_t storage;              /* device number of what it lies on; 0: not known */
    msec inserted_real;            /* 0: before we knew */
    char by[OPERATION_BY_MAX];
    struct backing backing;        /* what may be cut under it */
};

struct storage_cut {               /* the storage under a medium was cut; zero: it was not */
    msec at_real;
    enum store_cut how;
    bool done;                     /* the engine has said so; else it is tried again after a restart */
    struct err err;                /* why that failed */
};

struct unit {                      /* a drive with all that belongs to it */
    struct daemon *daemon;
    size_t index;
    const struct drive_config *config;
    struct drive machine;
    struct host_profile clock;     /* of the host that the drive is configured for */
    struct stall stall;            /* of its function's thread */
    bool stall_told;               /* the listeners know of it, */
    bool patience_told;            /* ... and that the host's patience has ended */
    struct storage_cut cut;        /* of the storage under its medium */
    bool storage_gone;             /* it was pulled or disconnected, and the listeners know */
    uint64_t flushed_written;      /* bytes that the host had written when the engine was last told to flush, */
    msec flushed_at;               /* ... and when */
    struct evidence evidence;
    struct engine_sample sample;   /* the last one */
    struct medium_info medium;     /* of machine.medium */
    struct medium_info opened;     /* of the image that was opened last, while opening_for runs */
    image_key opened_image;
    bool opened_readonly;
    image_key held_image;          /* images_hold()'s */
    bool reattach_seen_known;      /* the medium was taken out while the gadget was unbound: what the kernel showed then */
    struct drive_medium reattach_seen;
    msec reattach_seen_real;
    msec seen_real;                /* when the engine read back what the turn under way is told; 0: it did not say */
    enum engine_break broke;       /* how I/O was broken last */
    struct err break_error;
    struct drive_action deferred;  /* withheld while the gadget is reattached */
    struct drive_action acting;    /* given to the engine */
    struct err last_error;         /* of the engine's last result */
    struct loop_timer wake, sample_timer;
    bool polls_told;               /* what the listeners were told of the host's polling */
    msec told_at;                  /* the listeners were last told of the drive */
    bool told_asking;              /* ... in the moment in which it asked once more: what came of it is told too */
    bool untold;                   /* its evidence has changed since */
    char resumed[OPERATION_ID_LEN + 1]; /* operation of an earlier process, to be ended when the kernel was seen */
    enum drive_do resumed_doing;
    bool resumed_writable;         /* the medium that was in then */
    bool taken_down;               /* its medium left with the gadget that was taken down */
    bool host_is_new;              /* the host has enumerated the gadget anew since this process began */
};

/* Whether the gadget is to be bound. What is not, stays so over a restart: nobody asked for an enumeration. */
enum attachment {
    ATTACHMENT_WANTED,
    ATTACHMENT_PAUSED,             /* a reattach is under way; whoever comes next must end it */
    ATTACHMENT_ENDED,              /* by a person's order, until the next one */
};

struct daemon {
    const struct gadget_config *config;
    struct loop *loop;
    struct engine *engine;
    struct images *images;
    struct operations *operations;
    struct unit units[DRIVES_MAX];
    size_t units_len;
    struct store_departure stores[STORES_MAX];
    struct reattach reattach;
    struct engine_link link;
    struct host_resets resets;
    struct host_dropped dropped;
    struct kept kept;
    struct scheduling *scheduling;
    struct restore *restore;
    char incarnation[17], boot_id[40];
    bool started;                  /* GADGET_START has come back */
    enum gadget_found found;
    char differences[1024];
    struct err start_error;        /* of GADGET_START */
    enum attachment attachment;
    msec unbound_since;            /* boot time; 0: bound */
    msec bind_ordered;             /* boot time at which binding was begun; 0: it is not under way */
    bool link_seen;                /* by this process */
    json_t *outcomes;              /* of operations that an earlier process ended, as it would have told them */
    bool outcomes_unheard;
    bool enumerated;               /* the host has configured the gadget, and was not unplugged since */
    char *saved_state;             /* the state file as last written */
    struct gadget_socket *socket;
};

/* ---- requests, from the socket. 0, or -1 with *e. ---- */

int daemon_submit(struct daemon *d, size_t drive, const struct drive_request *rq, const char *by, struct operation **ret, struct err *e);
int daemon_cancel(struct daemon *d, struct operation *op, struct err *e);
int daemon_hurry(struct daemon *d, struct operation *op, struct err *e);
/* The operator's break-io. What was found, and what was done about it. */
void daemon_break(struct daemon *d, size_t drive, enum waiting_for *ret_found, enum engine_break *ret_did, struct err *e);
int daemon_find_drive(const struct daemon *d, const char *name); /* -1 if there is none */

/* ---- life ---- */

/* simulation: path of the control socket of the simulated host, or NULL for the kernel. */
struct daemon *daemon_new(const struct gadget_config *c, struct loop *l, const char *simulation, struct err *e);
void daemon_free(struct daemon *d);

/* ---- for reattach.c, state_file.c and socket.c ---- */

void daemon_feed(struct unit *u, struct drive_event *ev);
void daemon_release_deferred(struct daemon *d);
void daemon_tell_drive(struct unit *u);
void daemon_tell_system(struct daemon *d);
