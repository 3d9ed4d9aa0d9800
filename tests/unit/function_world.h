/*
 * function_world.h - the world of test_function_model.c: two drives in one function, a third in another, their kernel, the
 * one host behind them, and trayd-gadget with its real drive machines, evidence and reattach.
 *
 * The world knows what each command and each dirty page of the host was meant for.
 *
 * Time is a small clock: durations of the policy are a few steps of STEP_MS, those of reattach.c are its own.
 */
#pragma once

#include "gadget/evidence.h"
#include "gadget/reattach.h"
#include "tests/unit/model_search.h"

#define DRIVES 3
#define SIBLINGS 2        /* the first two are in one function */
#define FUNCTIONS 2
#define OPS_MAX 3
#define ORDERS_MAX 8      /* each drive has one outstanding, perhaps one that it has given up, and the reattach's */
#define STEP_MS 250
#define HOLD_MS 250
#define HOST_PATIENCE 500 /* with one command; the policy's quarantine is longer, as the profiles' are */
#define LONG_AGO (-2000)  /* older than any duration of the policy */

struct host_command {     /* that has not come back to the host */
    bool present, in_thread, writes; /* not in the thread: broken, and the host waits until its patience ends */
    image_key meant_for;
    msec since;
};

struct lun {
    struct drive_medium medium;
    bool prevented, changed;        /* in the kernel: the lock, and "medium changed" that was not reported yet */
    bool holds, dirty;              /* in the host: has it mounted, has pages to write for dirty_for */
    bool closed_hint;               /* inotify has something to say */
    bool accepted;                  /* a client took the risk for the medium that is in */
    image_key dirty_for, believes;  /* believes: whose contents its caches show; 0: nobody's */
    struct host_command command;
};

struct order {                      /* to the worker of a function */
    size_t drive;
    struct drive_action action;
    msec given_at, begun_at;
    bool begun, passed, denied;     /* the kernel looks at the lock before it waits for the command in flight */
    bool withdrawn;
    bool unsent;                    /* a signal for a moment without I/O: the decision is being saved, and the host goes on */
};

struct function {
    struct order orders[ORDERS_MAX]; /* the first one is in the kernel */
    size_t orders_len;
    bool stalls;                    /* the storage under a command does not answer */
    bool old, held_told;            /* `before` is still in the call of a worker of an earlier trayd-gadget */
    struct order before;
    uint64_t read, written, commands;
};

struct asked {
    int menu_index;
    size_t drive;
    unsigned number;                /* in the order of acceptance */
    bool finished, hurried;
};

struct world {
    msec now;
    const char *violation;
    struct lun luns[DRIVES];
    struct function functions[FUNCTIONS];
    bool bound, plugged, down;      /* down: trayd-gadget was killed, and is not there again */
    bool given_up;                  /* by the host, whose reset did not end: the controller still says "configured" */
    int host_acts, stalls_left, unplugs_left, kills_left, breaks_left; /* budgets: how much may still happen */
    struct asked ops[OPS_MAX];
    int asked_count;
    unsigned asked_number;

    /* what trayd-gadget knows, beside the machines */
    struct evidence evidence[DRIVES];
    struct drive_action acting[DRIVES], deferred[DRIVES], in_store[DRIVES];
    enum drive_do resumed_doing[DRIVES];
    bool seen_known[DRIVES];
    struct drive_medium seen[DRIVES];
    msec wake[DRIVES];
    struct reattach reattach;
    int gadget_order;               /* outstanding; -1: none */
    size_t reattach_for;
    bool reattach_allowed;
    msec unbound_since;             /* as it knows; 0: bound */

    struct drive d[DRIVES];         /* last: kept without the unused parts of their queues */
};

/* What clients may ask for. Images: 1 and 3 are inserted read-only, 2 and 4 writable. */
static const struct drive_request menu[] = {
    {.action = OP_INSERT, .image = 1, .readonly = true, .patience = 500},
    {.action = OP_INSERT, .image = 4, .patience = 500},
    {.action = OP_INSERT, .image = 4, .patience = 500, .accept_stale_host = true},
    {.action = OP_INSERT, .image = 4, .patience = 500, .reattach = true, .mode = EJECT_FORCED},
    {.action = OP_INSERT, .image = 3, .readonly = true, .patience = 500, .swap_direct = true},
    {.action = OP_EJECT, .patience = 500},
    {.action = OP_EJECT, .patience = 250, .on_timeout = ON_TIMEOUT_FORCE},
    {.action = OP_EJECT, .mode = EJECT_FORCED, .patience = 500},
    {.action = OP_EJECT, .mode = EJECT_FORCED, .patience = 500, .allow_collateral = true},
};
enum { M_RO = 1, M_RW = 2, M_ACCEPT = 4, M_REATTACH = 8, M_SWAP = 16, M_EJECT = 32, M_LATER = 64, M_FORCE = 128, M_ANYWAY = 256 };

static const struct drive_policy small_policy = {
    .type = DRIVE_DISK, .quiet = 250, .release_quiet = 500, .dwell = 250, .stuck_after = 1000, .can_force = true,
    .can_signal = true, .can_break = true, .break_after = 250, .quarantine_for = 750,
};

static inline size_t function_of(size_t drive)
{
    return drive < SIBLINGS ? 0 : 1;
}

static inline void violated(struct world *w, const char *what)
{
    if (!w->violation) w->violation = what;
}

static inline const char *world_violation(const void *world)
{
    return ((const struct world *)world)->violation;
}

static inline const struct drive_request *request_of(const struct world *w, op_key op)
{
    return &menu[w->ops[op - 1].menu_index];
}

/* The thread is in a command of the host's, and holds what the attributes need (filesem in f_mass_storage.c). */
static inline bool is_blocked(const struct world *w, size_t function)
{
    for (size_t i = 0; i < DRIVES; i++)
        if (function_of(i) == function && w->luns[i].command.present && w->luns[i].command.in_thread) return true;
    return w->functions[function].stalls;
}

static inline enum waiting_for thread_waits_for(const struct world *w, size_t function)
{
    if (w->functions[function].stalls) return WAITING_STORAGE;
    return is_blocked(w, function) ? WAITING_HOST : WAITING_NOTHING;
}

/* As the controller says it. */
static inline bool is_configured(const struct world *w)
{
    return w->bound && w->plugged;
}

static inline bool host_is_there(const struct world *w)
{
    return is_configured(w) && !w->given_up;
}

static struct {               /* what clients ask for in this run */
    unsigned menu[DRIVES];    /* bits of M_... */
    int most;
    bool again;               /* finished operations make room for new ones */
    bool changes;             /* cancel and hurry */
    bool fails;               /* kernel, store and controller may */
} clients;

/* ---- keeping one ------------------------------------------------------------------------------------------------- */

#define WORLD_HEAD offsetof(struct world, d)
#define DRIVE_KEPT (offsetof(struct drive, queue) + OPS_MAX * sizeof(struct drive_op))
#define WORLD_KEPT (WORLD_HEAD + DRIVES * DRIVE_KEPT)

static inline void world_keep(char *kept, const void *world)
{
    const struct world *w = world;
    memcpy(kept, w, WORLD_HEAD);
    for (size_t i = 0; i < DRIVES; i++) memcpy(kept + WORLD_HEAD + i * DRIVE_KEPT, &w->d[i], DRIVE_KEPT);
}

/* `w` was zero, or a world, before: queues never grow beyond what is kept. */
static inline void world_take(struct world *w, const char *kept)
{
    memcpy(w, kept, WORLD_HEAD);
    for (size_t i = 0; i < DRIVES; i++) memcpy(&w->d[i], kept + WORLD_HEAD + i * DRIVE_KEPT, DRIVE_KEPT);
}

/* ---- what makes two worlds differ -------------------------------------------------------------------------------- */

static inline uint64_t age(const struct world *w, msec at)
{
    msec a = at - w->now;
    return (uint64_t)(at == 0 || a < LONG_AGO ? LONG_AGO : a > -LONG_AGO ? -LONG_AGO : a);
}

static inline uint64_t order_print(const struct world *w, const struct order *o)
{
    const struct drive *d = &w->d[o->drive];
    op_key op = o->action.op;
    uint64_t values[] = {o->action.what, o->action.image, o->action.readonly, op && request_of(w, op)->accept_stale_host,
                         d->queue_len && d->queue[0].rq.op == op, o->action.ticket == TICKET_REATTACH, o->begun, o->passed,
                         o->denied, o->withdrawn, o->unsent, age(w, o->given_at), o->begun ? age(w, o->begun_at) : 0};
    return search_mix_all(3, values, ARRAY_LEN(values));
}

static inline uint64_t lun_print(const struct world *w, size_t i)
{
    const struct lun *l = &w->luns[i];
    const struct evidence *ev = &w->evidence[i];
    const struct function *f = &w->functions[function_of(i)];
    bool sampled = ev->sampled_at != 0; /* else what it has read is not looked at (evidence_sample()) */
    bool marked = w->acting[i].what == DO_INSERT || w->acting[i].what == DO_SWAP; /* else the mark is not (medium_changed()) */
    uint64_t values[] = {
        l->medium.image, l->medium.readonly, l->prevented, l->changed, l->holds, l->dirty, l->closed_hint, l->accepted,
        l->dirty ? l->dirty_for : 0, l->believes, l->command.present, l->command.in_thread, l->command.writes,
        l->command.present ? l->command.meant_for : 0, l->command.present ? age(w, l->command.since) : 0,
        ev->based, ev->known, sampled, sampled && ev->read != ev->base_read, sampled && ev->written != ev->base_written,
        sampled && ev->read != f->read, sampled && ev->written != f->written, sampled && ev->commands != f->commands,
        marked && ev->mark_read != f->read, marked && ev->mark_written != f->written,
        ev->base_read != f->read, ev->base_written != f->written, age(w, ev->last_read_at), age(w, ev->last_write_at),
        MIN(ev->polls, EVIDENCE_NOTICED), age(w, ev->poll_at),
        w->acting[i].what, w->deferred[i].what, w->in_store[i].what, w->in_store[i].ticket == w->d[i].ticket,
        w->resumed_doing[i], w->seen_known[i], w->seen[i].image, w->reattach.eject == i,
        w->reattach.state != REATTACH_IDLE && w->reattach_for == i, age(w, w->wake[i] == MSEC_NEVER ? 0 : w->wake[i]),
    };
    uint64_t h = search_mix_all(1, values, ARRAY_LEN(values));
    for (size_t k = 0; k < f->orders_len; k++) {
        const struct order *o = &f->orders[k];
        if (o->drive == i) h = search_mix(search_mix(search_mix(h, k), o->action.ticket == w->d[i].ticket), order_print(w, o));
    }
    if (f->old && f->before.drive == i) h = search_mix(h, order_print(w, &f->before));
    return h;
}

static inline uint64_t machine_print(const struct world *w, size_t i)
{
    const struct drive *d = &w->d[i];
    uint64_t values[] = {
        d->medium.image, d->medium.readonly, d->observed, d->attached, d->host_present, d->stale_host, d->quarantine,
        d->quarantine ? age(w, d->quarantine_until) : 0, d->medium.image ? 0 : age(w, MAX(d->empty_since, 1)),
        age(w, d->broken_at), d->cleared, d->lock_lost, d->unannounced, (uint64_t)d->announce_tries,
        d->unannounced ? age(w, d->announce_at) : 0, d->evidence.lock, d->evidence.waiting_for, d->outstanding,
        d->outstanding ? age(w, d->outstanding_since) : 0, d->stuck, d->observe_wanted,
        d->outstanding && d->written_before != d->evidence.bytes_written, d->queue_len,
    };
    uint64_t h = search_mix_all(2, values, ARRAY_LEN(values));
    for (size_t k = 0; k < d->queue_len; k++) {
        const struct drive_op *op = &d->queue[k];
        const struct asked *a = &w->ops[op->rq.op - 1];
        bool queued = op->phase == PHASE_QUEUED;
        uint64_t of_op[] = {(uint64_t)a->menu_index, a->finished, a->hurried, op->rq.mode, op->phase, op->hurried, op->force_now,
                            op->verified, op->cancelled, op->broke, age(w, op->broken_before),
                            op->gap_until ? age(w, op->gap_until) : 1, op->asked > 0, op->facts, op->was_readonly,
                            op->was_locked, (uint64_t)op->force_tries,
                            queued ? 0 : age(w, op->patience_until), queued ? 0 : age(w, op->next_at)};
        h = search_mix_all(h, of_op, ARRAY_LEN(of_op));
    }
    return h;
}

/*
 * The drives of one function are alike, so worlds that differ in which is which are one; but for those that clients ask
 * different things of.
 */
static inline uint64_t world_fingerprint(const void *world)
{
    const struct world *w = world;
    uint64_t of[DRIVES], h = 4;
    for (size_t i = 0; i < DRIVES; i++) of[i] = search_mix(search_mix(lun_print(w, i), machine_print(w, i)), clients.menu[i]);
    for (size_t i = 0; i < FUNCTIONS; i++) {
        const struct function *f = &w->functions[i];
        uint64_t values[] = {f->stalls, f->old, f->held_told, f->orders_len};
        h = search_mix_all(h, values, ARRAY_LEN(values));
    }
    uint64_t values[] = {
        MIN(of[0], of[1]), MAX(of[0], of[1]), of[2], w->bound, w->plugged, w->down, w->given_up, (uint64_t)w->host_acts,
        (uint64_t)w->stalls_left, (uint64_t)w->unplugs_left, (uint64_t)w->kills_left, (uint64_t)w->breaks_left,
        (uint64_t)w->asked_count, w->reattach.state, w->reattach.ejecting, w->reattach_allowed, (uint64_t)(w->gadget_order + 1),
        w->reattach.timer.at == MSEC_NEVER ? 1 : (uint64_t)(w->reattach.timer.at - w->now),
        w->reattach.state == REATTACH_HOLDING ? (uint64_t)(w->reattach.bind_at - w->now) : 0, age(w, w->unbound_since),
    };
    h = search_mix_all(h, values, ARRAY_LEN(values));
    return h ? h : 1;
}
