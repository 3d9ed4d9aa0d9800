/*
 * What is kept of schedules, on the simulation: what is written down before what, what a restart at any of these
 * moments makes of it, and what happens when the file cannot be written, is broken, or hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "tests/unit/scheduling_fixture.h"

/* ---- restarts ---------------------------------------------------------------------------------------------------- */

static void set_firing(json_t *all)
{
    json_put_text(json_array_get(json_object_get(all, "schedules"), 0), "state", "firing");
}

static void killed_before_the_operation(void **state attr_unused)
{
    make(INSERT_CD("a.iso") LATER);
    restart(set_firing, false);
    until(f, strcmp(written("state"), "failed") == 0);
    assert_int_equal(newest()->err.code, ERR_INTERRUPTED);
    fixture_run_for(f, 100);
    assert_int_equal(operations(), 0); /* at most once */
}

/* The operation is found by who asked for it. */
static void killed_after_the_operation_was_begun(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX], state_text[8192], id[OPERATION_ID_LEN + 1];
    struct err e;
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "lock cd0");
    strcpy(id, make(EJECT_CD ", \"patience\": 600" AFTER_100MS));
    until(f, newest()->state == SCHEDULE_FIRED && f->daemon->units[CD0].machine.queue_len == 1);
    until(f, strcmp(written("state"), "fired") == 0);
    char operation[OPERATION_ID_LEN + 1];
    strcpy(operation, newest()->operation);
    assert_true(fd_read_text(fixture_path(f, "gadget.state", path), state_text, sizeof state_text) > 0);
    fixture_stop(f);
    cleanup_json json_t *all = kept();
    json_t *s = json_array_get(json_object_get(all, "schedules"), 0);
    json_put_text(s, "state", "firing"); /* the last that had reached the disk */
    json_put_text(s, "operation", "");
    cleanup_free char *text = json_dumps(all, 0);
    put_file(text);
    assert_int_equal(fd_replace_file(path, state_text, strlen(state_text), false, &e), 0);
    fixture_ready(f);
    until(f, newest()->operation_ended);
    assert_string_equal(newest()->operation, operation);
    assert_string_equal(newest()->id, id);
    /* The simulated drive is empty after a restart, so that the eject was fulfilled. */
    assert_int_equal(newest()->state, SCHEDULE_FIRED);
}

static void an_hour_ago(json_t *all)
{
    json_t *s = json_array_get(json_object_get(all, "schedules"), 0);
    json_put_text(all, "boot_id", "another");
    json_put_int(s, "due_real", clock_real_ms() - 3600 * 1000);
}

static void missed_and_skipped(void **state attr_unused)
{
    make(INSERT_CD("a.iso") LATER);
    restart(an_hour_ago, true);
    until(f, strcmp(written("state"), "missed") == 0);
    assert_int_equal(newest()->state, SCHEDULE_MISSED);
    assert_int_equal(operations(), 0);
}

static void missed_and_run(void **state attr_unused)
{
    make(INSERT_CD("a.iso") LATER ", \"missed\": \"run\"");
    restart(an_hour_ago, true);
    until(f, newest()->state == SCHEDULE_FIRED);
    until(f, strcmp(medium(CD0), "a.iso") == 0);
}

static void name_another_drive(json_t *all)
{
    json_put_text(json_array_get(json_object_get(all, "schedules"), 0), "drive", "cd9");
    json_put(json_object_get(all, "media"), "cd9", json_object());
}

static void of_another_configuration(void **state attr_unused)
{
    make(EJECT_CD LATER);
    restart(name_another_drive, false);
    assert_int_equal(f->daemon->kept.table.len, 0);
    make(EJECT_CD LATER);
    cleanup_json json_t *all = kept();
    assert_int_equal(json_array_size(json_object_get(all, "schedules")), 2); /* what was not ours is still there */
    assert_non_null(json_object_get(json_object_get(all, "media"), "cd9"));
}

/* The answer to a client who asked for the schedules before the file was looked at. */
static void ask_too_early(char *answered, size_t size)
{
    static const char question[] = "{\"id\": 5, \"do\": \"schedules\"}";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    fixture_start(f);
    assert_false(f->daemon->kept.loaded);
    fixture_path(f, "g.sock", a.sun_path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(send(fd, question, sizeof question - 1, MSG_NOSIGNAL), sizeof question - 1);
    memset(answered, 0, size);
    until(f, recv(fd, answered, size - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(answered, "\"id\":5"));
}

static void asked_too_early(void **state attr_unused)
{
    char answered[2048];
    make(EJECT_CD LATER);
    fixture_stop(f);
    ask_too_early(answered, sizeof answered);
    assert_non_null(strstr(answered, answer.id));
}

/* Nobody waits for what cannot be had. */
static void asked_too_early_for_nothing(void **state attr_unused)
{
    char answered[2048];
    make(EJECT_CD LATER);
    fixture_stop(f);
    assert_int_equal(remove(state_path("kept.json")), 0);
    assert_int_equal(mkdir(state_path("kept.json"), 0700), 0);
    ask_too_early(answered, sizeof answered);
    assert_non_null(strstr(answered, "\"unavailable\""));
    assert_non_null(strstr(answered, "kept.json"));
}

/* ---- a file that cannot be had ----------------------------------------------------------------------------------- */

static void broken_file(void **state attr_unused)
{
    make(EJECT_CD LATER);
    fixture_stop(f);
    put_file("{\"version\": 1, \"schedules\": [");
    fixture_ready(f);
    assert_int_equal(f->daemon->kept.table.len, 0);
    assert_non_null(strstr(f->daemon->kept.aside, "put aside"));
    make(EJECT_CD LATER);
    char text[64];
    assert_true(fd_read_text(state_path("kept.json.broken"), text, sizeof text) > 0);
    assert_string_equal(text, "{\"version\": 1, \"schedules\": [");
    fixture_stop(f);
    put_file("nonsense");
    fixture_ready(f);
    until(f, access(state_path("kept.json.broken.2"), F_OK) == 0); /* the first one is still there */
    make(EJECT_CD LATER);
}

static void spoil_the_first(json_t *all)
{
    json_put_text(json_array_get(json_object_get(all, "schedules"), 0), "state", "bewitched");
}

static void broken_in_part(void **state attr_unused)
{
    make(EJECT_CD LATER);
    make(INSERT_CD("a.iso") LATER);
    restart(spoil_the_first, false);
    assert_int_equal(f->daemon->kept.table.len, 1);
    assert_int_equal(newest()->action, OP_INSERT);
    until(f, access(state_path("kept.json.broken"), F_OK) == 0);
}

static void not_writable(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX];
    make(EJECT_CD LATER);
    assert_int_equal(mkdir(state_path("kept.json.new"), 0700), 0); /* where the new file would be written */
    assert_int_equal(give("{\"do\": \"schedule_add\", " INSERT_CD("a.iso") LATER "}"), 0);
    until(f, answer.came);
    assert_true(answer.err.code != ERR_NONE);
    assert_non_null(strstr(answer.err.text, "kept.json.new"));
    assert_int_equal(f->daemon->kept.table.len, 1);
    assert_int_not_equal(about("schedule_cancel", newest()->id, ""), ERR_NONE);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    assert_int_not_equal(about("schedule_change", newest()->id, ", \"missed\": \"run\""), ERR_NONE);
    assert_int_equal(newest()->missed, MISSED_SKIP);
    cleanup_json json_t *all = kept();
    assert_int_equal(json_array_size(json_object_get(all, "schedules")), 1);
    strcpy(path, state_path("kept.json.new"));
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(about("schedule_cancel", newest()->id, ""), ERR_NONE);
}

/* A write hangs in the opening of its file, which is a fifo, and fails when somebody reads that: a fifo cannot be synced.
 * Returns when it has failed, and taken the fifo away; the loop has not heard of it. */
static void let_the_write_fail(void)
{
    cleanup_close int reader = open(state_path("kept.json.new"), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    assert_true(reader >= 0);
    for (int i = 0; access(state_path("kept.json.new"), F_OK) == 0; i++) {
        assert_true(i < FIXTURE_PATIENCE);
        usleep(1000);
    }
}

/* Who asks while the way back from a failure is being written, and that fails too, does not wait for the next try. */
static void asked_while_the_repair_fails(void **state attr_unused)
{
    make(EJECT_CD LATER);
    assert_int_equal(mkfifo(state_path("kept.json.new"), 0600), 0);
    assert_int_equal(give("{\"do\": \"schedule_add\", " INSERT_CD("a.iso") LATER "}"), 0);
    fixture_run_for(f, 20);
    let_the_write_fail();
    assert_int_equal(mkfifo(state_path("kept.json.new"), 0600), 0);
    until(f, answer.came);
    assert_int_not_equal(answer.err.code, ERR_NONE);
    fixture_run_for(f, 20);
    assert_int_equal(give("{\"do\": \"schedule_add\", " INSERT_CD("b.iso") LATER "}"), 0);
    fixture_run_for(f, 20);
    let_the_write_fail();
    msec begun = clock_boot_ms();
    until(f, answer.came);
    assert_int_equal(answer.err.code, ERR_NONE);
    assert_true(clock_boot_ms() < begun + DURABLE_RETRY / 2);
    assert_int_equal(f->daemon->kept.table.len, 2);
}

/* What is due but cannot be written down does not happen, until it can. */
static void due_but_not_writable(void **state attr_unused)
{
    make(INSERT_CD("a.iso") ", \"when\": {\"after\": 0.3}");
    assert_int_equal(mkdir(state_path("kept.json.new"), 0700), 0);
    until(f, newest()->state == SCHEDULE_FIRING && f->daemon->kept.trouble[0]);
    fixture_run_for(f, 300);
    assert_int_equal(operations(), 0);
    assert_int_equal(rmdir(state_path("kept.json.new")), 0);
    msec wait = clock_boot_ms() + DURABLE_RETRY;
    while (clock_boot_ms() < wait && newest()->state == SCHEDULE_FIRING) fixture_run_for(f, 50);
    until(f, strcmp(medium(CD0), "a.iso") == 0);
    assert_string_equal(f->daemon->kept.trouble, "");
}

static void hanging_storage(void **state attr_unused)
{
    assert_int_equal(mkdir(state_path(""), 0700) < 0 && errno != EEXIST, 0);
    assert_int_equal(mkfifo(state_path("kept.json.new"), 0600), 0); /* whoever opens it waits for a reader */
    assert_int_equal(give("{\"do\": \"schedule_add\", " EJECT_CD LATER "}"), 0);
    msec begun = clock_boot_ms();
    while (!answer.came && clock_boot_ms() < begun + 2 * DURABLE_WITHIN) fixture_run_for(f, 20);
    assert_true(answer.came);
    assert_int_equal(answer.err.code, ERR_UNAVAILABLE);
    assert_int_equal(f->daemon->kept.table.len, 0);
    assert_int_equal(give("{\"do\": \"schedule_add\", " EJECT_CD LATER "}"), -1); /* nobody waits a second time */
    assert_int_equal(answer.err.code, ERR_UNAVAILABLE);
    fixture_do(f, INSERT("usb0", "d.img", "")); /* the drives do not care */
    int reader = open(state_path("kept.json.new"), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    assert_true(reader >= 0);
    until(f, !durable_hangs(f->daemon->kept.file));
    close(reader);
    make(EJECT_CD LATER);
    cleanup_json json_t *all = kept();
    assert_int_equal(json_array_size(json_object_get(all, "schedules")), 1); /* what was denied is not there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(killed_before_the_operation), TEST(killed_after_the_operation_was_begun), TEST(missed_and_skipped),
        TEST(missed_and_run), TEST(of_another_configuration), TEST(asked_too_early),
        TEST(asked_too_early_for_nothing), TEST(broken_file), TEST(broken_in_part), TEST(not_writable),
        TEST(asked_while_the_repair_fails), TEST(due_but_not_writable), TEST(hanging_storage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
