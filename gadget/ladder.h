/*
 * ladder.h - how the operation at the head of a drive's queue gets on: rung by rung, phase by phase.
 *
 * Only drive.c includes this. A `turn` is one call of drive_step(): the drive, what happened, when, and what is to be
 * done about it.
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

/* Lets the head of the queue, and those behind it as they become the head, go on until each waits for something. */
void ladder_advance(struct turn *t);

/* The result of the outstanding action `what`, which was the head's. The medium was taken note of already. */
void ladder_result(struct turn *t, enum drive_do what, bool medium_left);

/* When the head wants to be looked at again; MSEC_NEVER if only an event can bring it on. */
msec ladder_wake(const struct drive *d);

/* ---- in drive.c, for the ladder ---- */

void drive_act(struct turn *t, enum drive_do what, const struct drive_op *op);
/* Ends the head. A failure ends all that is queued behind it at this moment. */
void drive_finish_head(struct turn *t, enum op_state state, enum err_code code);
void drive_observe_medium(struct turn *t, const struct drive_medium *seen);
