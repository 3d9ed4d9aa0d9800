/* The stall watchdog, and the host's clock that it is held against: pure, so told as a list of looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gadget/stall.h"

#define START 100000 /* ms */

static struct stall s;
static msec now;

static void look(msec after, enum waiting_for waiting, uint64_t bytes)
{
    now += after;
    stall_note(&s, &(struct stall_look){.known = true, .waiting_for = waiting, .bytes = bytes}, now);
}

static void unseen(msec after)
{
    now += after;
    stall_note(&s, &(struct stall_look){.known = false, .waiting_for = WAITING_STORAGE, .bytes = 5}, now);
}

static int begin(void **state attr_unused)
{
    s = (struct stall){0};
    now = START;
    return 0;
}

static void a_thread_at_rest_does_not_stall(void **state attr_unused)
{
    for (int i = 0; i < 100; i++) look(1000, WAITING_NOTHING, 7);
    assert_int_equal(s.since, 0);
    assert_false(stall_is_told(&s, now));
    assert_int_equal(stall_patience_until(&s, host_profile_of(HOST_LINUX)), 0);
    assert_int_equal(stall_cut_at(&s, host_profile_of(HOST_LINUX)), 0);
}

static void one_that_gets_on_does_not_either(void **state attr_unused)
{
    for (int i = 0; i < 100; i++) {
        look(1000, i % 2 ? WAITING_STORAGE : WAITING_HOST, (uint64_t)i);
        assert_false(stall_is_told(&s, now));
        assert_int_equal(s.since, now);
    }
}

static void it_begins_where_it_was_first_seen_inside_and_no_byte_moved_since(void **state attr_unused)
{
    look(0, WAITING_NOTHING, 7);
    look(1000, WAITING_STORAGE, 7);
    msec since = now;
    look(1999, WAITING_STORAGE, 7);
    assert_false(stall_is_told(&s, now));
    look(1, WAITING_UNKNOWN, 7); /* it computes for a moment: no byte moved */
    assert_true(stall_is_told(&s, now));
    assert_int_equal(s.since, since);
    look(500, WAITING_STORAGE, 8);
    assert_false(stall_is_told(&s, now));
    look(5000, WAITING_STORAGE, 8);
    look(100, WAITING_NOTHING, 8);
    assert_int_equal(s.since, 0);
}

static void what_cannot_be_seen_is_no_stall(void **state attr_unused)
{
    for (int i = 0; i < 10; i++) unseen(1000);
    assert_int_equal(s.since, 0);
    look(1000, WAITING_STORAGE, 5);
    assert_int_equal(s.since, now); /* whatever it was before */
    unseen(1000);
    assert_int_equal(s.since, 0);
}

static void the_host_waits_as_its_profile_says(void **state attr_unused)
{
    const struct host_profile *linux_host = host_profile_of(HOST_LINUX);
    look(0, WAITING_STORAGE, 7);
    look(3000, WAITING_STORAGE, 7);
    assert_int_equal(stall_patience_until(&s, linux_host), START + 30000);
    assert_int_equal(stall_cut_at(&s, linux_host), START + 22000);
    assert_int_equal(stall_patience_until(&s, host_profile_of(HOST_UNKNOWN)), START + 3000);
    assert_int_equal(stall_cut_at(&s, host_profile_of(HOST_UNKNOWN)), START + 2000);
    stall_note(&s, &(struct stall_look){.known = true, .waiting_for = WAITING_STORAGE, .flushing = true, .bytes = 7}, now);
    assert_int_equal(stall_patience_until(&s, linux_host), START + 10000); /* it may be an ALLOW */
    look(1000, WAITING_HOST, 7);
    assert_int_equal(stall_cut_at(&s, linux_host), 0); /* no storage is to blame */
}

/* ---- profiles ---- */

static void unknown_is_the_most_careful_of_all(void **state attr_unused)
{
    const struct host_profile *unknown = host_profile_of(HOST_UNKNOWN);
    for (int i = 0; host_kind_names[i]; i++) {
        const struct host_profile *p = host_profile_of((enum host_kind)i);
        assert_true(unknown->command <= p->command && unknown->prevent <= p->prevent && unknown->sync <= p->sync);
        assert_true(unknown->break_after <= p->break_after && unknown->quarantine >= p->quarantine);
    }
}

static void the_budgets_of_each_fit_into_its_patience(void **state attr_unused)
{
    for (int i = 0; host_kind_names[i]; i++) {
        const struct host_profile *p = host_profile_of((enum host_kind)i);
        const msec patience[] = {host_patience(p, false), host_patience(p, true)};
        assert_true(p->break_after < p->command);
        assert_true(p->command < p->quarantine);
        for (size_t k = 0; k < ARRAY_LEN(patience); k++) {
            assert_true(host_cut_after(patience[k]) < patience[k]);
            assert_true(host_cut_after(patience[k]) >= STALL_TOLD_AFTER);
        }
        assert_true(host_look_every(p) >= 2000); /* 30 a minute */
        /* What may be unwritten is written within the patience. */
        assert_true(host_dirty_bytes(p, 4 << 20) * 1000 / (4 << 20) < (uint64_t)patience[1]);
        assert_true(host_dirty_bytes(p, 1) >= 1 << 20);
    }
}

static void each_number_can_be_changed(void **state attr_unused)
{
    const struct host_profile nothing = {0}, all = {1, 2, 3, 4, 5};
    struct host_profile p = host_profile_for(HOST_WINDOWS, &nothing);
    assert_memory_equal(&p, host_profile_of(HOST_WINDOWS), sizeof p);
    p = host_profile_for(HOST_WINDOWS, &all);
    assert_memory_equal(&p, &all, sizeof p);
    p = host_profile_for(HOST_LINUX, &(struct host_profile){.prevent = 77});
    assert_int_equal(p.prevent, 77);
    assert_int_equal(p.command, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_thread_at_rest_does_not_stall, begin),
        cmocka_unit_test_setup(one_that_gets_on_does_not_either, begin),
        cmocka_unit_test_setup(it_begins_where_it_was_first_seen_inside_and_no_byte_moved_since, begin),
        cmocka_unit_test_setup(what_cannot_be_seen_is_no_stall, begin),
        cmocka_unit_test_setup(the_host_waits_as_its_profile_says, begin),
        cmocka_unit_test(unknown_is_the_most_careful_of_all),
        cmocka_unit_test(the_budgets_of_each_fit_into_its_patience),
        cmocka_unit_test(each_number_can_be_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
