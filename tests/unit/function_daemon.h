/*
 * function_daemon.h - trayd-gadget in the world of several drives: what daemon_turn.c, daemon_sink.c and state_file.c do
 * with the machines, in small, around the real evidence.c and the real reattach.c.
 *
 * reattach.c takes its time from clock_boot_ms() and sets its timer in a loop: the makefile links these names, and what it
 * calls of the daemon, to the functions called __wrap_ here.
 */
#pragma once

#include "gadget/daemon.h"
#include "tests/unit/function_rules.h"

typedef void saboteur(struct world *w, size_t drive, struct drive_output *out);
static saboteur *sabotage;

/* Faults of what is not the machine, planted by the test. */
enum fault { FAULT_NONE, FAULT_SIBLINGS_UNTOLD, FAULT_BREAK_IS_A_SIGNAL, FAULT_NOT_WITHDRAWN, FAULT_LOCK_FILE_IGNORED,
             FAULT_STALE_FORGOTTEN, FAULT_COLLATERAL_UNSEEN, FAULT_SENT_UNSEEN };
static enum fault fault;

static struct world *current; /* for what reattach.c calls */
static struct daemon fake = {.found = FOUND_AS_PLANNED}; /* what it looks at */
static struct gadget_config fake_config = {.reattach_hold = HOLD_MS};

static inline void feed(struct world *w, size_t i, struct drive_event ev);
static inline void act(struct world *w, size_t i, const struct drive_action *a);

/* In function_kernel.h. */
static inline bool kernel_signal(struct world *w, size_t function, bool breaks);
static inline void kernel_take_order(struct world *w, size_t i, const struct drive_action *a);

/* ---- reattach.c -------------------------------------------------------------------------------------------------- */

static inline void show_to_reattach(const struct world *w)
{
    static const struct drive_config names[DRIVES] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    for (size_t i = 0; i < DRIVES; i++) {
        struct unit *u = &fake.units[i];
        memcpy(&u->machine, &w->d[i], DRIVE_KEPT);
        u->sample.waiting_for = thread_waits_for(w, function_of(i));
        u->deferred = w->deferred[i];
        u->config = &names[i];
    }
    fake.link = (struct engine_link){.bound = w->bound, .configured = is_configured(w)};
}

static inline void fake_gadget(struct engine *e attr_unused, enum gadget_order order)
{
    current->gadget_order = (int)order;
    if (order == GADGET_UNBIND) check_collateral(current);
}

static inline void fake_order(struct engine *e attr_unused, size_t drive, const struct engine_order *o)
{
    kernel_take_order(current, drive, &(struct drive_action){.what = o->what, .ticket = o->ticket});
}

static inline void on_reattached(void *owner, const struct err *e)
{
    struct world *w = current;
    size_t i = (size_t)(uintptr_t)owner;
    struct drive_event ev = {.kind = DRIVE_RESULT,
                             .result = {.ticket = w->acting[i].ticket, .outcome = e->code ? OUTCOME_ERROR : OUTCOME_OK,
                                        .code = e->code, .medium_known = w->seen_known[i], .medium = w->seen[i]}};
    w->seen_known[i] = false;
    feed(w, i, ev);
    show_to_reattach(w);
}

msec __wrap_clock_boot_ms(void);
void __wrap_loop_timer_set(struct loop *l, struct loop_timer *t, msec at);
void __wrap_daemon_release_deferred(struct daemon *d);
void __wrap_daemon_tell_system(struct daemon *d);
void __wrap_state_file_save(struct daemon *d); /* what it keeps is what the world keeps */

msec __wrap_clock_boot_ms(void)
{
    return current->now;
}

void __wrap_loop_timer_set(struct loop *l attr_unused, struct loop_timer *t, msec at)
{
    t->at = at;
}

void __wrap_daemon_release_deferred(struct daemon *d attr_unused)
{
    for (size_t i = 0; i < DRIVES; i++) {
        struct drive_action a = current->deferred[i];
        current->deferred[i] = (struct drive_action){0};
        struct drive_event ev = {.kind = DRIVE_RESULT, .result = {.ticket = a.ticket, .outcome = OUTCOME_ERROR,
                                                                  .code = ERR_DRIVE_STUCK}};
        if (a.what != DO_NOTHING && drive_gave_up(&current->d[i], &a))
            feed(current, i, ev);
        else if (a.what != DO_NOTHING)
            act(current, i, &a);
    }
    show_to_reattach(current);
}

void __wrap_daemon_tell_system(struct daemon *d attr_unused)
{
}

void __wrap_state_file_save(struct daemon *d attr_unused)
{
}

static inline void reattach_looks(struct world *w)
{
    if (fake.reattach.state == REATTACH_IDLE) return;
    show_to_reattach(w);
    reattach_look(&fake);
}

static const struct engine_class fake_class = {.gadget = fake_gadget, .order = fake_order};
static struct engine fake_engine = {.class = &fake_class};

/* Around each step, for the daemon is one, and worlds are many. */
static inline void daemon_enter(struct world *w)
{
    current = w;
    fake.engine = &fake_engine;
    fake.config = &fake_config;
    fake.units_len = DRIVES;
    fake.started = true;
    fake.reattach = w->reattach;
    fake_config.reattach = w->d[0].policy.reattach;
}

static inline void daemon_leave(struct world *w)
{
    w->reattach = fake.reattach;
}

/* ---- a turn ------------------------------------------------------------------------------------------------------ */

static inline void medium_changed(struct world *w, size_t i)
{
    bool marked = w->acting[i].what == DO_INSERT || w->acting[i].what == DO_SWAP;
    if (!w->d[i].medium.image || !marked) evidence_mark(&w->evidence[i]);
    evidence_restart(&w->evidence[i], w->now);
}

static inline void clear_siblings(struct world *w, size_t i, enum drive_clearing how)
{
    for (size_t k = 0; k < DRIVES; k++)
        if (k != i && function_of(k) == function_of(i) && fault != FAULT_SIBLINGS_UNTOLD)
            feed(w, k, (struct drive_event){.kind = DRIVE_CLEARED, .cleared = how});
}

/* Questions that wait in the worker would be answered "yes" after a signal, whoever has the medium mounted. */
static inline void withdraw_questions(struct world *w, size_t i)
{
    struct function *f = &w->functions[function_of(i)];
    for (size_t k = 0; k < f->orders_len && fault != FAULT_NOT_WITHDRAWN; k++) {
        enum drive_do what = f->orders[k].action.what;
        if (!f->orders[k].begun && (what == DO_ASK || what == DO_SWAP || what == DO_ANNOUNCE)) f->orders[k].withdrawn = true;
    }
}

static inline void break_io(struct world *w, size_t i)
{
    check_signal(w, i, true);
    clear_siblings(w, i, fault == FAULT_BREAK_IS_A_SIGNAL ? CLEARED_BY_SIGNAL : CLEARED_BY_BREAK);
    withdraw_questions(w, i);
    kernel_signal(w, function_of(i), true);
}

static inline void act(struct world *w, size_t i, const struct drive_action *a)
{
    struct err e;
    bool in_store = a->what == DO_OPEN || a->what == DO_SYNC;
    w->acting[i] = *a;
    check_action(w, i, a);
    if (a->what == DO_INSERT || a->what == DO_SWAP) evidence_mark(&w->evidence[i]);
    if (in_store) {
        w->in_store[i] = *a;
    } else if (a->what == DO_REATTACH) {
        show_to_reattach(w);
        void *owner = (void *)(uintptr_t)i;
        bool allow = a->allow_collateral || fault == FAULT_COLLATERAL_UNSEEN;
        if (!reattach_under_way(&fake)) w->reattach_for = i, w->reattach_allowed = a->allow_collateral;
        if (reattach_begin(&fake, REATTACH_FULL, i, a->eject, allow, on_reattached, owner, &e) < 0) on_reattached(owner, &e);
    } else if (reattach_under_way(&fake)) {
        w->deferred[i] = *a;
        reattach_looks(w);
    } else {
        if (a->what == DO_SIGNAL) clear_siblings(w, i, a->breaks ? CLEARED_BY_BREAK : CLEARED_BY_SIGNAL);
        if (a->what == DO_SIGNAL) withdraw_questions(w, i);
        kernel_take_order(w, i, a);
    }
}

static inline void feed(struct world *w, size_t i, struct drive_event ev)
{
    struct drive_output out;
    struct drive *d = &w->d[i];
    const struct function *f = &w->functions[function_of(i)];
    const struct engine_sample s = {.known = true, .shared = i < SIBLINGS, .bytes_read = f->read, .bytes_written = f->written,
                                    .commands = f->commands, .waiting_for = thread_waits_for(w, function_of(i))};
    evidence_sample(&w->evidence[i], &s, w->now);
    ev.evidence = evidence_view(&w->evidence[i], &s);
    size_t queued = d->queue_len;
    uint64_t generation = d->generation;
    bool was_observed = d->observed;
    drive_step(d, &ev, w->now, &out);
    if (ev.kind == DRIVE_REQUEST) {
        bool enters = out.refused == ERR_NONE && out.joined == 0;
        queued += enters;
        w->ops[ev.request.op - 1].finished = !enters;
        for (size_t k = 0; ev.request.mode == EJECT_FORCED && ev.request.action == OP_EJECT && k < OPS_MAX; k++)
            if (w->ops[k].drive == i) w->ops[k].hurried = true; /* the pinhole waits for nobody */
    }
    if (sabotage) sabotage(w, i, &out);
    w->wake[i] = out.wake;
    if (d->generation != generation) medium_changed(w, i);
    check_finish(w, i, &out, queued);
    check_rest(w, i);
    if (!was_observed && d->observed) w->resumed_doing[i] = DO_NOTHING;
    if (out.break_io) break_io(w, i);
    if (out.action.what != DO_NOTHING) act(w, i, &out.action);
}

static inline void feed_all(struct world *w, struct drive_event ev)
{
    for (size_t i = 0; i < DRIVES && !w->down; i++) feed(w, i, ev);
}

/* ---- what the engine says ---------------------------------------------------------------------------------------- */

static inline void on_result(struct world *w, size_t i, const struct drive_result *r)
{
    struct drive *d = &w->d[i];
    if (w->down) return;
    if (r->ticket == TICKET_REATTACH) {
        w->seen_known[i] = r->medium_known;
        w->seen[i] = r->medium;
        reattach_ejected(&fake);
        return;
    }
    enum drive_do was = w->resumed_doing[i];
    bool was_taking = was == DO_ASK || was == DO_FORCE || was == DO_SIGNAL || was == DO_SYNC || was == DO_REATTACH;
    if (!d->observed && r->medium_known && was_taking && d->medium.image && !d->medium.readonly && !r->medium.image)
        d->stale_host = true;
    feed(w, i, (struct drive_event){.kind = DRIVE_RESULT, .result = *r});
    reattach_looks(w);
}

static inline void on_link(struct world *w)
{
    if (w->down) return;
    bool held = w->bound && w->unbound_since && w->now - w->unbound_since >= HOLD_MS;
    if (w->bound)
        w->unbound_since = 0;
    else if (!w->unbound_since)
        w->unbound_since = w->now;
    for (size_t i = 0; i < DRIVES; i++) {
        feed(w, i, (struct drive_event){.kind = DRIVE_LINK, .attached = w->bound, .host_present = is_configured(w)});
        if (held) feed(w, i, (struct drive_event){.kind = DRIVE_REENUMERATED});
    }
    reattach_looks(w);
}

/* ---- death and life ---------------------------------------------------------------------------------------------- */

/* What state_file.c reads of a drive, before the kernel was seen. */
static inline void restore(struct world *w, size_t i)
{
    const struct drive was = w->d[i];
    const struct evidence ev = w->evidence[i];
    struct drive *d = &w->d[i];
    drive_init(d, &was.policy);
    drive_restore(d, was.stale_host && fault != FAULT_STALE_FORGOTTEN, was.quarantine ? was.quarantine_until : 0,
                  was.generation, was.broken_at);
    d->medium = was.medium;
    d->loaded_since = w->now;
    d->cleared = was.cleared;
    d->lock_lost = was.lock_lost;
    d->unannounced = was.unannounced;
    w->resumed_doing[i] = was.observed ? was.outstanding : w->resumed_doing[i];
    w->evidence[i] = (struct evidence){.based = true, .base_read = ev.base_read, .base_written = ev.base_written};
    w->acting[i] = w->deferred[i] = w->in_store[i] = (struct drive_action){0};
    w->seen_known[i] = false;
    w->wake[i] = MSEC_NEVER;
}

static inline void daemon_dies(struct world *w)
{
    w->down = true;
    for (size_t i = 0; i < DRIVES; i++) restore(w, i);
    for (size_t k = 0; k < OPS_MAX; k++) w->ops[k].finished = w->ops[k].number > 0; /* its successor says "interrupted" */
    w->gadget_order = -1;
    fake.reattach = (struct reattach){.eject = NO_DRIVE};
    reattach_init(&fake);
    fake.reattach.timer.at = MSEC_NEVER;
}

static inline void daemon_is_back(struct world *w)
{
    w->down = false;
    on_link(w);
    fake.unbound_since = w->unbound_since;
    if (!w->bound) reattach_resume(&fake); /* only a reattach unbinds here, so that is what was under way */
    feed_all(w, (struct drive_event){.kind = DRIVE_HINT_CLOSED});
}
