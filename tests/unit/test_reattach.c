/* Detach, attach, and the two with a held pause in between: who may, what waits meanwhile, and what is forgotten by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/daemon_fixture.h"

static struct fixture *f;
static bool done;
static struct err outcome;

static int begin(void **state attr_unused)
{
    f = fixture_new("", "");
    fixture_ready(f);
    done = false;
    return 0;
}

static int begin_never(void **state attr_unused)
{
    f = fixture_new("reattach = \"never\";", "");
    fixture_ready(f);
    done = false;
    return 0;
}

static int end(void **state attr_unused)
{
    fixture_free(f);
    return 0;
}

static void on_done(attr_unused void *owner, const struct err *e)
{
    done = true;
    outcome = *e;
}

static int start(enum reattach_order order, bool allow, struct err *e)
{
    done = false;
    return reattach_begin(f->daemon, order, NO_DRIVE, false, allow, on_done, NULL, e);
}

static void carry_out(enum reattach_order order)
{
    struct err e = {0};
    if (start(order, true, &e) < 0) fail_msg("%s", e.text);
    until(f, done);
    if (outcome.code) fail_msg("%s", outcome.text);
    assert_false(reattach_under_way(f->daemon));
}

static void refused(enum reattach_order order, bool allow, enum err_code code)
{
    struct err e = {0};
    assert_int_equal(start(order, allow, &e), -1);
    assert_string_equal(err_name(e.code), err_name(code));
    assert_false(reattach_under_way(f->daemon));
}

static const struct drive *machine(size_t drive)
{
    return &f->daemon->units[drive].machine;
}

static void it_is_held_long_enough_and_comes_back(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    msec began = clock_boot_ms();
    struct err e;
    assert_int_equal(start(REATTACH_FULL, false, &e), 0);
    assert_true(reattach_under_way(f->daemon));
    until(f, !f->daemon->link.bound);
    assert_int_equal(drive_state(machine(CD0)), STATE_DETACHED);
    until(f, done);
    assert_true(clock_boot_ms() - began >= f->config.reattach_hold);
    assert_true(f->daemon->link.bound && f->daemon->link.configured);
    assert_int_equal(drive_state(machine(CD0)), STATE_LOADED);
}

static void a_host_that_is_dangerous_is_forgotten_by_it(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_true(machine(USB0)->stale_host);
    carry_out(REATTACH_FULL);
    assert_false(machine(USB0)->stale_host);
}

/* Not by a pause that the host may have taken for a reset. */
static void but_not_by_a_short_one(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    f->config.reattach_hold = 60000;
    carry_out(REATTACH_ONLY_DETACH);
    carry_out(REATTACH_ONLY_ATTACH);
    assert_true(machine(USB0)->stale_host);
}

static void detach_and_attach(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    carry_out(REATTACH_ONLY_DETACH);
    assert_false(f->daemon->link.bound);
    assert_int_equal(drive_state(machine(CD0)), STATE_DETACHED);
    assert_true(machine(CD0)->medium.image != 0);
    carry_out(REATTACH_ONLY_DETACH);
    refused(REATTACH_FULL, true, ERR_GADGET_DETACHED);
    carry_out(REATTACH_ONLY_ATTACH);
    carry_out(REATTACH_ONLY_ATTACH);
    assert_true(f->daemon->link.bound);
    assert_int_equal(drive_state(machine(CD0)), STATE_LOADED);
}

static void a_writable_medium_of_somebody_is_not_pulled_out(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    refused(REATTACH_FULL, false, ERR_COLLATERAL_IN_USE); /* it may be locked: nobody has asked */
    refused(REATTACH_ONLY_DETACH, false, ERR_COLLATERAL_IN_USE);
    fixture_host(f, "write usb0 4096");
    refused(REATTACH_FULL, false, ERR_COLLATERAL_IN_USE);
    carry_out(REATTACH_FULL);
}

static void a_read_only_one_may_be(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": true"));
    struct err e;
    assert_int_equal(start(REATTACH_FULL, false, &e), 0);
    until(f, done);
}

static void where_no_host_is_nobody_is_disturbed(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "link unplugged");
    until(f, !f->daemon->link.configured);
    struct err e;
    assert_int_equal(start(REATTACH_ONLY_DETACH, false, &e), 0);
    until(f, done);
}

static void the_drive_that_asks_is_no_collateral_but_others_are(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_true(fixture_do(f, INSERT("usb0", "d.img", ", \"reattach\": true"))->facts & FACT_REATTACHED);
    struct operation *op = fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_int_equal(op->state, OP_DONE);
    fixture_do(f, INSERT("usb0", "d.img", ", \"accept_stale_host\": true"));
    f->daemon->units[CD0].machine.stale_host = true;
    op = fixture_do(f, INSERT("cd0", "a.iso", ", \"reattach\": true"));
    assert_int_equal(op->state, OP_FAILED);
    assert_int_equal(op->err.code, ERR_COLLATERAL_IN_USE);
    assert_non_null(strstr(op->err.text, "usb0"));
    op = fixture_do(f, INSERT("cd0", "a.iso", ", \"reattach\": true, \"allow_collateral\": true"));
    assert_int_equal(op->state, OP_DONE);
    assert_true(op->facts & FACT_REATTACHED);
}

static void policy_forbids_it(void **state attr_unused)
{
    refused(REATTACH_FULL, true, ERR_REATTACH_NOT_ALLOWED);
    carry_out(REATTACH_ONLY_DETACH); /* a person may still pull the plug */
    carry_out(REATTACH_ONLY_ATTACH);
}

static void one_at_a_time(void **state attr_unused)
{
    struct err e = {0};
    assert_int_equal(start(REATTACH_FULL, false, &e), 0);
    assert_int_equal(reattach_begin(f->daemon, REATTACH_FULL, NO_DRIVE, false, false, NULL, NULL, &e), -1);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    until(f, done);
}

/* The unbinding would hang behind it. */
static void not_while_the_storage_hangs(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "hang cd0 storage");
    struct operation *op = fixture_begin(f, EJECT("cd0", ""));
    fixture_run_for(f, 20);
    refused(REATTACH_FULL, true, ERR_DRIVE_STUCK);
    fixture_host(f, "hang cd0 off");
    until(f, operation_is_finished(op));
}

static void it_waits_for_calls_that_are_under_way(void **state attr_unused)
{
    struct err e;
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "hang cd0 host");
    struct operation *op = fixture_begin(f, EJECT("cd0", ""));
    assert_int_equal(start(REATTACH_FULL, false, &e), 0);
    fixture_run_for(f, 50);
    assert_int_equal(f->daemon->reattach.state, REATTACH_DRAINING);
    assert_true(f->daemon->link.bound);
    fixture_host(f, "hang cd0 off");
    until(f, done);
    assert_int_equal(outcome.code, ERR_NONE);
    assert_int_equal(op->state, OP_DONE);
}

static void what_is_asked_for_meanwhile_is_done_afterwards(void **state attr_unused)
{
    struct err e;
    f->config.reattach_hold = 500; /* so that the loop, however slow, is seen in it */
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    assert_int_equal(start(REATTACH_FULL, false, &e), 0);
    until(f, f->daemon->reattach.state == REATTACH_HOLDING);
    struct operation *op = fixture_begin(f, EJECT("cd0", ""));
    assert_false(operation_is_finished(op));
    assert_int_equal(f->daemon->units[CD0].deferred.what, DO_ASK);
    until(f, done);
    until(f, operation_is_finished(op));
    assert_int_equal(op->state, OP_DONE);
    assert_int_equal(machine(CD0)->medium.image, 0);
}

static void what_another_host_had_locked_is_not_known_any_more(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "lock cd0");
    assert_int_equal(fixture_do(f, EJECT("cd0", ", \"patience\": 0"))->err.code, ERR_MEDIUM_IN_USE);
    assert_int_equal(machine(CD0)->evidence.lock, LOCK_LOCKED);
    carry_out(REATTACH_FULL);
    assert_int_equal(machine(CD0)->evidence.lock, LOCK_UNKNOWN);
    assert_int_equal(fixture_do(f, EJECT("cd0", ", \"patience\": 0"))->state, OP_DONE);
}

static void nothing_before_the_gadget_is_built(void **state attr_unused)
{
    fixture_stop(f);
    fixture_start(f);
    refused(REATTACH_FULL, true, ERR_UNAVAILABLE);
    until(f, f->daemon->started);
}

/* ---- making it anew ---------------------------------------------------------------------------------------------- */

static int begin_kept(void **state attr_unused)
{
    f = fixture_new("", "");
    fixture_keep_kernel(f);
    fixture_ready(f);
    done = false;
    return 0;
}

/* The next process has another second drive in its configuration; the first one has a medium. */
static void configuration_changes(void)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    strcpy(f->config.drives[USB0].name, "stick");
    fixture_kill(f);
    until(f, f->daemon->started && machine(CD0)->observed && machine(USB0)->observed);
}

static bool is_rebuilt(void)
{
    return f->daemon->found == FOUND_NOTHING && !reattach_under_way(f->daemon) && machine(CD0)->medium.image != 0 &&
           machine(CD0)->queue_len == 0;
}

static void what_differs_is_adopted_and_made_anew_when_told(void **state attr_unused)
{
    char incarnation[sizeof f->daemon->incarnation];
    configuration_changes();
    assert_int_equal(f->daemon->found, FOUND_DIFFERENT);
    assert_non_null(strstr(f->daemon->differences, "stick"));
    assert_int_equal(machine(CD0)->medium.image != 0, true);
    strcpy(incarnation, f->daemon->incarnation);
    struct operation *op = fixture_do(f, INSERT("stick", "d.img", ""));
    assert_int_equal(op->err.code, ERR_GADGET_DIFFERS);

    strcpy(f->daemon->reattach.by, "ann");
    msec began = clock_boot_ms();
    carry_out(REATTACH_REBUILD);
    assert_true(clock_boot_ms() - began >= f->config.reattach_hold);
    until(f, is_rebuilt());
    assert_string_equal(f->daemon->differences, "");
    assert_string_not_equal(f->daemon->incarnation, incarnation);
    assert_string_equal(f->daemon->units[CD0].medium.by, "ann"); /* what was in is in again */
    assert_int_equal(fixture_do(f, INSERT("stick", "d.img", ""))->state, OP_DONE);
}

static void it_is_collateral_as_any_reattach_is(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "write usb0 4096");
    refused(REATTACH_REBUILD, false, ERR_COLLATERAL_IN_USE);
    assert_true(machine(USB0)->medium.image != 0);
}

static void and_by_itself_when_no_host_is_there(void **state attr_unused)
{
    configuration_changes();
    assert_int_equal(f->daemon->reattach.no_host.at, MSEC_NEVER);
    msec before = clock_boot_ms();
    fixture_host(f, "link unplugged");
    msec at = f->daemon->reattach.no_host.at;
    assert_true(at >= before + 10000 && at <= clock_boot_ms() + 10000);
    fixture_host(f, "link configured"); /* it was only a reboot */
    assert_int_equal(f->daemon->reattach.no_host.at, MSEC_NEVER);
    fixture_host(f, "link unplugged");
    loop_timer_set(f->loop, &f->daemon->reattach.no_host, clock_boot_ms()); /* those seconds have passed */
    until(f, is_rebuilt());
    assert_string_equal(f->daemon->differences, "");
}

static void the_policy_forbids_that_too(void **state attr_unused)
{
    refused(REATTACH_REBUILD, true, ERR_REATTACH_NOT_ALLOWED);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_held_long_enough_and_comes_back),
        TEST(a_host_that_is_dangerous_is_forgotten_by_it),
        TEST(but_not_by_a_short_one),
        TEST(detach_and_attach),
        TEST(a_writable_medium_of_somebody_is_not_pulled_out),
        TEST(a_read_only_one_may_be),
        TEST(where_no_host_is_nobody_is_disturbed),
        TEST(the_drive_that_asks_is_no_collateral_but_others_are),
        cmocka_unit_test_setup_teardown(policy_forbids_it, begin_never, end),
        TEST(one_at_a_time),
        TEST(not_while_the_storage_hangs),
        TEST(it_waits_for_calls_that_are_under_way),
        TEST(what_is_asked_for_meanwhile_is_done_afterwards),
        TEST(what_another_host_had_locked_is_not_known_any_more),
        TEST(nothing_before_the_gadget_is_built),
        cmocka_unit_test_setup_teardown(what_differs_is_adopted_and_made_anew_when_told, begin_kept, end),
        TEST(it_is_collateral_as_any_reattach_is),
        cmocka_unit_test_setup_teardown(and_by_itself_when_no_host_is_there, begin_kept, end),
        cmocka_unit_test_setup_teardown(the_policy_forbids_that_too, begin_never, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
