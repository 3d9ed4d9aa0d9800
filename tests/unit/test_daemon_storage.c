/*
 * Storage that hangs under a medium, with the whole daemon on the simulation: the watchdog tells, the storage is cut where
 * that is configured and nowhere else, and a restart forgets nothing of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gadget/view.h"
#include "tests/unit/daemon_fixture.h"

static struct fixture *f;

#define UNIT(i) (&f->daemon->units[i])

static int begin_with(const char *drive, enum store_cut cut)
{
    f = fixture_new("sample_interval = \"100 ms\";", drive);
    f->config.stores.items[0].cut = cut;
    fixture_ready(f);
    return 0;
}

static int begin_ours(void **state attr_unused)
{
    return begin_with("", CUT_NBD);
}

static int begin_not_ours(void **state attr_unused)
{
    return begin_with("host = \"linux\";", CUT_NEVER);
}

static int begin_patient(void **state attr_unused)
{
    return begin_with("host = \"linux\"; stuck_after = \"2 s\"; break_after = \"100 ms\";", CUT_NBD);
}

static int begin_shared(void **state attr_unused)
{
    return begin_with("function = \"both\";", CUT_NBD);
}

static int end(void **state attr_unused)
{
    fixture_free(f);
    return 0;
}

static json_t *seen(size_t drive)
{
    return view_drive(f->daemon, drive, clock_boot_ms());
}

static const json_t *stall_of(const json_t *drive)
{
    return json_object_get(drive, "stall");
}

static void hang_usb0(void)
{
    fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": false"));
    fixture_host(f, "writing usb0 on");
    until(f, UNIT(USB0)->machine.evidence.bytes_written > 0);
    fixture_host(f, "hang usb0 storage");
}

static void it_is_told_though_nobody_asked(void **state attr_unused)
{
    hang_usb0();
    msec began = clock_boot_ms();
    until(f, UNIT(USB0)->stall_told);
    assert_true(clock_boot_ms() - began >= STALL_TOLD_AFTER - 200); /* a look before it hung may have begun it */
    cleanup_json json_t *o = seen(USB0);
    assert_string_equal(json_text(stall_of(o), "waiting_for"), "storage");
    assert_non_null(strstr(json_text(stall_of(o), "what_happens"), "The host resets the whole device: cd0, usb0"));
    assert_string_equal(json_text(json_object_get(o, "capabilities"), "cut"), "never");
    cleanup_json json_t *other = seen(CD0);
    assert_true(json_is_null(stall_of(other)));

    fixture_host(f, "hang usb0 off");
    until(f, !UNIT(USB0)->stall_told);
    cleanup_json json_t *again = seen(USB0);
    assert_true(json_is_null(stall_of(again)));
    assert_true(json_is_null(json_object_get(again, "storage_cut")));
}

/* The host's patience (3 s, of an unknown one) is the reason, without any operation. */
static void the_watchdog_cuts(void **state attr_unused)
{
    hang_usb0();
    until(f, UNIT(USB0)->machine.cut_at);
    until(f, UNIT(USB0)->sample.waiting_for == WAITING_NOTHING);
    cleanup_json json_t *o = seen(USB0);
    const json_t *cut = json_object_get(o, "storage_cut");
    assert_string_equal(json_text(cut, "how"), "nbd");
    assert_true(json_is_null(json_object_get(cut, "error")));
    assert_string_equal(json_text(o, "state"), "loaded");

    fixture_host(f, "writing usb0 off");
    struct operation *op = fixture_do(f, EJECT("usb0", ""));
    assert_int_equal(op->state, OP_DONE);
    assert_int_equal(op->facts & (FACT_CUT | FACT_NOT_DURABLE | FACT_FORCED), FACT_CUT | FACT_NOT_DURABLE);
    assert_int_equal(op->durable_real, 0); /* though the sync went well */
    cleanup_json json_t *empty = seen(USB0);
    assert_true(json_is_null(json_object_get(empty, "storage_cut")));
}

static void a_forced_eject_cuts(void **state attr_unused)
{
    hang_usb0();
    until(f, UNIT(USB0)->sample.waiting_for == WAITING_STORAGE);
    struct operation *op = fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_int_equal(op->state, OP_DONE);
    assert_int_equal(op->facts & (FACT_CUT | FACT_FORCED), FACT_CUT | FACT_FORCED);
    bool step = false;
    for (size_t i = 0; i < op->steps_len; i++)
        if (strcmp(op->steps[i].rung, "cut") == 0) step = strcmp(op->steps[i].outcome, "nbd") == 0;
    assert_true(step);
    assert_int_equal(drive_state(&UNIT(USB0)->machine), STATE_EMPTY);
}

static void an_orderly_eject_does_not(void **state attr_unused)
{
    hang_usb0();
    fixture_host(f, "writing usb0 off");
    until(f, UNIT(USB0)->sample.waiting_for == WAITING_STORAGE);
    struct operation *op = fixture_do(f, EJECT("usb0", ""));
    assert_int_equal(op->err.code, ERR_DRIVE_STUCK);
    assert_int_equal(UNIT(USB0)->machine.cut_at, 0);
}

static void nobody_cuts_what_is_not_ours(void **state attr_unused)
{
    hang_usb0();
    UNIT(USB0)->clock.command = 2500;
    UNIT(USB0)->machine.policy.stuck_after = 3000;
    struct operation *op = fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_int_equal(op->err.code, ERR_DRIVE_STUCK);
    fixture_run_for(f, 500);
    assert_int_equal(UNIT(USB0)->machine.cut_at, 0);
}

/* In which of a function's media the thread hangs cannot be seen. */
static void with_another_storage_in_the_same_function_nothing_is_cut(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": true"));
    fixture_host(f, "reading usb0 on");
    UNIT(CD0)->medium.backing.number = 9;
    fixture_host(f, "hang usb0 storage");
    until(f, UNIT(USB0)->stall_told);
    cleanup_json json_t *o = seen(USB0);
    assert_true(json_flag(stall_of(o), "shared"));
    fixture_run_for(f, 1500);
    assert_int_equal(UNIT(USB0)->machine.cut_at, 0);
    UNIT(CD0)->medium.backing = UNIT(USB0)->medium.backing; /* both on the same: now it is clear, and hits both */
    until(f, UNIT(USB0)->machine.cut_at);
    assert_true(UNIT(CD0)->cut.at_real != 0);
    until(f, UNIT(USB0)->sample.waiting_for == WAITING_NOTHING);
}

static void a_restart_forgets_neither(void **state attr_unused)
{
    hang_usb0();
    until(f, UNIT(USB0)->stall_told);
    msec since = UNIT(USB0)->stall.since;
    fixture_stop(f);
    fixture_start(f);
    assert_int_equal(UNIT(USB0)->stall.since, since);
    assert_int_equal(UNIT(USB0)->medium.backing.how, CUT_NBD);
    fixture_stop(f);
    f->config.stores.items[0].cut = CUT_NEVER; /* the configuration counts, not what was found before */
    fixture_start(f);
    assert_int_equal(UNIT(USB0)->medium.backing.how, CUT_NEVER);
}

#define TEST(name, begin_) cmocka_unit_test_setup_teardown(name, begin_, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_told_though_nobody_asked, begin_not_ours),
        TEST(the_watchdog_cuts, begin_ours),
        TEST(a_forced_eject_cuts, begin_patient),
        TEST(an_orderly_eject_does_not, begin_patient),
        TEST(nobody_cuts_what_is_not_ours, begin_not_ours),
        TEST(with_another_storage_in_the_same_function_nothing_is_cut, begin_shared),
        TEST(a_restart_forgets_neither, begin_patient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
