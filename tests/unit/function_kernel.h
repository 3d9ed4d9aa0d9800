/*
 * function_kernel.h - the kernel and the workers in the world of several drives: one order at a time for each function,
 * which waits for the command in flight; signals; the controller.
 */
#pragma once

#include "tests/unit/function_daemon.h"

/* ---- orders ------------------------------------------------------------------------------------------------------ */

/* What the worker has begun reaches the kernel before a command or a signal that comes after it. */
static inline void order_reaches_kernel(struct world *w, size_t function)
{
    struct order *o = &w->functions[function].orders[0];
    enum drive_do what = o->action.what;
    bool asks = what == DO_ASK || what == DO_SWAP || what == DO_ANNOUNCE || what == DO_INSERT;
    if (!w->functions[function].orders_len || !o->begun || !asks || o->denied || o->passed) return;
    o->denied = w->luns[o->drive].prevented;
    o->passed = !o->denied;
}

static inline void begin_next(struct world *w, size_t function)
{
    struct function *f = &w->functions[function];
    struct order *o = &f->orders[0];
    if (!f->orders_len || o->begun || (f->old && fault != FAULT_LOCK_FILE_IGNORED)) return;
    o->begun = true;
    o->begun_at = w->now;
    if (is_blocked(w, function)) order_reaches_kernel(w, function);
}

static inline void kernel_take_order(struct world *w, size_t i, const struct drive_action *a)
{
    struct function *f = &w->functions[function_of(i)];
    check_order(w, i, a);
    if (f->orders_len == ORDERS_MAX) {
        violated(w, "one call");
        return;
    }
    struct order *o = &f->orders[f->orders_len++];
    *o = (struct order){.drive = i, .action = *a, .given_at = w->now};
    o->unsent = a->what == DO_SIGNAL && !a->breaks;
    if (a->what == DO_SIGNAL && a->breaks) o->denied = !kernel_signal(w, function_of(i), true);
    begin_next(w, function_of(i));
}

static inline bool order_can_run(const struct world *w, size_t function, const struct order *o)
{
    if (o->unsent || (o->denied && o->action.what != DO_SIGNAL)) return true;
    return !is_blocked(w, function);
}

static inline void medium_leaves(struct world *w, size_t i)
{
    struct lun *l = &w->luns[i];
    l->medium = (struct drive_medium){0};
    l->prevented = l->holds = l->accepted = false; /* what the host had open is gone; its dirty pages are not */
}

static inline void medium_comes(struct world *w, size_t i, const struct drive_action *a)
{
    struct lun *l = &w->luns[i];
    l->medium = (struct drive_medium){a->image, a->readonly};
    l->changed = true;
    l->accepted = a->op && request_of(w, a->op)->accept_stale_host;
}

static inline enum drive_outcome take_out(struct world *w, const struct order *o, bool well)
{
    struct lun *l = &w->luns[o->drive];
    const struct drive *d = &w->d[o->drive];
    if (!l->medium.image) return OUTCOME_OK;
    if (o->action.what == DO_SIGNAL && o->denied) return OUTCOME_ERROR;
    if (o->action.what == DO_ASK && (o->denied || o->withdrawn || (!o->passed && l->prevented))) return OUTCOME_BUSY;
    if (o->action.what == DO_SIGNAL && l->prevented) return OUTCOME_BUSY; /* the host was faster, and locked again */
    if (!well) return OUTCOME_BUSY;
    bool asked = o->action.what == DO_ASK && o->action.ticket != TICKET_REATTACH && !w->down;
    bool mine = asked && d->queue_len && d->queue[0].rq.op == o->action.op;
    if (asked && !l->medium.readonly && l->holds && !(mine && may_force(w, &d->queue[0]))) violated(w, "robbed");
    medium_leaves(w, o->drive);
    return OUTCOME_OK;
}

static inline enum drive_outcome put_in(struct world *w, const struct order *o, bool well)
{
    struct lun *l = &w->luns[o->drive];
    const struct drive_action *a = &o->action;
    if (a->what == DO_INSERT && l->medium.image) {
        violated(w, "empty insert");
        return OUTCOME_ERROR;
    }
    if (o->denied || o->withdrawn || (!o->passed && l->prevented)) return OUTCOME_BUSY;
    if (!well) return OUTCOME_ERROR;
    if (a->what == DO_ANNOUNCE && (l->medium.image != a->image || !l->medium.image)) return OUTCOME_ERROR;
    if (a->what == DO_ANNOUNCE && l->holds && l->dirty) violated(w, "announce");
    if (a->what == DO_ANNOUNCE)
        l->changed = true;
    else
        medium_comes(w, o->drive, a);
    return OUTCOME_OK;
}

/* What the kernel does for an order; the result is for whoever is there to hear it. */
static inline enum drive_outcome perform(struct world *w, const struct order *o, bool well)
{
    const struct function *f = &w->functions[function_of(o->drive)];
    bool late = o->begun_at >= o->given_at + w->d[o->drive].policy.stuck_after; /* given up before it was begun */
    if (f->old && &f->before != o) violated(w, "one call");
    switch (o->action.what) {
    case DO_ASK:
    case DO_FORCE:
    case DO_SIGNAL: return late ? OUTCOME_ERROR : take_out(w, o, well);
    case DO_INSERT:
    case DO_SWAP:
    case DO_ANNOUNCE: return late ? OUTCOME_ERROR : put_in(w, o, well);
    case DO_NOTHING:
    case DO_OPEN:
    case DO_SYNC:
    case DO_REATTACH:
    case DO_OBSERVE: break;
    }
    return OUTCOME_OK;
}

static inline void answer_order(struct world *w, size_t function, bool well)
{
    struct function *f = &w->functions[function];
    struct order o = f->orders[0];
    memmove(&f->orders[0], &f->orders[1], --f->orders_len * sizeof o);
    if (o.unsent) o.denied = !kernel_signal(w, function, false);
    struct drive_result r = {.ticket = o.action.ticket, .outcome = perform(w, &o, well), .medium_known = true};
    if (r.outcome == OUTCOME_ERROR) r.code = ERR_INTERNAL;
    r.medium = w->luns[o.drive].medium;
    on_result(w, o.drive, &r);
    begin_next(w, function);
}

static inline void answer_store(struct world *w, size_t i, bool well)
{
    struct drive_result r = {.ticket = w->in_store[i].ticket, .outcome = well ? OUTCOME_OK : OUTCOME_ERROR,
                             .code = ERR_IMAGE_MISSING};
    w->in_store[i] = (struct drive_action){0};
    on_result(w, i, &r);
}

/* ---- SIGUSR1 ----------------------------------------------------------------------------------------------------- */

/* As handle_exception() in f_mass_storage.c: the command ends, and with it all locks and pending reports. */
static inline bool kernel_signal(struct world *w, size_t function, bool breaks)
{
    enum waiting_for waits = thread_waits_for(w, function);
    bool untouched = waits == WAITING_NOTHING || fault == FAULT_SENT_UNSEEN;
    if (waits == WAITING_STORAGE || (!breaks && !untouched)) return false; /* probe_interrupt() */
    if (!breaks && waits == WAITING_HOST) violated(w, "signal");
    order_reaches_kernel(w, function);
    for (size_t i = 0; i < DRIVES; i++) {
        struct lun *l = &w->luns[i];
        if (function_of(i) != function) continue;
        l->prevented = l->changed = l->command.in_thread = false;
    }
    return true;
}

/* ---- the controller ---------------------------------------------------------------------------------------------- */

/* The device is gone for the host, with all that it had for it. */
static inline void host_forgets(struct world *w)
{
    for (size_t i = 0; i < DRIVES; i++) {
        struct lun *l = &w->luns[i];
        *l = (struct lun){.medium = l->medium, .closed_hint = l->closed_hint};
    }
}

static inline void thread_stops(struct world *w, size_t function)
{
    for (size_t i = 0; i < DRIVES; i++) {
        struct lun *l = &w->luns[i];
        if (function_of(i) == function) l->prevented = l->changed = l->command.in_thread = false;
    }
}

static inline void threads_stop(struct world *w)
{
    for (size_t k = 0; k < FUNCTIONS; k++) thread_stops(w, k);
}

static inline bool threads_can_stop(const struct world *w)
{
    return !w->functions[0].stalls && !w->functions[1].stalls;
}

static inline void controller_unbinds(struct world *w)
{
    threads_stop(w);
    w->bound = w->given_up = false;
    on_link(w);
}

/* `since`: when it was unbound. A short pause is no more than a reset for the host. */
static inline void controller_binds(struct world *w, msec since)
{
    w->bound = true;
    if (w->now - since >= HOLD_MS) host_forgets(w);
    for (size_t i = 0; i < DRIVES; i++) w->luns[i].prevented = w->luns[i].holds;
    on_link(w);
}

static inline void answer_gadget(struct world *w, bool well)
{
    struct gadget_result r = {.order = (enum gadget_order)w->gadget_order, .ok = well, .err.code = well ? ERR_NONE : ERR_INTERNAL};
    w->gadget_order = -1;
    if (well && r.order == GADGET_UNBIND) controller_unbinds(w);
    if (well && r.order == GADGET_BIND) controller_binds(w, w->unbound_since);
    show_to_reattach(w);
    reattach_result(&fake, &r);
}

/* ---- killing trayd-gadget ---------------------------------------------------------------------------------------- */

/* Its workers die with it, but for one that is in a call that does not return. `done`: of the others, what they were at. */
static inline void kill_daemon(struct world *w, bool done)
{
    for (size_t k = 0; k < FUNCTIONS; k++) {
        struct function *f = &w->functions[k];
        struct order head = f->orders[0];
        bool under_way = f->orders_len > 0 && head.begun;
        f->orders_len = 0;
        if (under_way && !order_can_run(w, k, &head) && !f->old) f->old = true, f->before = head;
        else if (under_way && done && order_can_run(w, k, &head)) perform(w, &head, true);
        f->held_told = false;
    }
    if (done && w->gadget_order == GADGET_UNBIND && threads_can_stop(w)) threads_stop(w), w->bound = w->given_up = false;
    daemon_dies(w);
}

/* The new worker cannot have the lock of its function. */
static inline void tell_held(struct world *w, size_t function)
{
    struct function *f = &w->functions[function];
    f->held_told = true;
    f->orders_len = 0;
    for (size_t i = 0; i < DRIVES; i++)
        if (function_of(i) == function) feed(w, i, (struct drive_event){.kind = DRIVE_HELD});
}

static inline void old_call_ends(struct world *w, size_t function)
{
    struct function *f = &w->functions[function];
    perform(w, &f->before, true);
    f->old = false;
    f->before = (struct order){0};
    for (size_t i = 0; i < DRIVES && f->held_told; i++)
        if (function_of(i) == function) kernel_take_order(w, i, &(struct drive_action){.what = DO_OBSERVE});
    f->held_told = false;
    begin_next(w, function);
}
