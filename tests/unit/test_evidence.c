/* From counters to what the host is doing. Quiet is never claimed too early, and nothing is claimed of what is unseen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gadget/evidence.h"

static struct evidence ev;
static struct engine_sample seen;

static int fresh(void **state attr_unused)
{
    ev = (struct evidence){0};
    seen = (struct engine_sample){.known = true, .bytes_read = 5000, .bytes_written = 700, .commands = 40, .waiting_for = WAITING_NOTHING};
    return 0;
}

static bool at(msec now)
{
    return evidence_sample(&ev, &seen, now);
}

static void what_was_before_us_is_not_this_mediums(void **state attr_unused)
{
    assert_false(at(1000));
    const struct drive_evidence view = evidence_view(&ev, &seen);
    assert_true(view.known);
    assert_int_equal(view.bytes_read, 0);
    assert_int_equal(view.bytes_written, 0);
    assert_int_equal(view.last_read_at, 0);
    assert_int_equal(view.last_write_at, 0);
}

static void movement_is_dated_to_when_it_was_seen(void **state attr_unused)
{
    at(1000);
    seen.bytes_read += 512;
    assert_true(at(2000));
    assert_false(at(3000));
    seen.bytes_written += 1024;
    assert_true(at(4000));
    const struct drive_evidence view = evidence_view(&ev, &seen);
    assert_int_equal(view.bytes_read, 512);
    assert_int_equal(view.bytes_written, 1024);
    assert_int_equal(view.last_read_at, 2000);
    assert_int_equal(view.last_write_at, 4000);
}

static void the_next_medium_begins_at_nothing(void **state attr_unused)
{
    at(1000);
    seen.bytes_read += 512;
    seen.bytes_written += 512;
    at(2000);
    evidence_mark(&ev);
    evidence_restart(&ev, 2000);
    struct drive_evidence view = evidence_view(&ev, &seen);
    assert_int_equal(view.bytes_read, 0);
    assert_int_equal(view.bytes_written, 0);
    assert_int_equal(view.last_read_at, 0);
    assert_int_equal(view.last_write_at, 0);
    seen.bytes_written += 1;
    assert_true(at(3000));
    view = evidence_view(&ev, &seen);
    assert_int_equal(view.bytes_written, 1);
    assert_int_equal(view.last_write_at, 3000);
}

static void what_moves_while_the_medium_goes_in_counts(void **state attr_unused)
{
    at(1000);
    evidence_mark(&ev);
    seen.bytes_written += 4096; /* the host was faster than the kernel's answer to us */
    at(2000);
    evidence_restart(&ev, 2001);
    struct drive_evidence view = evidence_view(&ev, &seen);
    assert_int_equal(view.bytes_written, 4096);
    assert_int_equal(view.last_write_at, 2001);
    assert_int_equal(view.last_read_at, 0);
    evidence_mark(&ev);
    seen.bytes_read += 2048;
    at(3000);
    evidence_restart(&ev, 3001);
    view = evidence_view(&ev, &seen);
    assert_int_equal(view.bytes_read, 2048);
    assert_int_equal(view.last_read_at, 3001);
    assert_int_equal(view.last_write_at, 0);
}

static void what_moved_while_unseen_is_found_afterwards(void **state attr_unused)
{
    at(1000);
    seen.known = false;
    seen.bytes_written = 0; /* what cannot be read says nothing */
    assert_false(at(2000));
    assert_false(evidence_view(&ev, &seen).known);
    assert_int_equal(evidence_view(&ev, &seen).waiting_for, WAITING_UNKNOWN);
    seen.known = true;
    seen.bytes_written = 900;
    assert_true(at(9000));
    assert_int_equal(evidence_view(&ev, &seen).bytes_written, 200);
    assert_int_equal(evidence_view(&ev, &seen).last_write_at, 9000);
}

/* As state_file.c does after a restart: the bytes since the medium went in are right from the first sample on. */
static void a_restored_base_counts_on(void **state attr_unused)
{
    ev.base_read = 1000;
    ev.base_written = 100;
    ev.based = true;
    assert_false(at(1000));
    assert_int_equal(evidence_view(&ev, &seen).bytes_read, 4000);
    assert_int_equal(evidence_view(&ev, &seen).bytes_written, 600);
}

static void others_in_the_function_are_told(void **state attr_unused)
{
    seen.shared = true;
    seen.waiting_for = WAITING_HOST;
    at(1000);
    assert_true(evidence_view(&ev, &seen).shared);
    assert_int_equal(evidence_view(&ev, &seen).waiting_for, WAITING_HOST);
}

static void polling_is_known_after_a_while(void **state attr_unused)
{
    assert_int_equal(evidence_polling(&ev, 1000), -1);
    at(1000);
    assert_int_equal(evidence_polling(&ev, 1000), -1); /* the next poll may be on its way */
    seen.commands++;
    at(3000);
    assert_int_equal(evidence_polling(&ev, 3000), 1);
    assert_int_equal(evidence_polling(&ev, 7900), 1);
    at(9000);
    assert_int_equal(evidence_polling(&ev, 9000), 0);
    seen.known = false;
    at(10000);
    assert_int_equal(evidence_polling(&ev, 10000), -1);
    seen.known = true;
    at(11000);
    assert_int_equal(evidence_polling(&ev, 11000), -1);
    at(17000);
    assert_int_equal(evidence_polling(&ev, 17000), 0);
}

static void polls_since_the_medium_went_in_are_counted(void **state attr_unused)
{
    at(1000);
    for (int i = 1; i <= EVIDENCE_NOTICED; i++) {
        assert_false(evidence_view(&ev, &seen).noticed);
        seen.commands++;
        at(1000 + 2000 * i);
    }
    assert_true(evidence_view(&ev, &seen).noticed);
    evidence_mark(&ev);
    evidence_restart(&ev, 9000);
    assert_false(evidence_view(&ev, &seen).noticed);
}

/* They may be those of another drive in the function, or of one look. */
static void commands_with_bytes_and_close_together_are_no_polls(void **state attr_unused)
{
    at(1000);
    for (int i = 1; i <= 2 * EVIDENCE_NOTICED; i++) {
        seen.commands++;
        seen.bytes_read++;
        at(1000 + 1000 * i);
    }
    for (int i = 1; i <= 10 * EVIDENCE_NOTICED; i++) {
        seen.commands++;
        at(9000 + 10 * i);
    }
    assert_false(evidence_view(&ev, &seen).noticed);
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_before_us_is_not_this_mediums),
        TEST(movement_is_dated_to_when_it_was_seen),
        TEST(the_next_medium_begins_at_nothing),
        TEST(what_moves_while_the_medium_goes_in_counts),
        TEST(what_moved_while_unseen_is_found_afterwards),
        TEST(a_restored_base_counts_on),
        TEST(others_in_the_function_are_told),
        TEST(polling_is_known_after_a_while),
        TEST(polls_since_the_medium_went_in_are_counted),
        TEST(commands_with_bytes_and_close_together_are_no_polls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
