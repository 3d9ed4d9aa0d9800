/*
 * scheduling_parts.h - between the two files of scheduling.h, and for nobody else: scheduling.c (what is due, done, and
 * was left by an earlier process) and scheduling_change.c (what clients change, on its way to the disk).
 */
#pragma once

#include "gadget/clock_watch.h"
#include "gadget/scheduling.h"

struct change;

struct scheduling {
    struct daemon *daemon;
    struct loop_timer timer;
    struct clock_watch clock;
    struct change *changes;          /* oldest first; scheduling_change.c's */
    bool early_ejects[DRIVES_MAX];   /* seen before the schedules were read: at the first look after a restart */
};

void scheduling_tell(struct daemon *d, const struct schedule *s); /* everybody, how it looks now */

/* ---- scheduling_change.c ---- */

/* The file was written as of that version; or, with *e, could not be: those that wait for it hear of that. */
void scheduling_settle(struct daemon *d, uint64_t version, const struct err *e);
void scheduling_give_up(struct scheduling *g); /* the process ends: nobody knows what reached the disk */
