/*
 * worker.h - sacrificial child processes: calls that may enter uninterruptible sleep and never return.
 *
 * A worker serves one job at a time; further ones wait in its queue, first in first out. Its process is forked from
 * the event loop's thread when it is first needed, and again when it died. The parent never waits for it: answers
 * come over a socket, its death over a pidfd. A process dies with its parent (PR_SET_PDEATHSIG), or as soon as it
 * comes back from the call that it hangs in.
 *
 *           spawn              lock            job
 *   (none) -------> LOCKING ---------> IDLE <-------> BUSY
 *      ^               |  (no lock: at once)           |  hangs, and may be replaced: ABANDONED,
 *      +---------------+--------------- death ---------+  answers late or never, then ends
 *
 * A worker with a lock file holds it (flock) from inside its process. So a lock that is taken means that a process of
 * an earlier daemon is still in a call: the parent is told `held`, what is queued is cancelled, and the new process
 * sleeps in flock() until the old one is gone: `released`.
 *
 * All of these functions belong to the loop's thread. Callbacks come from the loop, never from inside
 * worker_submit(); worker_cancel() and worker_free() do call back, with WORKER_CANCELLED. A callback may submit and
 * cancel, but not free the worker.
 */
#pragma once

#include "base/loop.h"
#include "gadget/packet.h"

#define WORKER_ABANDONED_MAX 4  /* hanging processes of one worker; more only pile up in front of the same storage */
#define WORKER_HELD_GRACE 500   /* ms: a predecessor that was killed in no call, or in one that returns, is gone then */

struct worker;
struct worker_job;

enum worker_end {
    WORKER_ANSWERED,
    WORKER_DIED,      /* its process died over it, or could not be started */
    WORKER_CANCELLED, /* nothing was done: it was still in the queue, or nobody will hear the answer any more */
};

/* The job is its owner's again. The descriptors are closed after the call, but for those set to -1 by it. */
typedef void worker_done_fn(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX]);

struct worker_job {
    const void *request;        /* request_size bytes, there until `done` */
    int fds[PACKET_FDS_MAX];    /* to go along, -1: none; the worker's from worker_submit() on: closed once sent */
    worker_done_fn *done;
    struct worker_job *next;    /* the worker's */
};

/* In the child. `answer` is zeroed. The child closes all of fds and ret_fds afterwards; set to -1 what is not to be. */
typedef void worker_serve_fn(const void *context, const void *request, int fds[PACKET_FDS_MAX], void *answer,
                             int ret_fds[PACKET_FDS_MAX]);

struct worker_spec {
    const char *name;           /* for the log; stays the caller's, as do the other pointers */
    const char *lock_path;      /* NULL: needs no lock */
    size_t request_size, answer_size;
    worker_serve_fn *serve;
    const void *context;        /* as it is when the process is forked */
    bool first;                 /* it goes before others: priority.h */
    msec replace_after;         /* a process that is busy for longer is replaced when somebody waits; 0: never */
    void *owner;
    void (*held)(void *owner, pid_t by);  /* by: 0 where unknown. NULL: the queue is not cancelled, but waits */
    void (*released)(void *owner);
};

struct worker *worker_new(struct loop *l, const struct worker_spec *spec, struct err *e);

/* Queued jobs and those under way end WORKER_CANCELLED. Who is in a call is left to finish it, others are killed. */
void worker_free(struct worker *w);

/* Starts the process now, so that it is known whether the lock can be had. Returns 0, or -1 with *e. */
int worker_start(struct worker *w, struct err *e);
void worker_submit(struct worker *w, struct worker_job *job);

/* Ends those queued jobs for which `which` says true. */
void worker_cancel(struct worker *w, bool (*which)(const struct worker_job *job, const void *arg), const void *arg);

/* Shows the jobs that are queued: their requests have not been sent, and may still be changed. */
void worker_each_queued(struct worker *w, void (*each)(struct worker_job *job));

/* 0 while there is none. */
pid_t worker_pid(const struct worker *w);

/* ---- worker_child.c, between the two halves ---- */

enum worker_message { WORKER_SAYS_HELD, WORKER_SAYS_READY, WORKER_SAYS_ANSWER, WORKER_SAYS_BROKEN };

/* The child's life: never returns. `parent` is the pid that it must be the child of. */
_Noreturn void worker_child_run(const struct worker_spec *spec, int socket, pid_t parent);
