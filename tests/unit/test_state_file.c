/*
 * What trayd-gadget leaves behind, and what the next one makes of it. The simulated gadget does not outlive the daemon, so
 * that a restart finds the drives empty; what is looked at is what was read before that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/daemon_each.h"

static json_t *saved(void)
{
    char path[FIXTURE_PATH_MAX];
    json_t *state = json_load_file(fixture_path(f, "gadget.state", path), 0, NULL);
    assert_non_null(state);
    return state;
}

static json_t *saved_drive(const char *name)
{
    cleanup_json json_t *state = saved();
    return json_incref(json_object_get(json_object_get(state, "drives"), name));
}

static void save_as(const char *text)
{
    char path[FIXTURE_PATH_MAX];
    struct err e;
    assert_int_equal(fd_replace_file(fixture_path(f, "gadget.state", path), text, strlen(text), false, &e), 0);
}

/* One member of the file, changed behind the daemon's back. */
static void tamper(const char *member, json_t *value)
{
    cleanup_json json_t *state = saved();
    json_object_set_new(state, member, value);
    cleanup_free char *text = json_dumps(state, 0);
    save_as(text);
}

static struct unit *unit(size_t drive)
{
    return &f->daemon->units[drive];
}

/* The daemon ends as if it were killed: the file stays as it was then. */
static void restart(void)
{
    cleanup_json json_t *before = saved();
    fixture_stop(f);
    cleanup_free char *text = json_dumps(before, 0);
    save_as(text);
    fixture_start(f);
}

static void a_medium_is_known_again(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ", \"by\": \"ann\""));
    fixture_host(f, "write usb0 4096");
    uint64_t generation = unit(USB0)->machine.generation, inode = unit(USB0)->medium.inode;
    msec inserted = unit(USB0)->medium.inserted_real;
    char incarnation[17];
    strcpy(incarnation, f->daemon->incarnation);
    restart();
    const struct unit *u = unit(USB0);
    assert_string_equal(f->daemon->incarnation, incarnation);
    assert_string_equal(images_ref(f->daemon->images, u->machine.medium.image)->name, "d.img");
    assert_false(u->machine.medium.readonly);
    assert_int_equal(u->machine.generation, generation);
    assert_int_equal(u->medium.inode, inode);
    assert_int_equal(u->medium.size, 1 << 20);
    assert_int_equal(u->medium.inserted_real, inserted);
    assert_string_equal(u->medium.by, "ann");
    assert_true(u->evidence.based);
    assert_int_equal(unit(CD0)->machine.medium.image, 0);
}

static void marks_survive(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_true(unit(USB0)->machine.stale_host);
    restart();
    assert_true(unit(USB0)->machine.stale_host);
    assert_false(unit(CD0)->machine.stale_host);
    msec end_at = clock_boot_ms() + 60000;
    drive_restore(&unit(CD0)->machine, false, end_at, 5, 0);
    state_file_save(f->daemon);
    restart();
    assert_true(unit(CD0)->machine.quarantine);
    assert_int_equal(unit(CD0)->machine.quarantine_until, end_at);
    assert_int_equal(unit(CD0)->machine.generation, 5);
}

/* Whoever comes after us must know what was begun: the file says it before the kernel is called. */
static void an_action_is_written_down_before_it_is_begun(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "hang cd0 host");
    struct operation *op = fixture_begin(f, EJECT("cd0", ", \"mode\": \"forced\""));
    cleanup_json json_t *before = saved_drive("cd0");
    assert_int_equal(json_int(before, "doing", -1), DO_FORCE);
    assert_string_equal(json_text(json_array_get(json_object_get(before, "operations"), 0), "id"), op->id);
    fixture_host(f, "hang cd0 off");
    until(f, operation_is_finished(op));
    cleanup_json json_t *after = saved_drive("cd0");
    assert_int_equal(json_int(after, "doing", -1), DO_NOTHING);
    assert_int_equal(json_array_size(json_object_get(after, "operations")), 0);
}

static void an_eject_that_worked_is_done_after_all(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "hang usb0 host");
    strcpy(id, fixture_begin(f, EJECT("usb0", ", \"mode\": \"forced\", \"by\": \"ann\""))->id);
    restart();
    const struct operation *op = operations_by_id(f->daemon->operations, id);
    assert_non_null(op);
    assert_false(operation_is_finished(op)); /* what became of it is seen when the drive is */
    assert_string_equal(op->by, "ann");
    until(f, operation_is_finished(op));
    assert_int_equal(op->state, OP_DONE);
    assert_int_equal(op->facts, FACT_FORCED | FACT_STALE_HOST | FACT_NOT_DURABLE); /* nobody has synced it */
    assert_true(unit(USB0)->machine.stale_host);
}

static void an_orderly_one_leaves_a_doubt(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "hang usb0 host");
    fixture_begin(f, EJECT("usb0", ""));
    restart();
    until(f, unit(USB0)->machine.observed);
    assert_true(unit(USB0)->machine.stale_host); /* it may have raced with a write */
}

static void what_did_not_come_about_was_interrupted(void **state attr_unused)
{
    char first[OPERATION_ID_LEN + 1], second[OPERATION_ID_LEN + 1];
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "lock cd0");
    strcpy(first, fixture_begin(f, INSERT("cd0", "b.iso", ", \"patience\": 60"))->id);
    strcpy(second, fixture_begin(f, EJECT("cd0", ", \"patience\": 60"))->id);
    until(f, unit(CD0)->machine.queue[0].phase == PHASE_LOCKED);
    restart();
    const struct operation *queued = operations_by_id(f->daemon->operations, second);
    assert_int_equal(queued->state, OP_FAILED);
    assert_int_equal(queued->err.code, ERR_INTERRUPTED);
    const struct operation *head = operations_by_id(f->daemon->operations, first);
    until(f, operation_is_finished(head));
    assert_int_equal(head->state, OP_FAILED);
    assert_int_equal(head->err.code, ERR_INTERRUPTED);
}

static void nothing_is_taken_from_another_boot(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    char incarnation[17];
    strcpy(incarnation, f->daemon->incarnation);
    tamper("boot_id", json_string("another"));
    restart();
    assert_string_equal(f->daemon->incarnation, "");
    assert_int_equal(unit(CD0)->machine.medium.image, 0);
    assert_int_equal(unit(CD0)->machine.generation, 0);
    until(f, f->daemon->started);
    assert_int_equal(strlen(f->daemon->incarnation), 16);
    assert_string_not_equal(f->daemon->incarnation, incarnation);
}

static void another_version_is_left_alone(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    tamper("version", json_integer(2));
    restart();
    assert_int_equal(unit(CD0)->machine.generation, 0);
}

static void a_file_that_is_none_is_ignored(void **state attr_unused)
{
    static const char *const texts[] = {"", "{", "[]", "null", "{}", "\xff\xfe", "{\"version\": \"1\"}"};
    fixture_stop(f);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        save_as(texts[i]);
        fixture_start(f);
        assert_int_equal(unit(CD0)->machine.generation, 0);
        assert_string_equal(f->daemon->incarnation, "");
        fixture_stop(f);
    }
}

/* It is ours, but who knows: nothing in it may bring us down. */
static void members_of_other_types_do_no_harm(void **state attr_unused)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"version\": 1, \"boot_id\": \"%s\", \"incarnation\": 5, \"unbound_since\": \"x\", \"drives\": "
             "{\"cd0\": {\"generation\": \"x\", \"doing\": 99, \"medium\": [], \"operations\": [1, {}, {\"id\": \"short\"}]}, "
             "\"usb0\": 7, \"more\": {}}}", f->daemon->boot_id);
    fixture_stop(f);
    save_as(text);
    fixture_start(f);
    assert_int_equal(unit(CD0)->resumed_doing, DO_NOTHING);
    assert_int_equal(unit(CD0)->machine.medium.image, 0);
    until(f, f->daemon->started && unit(CD0)->machine.observed);
}

static void an_image_of_a_store_that_is_gone_is_foreign(void **state attr_unused)
{
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    strcpy(f->config.stores.items[0].name, "other");
    restart();
    assert_int_equal(unit(CD0)->machine.medium.image, IMAGE_FOREIGN);
}

static void the_file_is_written_only_when_it_would_change(void **state attr_unused)
{
    char path[FIXTURE_PATH_MAX];
    struct stat before, after;
    fixture_path(f, "gadget.state", path);
    state_file_save(f->daemon);
    assert_int_equal(stat(path, &before), 0);
    state_file_save(f->daemon);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    f->daemon->units[CD0].machine.generation++;
    state_file_save(f->daemon);
    cleanup_json json_t *now = saved_drive("cd0");
    assert_int_equal(json_int(now, "generation", -1), (int64_t)f->daemon->units[CD0].machine.generation);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_medium_is_known_again),
        TEST(marks_survive),
        TEST(an_action_is_written_down_before_it_is_begun),
        TEST(an_eject_that_worked_is_done_after_all),
        TEST(an_orderly_one_leaves_a_doubt),
        TEST(what_did_not_come_about_was_interrupted),
        TEST(nothing_is_taken_from_another_boot),
        TEST(another_version_is_left_alone),
        TEST(a_file_that_is_none_is_ignored),
        TEST(members_of_other_types_do_no_harm),
        TEST(an_image_of_a_store_that_is_gone_is_foreign),
        TEST(the_file_is_written_only_when_it_would_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
