/*
 * What must not be forgotten over restarts of trayd-gadget, however slow they are and however often they come: that a
 * host was robbed of a writable medium.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/daemon_each.h"

/* Killed, and begun again: the next one reads the state file as it is now, and has done nothing yet. */
static void restart(void)
{
    char path[FIXTURE_PATH_MAX], text[8192];
    struct err e;
    fixture_path(f, "gadget.state", path);
    ssize_t len = fd_read_text(path, text, sizeof text);
    assert_true(len > 0);
    fixture_stop(f);
    assert_int_equal(fd_replace_file(path, text, (size_t)len, false, &e), 0);
    fixture_start(f);
}

static void a_slow_start_is_no_reattach(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_true(f->daemon->units[USB0].machine.stale_host);
    restart();
    usleep(3 * FIXTURE_HOLD * 1000); /* before the first look at the link */
    until(f, f->daemon->started && f->daemon->link.configured);
    assert_true(f->daemon->units[USB0].machine.stale_host);
}

static void a_doubt_outlives_a_second_restart(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "hang usb0 host");
    fixture_begin(f, EJECT("usb0", ", \"mode\": \"forced\""));
    restart();
    state_file_save(f->daemon); /* as any event does, before the kernel was seen */
    restart();
    until(f, f->daemon->units[USB0].machine.observed);
    assert_true(f->daemon->units[USB0].machine.stale_host);
    assert_int_equal(f->daemon->units[USB0].resumed_doing, DO_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slow_start_is_no_reattach, begin, end),
        cmocka_unit_test_setup_teardown(a_doubt_outlives_a_second_restart, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
