/*
 * clock_watch.h - hears of the wall clock being set.
 *
 * A timer on CLOCK_REALTIME that never ends, with TFD_TIMER_CANCEL_ON_SET (timerfd_create(2)): its descriptor becomes
 * readable, with ECANCELED, whenever the clock is set, by a person, by NTP's first step, or after a sleep. Slewing is
 * not told.
 */
#pragma once

#include "base/loop.h"

struct clock_watch {
    struct loop *loop;
    int fd;                     /* -1: none */
    struct loop_watch readable;
    void (*set)(void *owner);
    void *owner;
};

/* Returns 0, or -1 with *e; then nobody hears of it, and clock_watch_done() is harmless. */
int clock_watch_init(struct clock_watch *w, struct loop *l, void (*set)(void *owner), void *owner, struct err *e);
void clock_watch_done(struct clock_watch *w);
