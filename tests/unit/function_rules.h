/*
 * function_rules.h - what must hold in the world of several drives, beside the invariants of drive_check(). drive_rules.h
 * has the table of what trayd promises, which rules hold it, and which planted faults try them.
 *
 *   one call       nothing for a drive while another order of it is outstanding, and nothing for a function while a worker of
 *                  an earlier process is in a call there
 *   signal         a function's thread is signalled only where it is seen to wait for the host, or for nothing; in a moment
 *                  without I/O only for nothing, when the signal is sent
 *   permission     force, and breaking I/O, only where the request, /force, or the end of its patience allows it, or an operator
 *   robbed         a question takes no writable medium that the host has mounted
 *   in quarantine  no other medium is put in while the host still waits for a command that was broken
 *   stale insert   nothing writable goes in while the drive is marked stale, unless accepted
 *   old bytes      no command and no dirty page reaches a medium that it was not meant for, unless that was accepted
 *   old cache      no host goes on with what it has cached of an older medium, and nobody means to tell it
 *   announce       no medium is announced again that the host has yet to write to
 *   empty insert   an image goes only into a drive that the kernel shows empty
 *   collateral     no reattach while another drive's writable medium is in use, unless allowed
 *   once, order    each operation ends exactly once, on each drive in the order of acceptance (but for cancellations)
 *   truth          "done" only when the kernel shows what was asked for
 *   fail behind    a failure ends all that was queued behind it
 *   wake           an operation that waits has a time at which it is looked at again
 *   for ever       from any state on, with a host and a storage that behave, all operations end
 */
#pragma once

#include "tests/unit/function_world.h"

static const char *const rules[] = {
    "one call", "signal", "permission", "robbed", "in quarantine", "stale insert", "old bytes", "old cache", "announce",
    "empty insert", "collateral", "once", "order", "truth", "fail behind", "wake", "for ever",
};

static bool breaking_by_operator;

static inline bool may_force(const struct world *w, const struct drive_op *op)
{
    const struct drive_request *rq = request_of(w, op->rq.op);
    if (rq->mode == EJECT_FORCED || w->ops[op->rq.op - 1].hurried) return true;
    return rq->on_timeout == ON_TIMEOUT_FORCE && w->now >= op->patience_until;
}

static inline void check_signal(struct world *w, size_t i, bool breaks)
{
    enum waiting_for waits = thread_waits_for(w, function_of(i));
    if (waits == WAITING_STORAGE || (breaks && waits != WAITING_HOST)) violated(w, "signal");
    if (!breaking_by_operator && (!w->d[i].queue_len || !may_force(w, &w->d[i].queue[0]))) violated(w, "permission");
}

static inline void check_action(struct world *w, size_t i, const struct drive_action *a)
{
    const struct drive_op *head = &w->d[i].queue[0];
    bool takes = a->what == DO_FORCE || (a->what == DO_REATTACH && a->eject);
    if (takes && w->luns[i].medium.image && !may_force(w, head)) violated(w, "permission");
    if (a->what == DO_SIGNAL) check_signal(w, i, false);
    if ((a->what == DO_INSERT || a->what == DO_SWAP) && !a->readonly && w->d[i].stale_host &&
        !request_of(w, a->op)->accept_stale_host)
        violated(w, "stale insert");
}

static inline void check_order(struct world *w, size_t i, const struct drive_action *a)
{
    const struct host_command *c = &w->luns[i].command;
    if ((a->what == DO_INSERT || a->what == DO_SWAP) && c->present && !c->in_thread && c->meant_for != a->image)
        violated(w, "in quarantine");
    const struct function *f = &w->functions[function_of(i)];
    for (size_t k = 0; k < f->orders_len; k++)
        if (f->orders[k].drive == i) violated(w, "one call");
}

static inline void check_delivery(struct world *w, size_t i, image_key meant_for)
{
    const struct lun *l = &w->luns[i];
    if (l->medium.image && l->medium.image != meant_for && !l->accepted) violated(w, "old bytes");
}

static inline void check_cache(struct world *w, size_t i)
{
    const struct lun *l = &w->luns[i];
    const struct drive *d = &w->d[i];
    bool known = w->down || d->unannounced || d->cleared != CLEARED_NOT;
    if (l->medium.image && l->believes && l->believes != l->medium.image && !l->changed && !known) violated(w, "old cache");
}

static inline void check_collateral(struct world *w)
{
    for (size_t i = 0; i < DRIVES; i++) {
        const struct lun *l = &w->luns[i];
        if (i != w->reattach_for && l->medium.image && !l->medium.readonly && l->holds && !w->reattach_allowed)
            violated(w, "collateral");
    }
}

static inline bool is_as_asked(const struct world *w, size_t i, const struct drive_request *rq)
{
    const struct drive_medium *m = &w->luns[i].medium;
    return rq->action == OP_EJECT ? !m->image : m->image == rq->image && m->readonly == rq->readonly;
}

static inline void check_finish(struct world *w, size_t i, const struct drive_output *out, size_t queued_before)
{
    for (size_t k = 0; k < out->finished_len; k++) {
        const struct drive_finish *f = &out->finished[k];
        struct asked *a = &w->ops[f->op - 1];
        if (a->finished || a->drive != i) violated(w, "once");
        a->finished = true;
        for (size_t e = 0; e < OPS_MAX && f->state != OP_CANCELLED; e++) {
            const struct asked *earlier = &w->ops[e];
            if (earlier->number && earlier->drive == i && !earlier->finished && earlier->number < a->number) violated(w, "order");
        }
        if (f->state == OP_DONE && !is_as_asked(w, i, request_of(w, f->op))) violated(w, "truth");
        if (f->state == OP_FAILED && f->code != ERR_EARLIER_FAILED &&
            (w->d[i].queue_len || out->finished_len - k < queued_before - k))
            violated(w, "fail behind");
    }
    if (queued_before != out->finished_len + w->d[i].queue_len) violated(w, "once");
}

static inline void check_rest(struct world *w, size_t i)
{
    const struct drive *d = &w->d[i];
    const char *broken = drive_check(d);
    if (broken) violated(w, broken);
    bool waits = d->outstanding == DO_NOTHING ? d->queue_len > 0 && d->observed : !d->stuck;
    if (waits && w->wake[i] == MSEC_NEVER) violated(w, "wake");
}
