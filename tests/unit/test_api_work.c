/*
 * The handlers of drives and operations against a trayd-gadget that this test plays: what is sent to it, and what its
 * words become for a client of the API.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "tests/unit/api_fixture.h"

#define EJECT_CD0 "{\"do\":\"eject\",\"drive\":\"cd0\",\"by\":\"tester\"}"

static void without_a_gadget(void **state)
{
    struct test *t = *state;
    once(t, api_list_drives, NULL, 503, "unavailable");
    once(t, api_get_drive, "cd0", 503, "unavailable");
    once(t, api_delete_medium, "cd0", 503, "unavailable");
    once(t, api_get_readiness, NULL, 503, "unavailable");
    once(t, api_get_health, NULL, 200, NULL);
    once(t, api_get_system, NULL, 200, NULL);
    assert_true(json_is_null(json_object_get(t->rs.json, "gadget")));
    add_image(t, "a.iso");
    once(t, api_get_image, "a.iso", 200, NULL);
    once(t, api_delete_image, "a.iso", 503, "unavailable"); /* nobody knows whether it is in a drive */
}

static void work_that_gets_done(void **state)
{
    struct test *t = *state;
    once(t, api_get_readiness, NULL, 200, NULL);
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "queued");
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"done\",\"drive\":\"cd0\"");
    end(t, 200, NULL);
    assert_string_equal(json_text(t->rs.json, "state"), "done");
    once(t, api_get_operation, ID1, 200, NULL);
    assert_string_equal(json_text(t->rs.json, "state"), "done");
    once(t, api_list_operations, NULL, 200, NULL);
    assert_int_equal(json_array_size(json_object_get(t->rs.json, "operations")), 1);
    once(t, api_get_operation, ID2, 404, "not_found");
}

static void work_that_fails(void **state)
{
    struct test *t = *state;
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "waiting");
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"failed\",\"drive\":\"cd0\",\"code\":\"medium_in_use\","
                      "\"detail\":\"The host has it locked\",\"evidence\":{\"lock\":\"locked\"}");
    end(t, 423, "medium_in_use");
    assert_string_equal(json_text(t->rs.json, "detail"), "The host has it locked");
    assert_string_equal(json_text(t->rs.json, "operation"), ID1);
    assert_string_equal(json_text(t->rs.json, "drive"), "cd0");
    assert_string_equal(json_text(json_object_get(t->rs.json, "evidence"), "lock"), "locked");

    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID2, "waiting");
    tell_operation(t, "\"id\":\"" ID2 "\",\"state\":\"cancelled\",\"drive\":\"cd0\",\"code\":\"cancelled\"");
    end(t, 409, "cancelled");
}

static void refused_at_once(void **state)
{
    struct test *t = *state;
    begin(t, api_delete_medium, "cd0");
    json_t *request = fake_hear(&t->gadget);
    fake_tell_json(&t->gadget, json_pack("{s:O, s:{s:s, s:s, s:{}}}", "id", json_object_get(request, "id"), "error", "code",
                                         "quarantine", "detail", "Not now", "evidence"));
    json_decref(request);
    end(t, 503, "quarantine");
    assert_true(atoi(response_header(t, "Retry-After")) > 1000000); /* the drive says when */
    assert_non_null(json_object_get(t->rs.json, "evidence"));
}

static void prefer(void **state)
{
    struct test *t = *state;
    header(t, "Prefer", "respond-async");
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "done"); /* 202 all the same */
    end(t, 202, NULL);
    assert_string_equal(response_header(t, "Location"), "/api/v1/operations/" ID1);
    assert_string_equal(response_header(t, "Preference-Applied"), "respond-async");

    header(t, "Prefer", "wait=0");
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID2, "waiting");
    end(t, 202, NULL);
    assert_string_equal(json_text(t->rs.json, "state"), "waiting");
    assert_string_equal(response_header(t, "Preference-Applied"), "wait=0");
}

static void what_is_said_goes_on(void **state)
{
    struct test *t = *state;
    header(t, "Prefer", "wait=0");
    query(t, "mode", "orderly");
    query(t, "patience", "1.5");
    query(t, "on_timeout", "force");
    query(t, "lock_policy", "release_when_quiet");
    query(t, "allow_collateral", "true");
    begin(t, api_delete_medium, "cd0");
    accept_work(t,
                "{\"do\":\"eject\",\"drive\":\"cd0\",\"by\":\"tester\",\"mode\":\"orderly\",\"patience\":1.5,"
                "\"on_timeout\":\"force\",\"lock_policy\":\"release_when_quiet\",\"allow_collateral\":true}",
                ID1, "waiting");
    end(t, 202, NULL);

    add_image(t, "a.iso");
    header(t, "Prefer", "wait=0");
    t->body = "{\"image\":\"a.iso\"}";
    begin(t, api_put_medium, "cd0");
    accept_work(t, "{\"do\":\"insert\",\"drive\":\"cd0\",\"image\":\"a.iso\",\"store\":\"main\",\"by\":\"tester\"}", ID2,
                "waiting");
    end(t, 202, NULL);

    header(t, "Prefer", "wait=0");
    t->body = "{\"image\":\"a.iso\",\"store\":\"main\",\"readonly\":false,\"mode\":\"forced\",\"patience\":0,"
              "\"on_timeout\":\"fail\",\"lock_policy\":\"respect\",\"swap\":\"direct\",\"type\":\"cdrom\","
              "\"accept_stale_host\":true,\"reattach\":true,\"allow_collateral\":true}";
    begin(t, api_put_medium, "cd0");
    accept_work(t,
                "{\"do\":\"insert\",\"drive\":\"cd0\",\"image\":\"a.iso\",\"store\":\"main\",\"readonly\":false,"
                "\"mode\":\"forced\",\"patience\":0,\"on_timeout\":\"fail\",\"lock_policy\":\"respect\",\"swap\":\"direct\","
                "\"type\":\"cdrom\",\"accept_stale_host\":true,\"reattach\":true,\"allow_collateral\":true,"
                "\"by\":\"tester\"}",
                ID2, "waiting");
    end(t, 202, NULL);
}

static void malformed_inserts(void **state)
{
    static const char *const bodies[] = {
        NULL, "", "x", "[]", "{}", "{\"image\":1}", "{\"image\":\"\"}", "{\"image\":\"../a\"}", "{\"image\":\"a\\u0000b\"}",
        "{\"image\":\"a.iso\",\"imag\":1}", "{\"image\":\"a.iso\",\"mode\":\"gentle\"}",
        "{\"image\":\"a.iso\",\"patience\":-1}", "{\"image\":\"a.iso\",\"patience\":86401}",
        "{\"image\":\"a.iso\",\"patience\":\"1\"}", "{\"image\":\"a.iso\",\"swap\":true}",
        "{\"image\":\"a.iso\",\"swap\":\"fast\"}", "{\"image\":\"a.iso\",\"type\":\"tape\"}",
        "{\"image\":\"a.iso\",\"readonly\":null}", "{\"image\":\"a.iso\",\"image\":\"b.iso\"}", "{\"image\":\"a.iso\"}x",
    };
    struct test *t = *state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        t->body = bodies[i];
        begin(t, api_put_medium, "cd0");
        pthread_join(t->thread, NULL);
        if (t->rs.status != 400) fail_msg("%s: %d", bodies[i] ? bodies[i] : "(none)", t->rs.status);
    }
    t->body = "{\"image\":\"a.iso\"}";
    header(t, "Content-Type", "text/plain");
    once(t, api_put_medium, "cd0", 415, "unsupported_media_type");
    header(t, "Content-Type", "application/json; charset=utf-8");
    once(t, api_put_medium, "cd0", 404, "image_missing");
    once(t, api_put_medium, "cd9", 404, "not_found");
}

static void conditions(void **state)
{
    struct test *t = *state;
    once(t, api_get_medium, "usb0", 200, NULL);
    assert_string_equal(response_header(t, "ETag"), "\"x-7\"");
    header(t, "If-None-Match", "\"x-7\"");
    once(t, api_get_medium, "usb0", 304, NULL);
    assert_string_equal(response_header(t, "ETag"), "\"x-7\"");
    once(t, api_get_medium, "cd0", 404, "no_medium");

    header(t, "If-Match", "\"x-6\"");
    once(t, api_delete_medium, "usb0", 412, "precondition_failed");
    header(t, "If-Match", "W/\"x-7\"");
    once(t, api_delete_medium, "usb0", 412, "precondition_failed");
    header(t, "If-Match", "*");
    once(t, api_delete_medium, "cd0", 412, "precondition_failed");
    header(t, "If-Match", "x-7");
    once(t, api_delete_medium, "usb0", 400, "bad_request");
    header(t, "If-None-Match", "\"x-7\"");
    once(t, api_delete_medium, "usb0", 412, "precondition_failed");

    header(t, "If-Match", "\"x-6\", \"x-7\"");
    header(t, "Prefer", "wait=0");
    begin(t, api_delete_medium, "usb0");
    accept_work(t, "{\"do\":\"eject\",\"drive\":\"usb0\",\"by\":\"tester\",\"if_match\":\"\\\"x-7\\\"\"}", ID1, "waiting");
    end(t, 202, NULL);

    add_image(t, "a.iso");
    t->body = "{\"image\":\"a.iso\"}";
    header(t, "If-None-Match", "*");
    header(t, "Prefer", "wait=0");
    begin(t, api_put_medium, "usb0");
    accept_work(t,
                "{\"do\":\"insert\",\"drive\":\"usb0\",\"image\":\"a.iso\",\"store\":\"main\",\"if_empty\":true,"
                "\"by\":\"tester\"}",
                ID2, "waiting");
    end(t, 202, NULL);
}

static void used_images_stay(void **state)
{
    struct test *t = *state;
    add_image(t, "in.img");
    add_image(t, "coming.img");
    add_image(t, "free.img");
    once(t, api_delete_image, "in.img", 409, "image_in_use");
    once(t, api_get_image, "in.img", 200, NULL);
    assert_string_equal(json_string_value(json_array_get(json_object_get(t->rs.json, "drives"), 0)), "usb0");
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"queued\",\"drive\":\"cd0\",\"image\":\"coming.img\",\"store\":\"main\"");
    until_known(t, ID1);
    once(t, api_delete_image, "coming.img", 409, "image_in_use");
    once(t, api_delete_image, "free.img", 204, NULL);
    once(t, api_delete_image, "free.img", 404, "image_missing");
}

static void changes_of_operations(void **state)
{
    struct test *t = *state;
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"waiting\",\"drive\":\"cd0\"");
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "waiting"); /* joined */
    tell_operation(t, "\"id\":\"" ID2 "\",\"state\":\"done\",\"drive\":\"cd0\"");
    until_known(t, ID2);

    struct test other = {.api = t->api};
    api_response_init(&other.rs);
    begin(&other, api_cancel_operation, ID1);
    accept_work(t, "{\"do\":\"cancel\",\"operation\":\"" ID1 "\",\"by\":\"tester\"}", ID1, "cancelled");
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"cancelled\",\"drive\":\"cd0\"");
    end(&other, 200, NULL); /* who asked for it */
    end(t, 409, "cancelled"); /* who waited for the work */

    once(&other, api_cancel_operation, ID1, 200, NULL);
    once(&other, api_force_operation, ID1, 409, "too_late");
    once(&other, api_cancel_operation, ID2, 409, "too_late");
    once(&other, api_cancel_operation, "0", 404, "not_found");
    api_response_done(&other.rs);
}

static void a_restart_that_forgets(void **state)
{
    struct test *t = *state;
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "waiting");
    fake_hang_up(&t->gadget);
    fake_greet(&t->gadget, HELLO);
    end(t, 503, "interrupted");
    until_connected(t, true);
    once(t, api_get_operation, ID1, 200, "interrupted");
    assert_string_equal(json_text(t->rs.json, "state"), "failed");
    assert_string_not_equal(json_text(t->rs.json, "finished_at"), "");
}

static void orders_to_the_gadget(void **state)
{
    struct test *t = *state;
    t->body = "{\"allow_collateral\":true}";
    begin(t, api_reattach_gadget, NULL);
    json_t *request = fake_hear(&t->gadget);
    assert_string_equal(json_text(request, "order"), "reattach");
    assert_true(json_flag(request, "allow_collateral"));
    fake_tell_json(&t->gadget,
                   json_pack("{s:O, s:{s:{s:b}}}", "id", json_object_get(request, "id"), "ok", "system", "bound", 1));
    json_decref(request);
    end(t, 200, NULL);
    assert_true(json_flag(json_object_get(t->rs.json, "gadget"), "bound"));
    t->body = "{\"allow\":true}";
    once(t, api_detach_gadget, NULL, 400, "bad_request");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_connected, teardown)

int main(void)
{
    log_init("test_api_work", LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_gadget, setup, teardown),
        TEST(work_that_gets_done),   TEST(work_that_fails),      TEST(refused_at_once), TEST(prefer),
        TEST(what_is_said_goes_on),  TEST(malformed_inserts),    TEST(conditions),      TEST(used_images_stay),
        TEST(changes_of_operations), TEST(a_restart_that_forgets), TEST(orders_to_the_gadget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
