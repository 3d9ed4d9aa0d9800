/* What comes over the gadget's socket is checked member by member, whoever sent it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/daemon_fixture.h"

static struct fixture *f;

static int begin(void **state attr_unused)
{
    f = fixture_new("", "patience = \"7 s\"; lock_policy = \"release_when_quiet\";");
    fixture_start(f);
    strcpy(f->daemon->incarnation, "0123456789abcdef");
    return 0;
}

static int end(void **state attr_unused)
{
    fixture_free(f);
    return 0;
}

static int read_text(const char *json, struct gadget_request *ret, struct err *e)
{
    cleanup_json json_t *message = json_loads(json, 0, NULL);
    if (!message) fail_msg("not JSON: %s", json);
    return gadget_request_read(f->daemon, message, ret, e);
}

static struct gadget_request well(const char *json)
{
    struct gadget_request rq;
    struct err e;
    if (read_text(json, &rq, &e) < 0) fail_msg("%s: %s", json, e.text);
    return rq;
}

static void an_eject_has_the_drives_defaults(void **state attr_unused)
{
    struct gadget_request rq = well(EJECT("usb0", ""));
    assert_string_equal(rq.what, "eject");
    assert_string_equal(rq.by, "unknown");
    assert_int_equal(rq.drive, USB0);
    assert_int_equal(rq.rq.action, OP_EJECT);
    assert_int_equal(rq.rq.mode, EJECT_ORDERLY);
    assert_int_equal(rq.rq.patience, 7000);
    assert_int_equal(rq.rq.on_timeout, ON_TIMEOUT_FAIL);
    assert_int_equal(rq.rq.lock_policy, LOCK_RELEASE_WHEN_QUIET);
    assert_int_equal(rq.rq.only_if_medium, 0);
    assert_false(rq.rq.allow_collateral);
}

static void an_eject_can_say_all_of_it(void **state attr_unused)
{
    struct gadget_request rq = well(EJECT("cd0", ", \"mode\": \"forced\", \"patience\": 0.25, \"on_timeout\": \"force\", "
                                                 "\"lock_policy\": \"respect\", \"allow_collateral\": true, \"by\": \"ann\", "
                                                 "\"if_match\": \"\\\"0123456789abcdef-17\\\"\""));
    assert_int_equal(rq.drive, CD0);
    assert_string_equal(rq.by, "ann");
    assert_int_equal(rq.rq.mode, EJECT_FORCED);
    assert_int_equal(rq.rq.patience, 250);
    assert_int_equal(rq.rq.on_timeout, ON_TIMEOUT_FORCE);
    assert_int_equal(rq.rq.lock_policy, LOCK_RESPECT);
    assert_int_equal(rq.rq.only_if_medium, 17);
    assert_true(rq.rq.allow_collateral);
}

static void an_insert_too(void **state attr_unused)
{
    struct gadget_request rq = well(INSERT("usb0", "d.img", ", \"store\": \"main/x\", \"readonly\": true, \"swap\": \"direct\", "
                                                            "\"accept_stale_host\": true, \"reattach\": true, \"if_empty\": true, "
                                                            "\"type\": \"disk\""));
    const struct image_ref *image = images_ref(f->daemon->images, rq.rq.image);
    assert_int_equal(rq.rq.action, OP_INSERT);
    assert_string_equal(image->store, "main/x");
    assert_string_equal(image->name, "d.img");
    assert_true(rq.rq.readonly && rq.rq.swap_direct && rq.rq.accept_stale_host && rq.rq.reattach && rq.rq.only_if_empty);
}

static void a_cd_is_read_only_and_a_disk_is_not(void **state attr_unused)
{
    assert_true(well(INSERT("cd0", "a.iso", "")).rq.readonly);
    assert_true(well(INSERT("cd0", "a.iso", ", \"readonly\": true")).rq.readonly);
    assert_false(well(INSERT("usb0", "a.iso", "")).rq.readonly);
}

static void an_operation_is_named(void **state attr_unused)
{
    char text[128];
    const struct drive_request rq = {.action = OP_EJECT};
    struct operation *op = operations_add(f->daemon->operations, CD0, &rq, "ann");
    snprintf(text, sizeof text, "{\"id\": 1, \"do\": \"cancel\", \"operation\": \"%s\"}", op->id);
    assert_ptr_equal(well(text).operation, op);
    snprintf(text, sizeof text, "{\"id\": 1, \"do\": \"force\", \"operation\": \"%s\"}", op->id);
    assert_ptr_equal(well(text).operation, op);
}

static void an_order_is_passed_on(void **state attr_unused)
{
    struct gadget_request rq = well("{\"id\": 1, \"do\": \"gadget\", \"order\": \"reattach\", \"allow_collateral\": true}");
    assert_string_equal(rq.order, "reattach");
    assert_true(rq.rq.allow_collateral);
}

static void what_is_wrong_is_said(void **state attr_unused)
{
    static const struct {
        const char *json;
        enum err_code code;
        const char *named;
    } bad[] = {
        {"{}", ERR_BAD_REQUEST, "\"id\""},
        {"{\"id\": 1}", ERR_BAD_REQUEST, "\"do\""},
        {"{\"id\": \"1\", \"do\": \"hello\"}", ERR_BAD_REQUEST, "\"id\""},
        {"{\"id\": -1, \"do\": \"hello\"}", ERR_BAD_REQUEST, "\"id\""},
        {"{\"id\": 1, \"do\": \"dance\"}", ERR_BAD_REQUEST, "dance"},
        {"{\"id\": 1, \"do\": \"hello\", \"drvie\": \"cd0\"}", ERR_BAD_REQUEST, "\"drive\""},
        {"{\"id\": 1, \"do\": \"cancel\"}", ERR_NOT_FOUND, "operation"},
        {"{\"id\": 1, \"do\": \"cancel\", \"operation\": \"0000\"}", ERR_NOT_FOUND, "0000"},
        {EJECT("cd9", ""), ERR_NOT_FOUND, "cd9"},
        {EJECT("cd0", ", \"mode\": \"gentle\""), ERR_BAD_REQUEST, "\"orderly\", \"forced\""},
        {EJECT("cd0", ", \"on_timeout\": \"x\""), ERR_BAD_REQUEST, "on_timeout"},
        {EJECT("cd0", ", \"lock_policy\": \"x\""), ERR_BAD_REQUEST, "lock_policy"},
        {EJECT("cd0", ", \"patience\": -1"), ERR_BAD_REQUEST, "patience"},
        {EJECT("cd0", ", \"patience\": 86401"), ERR_BAD_REQUEST, "patience"},
        {EJECT("cd0", ", \"allow_collateral\": 1"), ERR_BAD_REQUEST, "allow_collateral"},
        {EJECT("cd0", ", \"if_match\": \"17\""), ERR_PRECONDITION, "17"},
        {EJECT("cd0", ", \"if_match\": \"\\\"0123456789abcdef-\\\"\""), ERR_PRECONDITION, "ETag"},
        {EJECT("cd0", ", \"if_match\": \"\\\"0123456789abcdef-0\\\"\""), ERR_PRECONDITION, "ETag"},
        {EJECT("cd0", ", \"if_match\": \"\\\"0123456789abcdef-17\""), ERR_PRECONDITION, "ETag"},
        {EJECT("cd0", ", \"if_match\": \"\\\"fedcba9876543210-17\\\"\""), ERR_PRECONDITION, "ETag"},
        {EJECT("cd0", ", \"if_match\": \"\\\"0123456789abcdef-99999999999999999999999\\\"\""), ERR_PRECONDITION, "ETag"},
        {INSERT("cd0", "a.iso", ", \"type\": \"disk\""), ERR_DRIVE_TYPE_DIFFERS, "cdrom"},
        {INSERT("cd0", "a.iso", ", \"type\": \"floppy\""), ERR_DRIVE_TYPE_DIFFERS, "floppy"},
        {INSERT("cd0", "a.iso", ", \"swap\": \"quick\""), ERR_BAD_REQUEST, "quick"},
        {INSERT("cd0", "a.iso", ", \"readonly\": false"), ERR_BAD_REQUEST, "readonly"},
        {INSERT("cd0", "a.iso", ", \"store\": \"other\""), ERR_NOT_FOUND, "other"},
        {INSERT("cd0", "../a.iso", ""), ERR_INVALID_NAME, "dot"},
        {INSERT("cd0", "x/../a.iso", ""), ERR_INVALID_NAME, "'/'"},
        {INSERT("cd0", "", ""), ERR_INVALID_NAME, "empty"},
        {INSERT("cd0", "a\\u0000.iso", ""), ERR_BAD_REQUEST, "U+0000"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct gadget_request rq;
        struct err e = {0};
        cleanup_json json_t *message = json_loads(bad[i].json, JSON_ALLOW_NUL, NULL);
        assert_non_null(message);
        if (gadget_request_read(f->daemon, message, &rq, &e) == 0) fail_msg("accepted: %s", bad[i].json);
        if (e.code != bad[i].code || !strstr(e.text, bad[i].named)) fail_msg("%s: %s, %s", bad[i].json, err_name(e.code), e.text);
    }
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_eject_has_the_drives_defaults), TEST(an_eject_can_say_all_of_it),
        TEST(an_insert_too),                    TEST(a_cd_is_read_only_and_a_disk_is_not),
        TEST(an_operation_is_named),            TEST(an_order_is_passed_on),
        TEST(what_is_wrong_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
