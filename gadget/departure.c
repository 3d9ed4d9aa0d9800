#include "gadget/departure.h"

#include <stdio.h>
#include <string.h>

#define X(sym, name) name,
const char *const departure_stage_names[] = {DEPARTURE_STAGE_TABLE(X) NULL};
const char *const departure_step_names[] = {DEPARTURE_STEP_TABLE(X) NULL};
#undef X

static void begin_step(struct departure *d, enum departure_step step, const struct departure_time *now)
{
    d->step = step;
    d->ticket++;
    d->deadline = now->boot + (step == STEP_SYNC ? DEPARTURE_SYNC_WITHIN : DEPARTURE_STEP_WITHIN);
}

static void arrive(struct departure *d, enum departure_stage stage, const struct departure_time *now)
{
    if (d->stage != stage) d->since_real = now->real;
    d->stage = stage;
    d->step = STEP_NOTHING;
    d->deadline = 0;
    if (stage != STORE_ATTACHED) return;
    d->unmounted = d->safe = false;
    d->mount = (struct store_mount){0};
}

static void order(struct departure *d, enum departure_stage stage, enum departure_step step, const char *by,
                  const struct departure_time *now)
{
    d->before = d->stage;
    d->stage = stage;
    d->since_real = now->real;
    d->failed = STEP_NOTHING;
    d->err = (struct err){0};
    snprintf(d->by, sizeof d->by, "%s", by);
    begin_step(d, step, now);
}

int departure_leave(struct departure *d, bool unmount, const char *by, const struct departure_time *now, struct err *e)
{
    if (d->stage == STORE_COMING) return err_set(e, ERR_TOO_LATE, "The store is just being attached");
    if (d->stage == STORE_LEAVING && unmount && !d->unmount)
        return err_set(e, ERR_TOO_LATE, "The store is just being detached, without unmounting it");
    if (d->stage == STORE_LEAVING || (d->stage == STORE_DETACHED && (!unmount || d->unmounted))) return 0;
    order(d, STORE_LEAVING, STEP_SYNC, by, now);
    d->unmount = unmount;
    return 0;
}

int departure_come(struct departure *d, const char *by, const struct departure_time *now, struct err *e)
{
    if (d->stage == STORE_LEAVING) return err_set(e, ERR_TOO_LATE, "The store is just being detached");
    if (d->stage == STORE_ATTACHED || d->stage == STORE_COMING) return 0;
    order(d, STORE_COMING, STEP_MOUNT, by, now);
    if (!d->unmounted && !d->mount.there) arrive(d, STORE_ATTACHED, now); /* it is no mount */
    return 0;
}

/* What is done because another step has failed; that it fails as well is said, and nobody knows how to go on. */
static bool is_undoing(const struct departure *d)
{
    return d->step == (d->stage == STORE_COMING ? STEP_UNMOUNT : STEP_MOUNT);
}

static void fail(struct departure *d, const struct err *e, const struct departure_time *now)
{
    if (is_undoing(d)) {
        err_prefix(&d->err, "%.200s, after this had failed", e->text);
        d->unmounted = d->stage == STORE_LEAVING; /* it could not be mounted; or, coming, not unmounted */
        d->safe = false;
        arrive(d, STORE_DETACHED, now);
        return;
    }
    d->failed = d->step;
    d->err = *e;
    if (d->step == STEP_SYNC)
        arrive(d, d->before, now);
    else
        begin_step(d, d->stage == STORE_COMING ? STEP_UNMOUNT : STEP_MOUNT, now);
}

static void detached(struct departure *d, bool unmounted, const struct departure_time *now)
{
    d->unmounted = d->safe = unmounted;
    arrive(d, STORE_DETACHED, now);
}

void departure_step_done(struct departure *d, uint32_t ticket, const struct store_mount *mount, const struct err *e,
                         const struct departure_time *now)
{
    if (ticket != d->ticket || d->step == STEP_NOTHING) return;
    if (mount) d->mount = *mount;
    if (e->code) {
        fail(d, e, now);
        return;
    }
    switch (d->step) {
    case STEP_NOTHING: break;
    case STEP_SYNC:
        if (d->unmount)
            begin_step(d, STEP_UNMOUNT, now);
        else
            detached(d, false, now);
        break;
    case STEP_UNMOUNT:
        if (d->stage == STORE_COMING) {
            d->unmounted = true;
            arrive(d, STORE_DETACHED, now);
        } else {
            begin_step(d, STEP_CHECK, now);
        }
        break;
    case STEP_CHECK: detached(d, true, now); break;
    case STEP_MOUNT: arrive(d, d->stage == STORE_COMING ? STORE_ATTACHED : d->before, now); break;
    }
}

void departure_look(struct departure *d, const struct departure_time *now)
{
    struct err e;
    if (d->step == STEP_NOTHING || now->boot < d->deadline) return;
    err_set(&e, ERR_UNAVAILABLE, "The storage did not answer to \"%s\" in time", departure_step_names[d->step]);
    fail(d, &e, now);
}

void departure_resume(struct departure *d, const struct departure_time *now)
{
    if (d->step != STEP_NOTHING) begin_step(d, d->step, now);
}
