/*
 * A model checker for the drive machine: the real drive_step() against a kernel, a host and clients that may do anything
 * they are able to do, at any moment (drive_world.h, drive_steps.h), over all distinct states. What must hold is in
 * drive_rules.h.
 *
 * Each invariant is also tested against itself: a saboteur breaks the machine in one way, and the checker must find it.
 *
 * test_function_model.c does the same with several drives in one function.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/drive_steps.h"

#define ALIKE_OF 16 /* model_search.h: one of so many fingerprints is held to be one of a single future */

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

static const char *explore(int variant, int states_max, bool tell, bool *ret_bounded)
{
    static const struct model model = {WORLD_KEPT, NULL, world_fingerprint, world_violation, world_expand, .one_of = ALIKE_OF};
    struct search s;
    struct world first;
    begin(&first, variant);
    const char *violation = search_run(&s, &model, &first, states_max);
    if (tell)
        print_message("%d operations, variant %d: %d states%s\n", ops_max, variant, s.len,
                      search_was_bounded(&s) ? " (bound reached)" : "");
    if (violation && tell) search_tell_trail(&s);
    *ret_bounded = search_was_bounded(&s);
    search_done(&s);
    return violation;
}

/* Of distinct states in a run, about 1 KB each; that the bound was reached is said. Sanitizers make it ten times slower. */
#ifdef __SANITIZE_ADDRESS__
#define STATES_MAX 200000
#else
#define STATES_MAX 1000000
#endif
#define STATES_OF_ONE 1000000    /* of runs with one operation: more than there are */
#define FAULT_STATES_MAX 1000000 /* the deepest planted fault lies some 300 000 states down */

/*
 * With one operation all is walked to the end, and so is an empty drive (0, 2) with two; the others with two up to the bound:
 * breadth first, so that what is missing is what takes the most steps to come to. TRAYD_MODEL_OPS=3 goes on from there.
 */
static void test_holds(void **state)
{
    (void)state;
    sabotage = NULL;
    const char *more = getenv("TRAYD_MODEL_OPS");
    int most = more ? atoi(more) : 2;
    for (ops_max = 1; ops_max <= MIN(most, OPS_MAX); ops_max++)
        for (int variant = 0; variant < VARIANTS; variant++) {
            bool bounded;
            const char *violation = explore(variant, ops_max == 1 ? STATES_OF_ONE : STATES_MAX, true, &bounded);
            if (violation) fail_msg("invariant violated: %s", violation);
            assert_false(bounded && ops_max == 1);
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
static void say_nothing(struct world *w, struct drive_output *out) { (void)w; out->finished_len = 0; }
static void finish_last(struct world *w, struct drive_output *out)
{
    struct drive *d = &w->d;
    if (out->finished_len || d->queue_len != 2) return;
    out->finished[out->finished_len++] = (struct drive_finish){.op = d->queue[1].rq.op, .state = OP_FAILED, .code = ERR_EARLIER_FAILED};
    d->queue[--d->queue_len] = (struct drive_op){0};
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
static void break_in_storage(struct world *w, struct drive_output *out)
{
    if (w->in_kernel.what == DO_FORCE && w->waiting == WAITING_STORAGE) out->break_io = true;
}
static void break_unknown(struct world *w, struct drive_output *out)
{
    if (w->in_kernel.what == DO_FORCE && w->waiting == WAITING_UNKNOWN) out->break_io = true;
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
        {say_nothing, "once", 0},             {finish_last, "order", 1},          {break_in_storage, "signal", 1},
        {break_unknown, "signal", 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(faults) && strcmp(faults[k].found_as, rules[i]) != 0) k++;
        if (k == ARRAY_LEN(faults)) fail_msg("no fault is planted that would be found as \"%s\"", rules[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        sabotage = faults[i].fault;
        ops_max = 2;
        bool bounded;
        const char *violation = explore(faults[i].variant, FAULT_STATES_MAX, false, &bounded);
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
    return cmocka_run_group_tests(tests, NULL, NULL);
}
