/*
 * ladder.h - how the operation at the head of a drive's queue gets on: rung by rung, phase by phase.
 *
 * For the parts of the drive's machine only (drive_turn.h).
 */
#pragma once

#include "gadget/drive_turn.h"

/* Lets the head of the queue, and those behind it as they become the head, go on until each waits for something. */
void ladder_advance(struct turn *t);

/* The result of the outstanding action `what`, which was the head's. The medium was taken note of already. */
void ladder_result(struct turn *t, enum drive_do what, bool medium_left);

/* When the head wants to be looked at again; MSEC_NEVER if only an event can bring it on. */
msec ladder_wake(const struct drive *d);
