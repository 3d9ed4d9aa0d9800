#include "gadget/ladder.h"

#include "gadget/reannounce.h"

/* ---- what the decisions are made on ------------------------------------------------------------------------------ */

static bool writes_are_quiet(const struct drive *d, msec now)
{
    if (d->medium.readonly) return true;
    if (!d->evidence.known) return false;
    return d->evidence.last_write_at == 0 || now - d->evidence.last_write_at >= d->policy.quiet;
}

static bool reads_are_quiet(const struct drive *d, msec now)
{
    msec since = MAX(d->evidence.last_read_at, d->loaded_since);
    return d->evidence.known && now - since >= d->policy.release_quiet;
}

/*
 * A swap leaves no moment in which a late write would be noticed, so it never replaces a writable medium. Nor does it
 * put one in: the kernel takes `ro` in an empty drive only (fsg_store_ro() in storage_common.c). Nor is it made while the
 * host may repeat a command that was broken: it would go on in the new medium.
 */
static bool swaps_in_place(const struct drive *d, const struct drive_op *op, msec now)
{
    bool broken = d->broken_at && now < d->broken_at + d->policy.quarantine_for;
    return op->rq.action == OP_INSERT && op->rq.swap_direct && d->medium.readonly && op->rq.readonly && !broken;
}

/* A swap waits for the command in flight, and if that is broken, the host repeats it in the new medium. */
static bool in_mid_command(const struct drive *d)
{
    return d->evidence.known && (d->evidence.waiting_for == WAITING_HOST || d->evidence.waiting_for == WAITING_STORAGE);
}

/* ---- rungs ------------------------------------------------------------------------------------------------------- */

static void enter(struct turn *t, struct drive_op *op, enum op_phase phase, enum drive_do what)
{
    op->phase = phase;
    if (what == DO_ASK || what == DO_FORCE || what == DO_SIGNAL || what == DO_SWAP || what == DO_REATTACH) {
        op->was_readonly = t->d->medium.readonly;
        op->was_locked = t->d->evidence.lock == LOCK_LOCKED;
        op->decided_on = t->d->evidence;
        if (t->d->cut_at) op->facts |= FACT_CUT;
    }
    if (what != DO_ASK || ++op->asked == 1) t->out->changed = true; /* asking again looks the same from outside */
    drive_act(t, what, op);
}

static void wait_in(struct turn *t, struct drive_op *op, enum op_phase phase, msec next_at)
{
    if (op->phase != phase && op->asked <= 1) t->out->changed = true;
    op->phase = phase;
    op->next_at = next_at;
}

/* SIGUSR1 with the eject behind it. Only to a thread that is seen to be at rest or to wait for the host. */
static void signal_thread(struct turn *t, struct drive_op *op, bool breaks)
{
    op->broke = true;
    if (breaks) {
        op->facts |= FACT_BROKE_IO;
        op->broken_before = t->d->broken_at;
        t->d->broken_at = t->now;
    }
    enter(t, op, PHASE_FORCING, DO_SIGNAL);
    t->out->action.breaks = breaks;
    reannounce_after_clearing(t, breaks ? CLEARED_BY_BREAK : CLEARED_BY_SIGNAL);
}

/*
 * Force, on a kernel without forced_eject: a signal in a moment without I/O does no harm, so such a moment is looked
 * for; a host that leaves none is disconnected, or, where that is not allowed, interrupted, at the price of a quarantine.
 */
static void force_without_attribute(struct turn *t, struct drive_op *op)
{
    struct drive *d = t->d;
    const struct drive_evidence *ev = &d->evidence;
    bool can_signal = d->policy.can_signal && ev->known && !op->broke;
    bool at_rest = ev->waiting_for == WAITING_NOTHING;
    bool idle = at_rest && t->now - MAX(ev->last_read_at, ev->last_write_at) >= DRIVE_GAP;
    if (op->gap_until == 0)
        op->gap_until = t->now + (d->policy.reattach == REATTACH_NEVER ? DRIVE_GAP_BUDGET : DRIVE_GAP_SHORT);
    if (can_signal && idle) {
        signal_thread(t, op, false);
    } else if (can_signal && t->now < op->gap_until) {
        wait_in(t, op, PHASE_GAP, MIN(t->now + DRIVE_GAP_LOOK, op->gap_until));
    } else if (d->policy.reattach != REATTACH_NEVER && ev->waiting_for != WAITING_STORAGE) {
        enter(t, op, PHASE_REATTACHING, DO_REATTACH);
        t->out->action.eject = true;
    } else if (can_signal && (at_rest || ev->waiting_for == WAITING_HOST)) {
        signal_thread(t, op, true);
    } else if (can_signal && t->now < op->patience_until) { /* just now it computes, or waits for the disk */
        wait_in(t, op, PHASE_GAP, MIN(t->now + DRIVE_GAP_LOOK, op->patience_until));
    } else {
        drive_finish_head(t, OP_FAILED, d->policy.can_signal || op->broke ? ERR_MEDIUM_IN_USE : ERR_FORCED_UNAVAILABLE);
    }
}

static void force(struct turn *t, struct drive_op *op)
{
    if (t->d->policy.can_force)
        enter(t, op, PHASE_FORCING, DO_FORCE);
    else if (op->asked == 0)
        enter(t, op, PHASE_ASKING, DO_ASK); /* a host that does not lock needs no more */
    else
        force_without_attribute(t, op);
}

/* Patience has ended with the medium still in: what the request, or the drive's policy, says for that case. */
static void patience_ends(struct turn *t, struct drive_op *op)
{
    const struct drive *d = t->d;
    bool release = op->rq.lock_policy == LOCK_RELEASE_WHEN_QUIET && d->medium.readonly &&
                   d->evidence.lock == LOCK_LOCKED && reads_are_quiet(d, t->now) && drive_can_take(&d->policy);
    if (op->rq.on_timeout == ON_TIMEOUT_FORCE || release) {
        op->force_now = true;
        force(t, op);
    } else {
        drive_finish_head(t, OP_FAILED, ERR_MEDIUM_IN_USE);
    }
}

/* Rungs 0 and 1, and the way to rung 2: one look at a medium that must come out. */
static void take_medium(struct turn *t, struct drive_op *op)
{
    struct drive *d = t->d;
    bool locked = op->phase == PHASE_LOCKED, retrying = locked || op->phase == PHASE_GAP;
    bool swap = swaps_in_place(d, op, t->now);
    if (op->hurried || op->force_now) {
        if (retrying && op->force_now && t->now < op->next_at) return; /* between two tries, or two looks */
        op->force_now = true;
        if (op->hurried || op->rq.mode == EJECT_FORCED)
            force(t, op);
        else
            patience_ends(t, op); /* is it still quiet enough for the policy? */
    } else if (drive_lock_is_lost(d) && t->now < op->patience_until) {
        wait_in(t, op, PHASE_LOCKED, op->patience_until); /* asked, the kernel would say yes: it has forgotten the lock */
    } else if (drive_lock_is_lost(d)) {
        patience_ends(t, op);
    } else if (locked && t->now < op->next_at && t->now < op->patience_until) {
        return;
    } else if (locked && t->now >= op->patience_until) {
        patience_ends(t, op);
    } else if (writes_are_quiet(d, t->now) && !(swap && in_mid_command(d))) {
        enter(t, op, swap ? PHASE_SWAPPING : PHASE_ASKING, swap ? DO_SWAP : DO_ASK);
    } else if (t->now >= op->patience_until) {
        patience_ends(t, op);
    } else {
        msec quiet_at = d->evidence.known ? d->evidence.last_write_at + d->policy.quiet : MSEC_NEVER;
        wait_in(t, op, PHASE_QUIET, swap ? t->now + DRIVE_GAP_LOOK : quiet_at);
    }
}

/* ---- the way in -------------------------------------------------------------------------------------------------- */

static bool stale_forbids(const struct drive *d, const struct drive_op *op)
{
    return d->stale_host && !op->rq.readonly && !op->rq.accept_stale_host && !op->rq.reattach;
}

static void reattach(struct turn *t, struct drive_op *op)
{
    if (t->d->policy.reattach == REATTACH_NEVER)
        drive_finish_head(t, OP_FAILED, ERR_REATTACH_NOT_ALLOWED);
    else
        enter(t, op, PHASE_REATTACHING, DO_REATTACH);
}

/* The drive is empty: quarantine, stale host, dwell, and then the image. */
static void put_medium(struct turn *t, struct drive_op *op)
{
    struct drive *d = t->d;
    if (!d->attached) {
        drive_finish_head(t, OP_FAILED, ERR_GADGET_DETACHED);
    } else if ((d->quarantine || d->stale_host) && op->rq.reattach) {
        reattach(t, op);
    } else if (d->quarantine) {
        if (t->now >= op->patience_until)
            drive_finish_head(t, OP_FAILED, ERR_QUARANTINE);
        else
            wait_in(t, op, PHASE_QUARANTINE, MIN(d->quarantine_until, op->patience_until));
    } else if (stale_forbids(d, op)) {
        drive_finish_head(t, OP_FAILED, ERR_STALE_HOST);
    } else if (d->host_present && d->empty_since != DRIVE_EMPTY_LONG_AGO && t->now < d->empty_since + d->policy.dwell) {
        wait_in(t, op, PHASE_DWELL, d->empty_since + d->policy.dwell);
    } else {
        enter(t, op, PHASE_INSERTING, DO_INSERT);
    }
}

/* ---- phases ------------------------------------------------------------------------------------------------------ */

/* "It is so already" is said only of what the kernel shows now: a host's own eject may be on its way to us. */
static bool verify(struct turn *t, struct drive_op *op)
{
    if (op->verified) return true;
    op->verified = true;
    drive_act(t, DO_OBSERVE, NULL);
    return false;
}

static void begin_insert(struct turn *t, struct drive_op *op)
{
    const struct drive *d = t->d;
    if (!d->attached) {
        drive_finish_head(t, OP_FAILED, ERR_GADGET_DETACHED);
    } else if (d->medium.image == op->rq.image) {
        if (!verify(t, op)) return;
        bool same = d->medium.readonly == op->rq.readonly;
        op->facts |= same ? FACT_UNCHANGED : 0;
        drive_finish_head(t, same ? OP_DONE : OP_FAILED, same ? ERR_NONE : ERR_MEDIUM_DIFFERS);
    } else if (stale_forbids(d, op)) {
        drive_finish_head(t, OP_FAILED, ERR_STALE_HOST); /* before the old medium is taken out for nothing */
    } else {
        enter(t, op, PHASE_OPENING, DO_OPEN);
    }
}

static void begin(struct turn *t, struct drive_op *op)
{
    const struct drive *d = t->d;
    op->started_at = t->now;
    op->patience_until = t->now + op->rq.patience;
    if ((op->rq.only_if_empty && d->medium.image) || (op->rq.only_if_medium && op->rq.only_if_medium != d->generation)) {
        drive_finish_head(t, OP_FAILED, ERR_PRECONDITION);
    } else if (op->rq.action == OP_INSERT) {
        begin_insert(t, op);
    } else if (!d->medium.image) {
        if (!verify(t, op)) return;
        op->facts |= FACT_UNCHANGED;
        drive_finish_head(t, OP_DONE, ERR_NONE);
    } else {
        op->force_now = op->rq.mode == EJECT_FORCED;
        take_medium(t, op);
    }
}

/* The medium is out, by whatever hand. */
static void after_eject(struct turn *t, struct drive_op *op)
{
    if (op->rq.action == OP_INSERT)
        put_medium(t, op);
    else
        drive_finish_head(t, OP_DONE, ERR_NONE);
}

static void look_at_head(struct turn *t)
{
    struct drive_op *op = &t->d->queue[0];
    switch (op->phase) {
    case PHASE_QUEUED: begin(t, op); break;
    case PHASE_QUIET:
    case PHASE_LOCKED:
    case PHASE_GAP:
        if (t->d->medium.image)
            take_medium(t, op);
        else
            after_eject(t, op); /* the host was faster */
        break;
    case PHASE_DWELL:
    case PHASE_QUARANTINE:
        if (t->d->medium.image)
            drive_finish_head(t, OP_FAILED, ERR_PRECONDITION); /* somebody else put something in */
        else
            put_medium(t, op);
        break;
    case PHASE_OPENING:
    case PHASE_ASKING:
    case PHASE_FORCING:
    case PHASE_SWAPPING:
    case PHASE_SYNCING:
    case PHASE_REATTACHING:
    case PHASE_INSERTING:
    case PHASE_FINISHED: break;
    }
}

void ladder_advance(struct turn *t)
{
    struct drive *d = t->d;
    while (d->queue_len && d->outstanding == DO_NOTHING && d->observed) {
        op_key op = d->queue[0].rq.op;
        look_at_head(t);
        if (d->queue_len && d->queue[0].rq.op == op) break; /* it waits for something, or acts */
    }
}

/* ---- results ----------------------------------------------------------------------------------------------------- */

/* A writable medium that was taken while the host might still hold writes for it leaves a dangerous host behind. */
static void medium_taken(struct turn *t, struct drive_op *op, bool forced)
{
    struct drive *d = t->d;
    bool raced = !op->was_readonly && t->ev->evidence.bytes_written != d->written_before;
    bool unlocked_by_us = t->cleared >= CLEARED_BY_SIGNAL; /* by a signal for a sibling: the host may have it mounted */
    if (forced) op->facts |= FACT_FORCED;
    if (forced && op->was_locked) op->facts |= FACT_LOCK_OVERRIDDEN;
    if (raced) op->facts |= FACT_RACED_WITH_WRITE;
    if (!op->was_readonly && (forced || raced || unlocked_by_us)) {
        d->stale_host = true;
        op->facts |= FACT_STALE_HOST;
    }
    t->out->facts = op->facts;
    if (op->was_readonly)
        after_eject(t, op);
    else
        enter(t, op, PHASE_SYNCING, DO_SYNC);
}

static void locked(struct turn *t, struct drive_op *op)
{
    bool go_on = op->force_now && !t->d->policy.can_force;
    if (op->cancelled) {
        drive_finish_head(t, OP_CANCELLED, ERR_CANCELLED);
        return;
    }
    if (!t->cleared) {
        if (t->d->evidence.lock != LOCK_LOCKED) t->out->changed = true;
        t->d->evidence.lock = LOCK_LOCKED;
        t->d->evidence.lock_seen_at = t->now;
    }
    wait_in(t, op, PHASE_LOCKED, t->now + (go_on ? 0 : DRIVE_ASK_EVERY));
}

static void force_was_busy(struct turn *t, struct drive_op *op)
{
    if (++op->force_tries >= DRIVE_FORCE_TRIES)
        drive_finish_head(t, OP_FAILED, ERR_MEDIUM_IN_USE);
    else
        wait_in(t, op, PHASE_LOCKED, t->now + DRIVE_FORCE_RETRY);
}

/* At the last look before it, the thread was no longer where a signal does what is meant. */
static void signal_was_not_sent(struct drive *d, struct drive_op *op)
{
    op->broke = false;
    if (!(op->facts & FACT_BROKE_IO)) return;
    op->facts &= ~(unsigned)FACT_BROKE_IO;
    d->broken_at = op->broken_before;
}

static void inserted(struct turn *t, struct drive_op *op)
{
    bool as_wanted = t->d->medium.image == op->rq.image && t->d->medium.readonly == op->rq.readonly;
    if (as_wanted && !op->rq.readonly && op->rq.accept_stale_host) t->d->stale_host = false;
    drive_finish_head(t, as_wanted ? OP_DONE : OP_FAILED, as_wanted ? ERR_NONE : ERR_INTERNAL);
}

/* The host has seen a disconnect: what it held for an older medium is gone. */
static void reattached(struct turn *t, struct drive_op *op, bool medium_left)
{
    struct drive *d = t->d;
    d->stale_host = d->quarantine = false;
    d->broken_at = 0;
    reannounce_forget(d);
    d->empty_since = DRIVE_EMPTY_LONG_AGO;
    op->facts |= FACT_REATTACHED | (medium_left ? FACT_FORCED : 0);
    t->out->facts = op->facts;
    if (d->medium.image)
        drive_finish_head(t, OP_FAILED, ERR_MEDIUM_IN_USE);
    else if (medium_left && !op->was_readonly)
        enter(t, op, PHASE_SYNCING, DO_SYNC);
    else
        after_eject(t, op);
}

void ladder_result(struct turn *t, enum drive_do what, bool medium_left)
{
    struct drive *d = t->d;
    struct drive_op *op = &d->queue[0];
    const struct drive_result *r = &t->ev->result;
    bool busy = r->outcome == OUTCOME_BUSY;

    if (what == DO_SYNC) {
        /* What was lost when the storage was cut may have been reported to somebody else (errseq.h in the kernel). */
        if (r->outcome != OUTCOME_OK || (op->facts & FACT_CUT)) op->facts |= FACT_NOT_DURABLE;
        after_eject(t, op);
    } else if (medium_left && (what == DO_ASK || what == DO_FORCE || what == DO_SIGNAL)) {
        medium_taken(t, op, what != DO_ASK || op->broke || (op->force_now && !d->policy.can_force));
    } else if (r->outcome == OUTCOME_ERROR && what != DO_SIGNAL) {
        drive_finish_head(t, OP_FAILED, r->code);
    } else if (what == DO_ASK || (what == DO_SWAP && busy)) {
        locked(t, op); /* also an eject that "succeeded" and left the medium in: only the read-back counts */
    } else if (what == DO_FORCE) {
        force_was_busy(t, op);
    } else if (what == DO_SIGNAL) {
        if (r->code == ERR_FORCED_UNAVAILABLE) signal_was_not_sent(d, op);
        wait_in(t, op, PHASE_GAP, t->now + DRIVE_GAP_LOOK); /* one signal for one decision: what is left is the reattach */
    } else if (what == DO_OPEN) {
        if (d->medium.image) {
            op->force_now = op->rq.mode == EJECT_FORCED;
            take_medium(t, op);
        } else {
            put_medium(t, op);
        }
    } else if (what == DO_SWAP && t->cleared == CLEARED_BY_BREAK) {
        /* It waited for the command that was broken, which the host may repeat in the new medium: out with that. */
        enter(t, op, PHASE_ASKING, DO_ASK);
    } else if (what == DO_REATTACH) {
        reattached(t, op, medium_left);
    } else {
        inserted(t, op);
    }
}

msec ladder_wake(const struct drive *d)
{
    if (!d->queue_len || d->outstanding != DO_NOTHING) return MSEC_NEVER;
    const struct drive_op *op = &d->queue[0];
    switch (op->phase) {
    case PHASE_GAP: return op->next_at;
    case PHASE_QUIET:
    case PHASE_LOCKED: return MIN(op->next_at, op->patience_until);
    case PHASE_DWELL:
    case PHASE_QUARANTINE: return op->next_at;
    case PHASE_QUEUED:
    case PHASE_OPENING:
    case PHASE_ASKING:
    case PHASE_FORCING:
    case PHASE_SWAPPING:
    case PHASE_SYNCING:
    case PHASE_REATTACHING:
    case PHASE_INSERTING:
    case PHASE_FINISHED: return MSEC_NEVER;
    }
    return MSEC_NEVER;
}
