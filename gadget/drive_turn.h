/*
 * drive_turn.h - a turn of the drive's machine, between its parts and for nobody else:
 *
 *   drive.c         the turn itself: what happens is given to its part, and then all is looked at that time changes
 *   drive_queue.c   requests, and the queue that they stand in
 *   drive_call.c    what is asked of the kernel and the store, and what comes of it: a result, in time or late, or none
 *   drive_break.c   rung 3 beside a call that does not come back: I/O is broken, storage is cut
 *   ladder.c        how the head of the queue gets on (ladder.h)
 *   reannounce.c    what a signal does to the other drives of the function (reannounce.h)
 *   drive_state.c   what the drive looks like, and its invariants
 *
 * A `turn` is one call of drive_step(): the drive, what happened, when, and what is to be done about it. The invariants
 * of drive.h hold before and after it, not within.
 */
#pragma once

#include "gadget/drive.h"

struct turn {
    struct drive *d;
    const struct drive_event *ev;
    msec now;
    struct drive_output *out;
    enum drive_clearing cleared; /* while the action was outstanding that this is the result of */
};

/* ---- drive_queue.c ---- */

void drive_on_request(struct turn *t);
void drive_on_cancel(struct turn *t);
void drive_on_hurry(struct turn *t);
/* Ends the head. A failure ends all that is queued behind it at this moment. */
void drive_finish_head(struct turn *t, enum op_state state, enum err_code code);
/* Its medium is to come out, and may yet be forced. */
bool drive_is_taking(const struct drive_op *op);

/* ---- drive_call.c ---- */

/* Gives out an action; none may be outstanding. op: whose it is; NULL for the drive's own. */
void drive_act(struct turn *t, enum drive_do what, const struct drive_op *op);
/* Takes note of what the kernel shows. What the host thinks of the door is no longer known when the medium changed. */
void drive_observe_medium(struct turn *t, const struct drive_medium *seen);
void drive_on_result(struct turn *t);
void drive_on_held(struct turn *t);
/* Says "stuck", or ends what the store keeps waiting for too long. */
void drive_look_at_deadline(struct turn *t);

/* ---- drive_break.c ---- */

void drive_on_break(struct turn *t);
void drive_look_into_force(struct turn *t);
void drive_look_into_storage(struct turn *t);
