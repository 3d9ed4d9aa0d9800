/*
 * function_moves.h - everything that can happen next in the world of several drives, as a list, and doing it.
 */
#pragma once

#include "tests/unit/function_kernel.h"

#define MOVE_TABLE(X)                                                                                                \
    X(KERNEL_WELL, "function %zu: the kernel does it")       X(KERNEL_BADLY, "function %zu: the kernel fails")          \
    X(STORE_WELL, "drive %zu: the store does it")            X(STORE_BADLY, "drive %zu: the store fails")               \
    X(GADGET_WELL, "the controller obeys")                   X(GADGET_BADLY, "the controller fails")                    \
    X(HOST_LOOKS, "function %zu: the host polls")            X(HOST_READS, "drive %zu: the host reads")                 \
    X(HOST_MOUNTS, "drive %zu: the host mounts, and dirties") X(HOST_UNMOUNTS, "drive %zu: the host unmounts")          \
    X(HOST_WRITES_BACK, "drive %zu: dirty pages are written") X(HOST_EJECTS, "drive %zu: the host ejects")              \
    X(HOST_STOPS_READING, "drive %zu: the host stops in a read") X(HOST_STOPS_WRITING, "drive %zu: the host stops in a write") \
    X(HOST_GOES_ON, "drive %zu: the host goes on")           X(HOST_RESETS, "the host's patience with drive %zu ends")  \
    X(STORAGE_STALLS, "drive %zu: the storage stalls")       X(STORAGE_BACK, "function %zu: the storage is back")       \
    X(HINT, "drive %zu: inotify says closed")                X(CABLE_OUT, "the cable is pulled")                        \
    X(CABLE_IN, "the cable is plugged in")                   X(OPERATOR_BREAKS, "drive %zu: the operator breaks I/O")   \
    X(KILL_AFTER, "kill -9; what was under way is done")     X(KILL_BEFORE, "kill -9; what was under way is not done")  \
    X(START, "trayd-gadget is back")                         X(HELD, "function %zu: the lock is held")                  \
    X(OLD_ENDS, "function %zu: the old call ends")           X(CANCEL, "operation %zu is cancelled")                    \
    X(HURRY, "operation %zu is hurried")                     X(TIME, "time passes")                                     \
    X(REQUEST, "request %zu")

#define X(name, text) MOVE_##name,
enum move_kind { MOVE_TABLE(X) };
#undef X
#define X(name, text) text,
static const char *const move_texts[] = {MOVE_TABLE(X)};
#undef X

struct move {
    enum move_kind kind;
    size_t which;             /* drive, function or operation; of a REQUEST: menu * DRIVES + drive */
};

struct moves {
    struct move list[128];
    size_t len;
};

/* ---- which ------------------------------------------------------------------------------------------------------- */

static inline void can(struct moves *m, enum move_kind kind, size_t which)
{
    m->list[m->len++] = (struct move){kind, which};
}

/* A call that waited for the command in flight comes before the next command: the kernel's semaphore is fair. */
static inline bool host_can_command(const struct world *w, size_t i)
{
    const struct function *f = &w->functions[function_of(i)];
    if ((f->orders_len && f->orders[0].begun && f->orders[0].passed) || (f->old && f->before.passed)) return false;
    return host_is_there(w) && !is_blocked(w, function_of(i)) && !w->luns[i].command.present;
}

/* What the worker is at is done within a moment, and not overtaken by a command that stops. */
static inline bool kernel_is_called(const struct world *w, size_t function)
{
    const struct function *f = &w->functions[function];
    const struct order *o = &f->orders[0];
    return (f->orders_len && o->begun && !o->unsent && order_can_run(w, function, o)) || f->old;
}

static inline bool patience_is_over(const struct world *w, size_t i)
{
    const struct host_command *c = &w->luns[i].command;
    return host_is_there(w) && c->present && w->now >= c->since + HOST_PATIENCE;
}

static inline void list_host(const struct world *w, size_t i, struct moves *m)
{
    const struct lun *l = &w->luns[i];
    bool idle = host_can_command(w, i), in = idle && l->medium.image, acts = w->host_acts > 0;
    if (in && acts) can(m, MOVE_HOST_READS, i);
    if (in && acts && !l->medium.readonly && !l->holds) can(m, MOVE_HOST_MOUNTS, i);
    if (in && l->holds) can(m, MOVE_HOST_UNMOUNTS, i);
    if (in && l->dirty && !l->medium.readonly) can(m, MOVE_HOST_WRITES_BACK, i);
    if (in && acts && !l->holds && !l->dirty) can(m, MOVE_HOST_EJECTS, i);
    bool stops = in && !kernel_is_called(w, function_of(i));
    if (stops && acts) can(m, MOVE_HOST_STOPS_READING, i);
    if (stops && acts && !l->medium.readonly) can(m, MOVE_HOST_STOPS_WRITING, i);
    if (stops && w->stalls_left) can(m, MOVE_STORAGE_STALLS, i);
    if (l->command.in_thread && !w->functions[function_of(i)].stalls) can(m, MOVE_HOST_GOES_ON, i);
    if (patience_is_over(w, i)) can(m, MOVE_HOST_RESETS, i);
    if (l->closed_hint && !w->down) can(m, MOVE_HINT, i);
    if (w->in_store[i].what != DO_NOTHING) can(m, MOVE_STORE_WELL, i);
    if (w->in_store[i].what != DO_NOTHING && clients.fails) can(m, MOVE_STORE_BADLY, i);
    if (w->breaks_left && !w->down && thread_waits_for(w, function_of(i)) == WAITING_HOST) can(m, MOVE_OPERATOR_BREAKS, i);
}

static inline void list_function(const struct world *w, size_t k, struct moves *m)
{
    const struct function *f = &w->functions[k];
    const struct order *o = &f->orders[0];
    if (f->orders_len && o->begun && order_can_run(w, k, o)) {
        can(m, MOVE_KERNEL_WELL, k);
        if (clients.fails && o->action.what != DO_OBSERVE) can(m, MOVE_KERNEL_BADLY, k);
    }
    if (f->stalls) can(m, MOVE_STORAGE_BACK, k);
    if (w->host_acts && host_is_there(w) && !is_blocked(w, k)) can(m, MOVE_HOST_LOOKS, k);
    if (f->old && !f->held_told && !w->down) can(m, MOVE_HELD, k);
    if (f->old && order_can_run(w, k, &f->before)) can(m, MOVE_OLD_ENDS, k);
}

static inline bool something_is_due(const struct world *w)
{
    for (size_t i = 0; i < DRIVES; i++)
        if (w->d[i].queue_len || w->d[i].quarantine || w->d[i].unannounced || w->d[i].outstanding || w->luns[i].command.present)
            return true;
    return fake.reattach.state != REATTACH_IDLE || w->reattach.state != REATTACH_IDLE;
}

static inline size_t free_slot(const struct world *w)
{
    if (w->down || (!clients.again && w->asked_count >= clients.most)) return OPS_MAX;
    for (size_t k = 0; k < (size_t)clients.most; k++)
        if (!w->ops[k].number || (clients.again && w->ops[k].finished)) return k;
    return OPS_MAX;
}

static inline void list_clients(const struct world *w, struct moves *m)
{
    for (size_t k = 0; k < OPS_MAX && clients.changes && !w->down; k++) {
        if (!w->ops[k].number || w->ops[k].finished) continue;
        can(m, MOVE_CANCEL, k);
        can(m, MOVE_HURRY, k);
    }
    if (free_slot(w) == OPS_MAX) return;
    for (size_t i = 0; i < DRIVES; i++)
        for (size_t k = 0; k < ARRAY_LEN(menu); k++)
            if (clients.menu[i] & 1u << k) can(m, MOVE_REQUEST, k * DRIVES + i);
}

static inline void list_moves(const struct world *w, struct moves *m)
{
    m->len = 0;
    for (size_t k = 0; k < FUNCTIONS; k++) list_function(w, k, m);
    for (size_t i = 0; i < DRIVES; i++) list_host(w, i, m);
    bool unbinds = w->gadget_order == GADGET_UNBIND;
    if (w->gadget_order >= 0 && (!unbinds || threads_can_stop(w))) can(m, MOVE_GADGET_WELL, 0);
    if (unbinds && clients.fails) can(m, MOVE_GADGET_BADLY, 0);
    if (w->unplugs_left && is_configured(w) && threads_can_stop(w)) can(m, MOVE_CABLE_OUT, 0);
    if (!w->plugged) can(m, MOVE_CABLE_IN, 0);
    if (w->kills_left && !w->down) can(m, MOVE_KILL_AFTER, 0), can(m, MOVE_KILL_BEFORE, 0);
    if (w->down) can(m, MOVE_START, 0);
    list_clients(w, m);
    bool late = false; /* nor does the kernel take long, if nothing holds it up */
    for (size_t i = 0; i < DRIVES; i++) late = late || patience_is_over(w, i);
    for (size_t i = 0; i < m->len; i++) late = late || m->list[i].kind == MOVE_KERNEL_WELL;
    if (!late && something_is_due(w)) can(m, MOVE_TIME, 0);
}

/* ---- the host ---------------------------------------------------------------------------------------------------- */

/* A command goes to the drive: a pending report comes back with it, and the host drops its caches. */
static inline void host_notices(struct world *w, size_t i)
{
    struct lun *l = &w->luns[i];
    check_cache(w, i);
    if (!l->medium.image)
        l->believes = 0;
    else if (l->changed || !l->believes)
        l->believes = l->medium.image;
    l->changed = false;
    w->functions[function_of(i)].commands++;
}

static inline void host_moves_bytes(struct world *w, size_t i, bool writes)
{
    struct function *f = &w->functions[function_of(i)];
    *(writes ? &f->written : &f->read) += 1;
    if (!w->down) feed(w, i, (struct drive_event){.kind = DRIVE_EVIDENCE}); /* inotify on the image */
}

static inline void host_writes_back(struct world *w, size_t i)
{
    struct lun *l = &w->luns[i];
    check_delivery(w, i, l->dirty_for);
    l->dirty = false;
    host_moves_bytes(w, i, true);
}

static inline void host_stops(struct world *w, size_t i, bool writes)
{
    struct lun *l = &w->luns[i];
    host_notices(w, i);
    order_reaches_kernel(w, function_of(i));
    l->command = (struct host_command){true, true, writes, l->medium.image, w->now};
    host_moves_bytes(w, i, writes);
}

/*
 * A reset that cannot end, because a thread does not come back from its storage: the host waits 5 s for the configuration,
 * drops the device with all commands it had for it, and does not come back to it by itself (stuck.sh measures it).
 */
static inline void host_gives_up(struct world *w)
{
    host_forgets(w);
    for (size_t k = 0; k < FUNCTIONS; k++)
        if (!w->functions[k].stalls) thread_stops(w, k);
    w->given_up = true;
    feed_all(w, (struct drive_event){.kind = DRIVE_CLEARED, .cleared = CLEARED_BY_HOST});
}

/* A reset of the whole device: the host locks again what it has mounted, and repeats at once what did not come back to it. */
static inline void host_resets(struct world *w)
{
    struct host_command repeated[DRIVES];
    for (size_t i = 0; i < DRIVES; i++) {
        repeated[i] = w->luns[i].command;
        w->luns[i].command = (struct host_command){0};
        if (repeated[i].present) check_delivery(w, i, repeated[i].meant_for);
    }
    threads_stop(w);
    for (size_t i = 0; i < DRIVES; i++) w->luns[i].prevented = w->luns[i].holds;
    if (w->down) /* nobody sees that reset; the host is taken to have looked before */
        for (size_t i = 0; i < DRIVES; i++) w->luns[i].believes = w->luns[i].medium.image;
    feed_all(w, (struct drive_event){.kind = DRIVE_CLEARED, .cleared = CLEARED_BY_HOST});
    for (size_t i = 0; i < DRIVES; i++)
        if (repeated[i].present && w->luns[i].medium.image) host_moves_bytes(w, i, repeated[i].writes);
}

static inline void host_looks(struct world *w, size_t function)
{
    for (size_t i = 0; i < DRIVES; i++) {
        if (function_of(i) != function) continue;
        host_notices(w, i);
        w->evidence[i].polls = EVIDENCE_NOTICED;
        if (!w->down) feed(w, i, (struct drive_event){.kind = DRIVE_EVIDENCE});
    }
}

static inline void host_acts(struct world *w, const struct move *m)
{
    struct lun *l = &w->luns[m->which];
    w->host_acts--;
    if (m->kind == MOVE_HOST_STOPS_READING || m->kind == MOVE_HOST_STOPS_WRITING) {
        host_stops(w, m->which, m->kind == MOVE_HOST_STOPS_WRITING);
        return;
    }
    host_notices(w, m->which);
    if (m->kind == MOVE_HOST_MOUNTS) {
        l->holds = l->prevented = l->dirty = true;
        l->dirty_for = l->medium.image;
        host_moves_bytes(w, m->which, true);
    } else if (m->kind == MOVE_HOST_EJECTS) {
        medium_leaves(w, m->which);
        l->believes = 0;
        l->closed_hint = true;
    } else {
        host_moves_bytes(w, m->which, false);
    }
}

/* ---- doing it ---------------------------------------------------------------------------------------------------- */

static inline void timer_expires(struct world *w)
{
    if (fake.reattach.timer.at > w->now) return;
    fake.reattach.timer.at = MSEC_NEVER;
    show_to_reattach(w);
    fake.reattach.timer.expired(&fake.reattach.timer, w->now);
}

/* To the next deadline of anybody, but a step at least, and not past a host whose patience ends. */
static inline void time_passes(struct world *w)
{
    msec next = fake.reattach.timer.at;
    for (size_t i = 0; i < DRIVES; i++) next = MIN(next, w->wake[i]);
    next = next == MSEC_NEVER ? w->now + STEP_MS : MAX(next, w->now + STEP_MS);
    for (size_t i = 0; i < DRIVES && host_is_there(w); i++) {
        const struct host_command *c = &w->luns[i].command;
        if (c->present) next = MIN(next, MAX(w->now + STEP_MS, c->since + HOST_PATIENCE));
    }
    w->now = next;
    if (w->down) return;
    timer_expires(w);
    feed_all(w, (struct drive_event){.kind = DRIVE_EVIDENCE});
}

static inline void make_request(struct world *w, const struct move *m)
{
    size_t slot = free_slot(w), drive = m->which % DRIVES;
    w->ops[slot] = (struct asked){.menu_index = (int)(m->which / DRIVES), .drive = drive, .number = ++w->asked_number};
    w->asked_count++;
    struct drive_event ev = {.kind = DRIVE_REQUEST, .request = menu[m->which / DRIVES]};
    ev.request.op = (op_key)slot + 1;
    feed(w, drive, ev);
}

static inline void break_for_operator(struct world *w, size_t i)
{
    w->breaks_left--;
    breaking_by_operator = true;
    feed(w, i, (struct drive_event){.kind = DRIVE_BREAK});
    breaking_by_operator = false;
}

static inline void storage_stalls(struct world *w, size_t i)
{
    w->stalls_left--;
    w->functions[function_of(i)].stalls = true;
    host_stops(w, i, false);
}

static inline void storage_is_back(struct world *w, size_t function)
{
    w->functions[function].stalls = false;
    if (w->given_up) thread_stops(w, function);
    for (size_t i = 0; i < DRIVES; i++)
        if (function_of(i) == function && w->luns[i].command.in_thread) w->luns[i].command = (struct host_command){0};
}

static inline void change_operation(struct world *w, size_t slot, enum drive_event_kind kind)
{
    if (kind == DRIVE_HURRY) w->ops[slot].hurried = true;
    feed(w, w->ops[slot].drive, (struct drive_event){.kind = kind, .op = (op_key)slot + 1});
}

static inline void cable(struct world *w, bool in)
{
    w->plugged = in;
    w->given_up = false;
    if (!in) w->unplugs_left--;
    if (!in) threads_stop(w), host_forgets(w);
    on_link(w);
}

static inline void apply_move(struct world *w, const struct move *m)
{
    size_t which = m->which;
    daemon_enter(w);
    switch (m->kind) {
    case MOVE_KERNEL_WELL: answer_order(w, which, true); break;
    case MOVE_KERNEL_BADLY: answer_order(w, which, false); break;
    case MOVE_STORE_WELL: answer_store(w, which, true); break;
    case MOVE_STORE_BADLY: answer_store(w, which, false); break;
    case MOVE_GADGET_WELL: answer_gadget(w, true); break;
    case MOVE_GADGET_BADLY: answer_gadget(w, false); break;
    case MOVE_HOST_LOOKS: w->host_acts--, host_looks(w, which); break;
    case MOVE_HOST_READS:
    case MOVE_HOST_MOUNTS:
    case MOVE_HOST_EJECTS:
    case MOVE_HOST_STOPS_READING:
    case MOVE_HOST_STOPS_WRITING: host_acts(w, m); break;
    case MOVE_HOST_UNMOUNTS:
        if (w->luns[which].dirty) host_writes_back(w, which);
        w->luns[which].holds = w->luns[which].prevented = false;
        break;
    case MOVE_HOST_WRITES_BACK: host_writes_back(w, which); break;
    case MOVE_HOST_GOES_ON: w->luns[which].command = (struct host_command){0}; break;
    case MOVE_HOST_RESETS: threads_can_stop(w) ? host_resets(w) : host_gives_up(w); break;
    case MOVE_STORAGE_STALLS: storage_stalls(w, which); break;
    case MOVE_STORAGE_BACK: storage_is_back(w, which); break;
    case MOVE_HINT: w->luns[which].closed_hint = false, feed(w, which, (struct drive_event){.kind = DRIVE_HINT_CLOSED}); break;
    case MOVE_CABLE_OUT: cable(w, false); break;
    case MOVE_CABLE_IN: cable(w, true); break;
    case MOVE_OPERATOR_BREAKS: break_for_operator(w, which); break;
    case MOVE_KILL_AFTER: w->kills_left--, kill_daemon(w, true); break;
    case MOVE_KILL_BEFORE: w->kills_left--, kill_daemon(w, false); break;
    case MOVE_START: daemon_is_back(w); break;
    case MOVE_HELD: tell_held(w, which); break;
    case MOVE_OLD_ENDS: old_call_ends(w, which); break;
    case MOVE_CANCEL: change_operation(w, which, DRIVE_CANCEL); break;
    case MOVE_HURRY: change_operation(w, which, DRIVE_HURRY); break;
    case MOVE_TIME: time_passes(w); break;
    case MOVE_REQUEST: make_request(w, m); break;
    }
    daemon_leave(w);
}

static inline void move_tell(const struct move *m, char *ret, size_t size)
{
    if (m->kind == MOVE_REQUEST) {
        snprintf(ret, size, "drive %zu: request %zu", m->which % DRIVES, m->which / DRIVES);
        return;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(ret, size, move_texts[m->kind], m->which);
#pragma GCC diagnostic pop
}

/* ---- nobody waits for ever --------------------------------------------------------------------------------------- */

#define FAIR_STEPS 600 /* more than the longest way to the end: reattach.c's 15 s of draining, in steps of a look each */

static inline bool is_kind(enum move_kind kind, const enum move_kind *kinds, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (kinds[i] == kind) return true;
    return false;
}

static inline bool all_is_over(const struct world *w)
{
    for (size_t i = 0; i < DRIVES; i++)
        if (w->d[i].queue_len || w->d[i].outstanding != DO_NOTHING || w->deferred[i].what != DO_NOTHING) return false;
    for (size_t k = 0; k < FUNCTIONS; k++)
        if (w->functions[k].orders_len || w->functions[k].old) return false;
    for (size_t k = 0; k < OPS_MAX; k++)
        if (w->ops[k].number && !w->ops[k].finished) return false;
    return w->reattach.state == REATTACH_IDLE && !w->down && w->gadget_order < 0;
}

/* The host ends what it began and lets go, the storage and the kernel do what they are asked for: does all come to an end? */
static inline void check_for_ever(const struct world *from)
{
    static const enum move_kind fair[] = {
        MOVE_START, MOVE_STORAGE_BACK, MOVE_HOST_RESETS, MOVE_HOST_GOES_ON, MOVE_OLD_ENDS, MOVE_KERNEL_WELL, MOVE_STORE_WELL,
        MOVE_GADGET_WELL, MOVE_HINT, MOVE_CABLE_IN, MOVE_HOST_UNMOUNTS,
    };
    static struct world w;
    struct moves m;
    w = *from;
    for (int step = 0; step < FAIR_STEPS && !all_is_over(&w) && !w.violation; step++) {
        list_moves(&w, &m);
        size_t chosen = m.len;
        for (size_t i = 0; i < m.len && chosen == m.len; i++)
            if (is_kind(m.list[i].kind, fair, ARRAY_LEN(fair))) chosen = i;
        struct move next = chosen < m.len ? m.list[chosen] : (struct move){MOVE_TIME, 0};
        apply_move(&w, &next);
    }
    if (!w.violation && !all_is_over(&w)) violated((struct world *)(uintptr_t)from, "for ever");
    if (w.violation) violated((struct world *)(uintptr_t)from, w.violation);
}
