/*
 * Two drives in one function, without forced_eject: what a signal for the one does to the other, from the request down to
 * what the simulated host sees.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/daemon_fixture.h"

#define MIB (1 << 20)

static struct fixture *f;

static int begin(void **state attr_unused)
{
    f = fixture_new("forced_eject = \"off\"; reattach = \"never\";", "function = \"media\";");
    fixture_image(f, "e.img", 2 * MIB);
    fixture_ready(f);
    return 0;
}

static int end(void **state attr_unused)
{
    fixture_free(f);
    return 0;
}

static int host_finds(const char *drive)
{
    char command[32], answer[64];
    snprintf(command, sizeof command, "look %s", drive);
    fixture_host_says(f, command, answer, sizeof answer);
    return atoi(answer + strlen("ok "));
}

static const struct drive *usb0(void)
{
    return &f->daemon->units[USB0].machine;
}

/* The host has the CD locked and does nothing with it, so that it leaves by a signal. */
static void signal_for_cd0(void)
{
    assert_int_equal(fixture_do(f, INSERT("cd0", "a.iso", ""))->state, OP_DONE);
    fixture_host(f, "lock cd0");
    const struct operation *op = fixture_do(f, EJECT("cd0", ", \"mode\": \"forced\""));
    assert_int_equal(op->state, OP_DONE);
    assert_string_equal(op->steps[op->steps_len - 1].rung, "signal");
}

/* A disk that the host knows, and another one in its place that it has not looked at. */
static void swap_unnoticed(void)
{
    fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": true"));
    assert_int_equal(host_finds("usb0"), MIB);
    assert_int_equal(fixture_do(f, INSERT("usb0", "e.img", ", \"readonly\": true, \"swap\": \"direct\""))->state, OP_DONE);
}

static void a_medium_that_nobody_noticed_is_announced_again(void **state attr_unused)
{
    swap_unnoticed();
    uint64_t generation = usb0()->generation;
    signal_for_cd0();
    until(f, !usb0()->unannounced);
    assert_int_equal(host_finds("usb0"), 2 * MIB);
    assert_int_equal(usb0()->generation, generation);
    assert_int_equal(usb0()->evidence.lock, LOCK_UNKNOWN);
}

static void a_signal_alone_leaves_the_host_with_the_old_one(void **state attr_unused)
{
    struct err e;
    swap_unnoticed();
    f->daemon->engine->class->break_io(f->daemon->engine, CD0, &e); /* past the daemon */
    assert_int_equal(host_finds("usb0"), MIB);
}

static void so_does_a_reset_of_the_hosts(void **state attr_unused)
{
    swap_unnoticed();
    fixture_host(f, "link reset");
    assert_true(usb0()->unannounced);
    until(f, !usb0()->unannounced);
    assert_int_equal(host_finds("usb0"), 2 * MIB);
}

static void another_function_is_not_concerned(void **state attr_unused)
{
    end(NULL);
    f = fixture_new("forced_eject = \"off\"; reattach = \"never\";", "");
    fixture_ready(f);
    fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": true"));
    fixture_host(f, "lock usb0");
    assert_int_equal(fixture_do(f, EJECT("usb0", ", \"patience\": 0"))->err.code, ERR_MEDIUM_IN_USE);
    signal_for_cd0();
    assert_false(usb0()->unannounced);
    assert_int_equal(usb0()->evidence.lock, LOCK_LOCKED);
}

static void mount_usb0(void)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "lock usb0");
    fixture_host(f, "write usb0 4096");
}

static void a_mounted_disk_is_not_asked_for_when_its_lock_is_gone(void **state attr_unused)
{
    mount_usb0();
    signal_for_cd0();
    const struct operation *op = fixture_do(f, EJECT("usb0", ", \"patience\": 0"));
    assert_int_equal(op->err.code, ERR_MEDIUM_IN_USE);
    assert_non_null(strstr(op->err.text, "signal"));
    assert_true(usb0()->medium.image != 0);
    assert_true(usb0()->unannounced); /* to announce it would make the host drop what it has yet to write */
    op = fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_int_equal(op->state, OP_DONE);
    assert_true(op->facts & FACT_STALE_HOST);
}

static void a_question_that_waits_is_overtaken(void **state attr_unused)
{
    mount_usb0();
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "hang cd0 host");
    struct operation *op = fixture_begin(f, EJECT("usb0", ", \"patience\": 0"));
    fixture_run_for(f, 20);
    enum waiting_for found;
    enum engine_break did;
    struct err e;
    daemon_break(f->daemon, CD0, &found, &did, &e);
    assert_int_equal(did, BREAK_BY_SIGNAL);
    until(f, operation_is_finished(op));
    assert_int_equal(op->err.code, ERR_MEDIUM_IN_USE);
    assert_true(usb0()->medium.image != 0);
}

/* Killed, and begun again: what the next one reads is what the last one wrote before the signal. */
static void it_is_remembered(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX], text[8192];
    struct err e;
    mount_usb0();
    signal_for_cd0();
    fixture_path(f, "gadget.state", path);
    ssize_t len = fd_read_text(path, text, sizeof text);
    assert_true(len > 0);
    fixture_stop(f);
    assert_int_equal(fd_replace_file(path, text, (size_t)len, false, &e), 0);
    fixture_start(f);
    assert_true(usb0()->lock_lost && usb0()->unannounced);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_medium_that_nobody_noticed_is_announced_again),
        TEST(a_signal_alone_leaves_the_host_with_the_old_one),
        TEST(so_does_a_reset_of_the_hosts),
        TEST(another_function_is_not_concerned),
        TEST(a_mounted_disk_is_not_asked_for_when_its_lock_is_gone),
        TEST(a_question_that_waits_is_overtaken),
        TEST(it_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
