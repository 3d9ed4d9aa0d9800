/*
 * Restoring in trayd-gadget, on the simulation: which media come back after a reboot of the appliance, and which do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gadget/restore.h"
#include "tests/unit/scheduling_fixture.h"

/* ---- restoring --------------------------------------------------------------------------------------------------- */

static const char *noted(const char *drive)
{
    static char text[64];
    cleanup_json json_t *all = kept();
    snprintf(text, sizeof text, "%s", json_text(json_object_get(json_object_get(all, "media"), drive), "image"));
    return text;
}

static void of_another_boot(json_t *all)
{
    const char *name;
    json_t *m;
    json_put_text(all, "boot_id", "another");
    json_object_foreach(json_object_get(all, "media"), name, m) json_put_text(m, "boot_id", "another");
}

static void put_back_after_a_reboot(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_do(f, INSERT("usb0", "d.img", ", \"readonly\": true"));
    until(f, strcmp(noted("usb0"), "d.img") == 0 && strcmp(noted("cd0"), "a.iso") == 0);
    restart(of_another_boot, true);
    until(f, strcmp(medium(CD0), "a.iso") == 0 && strcmp(medium(USB0), "d.img") == 0);
    assert_true(f->daemon->units[USB0].machine.medium.readonly);
    assert_string_equal(f->daemon->units[CD0].medium.by, "restore");
    until(f, operations() == 2 && operation_is_finished(operations_first(f->daemon->operations)));
}

static void not_within_a_boot(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX];
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    until(f, strcmp(noted("cd0"), "a.iso") == 0);
    fixture_stop(f);
    remove(fixture_path(f, "gadget.state", path));
    fixture_ready(f);
    fixture_run_for(f, 200);
    assert_string_equal(medium(CD0), "");
    assert_int_equal(operations(), 0);
}

static void not_what_was_taken_out(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_do(f, INSERT("usb0", "d.img", ""));
    until(f, strcmp(noted("usb0"), "d.img") == 0);
    fixture_do(f, EJECT("usb0", ""));
    fixture_host(f, "eject cd0");
    until(f, noted("cd0")[0] == '\0' && noted("usb0")[0] == '\0');
    restart(of_another_boot, true);
    fixture_run_for(f, 200);
    assert_int_equal(operations(), 0);
}

static void not_where_somebody_was_quicker(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX];
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    until(f, strcmp(noted("cd0"), "a.iso") == 0);
    assert_int_equal(rename(fixture_path(f, "images/a.iso", path), state_path("kept.json.broken")), 0);
    restart(of_another_boot, true);
    fixture_do(f, INSERT("cd0", "b.iso", ""));
    assert_int_equal(rename(state_path("kept.json.broken"), path), 0); /* it comes late */
    fixture_run_for(f, RESTORE_LOOK + 500);
    assert_string_equal(medium(CD0), "b.iso");
    until(f, strcmp(noted("cd0"), "b.iso") == 0);
    assert_int_equal(operations(), 1);
}

static void a_store_that_comes_late(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX], away[FIXTURE_PATH_MAX];
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    until(f, strcmp(noted("cd0"), "a.iso") == 0);
    fixture_path(f, "images", path);
    fixture_path(f, "away", away);
    assert_int_equal(rename(path, away), 0);
    restart(of_another_boot, true);
    fixture_run_for(f, 300);
    assert_int_equal(operations(), 0); /* not even tried */
    assert_int_equal(rename(away, path), 0);
    until(f, strcmp(medium(CD0), "a.iso") == 0);
    assert_int_equal(operations(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(put_back_after_a_reboot), TEST(not_within_a_boot), TEST(not_what_was_taken_out),
        TEST(not_where_somebody_was_quicker), TEST(a_store_that_comes_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
