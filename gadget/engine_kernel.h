/*
 * engine_kernel.h - the parts of the kernel engine, for its own files only (engine_kernel.c, kernel_drive.c,
 * kernel_storage.c, kernel_store.c).
 *
 * Workers: one per mass_storage function for its LUNs' attributes, two per store for images (one brings what the host
 * writes to the storage), the same for media that lie in none of the stores, one more for a store that is taken away, one
 * for the gadget itself.
 * All of the engine's state is here, in the parent; a worker knows nothing but its request.
 */
#pragma once

#include "gadget/dirty_limits.h"
#include "gadget/engine.h"
#include "gadget/probe.h"
#include "gadget/udc.h"
#include "gadget/watch.h"
#include "gadget/work.h"

#define ELSEWHERE STORES_MAX /* index of the worker for images in none of the stores */

struct kernel_image {        /* an image that is held open (O_PATH: see image.h) */
    int fd;                  /* -1: none */
    bool readonly;
    uint64_t device, inode, size, storage;
    size_t store;            /* whose worker touches it */
};

struct kernel_drive {
    struct kernel_engine *k;
    size_t index;
    struct kernel_image next;     /* opened, and not in the drive yet */
    struct kernel_image current;  /* in the drive */
    struct kernel_image removed;  /* taken out by us: a SYNC will ask for it */
    uint32_t open_ticket;         /* of the newest OPEN */
    uint32_t serial;              /* of `current`: rises when another image becomes current */
    struct watch watch;
    unsigned adding[WATCH_SORTS]; /* watches on their way */
    bool armed;                   /* somebody wants to hear of the next activity */
    bool flushing;                /* a FLUSH is under way */
    bool flush_failed;            /* the last one failed, which was told */
    bool has_forced_eject, has_break_io;
    struct probe_counters looked; /* the last sample, which decisions are made on */
};

struct kernel_function {
    struct kernel_engine *k;
    char name[DRIVE_NAME_MAX + 16], lock_path[STORE_PATH_MAX + 64];
    struct worker *worker;
};

struct kernel_engine {
    struct engine base;
    struct kernel_drive drives[DRIVES_MAX];
    struct kernel_function functions[DRIVES_MAX]; /* in the order of linking */
    struct worker *stores[STORES_MAX + 1];        /* made when they are needed */
    char store_names[STORES_MAX + 1][STORE_NAME_MAX + 24];
    struct worker *flushers[STORES_MAX + 1];      /* so are these: they hang for as long as the storage takes */
    char flusher_names[STORES_MAX + 1][STORE_NAME_MAX + 24];
    struct worker *leavers[STORES_MAX];           /* take stores away */
    char leaver_names[STORES_MAX][STORE_NAME_MAX + 24];
    struct worker *gadget;
    struct worker *breaker;                       /* for break_io, when the function's own worker hangs; made when needed */
    struct worker *cutter;                        /* cuts storage; made when needed */
    struct dirty_limits *limits;
    char gadget_lock_path[STORE_PATH_MAX + 64];
    struct probe *probe;
    struct udc *udc;
    struct engine_link link;     /* as told last */
    bool link_told;
    bool want_bound;             /* bind by itself when a controller appears */
    bool appeared;               /* one did, since the last order for the gadget was given */
    bool binding;                /* that is under way */
    int bind_tries;
    struct loop_timer timer;     /* the first look at the link, and binding again */
};

struct task {                    /* a job with its request */
    struct worker_job job;
    struct kernel_engine *k;
    size_t drive;
    uint32_t serial;             /* WATCH: of the image */
    enum watch_sort sort;
    bool quiet;                  /* SYNC: nobody asked */
    unsigned deaths;             /* GADGET, LUN: of workers over it */
    size_t store;                /* STORE, and the fences before it */
    enum drive_do died_doing;    /* LUN: what the one that died was to do; since then it is only observed */
    struct work work;
};

/* NULL with *e where there is no memory. */
struct task *task_new(struct kernel_engine *k, enum work_kind kind, size_t drive, worker_done_fn *done);
static inline struct task *task_of(struct worker_job *job)
{
    return (struct task *)job; /* its first member */
}

/* ---- kernel_drive.c ---- */

int kernel_drive_init(struct kernel_engine *k, size_t index, struct err *e);
void kernel_drive_done(struct kernel_drive *d);
void kernel_drive_order(struct engine *e, size_t drive, const struct engine_order *o);
void kernel_drive_observe(struct kernel_drive *d); /* with ticket 0 */
/* Of a job that nobody waits for; logs its error where task.quiet. */
void kernel_ignore_answer(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX]);
void kernel_drive_arm(struct engine *e, size_t drive);
void kernel_drive_leave_store(struct kernel_drive *d, size_t store); /* what was opened there, and is in no drive */

/* ---- kernel_storage.c ---- */

void kernel_cut(struct engine *e, size_t drive, const struct backing *b); /* as in struct engine_class */
void kernel_flush(struct engine *e, size_t drive);
void kernel_limit_dirty(struct kernel_engine *k); /* another medium is in some drive */

/* Who syncs an image of that store: its flusher, where that has a file open. */
struct worker *kernel_sync_worker(struct kernel_engine *k, size_t store);

/* ---- kernel_store.c ---- */

void kernel_store(struct engine *e, size_t store, const struct store_order *o); /* as in struct engine_class */

/* ---- engine_kernel.c ---- */

struct worker *kernel_make_worker(struct kernel_engine *k, const char *name, const char *lock_path, msec replace_after,
                                  struct kernel_function *f, struct err *e);

struct kernel_function *kernel_function_of(struct kernel_engine *k, size_t drive);
/* As break_io of struct engine_class. Without `breaks` only a signal, and only if nothing has come from the host since the
 * drive's last sample. */
enum engine_break kernel_interrupt(struct kernel_engine *k, size_t drive, bool breaks, struct err *err);
msec kernel_shortest_patience(const struct gadget_config *c); /* of the drives' stuck_after */
/* The worker of a store, made now if need be; NULL where that fails. */
struct worker *kernel_store_worker(struct kernel_engine *k, size_t store);
