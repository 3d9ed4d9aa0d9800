/*
 * A model checker for the drive machine: the real drive_step() against a kernel, a host and clients that may do
 * anything they are able to do, at any moment. Breadth first over all distinct states, so that the trail of a
 * violation is a shortest one.
 *
 * The world's invariants, beside those of drive_check():
 *   one call       no action for the kernel while another one is outstanding there
 *   empty insert   an image goes only into a drive that the kernel shows empty
 *   no old bytes   nothing writable goes in while the host may hold writes for an older medium, unless accepted
 *   permission     force only for a forced eject, by /force, after patience with on_timeout=force, or by the
 *                  release_when_quiet policy on a read-only medium that is quiet
 *   quiet          a writable medium that the host wrote to within `quiet` is not asked for
 *   dwell          the host had time to see the drive empty
 *   once           each operation ends exactly once, in the order of acceptance (but for cancellations)
 *   truth          "done" only when the kernel shows what was asked for
 *   fail behind    a failure ends all that was queued behind it
 *   signal         I/O is broken, or a signal sent, once for a decision, and only where the thread is seen to wait for
 *                  the host or to be at rest
 *   cut            storage is cut only where that is allowed, only while the thread waits for it, once for a medium, and
 *                  only by permission to force, because the host's patience ends, or by the operator
 *   in quarantine  nothing goes in while the host may repeat a command that was broken
 *   wake           an operation that waits has a time at which it is looked at again
 *
 * Each invariant is also tested against itself: a saboteur breaks the machine in one way, and the checker must find it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gadget/drive.h"

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

struct node {
    int parent;
    char how[28];
    char world[WORLD_KEPT];
};

static int ops_max = OPS_MAX;
static unsigned asks = ~0u; /* bit i: clients use menu[i] */

/* ---- the set of states ------------------------------------------------------------------------------------------- */

static struct node *nodes;
static int nodes_len, nodes_max;
static uint64_t *seen;
static size_t seen_max;

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdu;
    return h ^ (h >> 33);
}

static uint64_t age(const struct world *w, msec at)
{
    msec a = at - w->now;
    return (uint64_t)(at == 0 || a < LONG_AGO ? LONG_AGO : a > -LONG_AGO ? -LONG_AGO : a);
}

/* A fingerprint of everything that can matter for the future; times count as ages. */
static uint64_t fingerprint(const struct world *w)
{
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
        w->unplugged_once, w->waiting, w->cut, d->cut_at != 0, age(w, w->cut_at), age(w, w->haunted_until), age(w, d->broken_at), (uint64_t)w->ops_len,
        age(w, w->wake == MSEC_NEVER ? 0 : w->wake),
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) h = mix(h, values[i]);
    for (size_t i = 0; i < d->queue_len; i++) {
        const struct drive_op *op = &d->queue[i];
        uint64_t of_op[] = {op->rq.op, op->rq.mode, op->phase, op->hurried, op->force_now, op->verified, op->cancelled, op->broke,
                            op->gap_until ? age(w, op->gap_until) : 1, op->asked > 0, op->facts, op->was_readonly,
                            op->was_locked, (uint64_t)op->force_tries, 
                            op->phase == PHASE_QUEUED ? 0 : age(w, op->patience_until),
                            op->phase == PHASE_QUEUED ? 0 : age(w, op->next_at)};
        for (size_t k = 0; k < ARRAY_LEN(of_op); k++) h = mix(h, of_op[k]);
    }
    for (int i = 0; i < w->ops_len; i++)
        h = mix(h, (uint64_t)w->ops[i].menu_index << 2 | w->ops[i].finished << 1 | w->ops[i].hurried | (uint64_t)w->ops[i].signalled << 8);
    return h ? h : 1;
}

static bool is_new(const struct world *w)
{
    uint64_t h = fingerprint(w);
    size_t i = h & (seen_max - 1);
    while (seen[i] && seen[i] != h) i = (i + 1) & (seen_max - 1);
    if (seen[i]) return false;
    seen[i] = h;
    return true;
}

/* ---- invariants -------------------------------------------------------------------------------------------------- */

static void violated(struct world *w, const char *what)
{
    if (!w->violation) w->violation = what;
}

static const struct drive_request *asked(const struct world *w, op_key op)
{
    return &menu[w->ops[op - 1].menu_index];
}

static bool may_force(const struct world *w, const struct drive_op *op)
{
    const struct drive_request *rq = asked(w, op->rq.op);
    if (!w->kernel.image) return true; /* the host was faster; forcing an empty drive does nothing */
    if (rq->mode == EJECT_FORCED || w->ops[op->rq.op - 1].hurried) return true;
    if (w->now < op->patience_until) return false;
    if (rq->on_timeout == ON_TIMEOUT_FORCE) return true;
    return rq->lock_policy == LOCK_RELEASE_WHEN_QUIET && w->kernel.readonly &&
           w->now - w->read_at >= policy.release_quiet;
}

static bool busy(const struct world *w)
{
    return w->waiting != WAITING_NOTHING || w->now - MAX(w->read_at, w->written_at) < STEP_MS;
}

static void check_break(struct world *w)
{
    if (w->waiting != WAITING_HOST) violated(w, "signal");
    if (!w->operator_breaks && (!w->d.queue_len || !may_force(w, &w->d.queue[0]))) violated(w, "permission");
    w->waiting = WAITING_NOTHING;
    w->haunted_until = w->now + policy.quarantine_for;
}

static void check_cut(struct world *w)
{
    bool by_force = w->d.queue_len && may_force(w, &w->d.queue[0]), by_patience = w->cut_at && w->now >= w->cut_at;
    if (!policy.can_cut || w->waiting != WAITING_STORAGE || w->cut) violated(w, "cut");
    if (!w->operator_breaks && !by_force && !by_patience) violated(w, "permission");
    w->cut = w->kernel.image != 0; /* the host may have ejected it, and the machine not know yet */
    w->waiting = WAITING_NOTHING;
    w->cut_at = 0;
}

static void check_action(struct world *w, const struct drive_action *a)
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

static void check_finish(struct world *w, const struct drive_output *out, size_t queued_before)
{
    for (size_t i = 0; i < out->finished_len; i++) {
        const struct drive_finish *f = &out->finished[i];
        struct asked *a = &w->ops[f->op - 1];
        const struct drive_request *rq = asked(w, f->op);
        if (a->finished) violated(w, "once");
        a->finished = true;
        for (op_key earlier = 1; earlier < f->op && f->state != OP_CANCELLED; earlier++)
            if (!w->ops[earlier - 1].finished) violated(w, "once");
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

static void check_rest(struct world *w)
{
    const char *broken = drive_check(&w->d);
    if (broken) violated(w, broken);
    if (w->d.queue_len && w->d.outstanding == DO_NOTHING && w->wake == MSEC_NEVER) violated(w, "wake");
    if (w->d.outstanding != DO_NOTHING && !w->d.stuck && w->wake == MSEC_NEVER) violated(w, "wake");
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

typedef void saboteur(struct world *w, struct drive_output *out);
static saboteur *sabotage;

static void feed(struct world *w, struct drive_event ev)
{
    struct drive_output out;
    ev.evidence = (struct drive_evidence){.known = true, .bytes_read = w->read, .bytes_written = w->written,
                                          .last_read_at = w->read_at, .last_write_at = w->written_at,
                                          .waiting_for = w->waiting, .cut_at = w->cut_at};
    if (ev.kind != DRIVE_LINK) {
        ev.attached = w->d.attached;
        ev.host_present = w->d.host_present;
    }
    size_t queued = w->d.queue_len;
    uint64_t generation = w->d.generation;
    drive_step(&w->d, &ev, w->now, &out);
    if (ev.kind == DRIVE_REQUEST) {
        bool enters = out.refused == ERR_NONE && out.joined == 0;
        queued += enters;
        w->ops[ev.request.op - 1].finished = !enters;
        for (op_key i = 1; enters && menu[w->ops[ev.request.op - 1].menu_index].mode == EJECT_FORCED && i < ev.request.op; i++)
            w->ops[i - 1].hurried = true; /* a forced eject allows force for those before it */
        if (out.joined && ev.request.mode == EJECT_FORCED) w->ops[out.joined - 1].hurried = true;
    }
    if (sabotage) sabotage(w, &out);
    w->wake = out.wake;
    if (out.break_io) check_break(w);
    if (out.cut) check_cut(w);
    if (out.action.what != DO_NOTHING) {
        check_action(w, &out.action);
        if (out.action.what == DO_OPEN || out.action.what == DO_SYNC)
            w->in_store = out.action;
        else
            w->in_kernel = out.action;
    }
    check_finish(w, &out, queued);
    check_rest(w);
    if (w->d.generation != generation) w->written = w->read = 0, w->written_at = w->read_at = 0;
    if (w->d.queue_len == 0) w->force_was_busy = false;
}

static void request(struct world *w, int index)
{
    w->ops[w->ops_len] = (struct asked){.menu_index = index};
    struct drive_request rq = menu[index];
    rq.op = (op_key)++w->ops_len;
    feed(w, (struct drive_event){.kind = DRIVE_REQUEST, .request = rq});
}

/* The medium leaves the kernel. The host is dangerous when it had it in use, or may have written more. */
static void kernel_empties(struct world *w, bool forced)
{
    if (!w->kernel.image) return;
    if (!w->kernel.readonly && (forced || (w->written_at && w->now - w->written_at < policy.quiet)))
        w->dangerous = true;
    w->kernel = (struct drive_medium){0};
    w->cut = false;
    w->removed_at = w->now;
    w->locked = false;
}

static void answer_kernel(struct world *w, bool well)
{
    struct drive_action a = w->in_kernel;
    struct drive_result r = {.ticket = a.ticket, .outcome = well ? OUTCOME_OK : OUTCOME_ERROR, .code = ERR_INTERNAL,
                             .medium_known = true};
    w->in_kernel = (struct drive_action){0};
    w->waiting = WAITING_NOTHING;
    w->cut_at = 0;
    if (a.what == DO_ASK || a.what == DO_SWAP) {
        if (w->locked)
            r.outcome = OUTCOME_BUSY;
        else if (well)
            kernel_empties(w, false);
        if (a.what == DO_SWAP && r.outcome == OUTCOME_OK)
            w->kernel = (struct drive_medium){a.image, a.readonly}, w->removed_at = 0;
    } else if (a.what == DO_FORCE || a.what == DO_SIGNAL) {
        if (well)
            kernel_empties(w, true);
        else
            r.outcome = OUTCOME_BUSY, w->force_was_busy = true;
    } else if (a.what == DO_INSERT && well) {
        w->kernel = (struct drive_medium){a.image, a.readonly};
        if (!a.readonly && asked(w, a.op)->accept_stale_host) w->dangerous = false; /* accepted: the mark is gone */
    } else if (a.what == DO_REATTACH) {
        if (well && a.eject) kernel_empties(w, true);
        if (well) w->dangerous = w->locked = false, w->removed_at = w->haunted_until = 0;
    }
    r.medium = w->kernel;
    feed(w, (struct drive_event){.kind = DRIVE_RESULT, .result = r});
}

static void answer_store(struct world *w, bool well)
{
    struct drive_result r = {.ticket = w->in_store.ticket, .outcome = well ? OUTCOME_OK : OUTCOME_ERROR,
                             .code = ERR_IMAGE_MISSING};
    w->in_store = (struct drive_action){0};
    feed(w, (struct drive_event){.kind = DRIVE_RESULT, .result = r});
}

static void host(struct world *w, int what)
{
    struct drive_event ev = {.kind = DRIVE_EVIDENCE};
    if (what == 0)
        w->locked = true;
    else if (what == 1)
        w->locked = false;
    else if (what == 2)
        w->written++, w->written_at = w->now;
    else if (what == 3)
        w->read++, w->read_at = w->now;
    else {
        kernel_empties(w, false);
        w->dangerous = w->dangerous && w->removed_at == 0; /* it flushed before it ejected */
        w->closed_hint = true;
        return;
    }
    feed(w, ev);
}

static void wait_for(struct world *w, enum waiting_for what)
{
    w->waiting = what;
    w->cut_at = what == WAITING_STORAGE && policy.can_cut ? w->now + 2 * STEP_MS : 0;
    feed(w, (struct drive_event){.kind = DRIVE_EVIDENCE});
}

static void operator_breaks(struct world *w)
{
    w->operator_breaks = true;
    feed(w, (struct drive_event){.kind = DRIVE_BREAK});
    w->operator_breaks = false;
}

static void controller_comes(struct world *w)
{
    feed(w, (struct drive_event){.kind = DRIVE_LINK, .attached = true, .host_present = true});
    if (w->now - w->gone_at < HOLD_MS) return; /* the host may have seen no more than a reset */
    w->dangerous = w->locked = false;
    w->removed_at = w->haunted_until = 0;
    feed(w, (struct drive_event){.kind = DRIVE_REENUMERATED});
}

static struct world world_of(int at)
{
    struct world w = {0};
    memcpy(&w, nodes[at].world, WORLD_KEPT);
    return w;
}

static void add(int parent, const struct world *w, const char *how)
{
    if (!w->violation && !is_new(w)) return;
    if (nodes_len == nodes_max) {
        nodes_max = nodes_max ? nodes_max * 2 : 4096;
        nodes = realloc(nodes, (size_t)nodes_max * sizeof *nodes);
        assert_non_null(nodes);
    }
    memcpy(nodes[nodes_len].world, w, WORLD_KEPT);
    nodes[nodes_len].parent = parent;
    snprintf(nodes[nodes_len].how, sizeof nodes[nodes_len].how, "%s", how);
    nodes_len++;
}

#define TRY(how, statement)                                                                                       \
    do {                                                                                                          \
        struct world next = now;                                                                          \
        struct world *w = &next;                                                                                  \
        statement;                                                                                                \
        add(at, &next, how);                                                                                      \
        if (next.violation) return;                                                                               \
    } while (0)

static void expand(int at)
{
    const struct world now = world_of(at);
    char how[28];
    if (now.in_kernel.what != DO_NOTHING) {
        TRY("the kernel does it", answer_kernel(w, true));
        if (now.in_kernel.what != DO_FORCE || !now.force_was_busy) TRY("the kernel fails", answer_kernel(w, false));
    }
    if (now.in_store.what != DO_NOTHING) {
        TRY("the store does it", answer_store(w, true));
        TRY("the store fails", answer_store(w, false));
    }
    if (now.kernel.image && now.d.attached) {
        if (!now.locked) TRY("the host locks", host(w, 0));
        if (now.locked) TRY("the host unlocks", host(w, 1));
        if (!now.kernel.readonly) TRY("the host writes", host(w, 2));
        TRY("the host reads", host(w, 3));
        if (!now.locked && now.written_at == 0) TRY("the host ejects", host(w, 4));
    }
    if (now.in_kernel.what == DO_FORCE || now.in_kernel.what == DO_ASK) {
        if (now.waiting != WAITING_HOST) TRY("... waits for the host", wait_for(w, WAITING_HOST));
        if (now.waiting != WAITING_STORAGE) TRY("... waits for storage", wait_for(w, WAITING_STORAGE));
        if (now.waiting != WAITING_NOTHING) TRY("the operator breaks I/O", operator_breaks(w));
    }
    if (now.closed_hint) TRY("inotify says closed", (w->closed_hint = false, feed(w, (struct drive_event){.kind = DRIVE_HINT_CLOSED})));
    if (!now.unplugged_once && now.in_kernel.what == DO_NOTHING)
        TRY("the controller goes", (w->unplugged_once = true, w->gone_at = w->now, feed(w, (struct drive_event){.kind = DRIVE_LINK})));
    if (!now.d.attached) TRY("the controller comes", controller_comes(w));
    if (now.d.queue_len || now.d.quarantine || now.in_kernel.what != DO_NOTHING)
        TRY("time passes", (w->now += STEP_MS, feed(w, (struct drive_event){.kind = DRIVE_EVIDENCE})));
    for (op_key op = 1; op <= (op_key)now.ops_len; op++) {
        if (now.ops[op - 1].finished) continue;
        TRY("cancel", feed(w, (struct drive_event){.kind = DRIVE_CANCEL, .op = op}));
        TRY("hurry", (w->ops[op - 1].hurried = true, feed(w, (struct drive_event){.kind = DRIVE_HURRY, .op = op})));
    }
    for (int i = 0; i < (int)ARRAY_LEN(menu) && now.ops_len < ops_max; i++) {
        if (!(asks & 1u << i)) continue;
        snprintf(how, sizeof how, "request %d", i);
        TRY(how, request(w, i));
    }
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

/* 0: empty; 1: a writable medium is in; 2: quarantined; 3: as 1, without forced_eject; 4: nor reattach; 5: as 1, and its
 * storage may be cut */
#define VARIANTS 6

/* What each run begins with: a drive in a state that matters, as drive_restore() or earlier operations leave it. */
static void begin(struct world *w, int variant)
{
    *w = (struct world){.now = 100000, .wake = MSEC_NEVER, .waiting = WAITING_NOTHING};
    policy.can_force = variant < 3 || variant == 5;
    policy.can_cut = variant == 5;
    asks = variant == 5 ? 1u << 0 | 1u << 1 | 1u << 5 | 1u << 7 | 1u << 8 : ~0u; /* what the cut has to do with */
    policy.reattach = variant == 4 ? REATTACH_NEVER : REATTACH_LAST_RESORT;
    drive_init(&w->d, &policy);
    drive_restore(&w->d, variant == 2, variant == 2 ? w->now + 1000 : 0, 0, 0);
    w->d.attached = w->d.host_present = w->d.observed = true;
    w->dangerous = variant == 2;
    if (variant == 1 || variant >= 3) w->kernel = w->d.medium = (struct drive_medium){2, false};
    w->d.loaded_since = w->now;
}

static const char *explore(int variant, int states_max, bool tell)
{
    nodes_len = 0;
    seen_max = 1u << 24;
    seen = calloc(seen_max, sizeof *seen);
    assert_non_null(seen);
    struct world first;
    begin(&first, variant);
    add(-1, &first, "start");
    const char *violation = NULL;
    int at = 0;
    for (; at < nodes_len && nodes_len < states_max && !violation; at++) {
        expand(at);
        violation = world_of(nodes_len - 1).violation;
    }
    bool bounded = at < nodes_len && !violation;
    if (tell) print_message("%d operations, variant %d: %d states%s\n", ops_max, variant, nodes_len, bounded ? " (bound reached)" : "");
    if (violation && tell)
        for (int i = nodes_len - 1; i >= 0; i = nodes[i].parent) {
            struct world w = world_of(i);
            print_message("  %-24s now=%lld head=%d outstanding=%d kernel=%u\n", nodes[i].how, (long long)w.now,
                          w.d.queue_len ? (int)w.d.queue[0].phase : -1, (int)w.d.outstanding, w.kernel.image);
        }
    free(seen);
    return violation;
}

/* Of distinct states in a run, about 1 KB each; that the bound was reached is said. Sanitizers make it ten times slower. */
#ifdef __SANITIZE_ADDRESS__
#define STATES_MAX 200000
#else
#define STATES_MAX 1000000
#endif
#define FAULT_STATES_MAX 1000000 /* the deepest planted fault lies some 300 000 states down */

/* With one operation all is walked to the end; with two, up to the bound. TRAYD_MODEL_OPS=3 goes on from there. */
static void test_holds(void **state)
{
    (void)state;
    sabotage = NULL;
    const char *more = getenv("TRAYD_MODEL_OPS");
    int most = more ? atoi(more) : 2;
    for (ops_max = 1; ops_max <= MIN(most, OPS_MAX); ops_max++)
        for (int variant = 0; variant < VARIANTS; variant++) {
            const char *violation = explore(variant, STATES_MAX, true);
            if (violation) fail_msg("invariant violated: %s", violation);
        }
}

static void forget_stale(struct world *w, struct drive_output *out) { (void)out; w->d.stale_host = false; }
static void forget_dwell(struct world *w, struct drive_output *out) { (void)out; w->d.empty_since = DRIVE_EMPTY_LONG_AGO; }
static void forget_quiet(struct world *w, struct drive_output *out) { (void)out; w->d.policy.quiet = 0; }
static void forget_wake(struct world *w, struct drive_output *out) { (void)w; out->wake = MSEC_NEVER; }
static void say_twice(struct world *w, struct drive_output *out)
{
    (void)w;
    if (out->finished_len) out->finished[out->finished_len] = out->finished[0], out->finished_len++;
}
static void force_early(struct world *w, struct drive_output *out)
{
    (void)out;
    if (w->d.queue_len) w->d.queue[0].force_now = true;
}
static void keep_behind(struct world *w, struct drive_output *out)
{
    if (out->finished_len == 2 && out->finished[1].code == ERR_EARLIER_FAILED) {
        out->finished_len = 1;
        w->d.queue[w->d.queue_len++] = (struct drive_op){.rq = menu[5], .phase = PHASE_QUEUED};
        w->d.queue[0].rq.op = out->finished[1].op;
    }
}
static void lie(struct world *w, struct drive_output *out)
{
    if (w->kernel.image)
        for (size_t i = 0; i < out->finished_len; i++) out->finished[i].state = OP_DONE;
}
static void forget_medium(struct world *w, struct drive_output *out) { (void)out; w->d.medium.image = 0; }
static void forget_outstanding(struct world *w, struct drive_output *out)
{
    (void)out;
    if (w->d.stuck) w->d.stuck = false, w->d.outstanding = DO_NOTHING;
}
static void forget_break(struct world *w, struct drive_output *out) { (void)out; w->d.broken_at = 0; }
static void signal_twice(struct world *w, struct drive_output *out)
{
    (void)out;
    if (w->d.queue_len) w->d.queue[0].broke = false;
}
static void cut_blindly(struct world *w, struct drive_output *out)
{
    if (w->in_kernel.what == DO_FORCE && w->waiting == WAITING_HOST) out->cut = true;
}
static void cut_anything(struct world *w, struct drive_output *out)
{
    if (w->in_kernel.what == DO_FORCE && w->waiting == WAITING_STORAGE) out->cut = true;
}
static void forget_cut(struct world *w, struct drive_output *out) { (void)out; w->d.cut_at = 0; }
static void forget_quarantine(struct world *w, struct drive_output *out)
{
    (void)out;
    if (w->d.queue_len && w->d.queue[0].phase == PHASE_INSERTING) w->d.quarantine = true;
}

static void test_finds_each_planted_fault(void **state)
{
    (void)state;
    static const struct {
        saboteur *fault;
        const char *found_as;
        int variant;
    } faults[] = {
        {forget_stale, "no old bytes", 1},    {forget_dwell, "dwell", 1},         {forget_quiet, "quiet", 1},
        {forget_wake, "wake", 0},             {say_twice, "once", 0},             {force_early, "permission", 1},
        {keep_behind, "fail behind", 1},      {lie, "truth", 1},                  {forget_medium, "empty insert", 1},
        {cut_blindly, "cut", 5},              {cut_anything, "cut", 1},           {forget_cut, "cut", 5},
        {forget_break, "in quarantine", 4},   {signal_twice, "signal", 4},
        {forget_outstanding, "one call", 1},  {forget_quarantine, "nothing goes in during quarantine", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        sabotage = faults[i].fault;
        ops_max = 2;
        const char *violation = explore(faults[i].variant, FAULT_STATES_MAX, false);
        if (!violation || strcmp(violation, faults[i].found_as) != 0)
            fail_msg("fault %zu was found as \"%s\", not as \"%s\"", i, violation ? violation : "nothing", faults[i].found_as);
    }
    sabotage = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_finds_each_planted_fault),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(nodes);
    return failed;
}
