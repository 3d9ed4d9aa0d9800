/*
 * engine.h - what plays the drives: the kernel's f_mass_storage (engine_kernel.c), or a simulation (engine_sim.c).
 *
 * Nothing above this header knows an attribute of configfs or a kernel thread. An engine never blocks its caller:
 * orders go out to its workers and come back as calls of the sink, from the event loop, never from inside the call
 * that gave the order. One order may be outstanding per drive; drives of one function are served one after the other.
 * An engine knows no deadlines: an order that never comes back stays outstanding, and it is the drive machine that
 * says `stuck`.
 *
 * Everything here belongs to the one thread of trayd-gadget.
 */
#pragma once

#include "base/json.h"
#include "base/loop.h"
#include "gadget/backing.h"
#include "gadget/config.h"
#include "gadget/departure.h"
#include "gadget/drive.h"

#define MEDIUM_PATH_MAX 4096

struct engine;

struct engine_medium {          /* what the kernel shows in a drive */
    bool present;
    bool readonly;
    bool deleted;               /* the file has no name any more */
    uint64_t device, inode;     /* of the file; 0 where it could not be looked at */
    uint64_t size;              /* of the file in bytes */
    uint64_t storage;           /* device number of what it lies on: itself where it is a block device; 0: not known */
    struct backing backing;     /* what may be cut when it hangs (OPEN, and what was found in the drive) */
    char path[MEDIUM_PATH_MAX]; /* without " (deleted)" */
};

struct engine_order {
    enum drive_do what;         /* OPEN INSERT ASK FORCE SWAP OBSERVE ANNOUNCE SYNC SIGNAL; REATTACH is a gadget order */
    uint32_t ticket;
    bool readonly;              /* OPEN, INSERT, SWAP, ANNOUNCE */
    bool breaks;                /* SIGNAL: a command may be under way; else it is not sent if anything came since the last sample */
    const char *store_path;     /* OPEN: directory of the store, and */
    const char *name;           /* ... path below it ("debian.iso", "sub/folder/x.img") */
};

struct engine_result {
    enum drive_do what;
    uint32_t ticket;
    enum drive_outcome outcome;
    struct err err;             /* where outcome is not OK; errnum as the kernel said it */
    bool medium_known;          /* `medium` was read back from the kernel after the order (all but OPEN and SYNC) */
    msec seen_real;             /* when it was, where the engine knows it better than whoever gets the result; else 0 */
    struct engine_medium medium;/* OPEN: of the image that was opened */
};

struct store_order {            /* a step of taking a store away, or bringing it back (departure.h) */
    enum departure_step step;
    uint32_t ticket;
    struct store_mount mount;
};

struct store_result {
    uint32_t ticket;
    struct err err;             /* code 0: done */
    bool mount_known;
    struct store_mount mount;   /* as it is now */
};

enum engine_break { BREAK_BY_ATTRIBUTE, BREAK_BY_SIGNAL, BREAK_BY_CUT /* of the storage, by cut() */, BREAK_NOT };

enum gadget_order { GADGET_START, GADGET_START_UNBOUND, GADGET_BIND, GADGET_UNBIND, GADGET_REMOVE };

enum gadget_found { FOUND_NOTHING, FOUND_AS_PLANNED, FOUND_HALF_BUILT, FOUND_DIFFERENT, FOUND_FOREIGN };

struct gadget_result {
    enum gadget_order order;
    bool ok;
    struct err err;
    enum gadget_found found;    /* GADGET_START, GADGET_START_UNBOUND: what was there */
    bool bound;                 /* a UDC is bound now */
    char differences[1024];     /* GADGET_START with FOUND_DIFFERENT: one a line */
};

struct engine_link {
    bool bound;                 /* our gadget is bound to a UDC */
    bool configured;            /* a host has configured it */
    char udc[64];               /* "" while none has appeared */
    char state[32];             /* as the UDC says: "configured", "not attached", ... */
    char speed[32];             /* "high-speed", "super-speed", "UNKNOWN" */
};

struct engine_sample {          /* of the function's thread; absolute counters since that thread began */
    bool known;
    bool shared;                /* other LUNs are in this function */
    uint64_t bytes_read, bytes_written; /* by the host */
    uint64_t commands;          /* rises with every command, TEST UNIT READY too */
    enum waiting_for waiting_for;
    bool flushing;              /* inside a command that brings data to the storage */
};

struct engine_capabilities {
    bool forced_eject, break_io, signal;
    uint64_t max_cdrom_bytes;
};

struct engine_sink {
    void *owner;
    void (*result)(void *owner, size_t drive, const struct engine_result *r);
    void (*gadget)(void *owner, const struct gadget_result *r);
    void (*link)(void *owner, const struct engine_link *l);
    void (*closed)(void *owner, size_t drive); /* the kernel seems to have let go of the image: observe */
    void (*active)(void *owner, size_t drive); /* the host did something after quiet; one-shot until the next arm() */
    void (*cut)(void *owner, size_t drive, const struct err *e); /* the end of a cut(): e->code 0, or why it failed */
    void (*store)(void *owner, size_t store, const struct store_result *r);
    void (*held)(void *owner, size_t drive);   /* a call of an earlier process is still under way there; when it ends,
                                                  a result for an OBSERVE with ticket 0 follows */
};

struct engine_class {
    const char *name;           /* "kernel", "simulation" */
    void (*gadget)(struct engine *e, enum gadget_order order);
    void (*order)(struct engine *e, size_t drive, const struct engine_order *o);
    void (*sample)(struct engine *e, size_t drive, struct engine_sample *ret);
    void (*arm)(struct engine *e, size_t drive);          /* report the next activity by sink->active */
    void (*capabilities)(const struct engine *e, size_t drive, struct engine_capabilities *ret);
    /* Interrupts what the drive's function does for the host; called while an order is outstanding there. BREAK_NOT
     * with *e where that would not help or cannot be done. */
    enum engine_break (*break_io)(struct engine *e, size_t drive, struct err *err);
    /* Cuts the storage under the drive's medium; sink->cut tells the end, if it ever comes. */
    void (*cut)(struct engine *e, size_t drive, const struct backing *b);
    /* The host has written to the drive's medium: brings it to the storage, without waiting for that. */
    void (*flush)(struct engine *e, size_t drive);
    /* A step with a store that no drive uses. Its workers let go of what they still hold there, then one of them does the
     * step; sink->store tells the end, if it ever comes. Steps of one store are done in the order in which they came. */
    void (*store)(struct engine *e, size_t store, const struct store_order *o);
    void (*free)(struct engine *e);
};

struct engine {
    const struct engine_class *class;
    const struct gadget_config *config;
    struct engine_sink sink;
    struct loop *loop;
};

/* ms; so long at least a gadget stays unbound that may have been built anew, and counts its bindings from the beginning
 * (build_udc.c): longer than a host that is resetting the port waits for what has gone (0.86 s). */
#define GADGET_HOLD_MIN 1500

/*
 * GADGET_START looks at what is there: nothing or half built -> builds and binds; as planned -> adopts, with no write
 * and no re-enumeration; different -> adopts what it can and lists the differences; foreign -> refuses. What was there and
 * not bound is bound after GADGET_HOLD_MIN, since a host may not have noticed yet that it was unbound. Where no UDC
 * has appeared yet it builds, answers ok with bound = false, and binds by itself when one appears (sink->link tells).
 * GADGET_START_UNBOUND does the same but for binding: what is unbound stays so until GADGET_BIND.
 */
struct engine *engine_kernel_new(const struct gadget_config *c, struct loop *l, const struct engine_sink *s, struct err *e);
/* A host and a kernel in memory, driven through the unix socket `control` (docs/simulation.md). */
struct engine *engine_sim_new(const struct gadget_config *c, struct loop *l, const struct engine_sink *s,
                              const char *control, struct err *e);
