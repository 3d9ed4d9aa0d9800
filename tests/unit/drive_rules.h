/*
 * drive_rules.h - what must hold in the world of one drive, beside the invariants of drive_check():
 *
 *   one call       no action for the kernel while another one is outstanding there
 *   empty insert   an image goes only into a drive that the kernel shows empty
 *   no old bytes   nothing writable goes in while the host may hold writes for an older medium, unless accepted
 *   permission     force only for a forced eject, by /force, after patience with on_timeout=force, or by the
 *                  release_when_quiet policy on a read-only medium that is quiet
 *   quiet          a writable medium that the host wrote to within `quiet` is not asked for
 *   dwell          the host had time to see the drive empty
 *   once           each operation ends exactly once
 *   order          ... in the order of acceptance (but for cancellations)
 *   truth          "done" only when the kernel shows what was asked for
 *   fail behind    a failure ends all that was queued behind it
 *   signal         I/O is broken, or a signal sent, once for a decision, and only where the thread is seen to wait for
 *                  the host or to be at rest
 *   cut            storage is cut only where that is allowed, only while the thread waits for it, once for a medium, and
 *                  only by permission to force, because the host's patience ends, or by the operator
 *   in quarantine  nothing goes in while the host may repeat a command that was broken
 *   wake           an operation that waits has a time at which it is looked at again
 *
 * What trayd promises, the rules that hold it here and with several drives in a function (function_rules.h), and the faults
 * that are planted to see that each rule can fail. The tests demand that no rule is without one.
 *
 *   promise                                   rule            planted: one drive            planted: several
 *   no write to the kernel beside another     one call        forget_outstanding            forget_outstanding
 *     ... also across a restart               one call                                      FAULT_LOCK_FILE_IGNORED
 *   no signal to a thread that waits for      signal          break_in_storage,             signal_the_storage
 *     storage, or for what is not known                       break_unknown
 *     ... nor a second one for a decision     signal          signal_twice
 *   nothing goes in during a quarantine       in quarantine,  forget_break,                 forget_breaks,
 *                                             drive_check     forget_quarantine             FAULT_BREAK_IS_A_SIGNAL
 *   nothing writable goes in under a stale    no old bytes;   forget_stale                  insert_writable,
 *     host, unless accepted                   stale insert,                                 FAULT_STALE_FORGOTTEN
 *                                             old bytes
 *   each request is answered exactly once     once, wake;     say_twice, say_nothing,       say_twice, forget_wake,
 *                                             for ever        forget_wake                   never_ask_again
 *   "done" only when the kernel shows it      truth           lie                           lie
 *   force only where it is permitted          permission      force_early                   force_early
 *   the order of acceptance is kept           order           finish_last                   finish_last
 *   a failure ends what is queued behind it   fail behind     keep_behind                   keep_behind
 *   a host that does not lock is not robbed   quiet; robbed   forget_quiet                  forget_lost_locks,
 *                                                                                           FAULT_NOT_WITHDRAWN
 *   the host sees the drive empty             dwell           forget_dwell
 *   an image goes into an empty drive         empty insert    forget_medium                 forget_medium
 *   storage is cut only where it may be       cut             cut_blindly, cut_anything,
 *                                                             forget_cut
 *   no other drive is disturbed               collateral,                                   FAULT_COLLATERAL_UNSEEN,
 *                                             announce,                                     announce_all,
 *                                             old cache                                     forget_to_announce
 */
#pragma once

#include "tests/unit/drive_world.h"

static const char *const rules[] = {
    "one call", "empty insert", "no old bytes", "permission", "quiet", "dwell", "once", "order", "truth", "fail behind",
    "signal", "cut", "in quarantine", "wake",
};

static inline void violated(struct world *w, const char *what)
{
    if (!w->violation) w->violation = what;
}

static const struct drive_request *asked(const struct world *w, op_key op)
{
    return &menu[w->ops[op - 1].menu_index];
}

static inline bool may_force(const struct world *w, const struct drive_op *op)
{
    const struct drive_request *rq = asked(w, op->rq.op);
    if (!w->kernel.image) return true; /* the host was faster; forcing an empty drive does nothing */
    if (rq->mode == EJECT_FORCED || w->ops[op->rq.op - 1].hurried) return true;
    if (w->now < op->patience_until) return false;
    if (rq->on_timeout == ON_TIMEOUT_FORCE) return true;
    return rq->lock_policy == LOCK_RELEASE_WHEN_QUIET && w->kernel.readonly &&
           w->now - w->read_at >= policy.release_quiet;
}

static inline bool busy(const struct world *w)
{
    return w->waiting != WAITING_NOTHING || w->now - MAX(w->read_at, w->written_at) < STEP_MS;
}

static inline void check_break(struct world *w)
{
    if (w->waiting != WAITING_HOST) violated(w, "signal");
    if (!w->operator_breaks && (!w->d.queue_len || !may_force(w, &w->d.queue[0]))) violated(w, "permission");
    w->waiting = WAITING_NOTHING;
    w->haunted_until = w->now + policy.quarantine_for;
}

static inline void check_cut(struct world *w)
{
    bool by_force = w->d.queue_len && may_force(w, &w->d.queue[0]), by_patience = w->cut_at && w->now >= w->cut_at;
    if (!policy.can_cut || w->waiting != WAITING_STORAGE || w->cut) violated(w, "cut");
    if (!w->operator_breaks && !by_force && !by_patience) violated(w, "permission");
    w->cut = w->kernel.image != 0; /* the host may have ejected it, and the machine not know yet */
    w->waiting = WAITING_NOTHING;
    w->cut_at = 0;
}

static inline void check_action(struct world *w, const struct drive_action *a)
{
    const struct drive_op *head = &w->d.queue[0];
    bool to_store = a->what == DO_OPEN || a->what == DO_SYNC;
    if (!to_store && w->in_kernel.what != DO_NOTHING) violated(w, "one call");
    if (a->what == DO_INSERT && w->kernel.image) violated(w, "empty insert");
    if ((a->what == DO_INSERT || a->what == DO_SWAP) && !a->readonly && w->dangerous &&
        !asked(w, a->op)->accept_stale_host)
        violated(w, "no old bytes");
    if ((a->what == DO_FORCE || a->what == DO_SIGNAL || (a->what == DO_REATTACH && a->eject)) && !may_force(w, head))
        violated(w, "permission");
    if (a->what == DO_SIGNAL && w->waiting != WAITING_NOTHING && w->waiting != WAITING_HOST) violated(w, "signal");
    if (a->what == DO_SIGNAL && w->ops[a->op - 1].signalled) violated(w, "signal");
    if (a->what == DO_SIGNAL && busy(w)) w->haunted_until = w->now + policy.quarantine_for;
    if (a->what == DO_SIGNAL) w->ops[a->op - 1].signalled = true;
    if ((a->what == DO_INSERT || a->what == DO_SWAP) && w->now < w->haunted_until) violated(w, "in quarantine");
    bool gently = a->what == DO_SWAP || (a->what == DO_ASK && !may_force(w, head));
    if (gently && !w->kernel.readonly && w->kernel.image && w->written_at &&
        w->now - w->written_at < policy.quiet)
        violated(w, "quiet");
    if (a->what == DO_INSERT && w->d.host_present && w->removed_at && w->now - w->removed_at < policy.dwell)
        violated(w, "dwell");
}

static inline void check_finish(struct world *w, const struct drive_output *out, size_t queued_before)
{
    for (size_t i = 0; i < out->finished_len; i++) {
        const struct drive_finish *f = &out->finished[i];
        struct asked *a = &w->ops[f->op - 1];
        const struct drive_request *rq = asked(w, f->op);
        if (a->finished) violated(w, "once");
        a->finished = true;
        for (op_key earlier = 1; earlier < f->op && f->state != OP_CANCELLED; earlier++)
            if (!w->ops[earlier - 1].finished) violated(w, "order");
        if (f->state == OP_DONE && rq->action == OP_EJECT && w->kernel.image) violated(w, "truth");
        if (f->state == OP_DONE && rq->action == OP_INSERT &&
            (w->kernel.image != rq->image || w->kernel.readonly != rq->readonly))
            violated(w, "truth");
        if (f->state == OP_FAILED && f->code != ERR_EARLIER_FAILED &&
            (w->d.queue_len || out->finished_len - i < queued_before - i))
            violated(w, "fail behind");
    }
    if (queued_before != out->finished_len + w->d.queue_len) violated(w, "once");
}

static inline void check_rest(struct world *w)
{
    const char *broken = drive_check(&w->d);
    if (broken) violated(w, broken);
    if (w->d.queue_len && w->d.outstanding == DO_NOTHING && w->wake == MSEC_NEVER) violated(w, "wake");
    if (w->d.outstanding != DO_NOTHING && !w->d.stuck && w->wake == MSEC_NEVER) violated(w, "wake");
}
