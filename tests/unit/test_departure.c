/*
 * How a store is taken away and brought back: each transition of the table in departure.h, and long random walks whose every
 * state must make sense.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gadget/departure.h"
#include "gadget/words.h"

static const struct departure_time now = {.boot = 1000, .real = 1000000};
static const struct err well = {0};

static void ends(struct departure *d, enum departure_step step)
{
    const struct store_mount m = {.there = true, .source = "/dev/x"};
    assert_int_equal(d->step, step);
    departure_step_done(d, d->ticket, &m, &well, &now);
}

static void fails(struct departure *d, enum departure_step step)
{
    struct err e;
    err_set(&e, ERR_STORE_IN_USE, "%s", departure_step_names[step]);
    assert_int_equal(d->step, step);
    departure_step_done(d, d->ticket, NULL, &e, &now);
}

static struct departure leaving(bool unmount)
{
    struct departure d = {0};
    struct err e;
    assert_int_equal(departure_leave(&d, unmount, "admin", &now, &e), 0);
    assert_int_equal(d.stage, STORE_LEAVING);
    assert_int_equal(d.deadline, now.boot + DEPARTURE_SYNC_WITHIN);
    return d;
}

static void it_leaves(void **state)
{
    (void)state;
    struct departure d = leaving(false);
    ends(&d, STEP_SYNC);
    assert_int_equal(d.stage, STORE_DETACHED);
    assert_false(d.safe || d.unmounted || departure_is_under_way(&d));
    assert_string_equal(d.by, "admin");
    assert_int_equal(d.since_real, now.real);

    d = leaving(true);
    ends(&d, STEP_SYNC);
    assert_int_equal(d.deadline, now.boot + DEPARTURE_STEP_WITHIN);
    ends(&d, STEP_UNMOUNT);
    assert_false(d.safe);
    ends(&d, STEP_CHECK);
    assert_int_equal(d.stage, STORE_DETACHED);
    assert_true(d.safe && d.unmounted);
}

static void it_comes_back(void **state)
{
    (void)state;
    struct err e;
    struct departure d = leaving(true);
    ends(&d, STEP_SYNC), ends(&d, STEP_UNMOUNT), ends(&d, STEP_CHECK);
    assert_int_equal(departure_come(&d, "op", &now, &e), 0);
    assert_int_equal(d.stage, STORE_COMING);
    assert_string_equal(d.mount.source, "/dev/x");
    assert_int_equal(departure_leave(&d, true, "admin", &now, &e), -1);
    assert_int_equal(e.code, ERR_TOO_LATE);
    fails(&d, STEP_MOUNT);
    assert_int_equal(d.stage, STORE_COMING);
    ends(&d, STEP_UNMOUNT); /* it may have been mounted all the same */
    assert_int_equal(d.stage, STORE_DETACHED);
    assert_int_equal(d.failed, STEP_MOUNT);
    assert_true(d.unmounted && d.safe);
    assert_int_equal(departure_come(&d, "op", &now, &e), 0);
    fails(&d, STEP_MOUNT);
    fails(&d, STEP_UNMOUNT);
    assert_int_equal(d.stage, STORE_DETACHED);
    assert_false(d.unmounted || d.safe);
    assert_string_equal(d.err.text, "unmount, after this had failed: mount");
    assert_int_equal(departure_come(&d, "op", &now, &e), 0);
    assert_int_equal(d.failed, STEP_NOTHING);
    ends(&d, STEP_MOUNT);
    assert_int_equal(d.stage, STORE_ATTACHED);
    assert_false(d.unmounted || d.safe || d.mount.there);

    d = leaving(false); /* what is no mount is there at once */
    departure_step_done(&d, d.ticket, &(struct store_mount){.there = false}, &well, &now);
    assert_int_equal(departure_come(&d, "op", &now, &e), 0);
    assert_int_equal(d.stage, STORE_ATTACHED);
    d = leaving(false); /* somebody may have unmounted it meanwhile */
    ends(&d, STEP_SYNC);
    assert_int_equal(departure_come(&d, "op", &now, &e), 0);
    ends(&d, STEP_MOUNT);
    assert_int_equal(d.stage, STORE_ATTACHED);
    assert_int_equal(departure_come(&d, "op", &now, &e), 0);
}

static void a_failure_leads_back(void **state)
{
    (void)state;
    struct departure d = leaving(true);
    fails(&d, STEP_SYNC);
    assert_int_equal(d.stage, STORE_ATTACHED);
    assert_int_equal(d.failed, STEP_SYNC);

    static const enum departure_step undone[] = {STEP_UNMOUNT, STEP_CHECK};
    for (size_t i = 0; i < ARRAY_LEN(undone); i++) {
        d = leaving(true);
        ends(&d, STEP_SYNC);
        if (undone[i] == STEP_CHECK) ends(&d, STEP_UNMOUNT);
        fails(&d, undone[i]);
        assert_int_equal(d.stage, STORE_LEAVING);
        ends(&d, STEP_MOUNT);
        assert_int_equal(d.stage, STORE_ATTACHED);
        assert_int_equal(d.failed, undone[i]);
        assert_string_equal(d.err.text, departure_step_names[undone[i]]);
    }
}

static void what_cannot_be_undone_is_said(void **state)
{
    (void)state;
    struct departure d = leaving(true);
    ends(&d, STEP_SYNC), ends(&d, STEP_UNMOUNT);
    fails(&d, STEP_CHECK);
    fails(&d, STEP_MOUNT);
    assert_int_equal(d.stage, STORE_DETACHED);
    assert_true(d.unmounted && !d.safe);
    assert_int_equal(d.failed, STEP_CHECK);
    assert_string_equal(d.err.text, "mount, after this had failed: check");
}

static void it_is_unmounted_later(void **state)
{
    (void)state;
    struct err e;
    struct departure d = leaving(false);
    ends(&d, STEP_SYNC);
    uint32_t ticket = d.ticket;
    assert_int_equal(departure_leave(&d, false, "op", &now, &e), 0); /* nothing to do */
    assert_int_equal(d.ticket, ticket);
    assert_int_equal(departure_leave(&d, true, "op", &now, &e), 0);
    ends(&d, STEP_SYNC);
    fails(&d, STEP_UNMOUNT);
    ends(&d, STEP_MOUNT);
    assert_int_equal(d.stage, STORE_DETACHED); /* as before */
    assert_false(d.unmounted || d.safe);
}

static void orders_meanwhile(void **state)
{
    (void)state;
    struct err e;
    struct departure d = leaving(false);
    uint32_t ticket = d.ticket;
    assert_int_equal(departure_leave(&d, false, "op", &now, &e), 0);
    assert_int_equal(d.ticket, ticket);
    assert_int_equal(departure_leave(&d, true, "op", &now, &e), -1);
    assert_int_equal(departure_come(&d, "op", &now, &e), -1);
    assert_int_equal(e.code, ERR_TOO_LATE);
}

static void what_hangs_is_given_up(void **state)
{
    (void)state;
    struct departure d = leaving(true);
    struct departure_time late = {.boot = d.deadline - 1, .real = 5};
    departure_look(&d, &late);
    assert_int_equal(d.step, STEP_SYNC);
    ends(&d, STEP_SYNC);
    uint32_t ticket = d.ticket;
    late.boot = d.deadline;
    departure_look(&d, &late);
    assert_int_equal(d.step, STEP_MOUNT); /* behind the unmount that may come yet */
    departure_step_done(&d, ticket, NULL, &well, &late);
    assert_int_equal(d.step, STEP_MOUNT);
    ends(&d, STEP_MOUNT);
    assert_int_equal(d.stage, STORE_ATTACHED);
    assert_int_equal(d.err.code, ERR_UNAVAILABLE);
}

static void the_next_process_goes_on(void **state)
{
    (void)state;
    struct departure d = leaving(true);
    const struct departure_time later = {.boot = 999999999, .real = 7};
    ends(&d, STEP_SYNC);
    uint32_t ticket = d.ticket;
    departure_resume(&d, &later);
    assert_int_equal(d.step, STEP_UNMOUNT);
    assert_int_not_equal(d.ticket, ticket);
    assert_int_equal(d.deadline, later.boot + DEPARTURE_STEP_WITHIN);
    ends(&d, STEP_UNMOUNT), ends(&d, STEP_CHECK);
    ticket = d.ticket;
    departure_resume(&d, &later);
    assert_int_equal(d.ticket, ticket);
}

/* What must hold in every state. */
static void check(const struct departure *d)
{
    bool under_way = d->stage == STORE_LEAVING || d->stage == STORE_COMING;
    assert_int_equal(departure_is_under_way(d), under_way);
    assert_true(!d->safe || d->unmounted);
    if (d->stage == STORE_ATTACHED) assert_false(d->safe || d->unmounted);
    if (d->stage == STORE_COMING) assert_true(d->step == STEP_MOUNT || d->step == STEP_UNMOUNT);
    if (d->stage == STORE_LEAVING) assert_true(d->before == STORE_ATTACHED || d->before == STORE_DETACHED);
    if (under_way) assert_true(d->deadline > 0);
    assert_int_equal(d->failed != STEP_NOTHING, d->err.code != ERR_NONE);
}

static void random_walks(void **state)
{
    (void)state;
    unsigned seen = 0;
    struct departure d = {0};
    bool mounted = true; /* as the storage has it */
    srand(1);
    for (int i = 0; i < 200000; i++) {
        struct departure_time at = {.boot = now.boot + i, .real = now.real + i};
        struct err e = {0};
        switch (rand() % 6) {
        case 0: departure_leave(&d, rand() % 2, "a", &at, &e); break;
        case 1: departure_come(&d, "b", &at, &e); break;
        case 2: departure_step_done(&d, d.ticket - 1, NULL, &well, &at); break;
        case 3: departure_resume(&d, &at); break;
        default:
            if (d.step == STEP_NOTHING) break;
            if (rand() % 3 == 0) err_set(&e, ERR_STORE_IN_USE, "it does not go");
            if (e.code && rand() % 2 && d.step == STEP_MOUNT) mounted = true; /* done, and not told */
            if (e.code && rand() % 2 && d.step == STEP_UNMOUNT) mounted = false;
            if (!e.code && d.step == STEP_UNMOUNT) mounted = false;
            if (!e.code && d.step == STEP_MOUNT) mounted = true;
            departure_step_done(&d, d.ticket, &(struct store_mount){.there = true}, &e, &at);
        }
        check(&d);
        /* What it says of a store that rests is what is. */
        if (!departure_is_under_way(&d) && d.stage == STORE_ATTACHED) assert_true(mounted);
        if (!departure_is_under_way(&d) && d.safe) assert_false(mounted);
        seen |= 1u << (d.stage * 5 + d.step);
    }
    assert_int_equal(__builtin_popcount(seen), 8); /* attached, detached, leaving by each of its four steps, coming by its two */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_leaves),          cmocka_unit_test(it_comes_back),
        cmocka_unit_test(a_failure_leads_back), cmocka_unit_test(what_cannot_be_undone_is_said),
        cmocka_unit_test(it_is_unmounted_later), cmocka_unit_test(orders_meanwhile),
        cmocka_unit_test(what_hangs_is_given_up), cmocka_unit_test(the_next_process_goes_on),
        cmocka_unit_test(random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
