#include "gadget/drive.h"

#include <string.h>

#include "gadget/reannounce.h"

void drive_init(struct drive *d, const struct drive_policy *policy)
{
    *d = (struct drive){.policy = *policy, .empty_since = DRIVE_EMPTY_LONG_AGO};
}

void drive_restore(struct drive *d, bool stale_host, msec quarantine_until, uint64_t generation, msec broken_at)
{
    d->broken_at = broken_at;
    d->stale_host = stale_host;
    d->quarantine = quarantine_until != 0;
    d->quarantine_until = quarantine_until;
    d->generation = generation;
}

/* ---- the queue --------------------------------------------------------------------------------------------------- */

static void report_finish(struct turn *t, const struct drive_op *op, enum op_state state, enum err_code code)
{
    t->out->finished[t->out->finished_len++] = (struct drive_finish){
        .op = op->rq.op, .state = state, .code = code, .facts = op->facts,
        .evidence = state == OP_DONE ? op->decided_on : t->d->evidence};
    t->out->changed = true;
}

static void queue_remove(struct drive *d, size_t index)
{
    memmove(&d->queue[index], &d->queue[index + 1], (d->queue_len - index - 1) * sizeof d->queue[0]);
    d->queue_len--;
    d->queue[d->queue_len] = (struct drive_op){0}; /* equal states stay equal, for the model checker */
}

void drive_finish_head(struct turn *t, enum op_state state, enum err_code code)
{
    struct drive *d = t->d;
    report_finish(t, &d->queue[0], state, code);
    queue_remove(d, 0);
    if (state != OP_FAILED) return;
    /* They were asked for under an assumption that no longer holds. */
    while (d->queue_len > 0) {
        report_finish(t, &d->queue[0], OP_FAILED, ERR_EARLIER_FAILED);
        queue_remove(d, 0);
    }
}

static bool same_request(const struct drive_request *a, const struct drive_request *b)
{
    return a->action == b->action && a->mode == b->mode && a->patience == b->patience &&
           a->on_timeout == b->on_timeout && a->lock_policy == b->lock_policy &&
           a->allow_collateral == b->allow_collateral && a->image == b->image && a->readonly == b->readonly &&
           a->swap_direct == b->swap_direct && a->accept_stale_host == b->accept_stale_host &&
           a->reattach == b->reattach && a->only_if_empty == b->only_if_empty && a->only_if_medium == b->only_if_medium;
}

static bool is_taking_medium(const struct drive_op *op)
{
    return op->phase == PHASE_QUIET || op->phase == PHASE_ASKING || op->phase == PHASE_LOCKED || op->phase == PHASE_GAP;
}

bool drive_can_take(const struct drive_policy *p)
{
    return p->can_force || p->can_signal || p->reattach != REATTACH_NEVER;
}

bool drive_gave_up(const struct drive *d, const struct drive_action *a)
{
    return d->stuck || d->ticket != a->ticket;
}

bool drive_lock_is_lost(const struct drive *d)
{
    return d->lock_lost && d->medium.image && !d->medium.readonly;
}

static void on_request(struct turn *t)
{
    struct drive *d = t->d;
    const struct drive_request *rq = &t->ev->request;
    struct drive_op *last = d->queue_len ? &d->queue[d->queue_len - 1] : NULL;
    bool forced_eject = rq->action == OP_EJECT && rq->mode == EJECT_FORCED;

    if (d->stuck) {
        t->out->refused = ERR_DRIVE_STUCK;
        return;
    }
    if (forced_eject && d->medium.image && !drive_can_take(&d->policy)) {
        t->out->refused = ERR_FORCED_UNAVAILABLE;
        return;
    }
    if (last && same_request(&last->rq, rq)) {
        t->out->joined = last->rq.op;
        return;
    }
    if (last && forced_eject && last->rq.action == OP_EJECT && last->rq.only_if_medium == rq->only_if_medium) {
        last->rq.mode = EJECT_FORCED;
        last->hurried = true;
        t->out->joined = last->rq.op;
        t->out->changed = true;
        return;
    }
    if (d->queue_len == DRIVE_QUEUE_MAX) {
        t->out->refused = ERR_TOO_MANY_REQUESTS;
        return;
    }
    /* The pinhole does not wait for the patience of those before it. */
    if (forced_eject && d->queue_len && is_taking_medium(&d->queue[0])) d->queue[0].hurried = true;
    d->queue[d->queue_len++] = (struct drive_op){.rq = *rq, .phase = PHASE_QUEUED};
    t->out->changed = true;
}

static size_t queue_find(const struct drive *d, op_key op)
{
    size_t i = 0;
    while (i < d->queue_len && d->queue[i].rq.op != op) i++;
    return i;
}

static void on_cancel(struct turn *t)
{
    struct drive *d = t->d;
    size_t i = queue_find(d, t->ev->op);
    if (i == d->queue_len) {
        t->out->refused = ERR_NOT_FOUND;
        return;
    }
    if (d->queue[i].phase == PHASE_ASKING && !d->queue[i].force_now) { /* it waits for the host; the question is a blink */
        d->queue[i].cancelled = true;
        return;
    }
    if (drive_op_state(&d->queue[i]) == OP_RUNNING) {
        t->out->refused = ERR_TOO_LATE;
        return;
    }
    if (i == 0) {
        drive_finish_head(t, OP_CANCELLED, ERR_CANCELLED);
        return;
    }
    report_finish(t, &d->queue[i], OP_CANCELLED, ERR_CANCELLED);
    queue_remove(d, i);
}

static void on_hurry(struct turn *t)
{
    struct drive *d = t->d;
    size_t i = queue_find(d, t->ev->op);
    if (i == d->queue_len)
        t->out->refused = ERR_NOT_FOUND;
    else if (d->queue[i].phase != PHASE_QUEUED && !is_taking_medium(&d->queue[i]))
        t->out->refused = ERR_TOO_LATE;
    else if (!drive_can_take(&d->policy))
        t->out->refused = ERR_FORCED_UNAVAILABLE;
    else
        d->queue[i].hurried = t->out->changed = true;
}

/* ---- the kernel -------------------------------------------------------------------------------------------------- */

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

/* Takes note of what the kernel shows. What the host thinks of the door is no longer known when the medium changed. */
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

static void on_result(struct turn *t)
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

static bool is_overdue(const struct drive *d, msec now)
{
    return d->outstanding != DO_NOTHING && !d->stuck && now >= d->outstanding_since + d->policy.stuck_after;
}

/*
 * Opening and syncing happen in the store, not in the drive: when they take too long the operation ends and the drive
 * is free, and their result will carry an old ticket. Anything else is in the kernel's hands, and so is the drive.
 */
static void on_overdue(struct turn *t)
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

static void on_held(struct turn *t)
{
    struct drive *d = t->d;
    d->outstanding = DO_OBSERVE;
    d->outstanding_since = t->now;
    d->ticket = 0;
    d->stuck = t->out->changed = true;
    if (d->queue_len) drive_finish_head(t, OP_FAILED, ERR_DRIVE_STUCK);
}

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
static void on_break(struct turn *t)
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
static void look_into_force(struct turn *t)
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
static void look_into_storage(struct turn *t)
{
    if (t->now >= drive_cuts_at(t->d, t->now)) cut(t);
}

static void on_link(struct turn *t)
{
    struct drive *d = t->d;
    if (d->attached != t->ev->attached || d->host_present != t->ev->host_present) t->out->changed = true;
    d->attached = t->ev->attached;
    d->host_present = t->ev->host_present;
}

static void on_reenumerated(struct turn *t)
{
    struct drive *d = t->d;
    if (d->stale_host || d->quarantine) t->out->changed = true;
    d->stale_host = d->quarantine = false;
    d->broken_at = 0;
    reannounce_forget(d);
    d->evidence.lock = LOCK_UNKNOWN;
    if (!d->medium.image) d->empty_since = DRIVE_EMPTY_LONG_AGO;
}

/* ---- a turn ------------------------------------------------------------------------------------------------------ */

/* Counters come from outside; what is known of the lock is the machine's own, learnt by trying. */
static void absorb_evidence(struct drive *d, const struct drive_evidence *seen)
{
    enum lock_state lock = d->evidence.lock;
    msec lock_seen_at = d->evidence.lock_seen_at;
    d->evidence = *seen;
    d->evidence.lock = lock;
    d->evidence.lock_seen_at = lock_seen_at;
}

static void handle(struct turn *t)
{
    struct drive *d = t->d;
    switch (t->ev->kind) {
    case DRIVE_REQUEST: on_request(t); break;
    case DRIVE_RESULT: on_result(t); break;
    case DRIVE_EVIDENCE: break;
    case DRIVE_HINT_CLOSED: d->observe_wanted = true; break;
    case DRIVE_LINK: on_link(t); break;
    case DRIVE_REENUMERATED: on_reenumerated(t); break;
    case DRIVE_CANCEL: on_cancel(t); break;
    case DRIVE_HURRY: on_hurry(t); break;
    case DRIVE_ACCEPT_STALE: d->stale_host = false; break;
    case DRIVE_BREAK: on_break(t); break;
    case DRIVE_CLEARED: reannounce_after_clearing(t, t->ev->cleared); break;
    case DRIVE_HELD: on_held(t); break;
    }
}

void drive_step(struct drive *d, const struct drive_event *ev, msec now, struct drive_output *out)
{
    struct turn t = {.d = d, .ev = ev, .now = now, .out = out};
    *out = (struct drive_output){.wake = MSEC_NEVER};
    absorb_evidence(d, &ev->evidence);
    handle(&t);
    if (is_overdue(d, now)) on_overdue(&t);
    look_into_force(&t);
    look_into_storage(&t);
    if (d->quarantine && now >= d->quarantine_until) { /* time ends it for read-only media; stale_host stays */
        d->quarantine = false;
        out->changed = true;
    }
    if (d->observe_wanted && d->outstanding == DO_NOTHING) {
        d->observe_wanted = false;
        drive_act(&t, DO_OBSERVE, NULL);
    }
    if (reannounce_is_due(d, now)) reannounce(&t);
    ladder_advance(&t);

    if (d->outstanding != DO_NOTHING && !d->stuck) out->wake = d->outstanding_since + d->policy.stuck_after;
    if (d->quarantine) out->wake = MIN(out->wake, d->quarantine_until);
    out->wake = MIN(out->wake, MIN(reannounce_wake(d), ladder_wake(d)));
    out->wake = MIN(out->wake, MIN(drive_breaks_at(d, now), drive_cuts_at(d, now)));
}

/* ---- what it looks like ------------------------------------------------------------------------------------------ */

enum op_state drive_op_state(const struct drive_op *op)
{
    switch (op->phase) {
    case PHASE_QUEUED: return OP_QUEUED;
    case PHASE_QUIET:
    case PHASE_LOCKED:
    case PHASE_GAP:
    case PHASE_DWELL:
    case PHASE_QUARANTINE: return OP_WAITING;
    case PHASE_OPENING:
    case PHASE_ASKING:
    case PHASE_FORCING:
    case PHASE_SWAPPING:
    case PHASE_SYNCING:
    case PHASE_REATTACHING:
    case PHASE_INSERTING: return OP_RUNNING;
    case PHASE_FINISHED: return OP_DONE;
    }
    return OP_RUNNING;
}

enum drive_state drive_state(const struct drive *d)
{
    if (d->stuck) return STATE_STUCK;
    if (!d->attached) return STATE_DETACHED;
    enum drive_state at_rest = d->medium.image ? STATE_LOADED : d->quarantine ? STATE_QUARANTINE : STATE_EMPTY;
    if (!d->queue_len) return at_rest;
    switch (d->queue[0].phase) {
    case PHASE_QUIET:
    case PHASE_ASKING:
    case PHASE_LOCKED:
    case PHASE_GAP:
    case PHASE_FORCING:
    case PHASE_SYNCING: return STATE_EJECTING;
    case PHASE_REATTACHING: return d->queue[0].rq.action == OP_EJECT || d->medium.image ? STATE_EJECTING : STATE_INSERTING;
    case PHASE_SWAPPING:
    case PHASE_DWELL:
    case PHASE_INSERTING: return STATE_INSERTING;
    case PHASE_OPENING: return d->medium.image ? STATE_LOADED : STATE_INSERTING;
    case PHASE_QUEUED:
    case PHASE_QUARANTINE:
    case PHASE_FINISHED: return at_rest;
    }
    return at_rest;
}

bool drive_wants_samples(const struct drive *d)
{
    return d->medium.image && d->queue_len && is_taking_medium(&d->queue[0]);
}

static bool phase_has_action(enum op_phase phase)
{
    return phase == PHASE_OPENING || phase == PHASE_ASKING || phase == PHASE_FORCING || phase == PHASE_SWAPPING ||
           phase == PHASE_SYNCING || phase == PHASE_REATTACHING || phase == PHASE_INSERTING;
}

/* Looking and announcing are the drive's own affair, whatever waits meanwhile. */
static bool acts_for_nobody(const struct drive *d)
{
    return d->outstanding == DO_NOTHING || d->outstanding == DO_OBSERVE || d->outstanding == DO_ANNOUNCE;
}

const char *drive_check(const struct drive *d)
{
    for (size_t i = 1; i < d->queue_len; i++)
        if (d->queue[i].phase != PHASE_QUEUED) return "only the head of the queue is under way";
    if (d->stuck && d->queue_len) return "a stuck drive has an empty queue";
    if (d->cut_at && (!d->medium.image || !d->policy.can_cut)) return "storage is cut only where it may be";
    if (d->stuck && d->outstanding == DO_NOTHING) return "a stuck drive has an action outstanding";
    if (d->queue_len) {
        const struct drive_op *op = &d->queue[0];
        bool acting = !acts_for_nobody(d);
        if (phase_has_action(op->phase) != acting) return "a phase with an action has it outstanding, the others have none";
        if (op->phase == PHASE_INSERTING && d->medium.image) return "insert only into an empty drive";
        if (op->phase == PHASE_INSERTING && !op->rq.readonly && d->stale_host && !op->rq.accept_stale_host)
            return "nothing writable goes in under a stale host";
        if (op->phase == PHASE_INSERTING && d->quarantine) return "nothing goes in during quarantine";
    } else if (!acts_for_nobody(d) && !d->stuck) {
        return "an action belongs to an operation";
    }
    return NULL;
}
