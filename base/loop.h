/*
 * loop.h - the event loop of a single-threaded process: file descriptors, and one wake-up computed from all deadlines.
 *
 * A watch calls back when its descriptor is ready; a timer calls back once when its time (CLOCK_BOOTTIME ms) has
 * come. Both are structs that their owner embeds; the loop links them and allocates nothing. A callback may add and
 * remove any watch or timer, its own too.
 */
#pragma once

#include <stdbool.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/err.h"

struct loop;
struct loop_watch;
struct loop_timer;

typedef void loop_watch_fn(struct loop_watch *w, uint32_t events);
typedef void loop_timer_fn(struct loop_timer *t, msec now);

struct loop_watch {
    int fd;
    loop_watch_fn *ready;
    void *owner;
    bool added;
};

struct loop_timer {
    msec at; /* MSEC_NEVER while it is not set */
    loop_timer_fn *expired;
    void *owner;
    struct loop_timer *next, **link; /* the loop's */
};

struct loop *loop_new(struct err *e);
void loop_free(struct loop *l);

int loop_add(struct loop *l, struct loop_watch *w, int fd, uint32_t events, loop_watch_fn *ready, void *owner);
void loop_change(struct loop *l, struct loop_watch *w, uint32_t events);
void loop_remove(struct loop *l, struct loop_watch *w); /* does not close the descriptor; harmless if not added */

void loop_timer_init(struct loop_timer *t, loop_timer_fn *expired, void *owner);
void loop_timer_set(struct loop *l, struct loop_timer *t, msec at); /* MSEC_NEVER takes it out */

/* Runs until loop_stop(), and may be run again. Returns 0, or -1 with errno when epoll itself fails. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l);
