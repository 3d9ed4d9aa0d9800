/*
 * departure.h - a store that is taken away and brought back: which step comes next. Pure.
 *
 *                     leave                                   a step fails: back
 *   ATTACHED ---------------------> LEAVING  sync ---------------------------------> as before
 *      ^                              |       | (unmount asked for)
 *      |                              |    unmount, then check: a failure goes by mount, so that all is as before
 *      |   come  COMING               v       v
 *      +-------- mount <---------- DETACHED <-+
 *                  |                  ^
 *                  +- fails: unmount -+   it may be mounted all the same: whoever did it died, or was too slow
 *
 * Whether it is safe to remove is known only where the file system was unmounted, and where the device under it could be
 * opened exclusively afterwards. A step that does not come back in time counts as failed: what it may do later is undone by
 * the mount that is queued behind it.
 *
 * The state file says which step was given before it is given, and each can be done again: who comes after a process that
 * died goes on with the same step.
 */
#pragma once

#include "base/clock.h"
#include "gadget/store_mount.h"

/* ms. What is unwritten is bounded by the kernel's dirty limits: 256 MiB of a small appliance at half a MiB a second. */
#define DEPARTURE_SYNC_WITHIN 600000
/* ms. systemd gives a mount unit 90 s (DefaultTimeoutStopSec=), and then kills its umount. */
#define DEPARTURE_STEP_WITHIN 120000

#define DEPARTURE_BY_MAX 64

#define DEPARTURE_STAGE_TABLE(X)                                                                                  \
    X(STORE_ATTACHED, "attached") X(STORE_LEAVING, "leaving") X(STORE_DETACHED, "detached") X(STORE_COMING, "coming")
#define DEPARTURE_STEP_TABLE(X)                                                                                   \
    X(STEP_NOTHING, "nothing") X(STEP_SYNC, "sync") X(STEP_UNMOUNT, "unmount") X(STEP_CHECK, "check") X(STEP_MOUNT, "mount")

#define X(sym, name) sym,
enum departure_stage { DEPARTURE_STAGE_TABLE(X) };
enum departure_step { DEPARTURE_STEP_TABLE(X) };
#undef X
extern const char *const departure_stage_names[], *const departure_step_names[]; /* end with NULL */

struct departure {                 /* zero: attached */
    enum departure_stage stage;
    enum departure_stage before;   /* LEAVING: where a failure leads back to */
    enum departure_step step;      /* to be done, or under way */
    uint32_t ticket;               /* of that step: rises with each */
    msec deadline;                 /* of that step, boot time */
    bool unmount;                  /* LEAVING: asked for */
    bool unmounted, safe;          /* DETACHED: by us; and its device is free */
    msec since_real;               /* of the stage */
    char by[DEPARTURE_BY_MAX];     /* who wanted it */
    struct store_mount mount;      /* as the steps found it */
    enum departure_step failed;    /* the step that failed last; NOTHING: none has since the last order */
    struct err err;                /* why */
};

struct departure_time {
    msec boot, real;
};

/* Orders. 0: it is under way, or there is nothing to do; -1 with *e (too_late): the opposite is under way. */
int departure_leave(struct departure *d, bool unmount, const char *by, const struct departure_time *now, struct err *e);
int departure_come(struct departure *d, const char *by, const struct departure_time *now, struct err *e);

/* The step with that ticket has ended; e->code 0: well. `mount` as it is then, NULL where that is not known. An old ticket
 * changes nothing. */
void departure_step_done(struct departure *d, uint32_t ticket, const struct store_mount *mount, const struct err *e,
                         const struct departure_time *now);

/* Its time is over; nothing happens before that. */
void departure_look(struct departure *d, const struct departure_time *now);

/* After a restart: the step that was under way is to be given again. */
void departure_resume(struct departure *d, const struct departure_time *now);

static inline bool departure_is_under_way(const struct departure *d)
{
    return d->step != STEP_NOTHING;
}
