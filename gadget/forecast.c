#include "gadget/forecast.h"

static struct forecast never(void)
{
    return (struct forecast){NEXT_NOTHING, MSEC_NEVER, NEXT_NOTHING, MSEC_NEVER};
}

/* What ladder.c's patience_ends() will decide if the host goes on as it does. */
static enum next_step after_patience(const struct drive *d, const struct drive_op *op)
{
    if (op->rq.on_timeout == ON_TIMEOUT_FORCE) return drive_can_take(&d->policy) ? NEXT_FORCE : NEXT_FAIL;
    bool release = op->rq.lock_policy == LOCK_RELEASE_WHEN_QUIET && d->medium.readonly && drive_can_take(&d->policy) &&
                   d->evidence.known && d->evidence.lock == LOCK_LOCKED;
    msec quiet_at = MAX(d->evidence.last_read_at, d->loaded_since) + d->policy.release_quiet;
    return release && quiet_at <= op->patience_until ? NEXT_FORCE : NEXT_FAIL;
}

static struct forecast of_quiet(const struct drive *d, const struct drive_op *op)
{
    /* A swap, in the middle of a command of the host's. */
    if (d->medium.readonly) return (struct forecast){NEXT_ASK, MSEC_NEVER, after_patience(d, op), op->patience_until};
    msec quiet_at = d->evidence.known ? d->evidence.last_write_at + d->policy.quiet : MSEC_NEVER;
    if (quiet_at < op->patience_until) return (struct forecast){NEXT_ASK, quiet_at, NEXT_NOTHING, MSEC_NEVER};
    return (struct forecast){NEXT_ASK, MSEC_NEVER, after_patience(d, op), op->patience_until};
}

static struct forecast of_locked(const struct drive *d, const struct drive_op *op)
{
    if (op->force_now || op->hurried) return (struct forecast){NEXT_FORCE, op->next_at, NEXT_NOTHING, MSEC_NEVER};
    if (drive_lock_is_lost(d)) return (struct forecast){after_patience(d, op), op->patience_until, NEXT_NOTHING, MSEC_NEVER};
    return (struct forecast){NEXT_ASK, op->next_at, after_patience(d, op), op->patience_until};
}

/* A moment without I/O is looked for; what comes when none is found depends on what the thread does then. */
static struct forecast of_gap(const struct drive *d, const struct drive_op *op)
{
    enum waiting_for waits = d->evidence.waiting_for;
    bool can_reattach = d->policy.reattach != REATTACH_NEVER && waits != WAITING_STORAGE;
    if (!d->policy.can_signal || op->broke)
        return (struct forecast){can_reattach ? NEXT_REATTACH : NEXT_FAIL, op->next_at, NEXT_NOTHING, MSEC_NEVER};
    if (can_reattach) return (struct forecast){NEXT_SIGNAL, MSEC_NEVER, NEXT_REATTACH, op->gap_until};
    if (waits == WAITING_NOTHING || waits == WAITING_HOST)
        return (struct forecast){NEXT_SIGNAL, MSEC_NEVER, NEXT_BREAK_IO, op->gap_until};
    return (struct forecast){NEXT_SIGNAL, MSEC_NEVER, NEXT_FAIL, MAX(op->gap_until, op->patience_until)};
}

static struct forecast of_quarantine(const struct drive *d, const struct drive_op *op)
{
    if (op->patience_until <= d->quarantine_until) return (struct forecast){NEXT_FAIL, op->patience_until, NEXT_NOTHING, MSEC_NEVER};
    return (struct forecast){NEXT_INSERT, d->quarantine_until, NEXT_NOTHING, MSEC_NEVER};
}

/* The kernel has been told, and does not answer. */
static struct forecast of_call(const struct drive *d, const struct drive_op *op, msec now)
{
    msec overdue = d->outstanding_since + d->policy.stuck_after;
    if (d->outstanding == DO_OPEN) return (struct forecast){NEXT_FAIL, overdue, NEXT_NOTHING, MSEC_NEVER};
    if (d->outstanding == DO_SYNC) return (struct forecast){NEXT_FINISH_UNSYNCED, overdue, NEXT_NOTHING, MSEC_NEVER};
    if (d->outstanding == DO_REATTACH) return never();
    msec breaks_at = drive_breaks_at(d, now), cuts_at = drive_cuts_at(d, now);
    if (cuts_at < overdue) return (struct forecast){NEXT_CUT, cuts_at, NEXT_STUCK, overdue};
    if (breaks_at < overdue && !op->broke)
        return (struct forecast){d->evidence.waiting_for == WAITING_HOST ? NEXT_BREAK_IO : NEXT_NOTHING, breaks_at, NEXT_STUCK, overdue};
    return (struct forecast){NEXT_STUCK, overdue, NEXT_NOTHING, MSEC_NEVER};
}

struct forecast forecast_of(const struct drive *d, msec now)
{
    if (!d->queue_len || d->stuck) return never();
    const struct drive_op *op = &d->queue[0];
    switch (op->phase) {
    case PHASE_QUIET: return of_quiet(d, op);
    case PHASE_LOCKED: return of_locked(d, op);
    case PHASE_GAP: return of_gap(d, op);
    case PHASE_DWELL: return (struct forecast){NEXT_INSERT, op->next_at, NEXT_NOTHING, MSEC_NEVER};
    case PHASE_QUARANTINE: return of_quarantine(d, op);
    case PHASE_OPENING:
    case PHASE_ASKING:
    case PHASE_FORCING:
    case PHASE_SWAPPING:
    case PHASE_SYNCING:
    case PHASE_REATTACHING:
    case PHASE_INSERTING: return of_call(d, op, now);
    case PHASE_QUEUED:
    case PHASE_FINISHED: return never();
    }
    return never();
}
