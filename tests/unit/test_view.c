/* What clients read of drives, operations and refusals: that it is true, and that it names names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/daemon_each.h"
#include "gadget/view.h"

static json_t *seen(size_t drive)
{
    return view_drive(f->daemon, drive, clock_boot_ms());
}

/* A value by its path, such as "medium.readonly", as JSON text. */
static void assert_member(const json_t *o, const char *path, const char *wanted)
{
    char copy[64], *save;
    snprintf(copy, sizeof copy, "%s", path);
    for (const char *name = strtok_r(copy, ".", &save); name; name = strtok_r(NULL, ".", &save)) o = json_object_get(o, name);
    if (!o) fail_msg("there is no %s", path);
    cleanup_free char *text = json_dumps(o, JSON_ENCODE_ANY | JSON_COMPACT);
    if (strcmp(text, wanted) != 0) fail_msg("%s is %s, not %s", path, text, wanted);
}

static void an_empty_drive(void **state attr_unused)
{
    cleanup_json json_t *o = seen(CD0);
    static const char *const members[][2] = {
        {"name", "\"cd0\""}, {"label", "\"CD-ROM cd0\""}, {"type", "\"cdrom\""}, {"state", "\"empty\""}, {"medium", "null"},
        {"operation", "null"}, {"queue", "[]"}, {"quarantine_until", "null"}, {"stale_host", "false"}, {"unannounced", "false"}, {"stuck", "null"},
        {"host.link", "\"configured\""}, {"host.speed", "\"high-speed\""}, {"evidence.lock", "\"unknown\""},
        {"evidence.last_read_at", "null"}, {"capabilities.forced_eject", "true"}, {"capabilities.max_cdrom_bytes", "2359293952"},
    };
    for (size_t i = 0; i < ARRAY_LEN(members); i++) assert_member(o, members[i][0], members[i][1]);
}

static void a_loaded_one(void **state attr_unused)
{
    char etag[64];
    fixture_do(f, INSERT("usb0", "d.img", ", \"by\": \"ann\""));
    fixture_host(f, "write usb0 4096");
    until(f, f->daemon->units[USB0].machine.evidence.bytes_written);
    cleanup_json json_t *o = seen(USB0);
    static const char *const members[][2] = {
        {"state", "\"loaded\""}, {"medium.image", "\"d.img\""}, {"medium.store", "\"main\""}, {"medium.size", "1048576"},
        {"medium.readonly", "false"}, {"medium.inserted_by", "\"ann\""}, {"evidence.bytes_written", "4096"}, {"evidence.bytes_read", "0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(members); i++) assert_member(o, members[i][0], members[i][1]);
    const json_t *medium = json_object_get(o, "medium");
    snprintf(etag, sizeof etag, "\"%s-%llu\"", f->daemon->incarnation, (unsigned long long)json_int(o, "generation", 0));
    assert_string_equal(json_text(medium, "etag"), etag);
    /* A boot time becomes the time of day that it was. */
    msec written, inserted;
    assert_int_equal(clock_parse_rfc3339(json_text(json_object_get(o, "evidence"), "last_write_at"), &written), 0);
    assert_int_equal(clock_parse_rfc3339(json_text(medium, "inserted_at"), &inserted), 0);
    assert_in_range(written, clock_real_ms() - FIXTURE_PATIENCE, clock_real_ms());
    assert_in_range(inserted, clock_real_ms() - FIXTURE_PATIENCE, clock_real_ms());
}

static void one_with_operations(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "lock cd0");
    struct operation *head = fixture_begin(f, EJECT("cd0", ", \"patience\": 60, \"by\": \"ann\""));
    struct operation *behind = fixture_begin(f, INSERT("cd0", "b.iso", ""));
    until(f, f->daemon->units[CD0].machine.queue[0].phase == PHASE_LOCKED);
    cleanup_json json_t *o = seen(CD0);
    static const char *const members[][2] = {
        {"state", "\"ejecting\""}, {"operation.state", "\"waiting\""}, {"operation.action", "\"eject\""}, {"operation.mode", "\"orderly\""},
        {"operation.waits_for", "\"the host to release the medium\""}, {"operation.next.what", "\"ask\""},
        {"operation.next.then", "\"fail\""}, {"operation.patience", "60"}, {"operation.by", "\"ann\""},
        {"operation.readonly", "null"}, {"operation.code", "null"}, {"operation.finished_at", "null"}, {"operation.durable", "null"},
        {"evidence.lock", "\"locked\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(members); i++) assert_member(o, members[i][0], members[i][1]);
    const json_t *operation = json_object_get(o, "operation"), *queued = json_array_get(json_object_get(o, "queue"), 0);
    assert_string_equal(json_text(operation, "id"), head->id);
    assert_int_not_equal(strlen(json_text(operation, "patience_until")), 0);
    assert_string_equal(json_text(queued, "id"), behind->id);
    assert_member(queued, "state", "\"queued\"");
    assert_member(queued, "waits_for", "\"its turn\"");
    assert_member(queued, "next", "null");
    assert_member(queued, "readonly", "true");
    assert_member(queued, "image", "\"b.iso\"");
    assert_member(queued, "evidence", "null");
}

static void a_finished_operation(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "lock usb0");
    cleanup_json json_t *o = view_operation(f->daemon, fixture_do(f, EJECT("usb0", ", \"patience\": 0, \"on_timeout\": \"force\"")));
    static const char *const members[][2] = {
        {"state", "\"done\""}, {"forced", "true"}, {"lock_overridden", "true"}, {"stale_host", "true"}, {"raced_with_write", "false"},
        {"reattached", "false"}, {"unchanged", "false"}, {"durable", "true"}, {"waits_for", "null"}, {"patience_until", "null"},
    };
    for (size_t i = 0; i < ARRAY_LEN(members); i++) assert_member(o, members[i][0], members[i][1]);
    static const char *const rungs[][2] = {{"ask", "busy"}, {"force", "done"}, {"sync", "done"}};
    const json_t *steps = json_object_get(o, "steps");
    assert_int_equal(json_array_size(steps), ARRAY_LEN(rungs));
    for (size_t i = 0; i < ARRAY_LEN(rungs); i++) {
        assert_string_equal(json_text(json_array_get(steps, i), "rung"), rungs[i][0]);
        assert_string_equal(json_text(json_array_get(steps, i), "outcome"), rungs[i][1]);
    }
    assert_int_not_equal(strlen(json_text(o, "emptied_at")), 0);
    assert_int_not_equal(strlen(json_text(o, "durable_at")), 0);
    assert_member(o, "data_may_be_lost", "true");
    assert_member(json_array_get(steps, 1), "evidence.lock", "\"locked\"");
    assert_member(json_array_get(steps, 1), "collateral", "null");
}

/* Whom it hits besides: the plug is everybody's. */
static void a_reattach_names_all_that_it_disconnects(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    cleanup_json json_t *o = view_operation(f->daemon, fixture_do(f, INSERT("usb0", "e.img", ", \"reattach\": true")));
    const json_t *step, *steps = json_object_get(o, "steps");
    size_t i, found = 0;
    assert_member(o, "reattached", "true");
    json_array_foreach(steps, i, step) {
        if (strcmp(json_text(step, "rung"), "reattach") != 0) continue;
        found++;
        assert_member(step, "collateral.disconnect", "true");
        assert_member(step, "collateral.drives", "[\"cd0\"]");
        assert_member(step, "collateral.functions", "[]");
    }
    assert_int_equal(found, 1);
}

static void a_stuck_drive_says_what_it_waits_for(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    f->daemon->units[CD0].machine.policy.stuck_after = 50;
    fixture_host(f, "hang cd0 storage");
    struct operation *op = fixture_do(f, EJECT("cd0", ""));
    assert_int_equal(op->err.code, ERR_DRIVE_STUCK);
    cleanup_json json_t *o = seen(CD0);
    assert_member(o, "state", "\"stuck\"");
    assert_non_null(strstr(json_text(o, "stuck"), "the storage under the image"));
    assert_non_null(strstr(json_text(o, "stuck"), "\"ask\""));
    fixture_host(f, "hang cd0 off");
    until(f, !f->daemon->units[CD0].machine.stuck);
}

static void the_gadget_as_a_whole(void **state attr_unused)
{
    cleanup_json json_t *o = view_system(f->daemon);
    assert_member(o, "engine", "\"simulation\"");
    assert_member(o, "found", "\"built\"");
    assert_member(o, "bound", "true");
    assert_member(o, "error", "null");
    assert_member(o, "reattaching", "false");
    assert_string_equal(json_text(o, "incarnation"), f->daemon->incarnation);
}

static void refused(const char *json, enum err_code code, const char *said)
{
    struct err e;
    struct operation *op = fixture_ask(f, &e, json);
    if (op) {
        until(f, operation_is_finished(op));
        e = op->err;
    }
    if (e.code != code || !strstr(e.text, said)) fail_msg("%s: %s, %s", json, err_name(e.code), e.text);
}

static void refusals_name_the_drive_and_the_reason(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_do(f, INSERT("usb0", "d.img", ""));
    refused(INSERT("usb0", "d.img", ", \"readonly\": true"), ERR_MEDIUM_DIFFERS, "d.img is in usb0 already, but writable");
    refused(INSERT("cd0", "b.iso", ", \"if_empty\": true"), ERR_PRECONDITION, "cd0 holds another medium");
    refused(INSERT("cd0", "none.iso", ""), ERR_IMAGE_MISSING, "none.iso");
    refused(INSERT("cd0", "d.img", ""), ERR_IMAGE_IN_USE, "usb0");
    fixture_host(f, "lock cd0");
    fixture_host(f, "read cd0 512");
    refused(EJECT("cd0", ", \"patience\": 0.25"), ERR_MEDIUM_IN_USE,
            "The host keeps the medium in cd0 locked; asked for 0.25 s; it last read");
    f->daemon->units[USB0].machine.policy.quiet = 60000;
    fixture_host(f, "write usb0 512");
    refused(EJECT("usb0", ", \"patience\": 0"), ERR_MEDIUM_IN_USE, "The host is still writing to usb0; waited 0 s; it last wrote");
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    refused(INSERT("usb0", "e.img", ""), ERR_STALE_HOST, "taken from usb0 by force");
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_drive),
        TEST(a_loaded_one),
        TEST(one_with_operations),
        TEST(a_finished_operation),
        TEST(a_stuck_drive_says_what_it_waits_for), TEST(a_reattach_names_all_that_it_disconnects),
        TEST(the_gadget_as_a_whole),
        TEST(refusals_name_the_drive_and_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
