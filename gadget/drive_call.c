#include "gadget/drive_turn.h"

#include "gadget/ladder.h"
#include "gadget/reannounce.h"

void drive_act(struct turn *t, enum drive_do what, const struct drive_op *op)
{
    struct drive *d = t->d;
    d->outstanding = what;
    d->outstanding_since = t->now;
    d->written_before = d->evidence.bytes_written;
    d->ticket++;
    t->out->action = (struct drive_action){.what = what, .ticket = d->ticket};
    if (!op) return;
    t->out->action.op = op->rq.op;
    t->out->action.image = op->rq.image;
    t->out->action.readonly = op->rq.readonly;
    t->out->action.allow_collateral = op->rq.allow_collateral;
}

void drive_observe_medium(struct turn *t, const struct drive_medium *seen)
{
    struct drive *d = t->d;
    d->observed = true;
    if (seen->image == d->medium.image && seen->readonly == d->medium.readonly) return;
    if (d->medium.image) t->out->left = d->medium.image;
    if (d->medium.image && !seen->image) d->empty_since = t->now;
    /* The command that was broken may be repeated by the host on whatever it finds. */
    if (d->medium.image && !seen->image && d->broken_at && t->now < d->broken_at + d->policy.quarantine_for) {
        d->quarantine = true;
        d->quarantine_until = d->broken_at + d->policy.quarantine_for;
        if (!d->medium.readonly) d->stale_host = true;
    }
    d->medium = *seen;
    d->cut_at = 0;
    d->generation++;
    d->loaded_since = t->now;
    reannounce_forget(d);
    d->evidence = (struct drive_evidence){.known = d->evidence.known, .shared = d->evidence.shared};
    t->out->changed = true;
}

/* An action that came back after it was overdue: nobody waits for it any more, but what it did to the medium stands. */
static void settle_late(struct turn *t, enum drive_do what, const struct drive_medium *before)
{
    bool watching = what == DO_OBSERVE || what == DO_ANNOUNCE;
    bool taken = before->image && !t->d->medium.image && !watching;
    bool raced = t->ev->evidence.bytes_written != t->d->written_before;
    t->out->changed = true;
    bool forced = what == DO_FORCE || what == DO_SIGNAL;
    if (taken && !before->readonly && (forced || raced || t->cleared >= CLEARED_BY_SIGNAL)) {
        t->d->stale_host = true;
        t->out->facts |= FACT_STALE_HOST | (raced ? FACT_RACED_WITH_WRITE : 0);
    }
    if (taken && forced) t->out->facts |= FACT_FORCED;
    t->out->host_ejected = before->image && !t->d->medium.image && watching;
    if (what == DO_ANNOUNCE) reannounce_result(t);
    if (!t->ev->result.medium_known) t->d->observe_wanted = true;
}

/* A call of which nobody knows what it did. If it took a writable medium, that was not seen to be done in peace. */
static void doubt(struct drive *d, enum drive_do what)
{
    bool takes = what == DO_ASK || what == DO_FORCE || what == DO_SIGNAL;
    if (takes && d->medium.image && !d->medium.readonly) d->stale_host = true;
    if (takes || what == DO_INSERT || what == DO_SWAP) d->observe_wanted = true;
}

void drive_on_result(struct turn *t)
{
    struct drive *d = t->d;
    const struct drive_result *r = &t->ev->result;
    if (d->outstanding == DO_NOTHING || r->ticket != d->ticket) return;
    struct drive_medium before = d->medium;
    enum drive_do what = d->outstanding;
    bool was_stuck = d->stuck;

    d->outstanding = DO_NOTHING;
    d->stuck = false;
    t->cleared = d->cleared;
    d->cleared = CLEARED_NOT;
    if (r->medium_known)
        drive_observe_medium(t, &r->medium);
    else
        doubt(d, what);
    if (t->cleared) reannounce_after_clearing(t, t->cleared); /* before or after this was done: nobody knows */
    bool left = before.image && !d->medium.image;
    if (was_stuck) {
        settle_late(t, what, &before);
        return;
    }
    if (what == DO_OBSERVE) {
        /* A drive that cannot be read is looked at again with the next hint; nothing was lost. */
        d->observed = true;
        t->out->host_ejected = left;
        return;
    }
    if (what == DO_ANNOUNCE) {
        t->out->host_ejected = left;
        reannounce_result(t);
        return;
    }
    ladder_result(t, what, left);
}

/*
 * Opening and syncing happen in the store, not in the drive: when they take too long the operation ends and the drive
 * is free, and their result will carry an old ticket. Anything else is in the kernel's hands, and so is the drive.
 */
static void overdue(struct turn *t)
{
    struct drive *d = t->d;
    enum drive_do what = d->outstanding;
    if (what == DO_OPEN || what == DO_SYNC) {
        d->outstanding = DO_NOTHING;
        d->ticket++;
        if (what == DO_OPEN) {
            drive_finish_head(t, OP_FAILED, ERR_UNAVAILABLE);
            return;
        }
        struct drive_event late = {.kind = DRIVE_RESULT, .result = {.outcome = OUTCOME_ERROR, .code = ERR_UNAVAILABLE}};
        ladder_result(&(struct turn){.d = d, .ev = &late, .now = t->now, .out = t->out}, DO_SYNC, false);
        return;
    }
    d->stuck = true;
    t->out->changed = true;
    if (d->queue_len) drive_finish_head(t, OP_FAILED, ERR_DRIVE_STUCK);
}

void drive_look_at_deadline(struct turn *t)
{
    const struct drive *d = t->d;
    if (d->outstanding != DO_NOTHING && !d->stuck && t->now >= d->outstanding_since + d->policy.stuck_after) overdue(t);
}

void drive_on_held(struct turn *t)
{
    struct drive *d = t->d;
    d->outstanding = DO_OBSERVE;
    d->outstanding_since = t->now;
    d->ticket = 0;
    d->stuck = t->out->changed = true;
    if (d->queue_len) drive_finish_head(t, OP_FAILED, ERR_DRIVE_STUCK);
}
