/*
 * Which image may go into which drive while others have it, or are about to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/daemon_each.h"

/* An insert of d.img that has opened it, and waits for the host to release what is in. */
static struct operation *begin_waiting_insert(void)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "lock cd0");
    struct operation *op = fixture_begin(f, INSERT("cd0", "d.img", ", \"patience\": 60"));
    until(f, op->phase == PHASE_LOCKED);
    return op;
}

static void an_image_on_its_way_is_not_made_writable_elsewhere(void **state attr_unused)
{
    begin_waiting_insert();
    const struct operation *other = fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": false"));
    assert_int_equal(other->err.code, ERR_IMAGE_IN_USE);
}

static void a_cancelled_insert_leaves_its_image_alone(void **state attr_unused)
{
    struct err e;
    assert_int_equal(daemon_cancel(f->daemon, begin_waiting_insert(), &e), 0);
    const struct operation *other = fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": false"));
    assert_int_equal(other->err.code, ERR_NONE);
    assert_int_equal(other->state, OP_DONE);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_image_on_its_way_is_not_made_writable_elsewhere),
        TEST(a_cancelled_insert_leaves_its_image_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
