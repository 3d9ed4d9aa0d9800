/*
 * A model checker for several drives in one function: the real drive machines, the real evidence and the real reattach,
 * in a world of one kernel thread, one worker and one host (function_world.h). What must hold is in function_rules.h, what
 * can happen in function_moves.h.
 *
 * Each run is about a few things that meet; all of its states are walked, up to a bound. A random walk with everything at
 * once goes where the bound does not let the walk of all states go. From some of the states it is tried whether all comes to
 * an end. Each rule is tested against itself: a fault is planted, and must be found under that rule's name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "gadget/reannounce.h"
#include "tests/unit/function_moves.h"

enum { EMPTY, RO, RW };

struct run {
    const char *about;
    int in[DRIVES];               /* EMPTY, RO, RW */
    unsigned menu[DRIVES];
    bool no_force, may_reattach, fails, changes;
    int host_acts, stalls, unplugs, kills, breaks;
    int ops;                      /* 0: as many as all runs */
};

#define M_ALL 511u

static const struct run runs[] = {
    {"a stopped host, and a mounted disk", {RO, RW, EMPTY}, {M_FORCE, M_EJECT, 0}, .host_acts = 2},
    {"robbed, and kill -9", {RW, EMPTY, EMPTY}, {M_FORCE | M_RW | M_RO, 0, 0}, .host_acts = 1, .kills = 1},
    {"killed in a reattach", {RW, EMPTY, EMPTY}, {M_ANYWAY | M_RW, 0, 0}, .no_force = true, .may_reattach = true, .host_acts = 2,
     .kills = 1},
    {"asked for, and forced beside it", {RO, RW, RO}, {M_FORCE, M_EJECT | M_FORCE, 0}, .no_force = true, .host_acts = 2},
    {"one is ejected, its sibling is mounted", {RO, RW, EMPTY}, {M_EJECT | M_FORCE | M_SWAP, M_EJECT | M_RW, 0}, .host_acts = 2},
    {"a stopped host", {RW, RW, EMPTY}, {M_FORCE | M_RW, M_EJECT | M_SWAP | M_RW, 0}, .host_acts = 2},
    {"a stopped host, and discs", {RO, RO, EMPTY}, {M_FORCE | M_SWAP, M_SWAP | M_EJECT | M_RO, 0}, .host_acts = 2},
    {"the operator breaks", {RO, RW, EMPTY}, {M_SWAP | M_EJECT, M_EJECT | M_RW, 0}, .host_acts = 2, .breaks = 1},
    {"without forced_eject", {RO, RW, EMPTY}, {M_FORCE | M_SWAP, M_EJECT | M_SWAP, 0}, .no_force = true, .host_acts = 3},
    {"without it, and with a new disc", {EMPTY, RO, EMPTY}, {M_RO, M_FORCE | M_SWAP, 0}, .no_force = true, .host_acts = 3},
    {"reattach", {RW, RW, RW}, {M_FORCE | M_ANYWAY, M_EJECT, M_REATTACH | M_LATER}, .no_force = true, .may_reattach = true,
     .host_acts = 2, .fails = true},
    {"reattach for an insert", {EMPTY, RO, RW}, {M_REATTACH, M_EJECT | M_RO, M_REATTACH}, .may_reattach = true, .host_acts = 2},
    {"storage that stalls", {RO, RW, RO}, {M_FORCE | M_SWAP, M_LATER | M_RO, M_EJECT}, .host_acts = 1, .stalls = 1},
    {"a command is broken, and storage stalls", {RO, EMPTY, RO}, {M_FORCE | M_SWAP, 0, 0}, .host_acts = 1, .stalls = 1},
    {"kill -9", {RW, RO, EMPTY}, {M_FORCE | M_RW, M_EJECT | M_SWAP, 0}, .host_acts = 2, .kills = 1},
    {"kill -9 in a reattach", {RW, EMPTY, EMPTY}, {M_FORCE | M_ANYWAY | M_RW, 0, 0}, .no_force = true, .may_reattach = true,
     .host_acts = 3, .kills = 1},
    {"the cable", {RW, RO, EMPTY}, {M_LATER | M_RW, M_SWAP, 0}, .host_acts = 2, .unplugs = 1},
    {"all at once", {RW, RO, RO}, {M_ALL, M_ALL, M_EJECT | M_FORCE}, .may_reattach = true, .fails = true, .changes = true,
     .host_acts = 3, .stalls = 1, .unplugs = 1, .kills = 1, .breaks = 1},
};

static int ops_most = 2;

static void begin(struct world *w, const struct run *run)
{
    static const struct drive_medium media[] = {[EMPTY] = {0, false}, [RO] = {1, true}, [RW] = {2, false}};
    *w = (struct world){.now = 100000, .bound = true, .plugged = true, .host_acts = run->host_acts, .stalls_left = run->stalls,
                        .unplugs_left = run->unplugs, .kills_left = run->kills, .breaks_left = run->breaks, .gadget_order = -1};
    struct drive_policy policy = small_policy;
    policy.can_force = !run->no_force;
    policy.reattach = run->may_reattach ? REATTACH_LAST_RESORT : REATTACH_NEVER;
    for (size_t i = 0; i < DRIVES; i++) {
        drive_init(&w->d[i], &policy);
        w->d[i].observed = w->d[i].attached = w->d[i].host_present = true;
        w->d[i].medium = w->luns[i].medium = media[run->in[i]];
        w->luns[i].believes = w->luns[i].medium.image;
        w->d[i].loaded_since = w->now;
        w->evidence[i].based = true; /* as from the first look on */
        w->wake[i] = MSEC_NEVER;
    }
    fake.reattach = (struct reattach){.eject = NO_DRIVE};
    reattach_init(&fake);
    w->reattach = fake.reattach;
    w->reattach.timer.at = MSEC_NEVER;
    memcpy(clients.menu, run->menu, sizeof clients.menu);
    clients.most = run->ops ? run->ops : ops_most;
    clients.again = false;
    clients.changes = run->changes;
    clients.fails = run->fails;
}

/* ---- all states -------------------------------------------------------------------------------------------------- */

#define ALIKE_OF 16 /* model_search.h: one of so many fingerprints is held to be one of a single future */
#define FAIR_OF 16 /* one of so many states is asked whether all comes to an end */

static void expand(struct search *s, const void *kept)
{
    static struct world next;
    struct moves m;
    char how[SEARCH_HOW_MAX];
    world_take(&next, kept);
    list_moves(&next, &m);
    for (size_t i = 0; i < m.len && !s->violation; i++) {
        world_take(&next, kept);
        apply_move(&next, &m.list[i]);
        if (!next.violation && world_fingerprint(&next) % FAIR_OF == 0) check_for_ever(&next);
        move_tell(&m.list[i], how, sizeof how);
        search_add(s, &next, how);
    }
}

static const struct model model = {WORLD_KEPT, world_keep, world_fingerprint, world_violation, expand, .one_of = ALIKE_OF};

static const char *explore(const struct run *run, int states_max, bool tell, int *ret_states)
{
    struct search s;
    static struct world first;
    begin(&first, run);
    const char *violation = search_run(&s, &model, &first, states_max);
    if (tell)
        print_message("%d operations, %s: %d states%s\n", clients.most, run->about, s.len,
                      search_was_bounded(&s) ? " (bound reached)" : "");
    if (violation && tell) search_tell_trail(&s);
    *ret_states += s.len;
    search_done(&s);
    return violation;
}

#ifdef __SANITIZE_ADDRESS__
#define STATES_MAX 20000 /* of distinct states in a run; sanitizers make it ten times slower */
#define STEPS_MAX 100000
#else
#define STATES_MAX 300000 /* a gigabyte at most */
#define STEPS_MAX 1000000
#endif
#define STATES_DEEP 3000000 /* with TRAYD_MODEL_OPS */

static void holds_in_all_states(void **state attr_unused)
{
    const char *more = getenv("TRAYD_MODEL_OPS"), *only = getenv("TRAYD_MODEL_RUN"), *bound = getenv("TRAYD_MODEL_STATES");
    int states_max = bound ? atoi(bound) : more ? STATES_DEEP : STATES_MAX;
    int states = 0, violations = 0;
    ops_most = more ? MIN(atoi(more), OPS_MAX) : 2;
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        if (only && !strstr(runs[i].about, only)) continue;
        const char *violation = explore(&runs[i], states_max, true, &states);
        if (violation) print_message("violated: %s\n", violation);
        violations += violation != NULL;
    }
    print_message("%d states\n", states);
    assert_int_equal(violations, 0);
}

/* ---- at random --------------------------------------------------------------------------------------------------- */

#define WALKS 4
#define TRAIL 40 /* last steps that are told of a violation */
#define FAIR_EVERY 512

static uint64_t random_state;

static uint32_t random_below(uint32_t n) /* xorshift64*: the same walk on each machine */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1du) >> 33) % n;
}

/* So that what clients and fate could do at any moment does not drown the rest. */
static uint32_t rarity(enum move_kind kind)
{
    static const uint8_t rare[] = {
        [MOVE_REQUEST] = 24, [MOVE_KILL_AFTER] = 60, [MOVE_KILL_BEFORE] = 60, [MOVE_CABLE_OUT] = 60, [MOVE_STORAGE_STALLS] = 30,
        [MOVE_OPERATOR_BREAKS] = 8, [MOVE_CANCEL] = 20, [MOVE_HURRY] = 20, [MOVE_KERNEL_BADLY] = 6, [MOVE_STORE_BADLY] = 6,
        [MOVE_GADGET_BADLY] = 6, [MOVE_TIME] = 0,
    };
    return (size_t)kind < ARRAY_LEN(rare) && rare[kind] ? rare[kind] : 1;
}

static struct move choose(const struct moves *m)
{
    for (;;) {
        struct move next = m->list[random_below((uint32_t)m->len)];
        if (random_below(rarity(next.kind)) == 0) return next;
    }
}

static void refresh(struct world *w)
{
    w->host_acts = w->stalls_left = w->unplugs_left = w->kills_left = w->breaks_left = 1;
}

static const char *walk(uint64_t seed, long steps, struct move trail[TRAIL], long *ret_at)
{
    static struct world w;
    struct run run = runs[ARRAY_LEN(runs) - 1];
    run.no_force = seed & 1;
    run.may_reattach = seed & 2;
    run.ops = OPS_MAX;
    begin(&w, &run);
    clients.again = true;
    clients.menu[2] = M_ALL;
    random_state = seed * 0x9e3779b97f4a7c15u;
    for (*ret_at = 0; *ret_at < steps && !w.violation; ++*ret_at) {
        struct moves m;
        refresh(&w);
        list_moves(&w, &m);
        struct move next = choose(&m);
        trail[*ret_at % TRAIL] = next;
        apply_move(&w, &next);
        if (*ret_at % FAIR_EVERY == 0 && !w.violation) check_for_ever(&w);
    }
    return w.violation;
}

static void holds_on_long_walks(void **state attr_unused)
{
    struct move trail[TRAIL];
    char how[SEARCH_HOW_MAX];
    for (uint64_t seed = 4; seed < 4 + WALKS; seed++) {
        long at;
        const char *violation = walk(seed, STEPS_MAX / WALKS, trail, &at);
        if (!violation) continue;
        for (long i = MAX(at - TRAIL, 0); i < at; i++) {
            move_tell(&trail[i % TRAIL], how, sizeof how);
            print_message("  %ld %s\n", i, how);
        }
        fail_msg("seed %d: violated after %ld steps: %s", (int)seed, at, violation);
    }
}

/* ---- planted faults ---------------------------------------------------------------------------------------------- */

static void signal_the_storage(struct world *w, size_t i, struct drive_output *out)
{
    if (w->d[i].outstanding == DO_FORCE && w->functions[function_of(i)].stalls) out->break_io = true;
}
static void force_early(struct world *w, size_t i, struct drive_output *out attr_unused)
{
    if (w->d[i].queue_len) w->d[i].queue[0].force_now = true;
}
static void forget_lost_locks(struct world *w, size_t i, struct drive_output *out attr_unused) { w->d[i].lock_lost = false; }
static void forget_breaks(struct world *w, size_t i, struct drive_output *out attr_unused) { w->d[i].broken_at = 0; }
static void insert_writable(struct world *w, size_t i, struct drive_output *out)
{
    if (out->action.what == DO_INSERT && w->d[i].stale_host) out->action.readonly = false;
}
static void forget_to_announce(struct world *w, size_t i, struct drive_output *out attr_unused)
{
    w->d[i].unannounced = false;
    w->d[i].cleared = CLEARED_NOT;
}
static void announce_all(struct world *w, size_t i, struct drive_output *out)
{
    struct drive *d = &w->d[i];
    if (!d->unannounced || d->announce_tries != REANNOUNCE_TRIES || d->outstanding != DO_NOTHING || d->queue_len) return;
    if (w->functions[function_of(i)].orders_len) return; /* a break that follows would withdraw it */
    d->announce_tries++;
    d->ticket++;
    d->outstanding = DO_ANNOUNCE;
    d->outstanding_since = w->now;
    out->action = (struct drive_action){.what = DO_ANNOUNCE, .ticket = d->ticket, .image = d->medium.image};
    out->wake = w->now + d->policy.stuck_after;
}
static void forget_medium(struct world *w, size_t i, struct drive_output *out attr_unused) { w->d[i].medium.image = 0; }
static void forget_outstanding(struct world *w, size_t i, struct drive_output *out attr_unused)
{
    if (w->d[i].stuck) w->d[i].stuck = false, w->d[i].outstanding = DO_NOTHING;
}
static void say_twice(struct world *w attr_unused, size_t i attr_unused, struct drive_output *out)
{
    if (out->finished_len) out->finished[out->finished_len] = out->finished[0], out->finished_len++;
}
static void finish_last(struct world *w, size_t i, struct drive_output *out)
{
    struct drive *d = &w->d[i];
    if (out->finished_len || d->queue_len != 2) return;
    out->finished[out->finished_len++] = (struct drive_finish){.op = d->queue[1].rq.op, .state = OP_FAILED, .code = ERR_EARLIER_FAILED};
    d->queue[--d->queue_len] = (struct drive_op){0};
}
static void lie(struct world *w, size_t i, struct drive_output *out)
{
    for (size_t k = 0; w->luns[i].medium.image && k < out->finished_len; k++) out->finished[k].state = OP_DONE;
}
static void keep_behind(struct world *w, size_t i, struct drive_output *out)
{
    if (out->finished_len != 2 || out->finished[1].code != ERR_EARLIER_FAILED) return;
    out->finished_len = 1;
    w->d[i].queue[w->d[i].queue_len++] = (struct drive_op){.rq = menu[5], .phase = PHASE_QUEUED};
    w->d[i].queue[0].rq.op = out->finished[1].op;
}
static void forget_wake(struct world *w attr_unused, size_t i attr_unused, struct drive_output *out) { out->wake = MSEC_NEVER; }
static void never_ask_again(struct world *w, size_t i, struct drive_output *out attr_unused)
{
    struct drive *d = &w->d[i];
    if (d->queue_len && d->queue[0].phase == PHASE_LOCKED) d->queue[0].next_at = d->queue[0].patience_until = w->now + 100000;
}

static const struct run *run_about(const char *about)
{
    size_t i = 0;
    while (strcmp(runs[i].about, about) != 0) i++;
    return &runs[i];
}

#define FAULT_STATES_MAX 1000000

static void finds_each_planted_fault(void **state attr_unused)
{
    static const struct {
        const char *found_as, *run;
        saboteur *sabotage;
        enum fault fault;
    } planted[] = {
        {"one call", "kill -9", NULL, FAULT_LOCK_FILE_IGNORED},
        {"one call", "storage that stalls", forget_outstanding, FAULT_NONE},
        {"signal", "storage that stalls", signal_the_storage, FAULT_NONE},
        {"signal", "asked for, and forced beside it", NULL, FAULT_SENT_UNSEEN},
        {"permission", "storage that stalls", force_early, FAULT_NONE},
        {"robbed", "a stopped host, and a mounted disk", forget_lost_locks, FAULT_NONE},
        {"robbed", "a stopped host, and a mounted disk", NULL, FAULT_NOT_WITHDRAWN},
        {"in quarantine", "a stopped host, and discs", forget_breaks, FAULT_NONE},
        {"in quarantine", "a stopped host, and discs", NULL, FAULT_BREAK_IS_A_SIGNAL},
        {"stale insert", "robbed, and kill -9", insert_writable, FAULT_NONE},
        {"old bytes", "robbed, and kill -9", NULL, FAULT_STALE_FORGOTTEN},
        {"old cache", "a stopped host, and discs", forget_to_announce, FAULT_NONE},
        {"announce", "a stopped host", announce_all, FAULT_NONE},
        {"empty insert", "a stopped host", forget_medium, FAULT_NONE},
        {"collateral", "reattach for an insert", NULL, FAULT_COLLATERAL_UNSEEN},
        {"once", "a stopped host", say_twice, FAULT_NONE},
        {"order", "a stopped host", finish_last, FAULT_NONE},
        {"truth", "a stopped host", lie, FAULT_NONE},
        {"fail behind", "a stopped host", keep_behind, FAULT_NONE},
        {"wake", "a stopped host", forget_wake, FAULT_NONE},
        {"for ever", "a stopped host", never_ask_again, FAULT_NONE},
    };
    int states = 0, missed = 0;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(planted) && strcmp(planted[k].found_as, rules[i]) != 0) k++;
        if (k == ARRAY_LEN(planted)) fail_msg("no fault is planted that would be found as \"%s\"", rules[i]);
    }
    ops_most = 2;
    for (size_t i = 0; i < ARRAY_LEN(planted); i++) {
        sabotage = planted[i].sabotage;
        fault = planted[i].fault;
        const char *violation = explore(run_about(planted[i].run), FAULT_STATES_MAX, false, &states);
        if (violation && strcmp(violation, planted[i].found_as) == 0) continue;
        print_message("fault %zu was found as \"%s\", not as \"%s\"\n", i, violation ? violation : "nothing", planted[i].found_as);
        missed++;
        explore(run_about(planted[i].run), FAULT_STATES_MAX, true, &states); /* with its trail */
    }
    sabotage = NULL;
    fault = FAULT_NONE;
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_in_all_states),
        cmocka_unit_test(holds_on_long_walks),
        cmocka_unit_test(finds_each_planted_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
