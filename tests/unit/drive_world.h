/*
 * drive_world.h - the world of one drive, for test_drive_model.c: a kernel, a host, clients, and what they remember.
 *
 * Times are those of a small clock: durations of the policy are a few steps of STEP_MS. What lies longer back than the
 * longest duration that it is compared with is equally long ago: two worlds that differ only in that have one future.
 */
#pragma once

#include "gadget/drive.h"
#include "tests/unit/model_search.h"

#define OPS_MAX 3
#define STEP_MS 250
#define HOLD_MS 250

static struct drive_policy policy = {
    .type = DRIVE_DISK, .reattach = REATTACH_LAST_RESORT, .quiet = 250, .release_quiet = 500, .dwell = 250,
    .stuck_after = 750, .can_force = true, .can_signal = true, .can_break = true, .break_after = 250,
    .quarantine_for = 500, .cut_after = 250,
};

/* What clients may ask for. Images: 1 and 3 are inserted read-only, 2 writable. */
static const struct drive_request menu[] = {
    {.action = OP_INSERT, .image = 1, .readonly = true, .patience = 500},
    {.action = OP_INSERT, .image = 2, .patience = 500},
    {.action = OP_INSERT, .image = 2, .patience = 500, .accept_stale_host = true},
    {.action = OP_INSERT, .image = 2, .patience = 500, .reattach = true, .mode = EJECT_FORCED},
    {.action = OP_INSERT, .image = 3, .readonly = true, .patience = 0, .swap_direct = true},
    {.action = OP_EJECT, .patience = 500},
    {.action = OP_EJECT, .patience = 500, .lock_policy = LOCK_RELEASE_WHEN_QUIET},
    {.action = OP_EJECT, .patience = 250, .on_timeout = ON_TIMEOUT_FORCE},
    {.action = OP_EJECT, .mode = EJECT_FORCED},
};

struct asked {                /* what the world remembers of an operation */
    int menu_index;           /* -1: not asked yet */
    bool finished, hurried, signalled;
};

struct world {
    msec now, wake;
    struct drive_medium kernel;
    struct drive_action in_kernel;  /* outstanding there; what == DO_NOTHING: none */
    struct drive_action in_store;   /* an open or sync, perhaps abandoned */
    uint64_t written, read;
    msec written_at, read_at, removed_at, gone_at;
    msec haunted_until;             /* the host may repeat a broken command till then */
    enum waiting_for waiting;       /* of the thread */
    msec cut_at;                    /* the host's patience ends soon after that; 0: it waits for nothing of the storage's */
    bool cut;                       /* the storage under the medium was */
    bool operator_breaks;
    bool locked, dangerous, closed_hint, force_was_busy, unplugged_once;
    struct asked ops[OPS_MAX];
    int ops_len;
    const char *violation;
    struct drive d; /* last: a node keeps only the part of its queue that is used */
};

#define WORLD_KEPT (offsetof(struct world, d.queue) + OPS_MAX * sizeof(struct drive_op))

static int ops_max = OPS_MAX;
static unsigned asks = ~0u; /* bit i: clients use menu[i] */


/* ---- what makes two worlds differ -------------------------------------------------------------------------------- */

/*
 * A time as its distance from now. `matters`: ms that it is looked back on at most; beyond that, and where it never was,
 * all are alike.
 */
static inline uint64_t age(const struct world *w, msec at, msec matters)
{
    return (uint64_t)(at <= 0 ? -matters : MAX(at - w->now, -matters));
}

/* A time that something is due at: once it has come, it does not matter when. */
static inline uint64_t due(const struct world *w, msec at)
{
    return age(w, at, 0);
}

static inline uint64_t fingerprint_of_op(const struct world *w, const struct drive_op *op)
{
    const struct asked *a = &w->ops[op->rq.op - 1];
    bool queued = op->phase == PHASE_QUEUED, acts = w->d.outstanding != DO_NOTHING;
    bool takes = op->phase == PHASE_ASKING || op->phase == PHASE_FORCING || op->phase == PHASE_SWAPPING ||
                 op->phase == PHASE_REATTACHING;
    const uint64_t values[] = {
        (uint64_t)a->menu_index, a->hurried, a->signalled, op->rq.mode, op->phase, op->hurried, op->force_now, op->verified,
        op->cancelled, op->broke, age(w, op->broken_before, policy.quarantine_for),
        op->gap_until ? due(w, op->gap_until) : UINT64_MAX, op->asked > 0, takes && op->was_readonly,
        (uint64_t)op->force_tries, queued ? 0 : due(w, op->patience_until), queued || acts ? 0 : due(w, op->next_at),
    };
    return search_mix_all(1, values, ARRAY_LEN(values));
}

/*
 * A fingerprint of everything that can matter for the future. The operations that have ended do not, but for how many
 * they were; and those that have not are the queue.
 */
static inline uint64_t world_fingerprint(const void *world)
{
    const struct world *w = world;
    const struct drive *d = &w->d;
    const struct drive_action *in_kernel = &w->in_kernel;
    bool accepts = in_kernel->what == DO_INSERT && menu[w->ops[in_kernel->op - 1].menu_index].accept_stale_host;
    const uint64_t values[] = {
        d->medium.image, d->medium.readonly, d->observed, d->attached, d->host_present, d->stale_host, d->quarantine,
        d->quarantine ? due(w, d->quarantine_until) : 0, d->medium.image ? 0 : age(w, d->empty_since, policy.dwell),
        d->medium.readonly ? age(w, MAX(d->loaded_since, w->read_at), policy.release_quiet) : 0, age(w, w->read_at, STEP_MS),
        d->evidence.lock, d->queue_len, d->outstanding, d->outstanding ? age(w, d->outstanding_since, policy.stuck_after) : 0,
        d->stuck, d->observe_wanted, d->outstanding && !d->medium.readonly && d->written_before != w->written,
        w->kernel.image, w->kernel.readonly, in_kernel->what, in_kernel->image, in_kernel->readonly, in_kernel->eject,
        in_kernel->ticket == d->ticket, accepts, w->in_store.what, w->in_store.ticket == d->ticket,
        w->written_at != 0, age(w, w->written_at, policy.quiet), age(w, w->removed_at, policy.dwell),
        d->attached ? 0 : age(w, w->gone_at, HOLD_MS), w->locked, w->dangerous, w->closed_hint, w->force_was_busy,
        w->unplugged_once, w->waiting, w->cut, d->cut_at != 0, w->cut_at != 0, due(w, w->cut_at), due(w, w->haunted_until),
        age(w, d->broken_at, policy.quarantine_for), (uint64_t)w->ops_len, d->cleared, d->lock_lost, d->unannounced,
        (uint64_t)d->announce_tries, d->unannounced ? due(w, d->announce_at) : 0,
    };
    uint64_t h = search_mix_all(1, values, ARRAY_LEN(values));
    for (size_t i = 0; i < d->queue_len; i++) h = search_mix(h, fingerprint_of_op(w, &d->queue[i]));
    return h ? h : 1;
}

static inline const char *world_violation(const void *world)
{
    return ((const struct world *)world)->violation;
}
