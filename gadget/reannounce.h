/*
 * reannounce.h - what a signal to a function's thread does to the other drives there, and how it is made good.
 *
 * SIGUSR1, and likewise a reset by the host, makes f_mass_storage forget two things of every LUN of the function
 * (handle_exception() in f_mass_storage.c): that the host holds its lock, and that the host has yet to be told of a new
 * medium. So
 *
 *   - the host goes on with what it has in its caches of an older medium (measured: an old size, old contents), unless it
 *     had noticed the new one before. The medium is therefore put in once more, in place: DO_ANNOUNCE. The kernel allows
 *     that while the drive is not locked, and reports "medium changed" again;
 *   - an eject that asks would now take a writable medium away from a host that has it mounted. So nobody asks any more
 *     (`lock_lost`), and the medium leaves by force or by the host's hand, until the lock is known again.
 *
 * "May not have noticed" is what is not disproved: a host that polls looks at all of its drives, so some polls
 * (EVIDENCE_NOTICED) since the medium went in are proof; a poll is commands without bytes. Commands with bytes are no
 * proof, since the drives of a function share their counters: they may have been the broken drive's. Nor is time: a host
 * need not poll.
 *
 * Harmless is to announce what is read-only, and what is writable while nothing was written in the function since it went
 * in: a host that has it mounted has written to it. To announce anything else would make the host drop what it has yet to
 * write.
 *
 * Pure; for the parts of the drive's machine only (drive_turn.h).
 */
#pragma once

#include "gadget/drive_turn.h"

#define REANNOUNCE_AFTER 100  /* ms from the order to signal; the thread has handled it within 1.5 (lun.c: at most 50) */
#define REANNOUNCE_EVERY 500  /* ms between two tries at a drive that the host has locked again */
#define REANNOUNCE_TRIES 5    /* a probe of udev's is over by then; whoever holds it longer keeps what he sees */

/* The kernel has forgotten, or is about to. */
void reannounce_after_clearing(struct turn *t, enum drive_clearing how);

/* Nothing of this is true of the medium that is in now. */
void reannounce_forget(struct drive *d);

/* An announcement wants to be made now: nothing is under way, neither in the kernel nor for an operation. */
bool reannounce_is_due(const struct drive *d, msec now);
void reannounce(struct turn *t);
void reannounce_result(struct turn *t);
msec reannounce_wake(const struct drive *d);
