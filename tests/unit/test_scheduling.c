/*
 * Schedules in trayd-gadget, on the simulation: each sort of "when", and what clients change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/scheduling_fixture.h"

/* ---- firing ------------------------------------------------------------------------------------------------------ */

static void after_a_while(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    make(EJECT_CD AFTER_100MS);
    assert_string_equal(answer.on_disk, "armed"); /* when the client is answered */
    until(f, newest()->state == SCHEDULE_FIRED && newest()->operation_ended);
    const struct operation *op = operations_by_id(f->daemon->operations, newest()->operation);
    char by[64];
    snprintf(by, sizeof by, "schedule:%s", newest()->id);
    assert_string_equal(op->by, by);
    assert_string_equal(medium(CD0), "");
    until(f, strcmp(written("state"), "fired") == 0 && strcmp(written("operation"), op->id) == 0);
    restart(NULL, false);
    assert_int_equal(newest()->state, SCHEDULE_FIRED);
    assert_string_equal(newest()->by, "me");
    fixture_run_for(f, 200);
    assert_int_equal(operations(), 0); /* the simulated gadget begins anew, and nothing fires again */
}

static void at_a_time(void **state attr_unused)
{
    char text[CLOCK_TEXT_MAX], members[128];
    clock_format_rfc3339(clock_real_ms() + 300, text);
    snprintf(members, sizeof members, INSERT_CD("a.iso") ", \"when\": {\"at\": \"%s\"}", text);
    make(members);
    until(f, strcmp(medium(CD0), "a.iso") == 0);
    until(f, newest()->operation_ended);
    assert_int_equal(newest()->state, SCHEDULE_FIRED);
}

static void when_the_host_is_quiet(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "reading cd0 on");
    make(EJECT_CD ", \"mode\": \"forced\", \"when\": {\"quiet_for\": 1}");
    fixture_run_for(f, 1500);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    fixture_host(f, "reading cd0 off");
    until(f, newest()->state == SCHEDULE_FIRED && newest()->operation_ended);
    assert_true(f->daemon->units[CD0].evidence.last_read_at == 0 || medium(CD0)[0] == '\0');
}

static void a_hanging_command_is_not_quiet(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "hang cd0 host");
    make(EJECT_CD ", \"when\": {\"quiet_for\": 1}");
    fixture_run_for(f, 2500);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    fixture_host(f, "hang cd0 off");
    until(f, newest()->state == SCHEDULE_FIRED && newest()->operation_ended);
}

static void the_next_disc_of_a_set(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    make(INSERT_CD("b.iso") ", \"when\": {\"host_ejected\": true}");
    make(INSERT_CD("a.iso") ", \"when\": {\"host_ejected\": true}");
    fixture_host(f, "eject cd0");
    until(f, strcmp(medium(CD0), "b.iso") == 0);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    until(f, f->daemon->units[CD0].machine.queue_len == 0);
    fixture_host(f, "eject cd0");
    until(f, strcmp(medium(CD0), "a.iso") == 0);
    assert_int_equal(newest()->state, SCHEDULE_FIRED);
}

/* Our own eject is no eject by the host. */
static void our_eject_is_not_the_hosts(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    make(INSERT_CD("b.iso") ", \"when\": {\"host_ejected\": true}");
    fixture_do(f, EJECT("cd0", ""));
    fixture_run_for(f, 100);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
}

static void boot_once(void **state attr_unused)
{
    struct err e;
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    make(EJECT_CD ", \"when\": {\"host_resets\": 2}");
    assert_int_equal(reattach_begin(f->daemon, REATTACH_FULL, NO_DRIVE, false, true, NULL, NULL, &e), 0);
    until(f, !reattach_under_way(f->daemon) && f->daemon->link.configured);
    assert_int_equal(newest()->resets_seen, 0); /* that was ours */
    fixture_host(f, "link reset");
    until(f, newest()->resets_seen == 1);
    until(f, written_number("resets_seen") == 1);
    restart(NULL, false);
    assert_int_equal(newest()->resets_seen, 1);
    fixture_host(f, "link reset");
    until(f, newest()->state == SCHEDULE_FIRED && newest()->operation_ended);
}

static void what_is_refused_then(void **state attr_unused)
{
    make(INSERT_CD("none.iso") AFTER_100MS);
    until(f, newest()->state == SCHEDULE_FAILED);
    assert_int_equal(newest()->err.code, ERR_IMAGE_MISSING);
    assert_true(newest()->operation[0]);
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

static void cancelled(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    strcpy(id, make(EJECT_CD LATER));
    assert_int_equal(about("schedule_cancel", id, ""), ERR_NONE);
    assert_int_equal(answer.state, SCHEDULE_CANCELLED);
    assert_string_equal(answer.on_disk, "cancelled");
    assert_int_equal(about("schedule_cancel", id, ""), ERR_NONE); /* again */
    assert_int_equal(about("schedule_change", id, ", \"enabled\": true"), ERR_TOO_LATE);
    assert_int_equal(about("schedule_cancel", "00000000000000000000", ""), ERR_NOT_FOUND);
}

static void changed(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    strcpy(id, make(EJECT_CD LATER));
    assert_int_equal(about("schedule_change", id, ", \"missed\": \"run\""), ERR_NONE);
    assert_int_equal(newest()->missed, MISSED_RUN);
    assert_int_equal(about("schedule_change", id, ", \"enabled\": false, \"when\": {\"after\": 0.05}"), ERR_NONE);
    fixture_run_for(f, 150);
    assert_int_equal(newest()->state, SCHEDULE_ARMED);
    assert_int_equal(about("schedule_change", id, ", \"enabled\": true"), ERR_BAD_REQUEST); /* its time is over */
    assert_false(newest()->enabled);
    assert_int_equal(about("schedule_change", id, ", \"enabled\": true, \"when\": {\"after\": 0.05}"), ERR_NONE);
    until(f, newest()->state == SCHEDULE_FIRED);
    assert_int_equal(about("schedule_change", id, ""), ERR_BAD_REQUEST);
}

static void bad_requests(void **state attr_unused)
{
    static const struct {
        const char *members;
        enum err_code code;
    } bad[] = {
        {EJECT_CD, ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"after\": 1, \"quiet_for\": 1}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"after\": -1}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"after\": 1e300}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"quiet_for\": 0}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"host_resets\": 0}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"host_resets\": 1.5}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"host_ejected\": false}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"at\": \"2020-01-01T00:00:00Z\"}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"at\": \"tomorrow\"}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": {\"then\": 1}", ERR_BAD_REQUEST},
        {EJECT_CD ", \"when\": 5", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"missed\": \"perhaps\"", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"image\": \"a.iso\"", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"if_match\": \"x\"", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"operation\": \"x\"", ERR_BAD_REQUEST},
        {EJECT_CD LATER ", \"mode\": \"gentle\"", ERR_BAD_REQUEST},
        {"\"drive\": \"cd7\", \"action\": \"eject\"" LATER, ERR_NOT_FOUND},
        {"\"drive\": \"cd0\", \"action\": \"break\"" LATER, ERR_BAD_REQUEST},
        {"\"drive\": \"cd0\", \"action\": \"insert\"" LATER, ERR_INVALID_NAME},
        {INSERT_CD("a.iso") LATER ", \"readonly\": false", ERR_BAD_REQUEST},
        {INSERT_CD("a.iso") LATER ", \"type\": \"disk\"", ERR_DRIVE_TYPE_DIFFERS},
        {INSERT_CD("../a.iso") LATER, ERR_INVALID_NAME},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"do\": \"schedule_add\", %s}", bad[i].members);
        if (give(text) == 0 || answer.err.code != bad[i].code) fail_msg("%s: %s %s", text, err_name(answer.err.code), answer.err.text);
        assert_true(answer.err.text[0]);
    }
    assert_int_equal(f->daemon->kept.table.len, 0);
}

static void no_more_than_so_many(void **state attr_unused)
{
    for (int i = 0; i < SCHEDULES_ARMED_MAX; i++) make(EJECT_CD LATER);
    assert_int_equal(give("{\"do\": \"schedule_add\", " EJECT_CD LATER "}"), -1);
    assert_int_equal(answer.err.code, ERR_TOO_MANY_REQUESTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(after_a_while), TEST(at_a_time), TEST(when_the_host_is_quiet), TEST(a_hanging_command_is_not_quiet),
        TEST(the_next_disc_of_a_set), TEST(our_eject_is_not_the_hosts), TEST(boot_once), TEST(what_is_refused_then),
        TEST(cancelled), TEST(changed), TEST(bad_requests), TEST(no_more_than_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
