/*
 * drive_world.h - the world of one drive, for test_drive_model.c: a kernel, a host, clients, and what they remember.
 *
 * Times are those of a small clock: durations of the policy are a few steps of STEP_MS, and what lies longer back than
 * LONG_AGO is equally long ago.
 */
#pragma once

#include "gadget/drive.h"
#include "tests/unit/model_search.h"

#define OPS_MAX 3
#define STEP_MS 250
#define HOLD_MS 250
#define LONG_AGO (-1000) /* older than any duration below: times beyond look alike */

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

static inline uint64_t age(const struct world *w, msec at)
{
    msec a = at - w->now;
    return (uint64_t)(at == 0 || a < LONG_AGO ? LONG_AGO : a > -LONG_AGO ? -LONG_AGO : a);
}

/* A fingerprint of everything that can matter for the future; times count as ages. */
static inline uint64_t world_fingerprint(const void *world)
{
    const struct world *w = world;
    const struct drive *d = &w->d;
    uint64_t h = 1;
    uint64_t values[] = {
        d->medium.image, d->medium.readonly, d->observed, d->attached, d->host_present, d->stale_host, d->quarantine,
        d->quarantine ? age(w, d->quarantine_until) : 0, d->medium.image ? 0 : age(w, MAX(d->empty_since, 1)),
        d->medium.readonly ? age(w, MAX(d->loaded_since, w->read_at)) : 0, d->evidence.lock, d->queue_len, d->outstanding,
        d->outstanding ? age(w, d->outstanding_since) : 0, d->stuck, d->observe_wanted,
        d->outstanding && !d->medium.readonly && d->written_before != w->written, w->kernel.image,
        w->kernel.readonly, w->in_kernel.what, w->in_kernel.image, w->in_store.what,
        w->in_store.ticket == d->ticket, w->kernel.readonly ? 0 : age(w, w->written_at), age(w, w->removed_at),
        w->d.attached ? 0 : age(w, w->gone_at), w->locked, w->dangerous, w->closed_hint, w->force_was_busy,
        w->unplugged_once, w->waiting, w->cut, d->cut_at != 0, age(w, w->cut_at), age(w, w->haunted_until),
        age(w, d->broken_at), (uint64_t)w->ops_len,
        age(w, w->wake == MSEC_NEVER ? 0 : w->wake), d->cleared, d->lock_lost, d->unannounced,
        (uint64_t)d->announce_tries, d->unannounced ? age(w, d->announce_at) : 0,
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) h = search_mix(h, values[i]);
    for (size_t i = 0; i < d->queue_len; i++) {
        const struct drive_op *op = &d->queue[i];
        uint64_t of_op[] = {op->rq.op, op->rq.mode, op->phase, op->hurried, op->force_now, op->verified, op->cancelled, op->broke,
                            op->gap_until ? age(w, op->gap_until) : 1, op->asked > 0, op->facts, op->was_readonly,
                            op->was_locked, (uint64_t)op->force_tries, 
                            op->phase == PHASE_QUEUED ? 0 : age(w, op->patience_until),
                            op->phase == PHASE_QUEUED ? 0 : age(w, op->next_at)};
        for (size_t k = 0; k < ARRAY_LEN(of_op); k++) h = search_mix(h, of_op[k]);
    }
    for (int i = 0; i < w->ops_len; i++)
        h = search_mix(h, (uint64_t)w->ops[i].menu_index << 2 | w->ops[i].finished << 1 | w->ops[i].hurried |
                              (uint64_t)w->ops[i].signalled << 8);
    return h ? h : 1;
}

static inline const char *world_violation(const void *world)
{
    return ((const struct world *)world)->violation;
}
