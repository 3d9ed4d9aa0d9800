/*
 * profile.h - the host's clock: how long hosts of each kind wait before they lose patience, and what we have left to do
 * something about it.
 *
 * A host that waits too long for one command resets the whole device, keyboard included, and may then repeat the
 * command on whatever medium it finds. So a rung of the ladder ends before that (break_after), storage that hangs is cut
 * before that where it may be (cut_by), no more is left unwritten than the storage takes in that time (dirty_bytes), and
 * after a broken command the drive stays empty until the host has surely given it up (quarantine).
 *
 * Pure. Each number can be changed for a drive in trayd.conf.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "gadget/words.h"

struct host_profile {
    msec command;     /* what the host gives a read or write before it resets the device, */
    msec prevent;     /* ... PREVENT or ALLOW MEDIUM REMOVAL, which brings a writable image to the storage, */
    msec sync;        /* ... and SYNCHRONIZE CACHE */
    msec break_after; /* a forced way out may take this long before it is looked into; under `command` and, where the
                         host allows, under 3 s, which no known host notices */
    msec quarantine;  /* all retries of a command, with the error handling between them. Where a reset cannot end, because
                         another function's storage hangs, a host drops the device, with its commands, sooner: no
                         request takes longer than 5 s (USB 2.0, 9.2.6.1; Linux hosts: tests/vm/scripts/stuck.sh) */
};

/* Never NULL; HOST_UNKNOWN has the shortest patience and the longest quarantine of all. */
const struct host_profile *host_profile_of(enum host_kind kind);

/* That, with what is not 0 in `changed` instead. */
struct host_profile host_profile_for(enum host_kind kind, const struct host_profile *changed);

/* ---- budgets ---- */

/* The patience for what a function's thread is doing: bringing data to the storage (SYNCHRONIZE CACHE or ALLOW, which
 * look the same), or reading and writing. */
msec host_patience(const struct host_profile *p, bool flushing);

/* So long after a command has begun its storage is cut: the host still has to be told. */
msec host_cut_after(msec patience);

/* How often a medium is looked at whose host does nothing but poll: often enough that a stall is found before it is cut
 * for, and seldom enough for a minute of all drives together to have no more than 30 wake-ups. */
msec host_look_every(const struct host_profile *p);

/* How many bytes may be unwritten on a storage that takes `speed` bytes a second at least. */
uint64_t host_dirty_bytes(const struct host_profile *p, uint64_t speed);
