/*
 * stall.h - the watchdog: since when a command of the host's makes no progress, and how long the host still waits.
 *
 * A function's thread is at rest (it waits for the next command), or inside a command. Inside, it gets on as long as
 * bytes move. A stall begins with the first look at which it is inside and after which no byte moved: that is up to one
 * look later than the command began, and the budgets in profile.h have room for that. A command whose bytes trickle is
 * no stall, however long it takes. What cannot be seen is no stall either: nothing is done about what is unknown.
 *
 * The thread belongs to the function: where several drives share one, a stall counts against each that has a medium.
 *
 * Pure: time and samples are arguments. It knows, and never acts: what is done about it is the drive machine's matter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gadget/profile.h"

#define STALL_TOLD_AFTER 2000 /* ms; a healthy storage answers in less, and no known host notices less than 3 s */

struct stall {
    uint64_t bytes;           /* read and written, at the last look */
    msec since;               /* boot time; 0: it gets on, or is at rest, or cannot be seen */
    enum waiting_for waiting_for;
    bool flushing;            /* it brings data to the storage: SYNCHRONIZE CACHE, or ALLOW MEDIUM REMOVAL */
    bool seen;                /* `bytes` is right */
};

struct stall_look {           /* what was seen of the thread */
    bool known;
    enum waiting_for waiting_for;
    bool flushing;
    uint64_t bytes;
};

void stall_note(struct stall *s, const struct stall_look *l, msec now);

/* It lasts so long that somebody should know. */
bool stall_is_told(const struct stall *s, msec now);

/* When the host resets the device; 0 where nothing stalls. */
msec stall_patience_until(const struct stall *s, const struct host_profile *p);

/* When storage that hangs must be cut, if it may be, so that the host has its answer in time; 0: it does not hang. */
msec stall_cut_at(const struct stall *s, const struct host_profile *p);
