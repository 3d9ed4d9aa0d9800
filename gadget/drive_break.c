#include "gadget/drive_turn.h"

#include "gadget/reannounce.h"

static void break_io(struct turn *t, struct drive_op *op)
{
    t->d->broken_at = t->now;
    t->out->break_io = t->out->changed = true;
    reannounce_after_clearing(t, CLEARED_BY_BREAK);
    if (!op) return;
    op->broke = true;
    op->facts |= FACT_BROKE_IO;
}

static bool can_cut(const struct drive *d)
{
    return d->policy.can_cut && d->medium.image && !d->cut_at && d->evidence.known && d->evidence.waiting_for == WAITING_STORAGE;
}

void drive_was_cut(struct drive *d, msec now)
{
    d->cut_at = now;
    if (d->queue_len && d->queue[0].phase != PHASE_QUEUED) d->queue[0].facts |= FACT_CUT;
}

static void cut(struct turn *t)
{
    drive_was_cut(t->d, t->now);
    t->out->cut = t->out->changed = true;
}

/* The operator's order. It needs no permission but the operator's, and is obeyed only where it does what is meant. */
void drive_on_break(struct turn *t)
{
    struct drive *d = t->d;
    t->out->found = d->evidence.known ? d->evidence.waiting_for : WAITING_UNKNOWN;
    struct drive_op *op = d->queue_len ? &d->queue[0] : NULL;
    if (t->out->found == WAITING_HOST && d->policy.can_break) break_io(t, op);
    if (can_cut(d)) cut(t);
}

/* The policy that releases a lock when all is quiet is no permission to interrupt somebody. */
static bool may_break(const struct drive_op *op, msec now)
{
    return op->hurried || op->rq.mode == EJECT_FORCED || (op->rq.on_timeout == ON_TIMEOUT_FORCE && now >= op->patience_until);
}

/*
 * Rung 3: a way out that was ordered with force does not come back. If the thread waits for the host, interrupting
 * it lets everything go on; if it waits for storage, nothing but the storage can; what is unknown is left alone.
 */
void drive_look_into_force(struct turn *t)
{
    struct drive *d = t->d;
    struct drive_op *op = d->queue_len ? &d->queue[0] : NULL;
    if (!op || d->stuck || (d->outstanding != DO_FORCE && d->outstanding != DO_ASK)) return;
    if (!may_break(op, t->now) || op->broke || t->now < d->outstanding_since + d->policy.break_after) return;
    op->force_now = true;
    if (d->evidence.known && d->evidence.waiting_for == WAITING_HOST && d->policy.can_break) break_io(t, op);
}

/* When `after` has passed since a way out that was, or will be, ordered with force. */
static msec force_lasts(const struct drive *d, msec after, msec now)
{
    const struct drive_op *op = d->queue_len ? &d->queue[0] : NULL;
    if (!op || d->stuck || (d->outstanding != DO_FORCE && d->outstanding != DO_ASK)) return MSEC_NEVER;
    bool may = may_break(op, now);
    if (!may && op->rq.on_timeout != ON_TIMEOUT_FORCE) return MSEC_NEVER;
    msec at = d->outstanding_since + after;
    return may ? at : MAX(at, op->patience_until);
}

msec drive_breaks_at(const struct drive *d, msec now)
{
    if (!d->policy.can_break || (d->queue_len && d->queue[0].broke)) return MSEC_NEVER;
    msec at = force_lasts(d, d->policy.break_after, now);
    return at > now ? at : now + DRIVE_BREAK_LOOK;
}

msec drive_cuts_at(const struct drive *d, msec now)
{
    if (!can_cut(d)) return MSEC_NEVER;
    msec forced = force_lasts(d, d->policy.cut_after, now);
    return d->evidence.cut_at ? MIN(forced, d->evidence.cut_at) : forced;
}

/* Rung 3 where the thread waits for storage: for an eject with force, or because the host is about to lose patience. */
void drive_look_into_storage(struct turn *t)
{
    if (t->now >= drive_cuts_at(t->d, t->now)) cut(t);
}
