/*
 * jobs.h - work that goes on after the request that asked for it: downloads, blank images, checksum runs.
 *
 *   job_new --> job_start --> (the thread runs, looks at job_check(), ends)
 *       \-----> job_drop
 *
 * Each has a thread of its own, and a descriptor that becomes readable when somebody wants something of it: it was
 * cancelled, or the service stops. What is cancelled is known to whoever receives or counts (library.h, transfers.h);
 * this knows only the stop. Thread-safe.
 */
#pragma once

#include "base/err.h"

#define JOBS_MAX 16 /* at once; each has a thread, most a helper process and the pieces of a hasher */

struct jobs;
struct job;

struct jobs *jobs_new(void); /* NULL: out of memory */

/* Tells all of them to end, waits until they have, and begins no more. */
void jobs_stop(struct jobs *j);
void jobs_free(struct jobs *j); /* after jobs_stop(); accepts NULL */

struct job *job_new(struct jobs *j, struct err *e); /* too_many_requests, unavailable */
void job_drop(struct job *job);

/* Runs it in a thread; the job ends with it. Returns 0, or -1 with *e; then the job is still the caller's. */
int job_start(struct job *job, void (*run)(struct job *job, void *arg), void *arg, struct err *e);

/* Readable once job_wake() was called. Never read it. */
int job_fd(const struct job *job);
void job_wake(struct job *job); /* from any thread, while the job is there */

/* 0, or -1 with *e (interrupted): the service stops. */
int job_check(const struct job *job, struct err *e);
