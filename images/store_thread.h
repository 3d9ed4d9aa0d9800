/*
 * store_thread.h - a thread that may get stuck in a store, so that its callers do not.
 *
 * A store can be a network mount or a dying card; a call into it can then sleep in the kernel and never return, and
 * no signal ends it. What must not take a client or another store along is therefore done as a job in the store's
 * own thread, and its caller waits only so long. A job that is not done by then belongs to the thread, which drops
 * it when the kernel lets go. While the thread is stuck new jobs fail at once.
 *
 * One job at a time, in the order in which they came. Thread-safe.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

#define STORE_JOBS_MAX 64    /* waiting for one store: more clients than that get an error, no place in the queue */

#define STORE_PATIENCE 5000 /* ms; a busy disk or a slow share answers within it, and a client has its answer within 10 s */

struct store_thread;

/* Embedded in a struct with the job's arguments and results, which lives on the heap. */
struct store_job {
    void (*run)(struct store_job *job);
    void (*drop)(struct store_job *job); /* frees the job, and what it holds */

    enum { STORE_JOB_WAITS, STORE_JOB_RUNS, STORE_JOB_DONE, STORE_JOB_ABANDONED } state; /* the thread's */
    struct store_job *next;
    msec started_at;
};

struct store_thread *store_thread_new(struct err *e);

/* Nobody may be calling. A thread that is stuck is left to its fate. */
void store_thread_free(struct store_thread *t);

/* Hands the job over; it must be waited for. */
void store_thread_post(struct store_thread *t, struct store_job *job);

/*
 * Waits for a posted job until `deadline` (boot time). 0: run() has returned and the job is the caller's again.
 * -1 with *e (unavailable): not in time, the store was stuck already, or too many jobs wait; the job must not be
 * touched any more. *ret_started (may be NULL) then says whether it may still take effect.
 */
int store_thread_wait(struct store_thread *t, struct store_job *job, msec deadline, bool *ret_started, struct err *e);

/* Post, and wait for at most `patience` ms. */
int store_thread_call(struct store_thread *t, struct store_job *job, msec patience, bool *ret_started, struct err *e);
