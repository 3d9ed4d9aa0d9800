/*
 * Stores that are taken away, in trayd-gadget: what it refuses by itself, and what it remembers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/daemon_each.h"

static struct departure *main_store(void)
{
    return &f->daemon->stores[0].state;
}

static void is_refused(const char *json, enum err_code code)
{
    struct err e;
    assert_null(fixture_ask(f, &e, json));
    if (e.code != code) fail_msg("%s: %s", json, e.text);
}

static void detach(bool unmount)
{
    struct err e;
    if (stores_detach(f->daemon, 0, unmount, "admin", &e) < 0) fail_msg("%s", e.text);
    until(f, !departure_is_under_way(main_store()));
    assert_int_equal(main_store()->stage, STORE_DETACHED);
}

static void attach(void)
{
    struct err e;
    assert_int_equal(stores_attach(f->daemon, 0, "admin", &e), 0);
    until(f, main_store()->stage == STORE_ATTACHED);
}

static void nothing_is_put_in(void **state attr_unused)
{
    detach(true);
    is_refused(INSERT("cd0", "a.iso", ""), ERR_STORE_DETACHED);
    is_refused(INSERT("cd0", "a.iso", ", \"store\": \"main\""), ERR_STORE_DETACHED);
    is_refused(INSERT("cd0", "a.iso", ", \"store\": \"main/sub\""), ERR_STORE_DETACHED);
    assert_int_equal(fixture_do(f, EJECT("cd0", ""))->state, OP_DONE);
    attach();
    assert_int_equal(fixture_do(f, INSERT("cd0", "a.iso", ""))->state, OP_DONE);
}

static void while_it_leaves_too(void **state attr_unused)
{
    struct err e;
    fixture_host(f, "store main hang-sync");
    assert_int_equal(stores_detach(f->daemon, 0, false, "admin", &e), 0);
    fixture_run_for(f, 20);
    assert_int_equal(main_store()->stage, STORE_LEAVING);
    is_refused(INSERT("cd0", "a.iso", ""), ERR_STORE_DETACHED);
    fixture_host(f, "store main well");
    until(f, main_store()->stage == STORE_DETACHED);
}

static void what_is_used_stays(void **state attr_unused)
{
    struct err e;
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    assert_int_equal(stores_detach(f->daemon, 0, false, "admin", &e), -1);
    assert_int_equal(e.code, ERR_IMAGE_IN_USE);
    assert_non_null(strstr(e.text, "cd0"));
    fixture_do(f, EJECT("cd0", ""));

    fixture_do(f, INSERT("usb0", "d.img", "")); /* waits behind an eject that waits */
    fixture_host(f, "lock usb0");
    fixture_begin(f, EJECT("usb0", ", \"patience\": 60"));
    fixture_begin(f, INSERT("usb0", "e.img", ""));
    assert_int_equal(stores_detach(f->daemon, 0, false, "admin", &e), -1);
    assert_int_equal(main_store()->stage, STORE_ATTACHED);
    fixture_host(f, "unlock usb0");
    until(f, f->daemon->units[USB0].machine.queue_len == 0);
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    detach(false);
}

static void it_is_remembered(void **state attr_unused)
{
    detach(true);
    msec since = main_store()->since_real;
    for (int i = 0; i < 2; i++) {
        fixture_kill(f);
        until(f, f->daemon->started);
        assert_int_equal(main_store()->stage, STORE_DETACHED);
        assert_true(main_store()->unmounted && main_store()->safe);
        assert_int_equal(main_store()->since_real, since);
        assert_string_equal(main_store()->by, "admin");
        is_refused(INSERT("cd0", "a.iso", ""), ERR_STORE_DETACHED);
    }
    attach();
    fixture_kill(f);
    assert_int_equal(main_store()->stage, STORE_ATTACHED);
}

/* Killed before each step is done: the next one ends what was begun. */
static void it_is_gone_on_with(void **state attr_unused)
{
    static const char *const hangs[] = {"store main hang-sync", "store main hang-unmount", "store main hang-check",
                                        "store main hang-mount"};
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(hangs); i++) {
        bool coming = i == 3;
        if (coming) detach(true);
        fixture_host(f, hangs[i]);
        int result = coming ? stores_attach(f->daemon, 0, "admin", &e) : stores_detach(f->daemon, 0, true, "admin", &e);
        assert_int_equal(result, 0);
        until(f, strcmp(departure_step_names[main_store()->step], strchr(hangs[i], '-') + 1) == 0);
        fixture_kill(f);
        assert_true(departure_is_under_way(main_store()));
        until(f, !departure_is_under_way(main_store()));
        assert_int_equal(main_store()->stage, coming ? STORE_ATTACHED : STORE_DETACHED);
        if (!coming) attach();
    }
}

static void nonsense_in_the_state_file(void **state attr_unused)
{
    static const char *const stores[] = {"[]", "{\"main\": 5}", "{\"main\": {\"stage\": \"away\"}}",
                                         "{\"other\": {\"stage\": \"detached\"}}",
                                         "{\"main\": {\"stage\": \"detached\", \"step\": 7}}"};
    for (size_t i = 0; i < ARRAY_LEN(stores); i++) {
        json_t *saved = json_loads(stores[i], 0, NULL);
        stores_load(f->daemon, saved);
        json_decref(saved);
        assert_int_equal(main_store()->stage, STORE_ATTACHED);
    }
}

static void requests(void **state attr_unused)
{
    static const struct {
        const char *json;
        enum err_code code;
    } cases[] = {
        {"{\"id\": 1, \"do\": \"store\", \"order\": \"detach\", \"store\": \"main\", \"unmount\": true}", ERR_NONE},
        {"{\"id\": 1, \"do\": \"store\", \"order\": \"detach\", \"store\": \"other\"}", ERR_NOT_FOUND},
        {"{\"id\": 1, \"do\": \"store\", \"order\": \"detach\", \"store\": \"main/sub\"}", ERR_NOT_FOUND},
        {"{\"id\": 1, \"do\": \"store\", \"order\": \"detach\"}", ERR_NOT_FOUND},
        {"{\"id\": 1, \"do\": \"store\", \"order\": \"detach\", \"store\": 7}", ERR_BAD_REQUEST},
        {"{\"id\": 1, \"do\": \"store\", \"order\": \"detach\", \"store\": \"main\", \"unmount\": 1}", ERR_BAD_REQUEST},
        {"{\"id\": 1, \"do\": \"store\", \"order\": \"detach\", \"store\": \"main\", \"path\": \"/\"}", ERR_BAD_REQUEST},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gadget_request rq;
        struct err e = {0};
        cleanup_json json_t *message = json_loads(cases[i].json, 0, NULL);
        int result = gadget_request_read(f->daemon, message, &rq, &e);
        assert_int_equal(result < 0 ? e.code : ERR_NONE, cases[i].code);
        if (result == 0) assert_true(rq.store == 0 && rq.unmount);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_put_in, begin, end),
        cmocka_unit_test_setup_teardown(while_it_leaves_too, begin, end),
        cmocka_unit_test_setup_teardown(what_is_used_stays, begin, end),
        cmocka_unit_test_setup_teardown(it_is_remembered, begin, end),
        cmocka_unit_test_setup_teardown(it_is_gone_on_with, begin, end),
        cmocka_unit_test_setup_teardown(nonsense_in_the_state_file, begin, end),
        cmocka_unit_test_setup_teardown(requests, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
