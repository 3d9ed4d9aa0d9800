/*
 * What is written to a LUN's attributes and in what circumstances, on a directory of ordinary files: `file` takes what
 * is written and shows it. What the kernel really does with it is tested in the VM (tests/vm/scripts/engine.sh).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "gadget/image.h"
#include "gadget/lun.h"

struct test {
    char dir[64];
    int image; /* O_PATH */
    struct engine_medium known;
    struct engine_result r;
    int ret_fd;
};

static char *path_of(const struct test *t, const char *name)
{
    static char path[4][128];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", t->dir, name);
    return p;
}

static void put(const struct test *t, const char *name, const char *text)
{
    struct err e;
    assert_int_equal(fd_replace_file(path_of(t, name), text, strlen(text), false, &e), 0);
}

static void assert_shows(const struct test *t, const char *name, const char *expected)
{
    char text[256];
    assert_true(fd_read_text(path_of(t, name), text, sizeof text) >= 0);
    assert_string_equal(text, expected);
}

static int setup(void **state)
{
    static struct test t;
    t = (struct test){.dir = "/tmp/test-lun-XXXXXX", .ret_fd = -1};
    *state = &t;
    if (!mkdtemp(t.dir)) return -1;
    put(&t, "file", "");
    put(&t, "ro", "0\n");
    put(&t, "cdrom", "0\n");
    put(&t, "image", "");
    if (truncate(path_of(&t, "image"), 1 << 20) < 0) return -1;
    t.image = open(path_of(&t, "image"), O_PATH | O_CLOEXEC);
    return image_identify(t.image, &t.known);
}

static int teardown(void **state)
{
    struct test *t = *state;
    char command[128];
    close(t->image);
    if (t->ret_fd >= 0) close(t->ret_fd);
    snprintf(command, sizeof command, "rm -rf %s", t->dir);
    return system(command);
}

static void perform(struct test *t, enum drive_do what, enum drive_type type, bool readonly)
{
    struct lun_order o = {
        .what = what, .type = type, .readonly = readonly, .can_force = true, .expires_at = MSEC_NEVER, .known.fd = -1};
    o.image = (struct lun_image){t->image, t->known.device, t->known.inode, t->known.size};
    if (what != DO_INSERT && what != DO_SWAP && what != DO_ANNOUNCE) o.image.fd = -1;
    if (t->ret_fd >= 0) close(t->ret_fd);
    t->r = (struct engine_result){0};
    lun_perform(t->dir, &o, &t->r, &t->ret_fd);
}

static void assert_failed(const struct test *t, enum err_code code)
{
    assert_int_equal(t->r.outcome, OUTCOME_ERROR);
    assert_string_equal(err_name(t->r.err.code), err_name(code));
}

static void insert_sets_everything(void **state)
{
    struct test *t = *state;
    char expected[64];
    perform(t, DO_INSERT, DRIVE_CDROM, false); /* a CD is read-only whatever was asked for */
    assert_int_equal(t->r.outcome, OUTCOME_OK);
    snprintf(expected, sizeof expected, "/proc/self/fd/%d", t->image);
    assert_shows(t, "cdrom", "1");
    assert_shows(t, "ro", "1");
    assert_shows(t, "file", expected);
    assert_true(t->r.medium_known && t->r.medium.present && t->r.medium.readonly);
    assert_int_equal(t->r.medium.inode, t->known.inode);
    assert_int_equal(t->r.medium.device, t->known.device);
}

static void insert_of_a_disk_resets_both(void **state)
{
    struct test *t = *state;
    put(t, "ro", "1\n");
    put(t, "cdrom", "1\n");
    perform(t, DO_INSERT, DRIVE_DISK, false);
    assert_int_equal(t->r.outcome, OUTCOME_OK);
    assert_shows(t, "cdrom", "0");
    assert_shows(t, "ro", "0");
    assert_false(t->r.medium.readonly);
}

static void insert_only_into_an_empty_drive(void **state)
{
    struct test *t = *state;
    put(t, "file", "/etc/passwd\n");
    perform(t, DO_INSERT, DRIVE_CDROM, true);
    assert_failed(t, ERR_PRECONDITION);
    assert_shows(t, "file", "/etc/passwd\n");
    assert_shows(t, "cdrom", "0\n");
    assert_true(t->r.medium_known && t->r.medium.present);
    assert_string_equal(t->r.medium.path, "/etc/passwd");
    assert_true(t->ret_fd >= 0); /* it was not known */
}

static void insert_looks_at_the_size_once_more(void **state)
{
    struct test *t = *state;
    assert_int_equal(truncate(path_of(t, "image"), 614399), 0);
    perform(t, DO_INSERT, DRIVE_CDROM, true);
    assert_failed(t, ERR_TOO_SMALL_FOR_CDROM);
    assert_int_equal(truncate(path_of(t, "image"), 2359293953), 0);
    perform(t, DO_INSERT, DRIVE_CDROM, true);
    assert_failed(t, ERR_TOO_LARGE_FOR_CDROM);
    assert_shows(t, "file", "");
    assert_true(t->r.medium_known && !t->r.medium.present);
}

static void insert_needs_an_image(void **state)
{
    struct test *t = *state;
    int image = t->image;
    t->image = -1;
    perform(t, DO_INSERT, DRIVE_CDROM, true);
    t->image = image;
    assert_failed(t, ERR_INTERNAL);
    assert_shows(t, "file", "");
}

static void another_image_is_taken_out_again(void **state)
{
    struct test *t = *state;
    t->known.inode++; /* as if what the kernel shows were not what it was given */
    perform(t, DO_INSERT, DRIVE_DISK, true);
    t->known.inode--;
    assert_failed(t, ERR_INTERNAL);
    assert_shows(t, "file", "\n");
    assert_true(t->r.medium_known && !t->r.medium.present);
}

static void ask_writes_a_newline(void **state)
{
    struct test *t = *state;
    put(t, "file", "/etc/passwd\n");
    msec before = clock_real_ms();
    perform(t, DO_ASK, DRIVE_DISK, true);
    assert_in_range(t->r.seen_real, before, clock_real_ms()); /* when it was read back, for emptied_at */
    assert_int_equal(t->r.outcome, OUTCOME_OK);
    assert_shows(t, "file", "\n");
    assert_true(t->r.medium_known && !t->r.medium.present);
}

static void force_needs_the_attribute(void **state)
{
    struct test *t = *state;
    perform(t, DO_FORCE, DRIVE_DISK, true);
    assert_failed(t, ERR_FORCED_UNAVAILABLE);
    assert_false(lun_has(t->dir, "forced_eject")); /* and did not make it */
    put(t, "forced_eject", "");
    assert_true(lun_has(t->dir, "forced_eject"));
    perform(t, DO_FORCE, DRIVE_DISK, true);
    assert_int_equal(t->r.outcome, OUTCOME_OK);
    assert_shows(t, "forced_eject", "1");
    struct lun_order off = {.what = DO_FORCE, .expires_at = MSEC_NEVER, .image.fd = -1, .known.fd = -1};
    put(t, "forced_eject", "");
    lun_perform(t->dir, &off, &t->r, &t->ret_fd);
    assert_failed(t, ERR_FORCED_UNAVAILABLE);
    assert_shows(t, "forced_eject", "");
}

static void swap_keeps_the_way_of_writing(void **state)
{
    struct test *t = *state;
    put(t, "file", "/etc/passwd\n");
    put(t, "ro", "1\n");
    perform(t, DO_SWAP, DRIVE_DISK, false);
    assert_failed(t, ERR_MEDIUM_DIFFERS);
    assert_shows(t, "file", "/etc/passwd\n");
    perform(t, DO_SWAP, DRIVE_DISK, true);
    assert_int_equal(t->r.outcome, OUTCOME_OK);
    assert_int_equal(t->r.medium.inode, t->known.inode);
}

static void announce_puts_the_same_medium_in_once_more(void **state)
{
    struct test *t = *state;
    char expected[64];
    put(t, "file", path_of(t, "image"));
    put(t, "ro", "1\n");
    perform(t, DO_ANNOUNCE, DRIVE_DISK, true);
    assert_int_equal(t->r.outcome, OUTCOME_OK);
    snprintf(expected, sizeof expected, "/proc/self/fd/%d", t->image);
    assert_shows(t, "file", expected);
    assert_shows(t, "cdrom", "0\n"); /* untouched, as in any drive with a medium */
    assert_int_equal(t->r.medium.inode, t->known.inode);
}

static void announce_puts_nothing_in_anew(void **state)
{
    struct test *t = *state;
    perform(t, DO_ANNOUNCE, DRIVE_DISK, true);
    assert_failed(t, ERR_PRECONDITION);
    assert_shows(t, "file", "");
    put(t, "other", "");
    put(t, "file", path_of(t, "other"));
    perform(t, DO_ANNOUNCE, DRIVE_DISK, true);
    assert_failed(t, ERR_PRECONDITION);
    assert_shows(t, "file", path_of(t, "other"));
}

static void what_was_withdrawn_is_not_asked(void **state)
{
    struct test *t = *state;
    static const enum drive_do all[] = {DO_ASK, DO_SWAP, DO_ANNOUNCE};
    put(t, "file", path_of(t, "image"));
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct lun_order o = {.what = all[i], .type = DRIVE_DISK, .expires_at = MSEC_NEVER, .withdrawn = true, .known.fd = -1,
                              .image = {t->image, t->known.device, t->known.inode, t->known.size}};
        if (t->ret_fd >= 0) close(t->ret_fd);
        lun_perform(t->dir, &o, &t->r, &t->ret_fd);
        assert_int_equal(t->r.outcome, OUTCOME_BUSY);
        assert_true(t->r.medium_known && t->r.medium.present);
        assert_shows(t, "file", path_of(t, "image"));
    }
}

static void what_was_given_up_is_not_done(void **state)
{
    struct test *t = *state;
    struct lun_order o = {.what = DO_ASK, .expires_at = clock_boot_ms(), .image.fd = -1, .known.fd = -1};
    put(t, "file", "/etc/passwd\n");
    lun_perform(t->dir, &o, &t->r, &t->ret_fd);
    assert_failed(t, ERR_DRIVE_STUCK);
    assert_shows(t, "file", "/etc/passwd\n");
    assert_true(t->r.medium_known && t->r.medium.present); /* but what is in is told */
}

static void observe_knows_deleted_images(void **state)
{
    struct test *t = *state;
    char text[256];
    snprintf(text, sizeof text, "%s\n", path_of(t, "image"));
    put(t, "file", text);
    perform(t, DO_OBSERVE, DRIVE_DISK, true);
    assert_int_equal(t->r.medium.inode, t->known.inode);
    assert_false(t->r.medium.deleted);
    assert_true(t->ret_fd >= 0);

    snprintf(text, sizeof text, "%s (deleted)\n", path_of(t, "image"));
    put(t, "file", text);
    perform(t, DO_OBSERVE, DRIVE_DISK, true);
    assert_true(t->r.medium.present && t->r.medium.deleted);
    assert_string_equal(t->r.medium.path, path_of(t, "image"));
    assert_int_equal(t->r.medium.inode, 0); /* there may be a new one of that name: not the same */
    assert_int_equal(t->ret_fd, -1);

    put(t, "image (deleted)", "somebody calls a file so");
    perform(t, DO_OBSERVE, DRIVE_DISK, true);
    assert_false(t->r.medium.deleted);
    assert_string_equal(t->r.medium.path, path_of(t, "image (deleted)"));
}

static void a_known_image_is_not_looked_at(void **state)
{
    struct test *t = *state;
    char text[256];
    assert_int_equal(unlink(path_of(t, "image")), 0);
    snprintf(text, sizeof text, "%s (deleted)\n", path_of(t, "image"));
    put(t, "file", text);
    struct lun_order o = {
        .what = DO_OBSERVE, .expires_at = MSEC_NEVER, .image.fd = -1, .known = {t->image, 11, 22, 33}};
    lun_perform(t->dir, &o, &t->r, &t->ret_fd);
    assert_true(t->r.medium.present && t->r.medium.deleted);
    assert_int_equal(t->r.medium.device, 11);
    assert_int_equal(t->r.medium.inode, 22);
    assert_int_equal(t->r.medium.size, 33);
    assert_int_equal(t->ret_fd, -1);
}

static void no_lun_is_told(void **state)
{
    struct test *t = *state;
    static const enum drive_do all[] = {DO_INSERT, DO_ASK, DO_FORCE, DO_SWAP, DO_OBSERVE};
    unlink(path_of(t, "file"));
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        perform(t, all[i], DRIVE_DISK, true);
        assert_int_equal(t->r.outcome, OUTCOME_ERROR);
        assert_int_not_equal(t->r.err.code, ERR_NONE);
        assert_false(t->r.medium_known);
    }
    assert_failed(t, ERR_GADGET_DIFFERS);
}

static void break_io_is_of_the_lun_or_of_its_function(void **state)
{
    struct test *t = *state;
    char lun[128];
    struct err e;
    snprintf(lun, sizeof lun, "%s/lun.0", t->dir);
    assert_int_equal(mkdir(lun, 0755), 0);
    assert_false(lun_can_break(lun));
    assert_int_equal(lun_break(lun, &e), -1);
    assert_int_equal(e.code, ERR_FORCED_UNAVAILABLE);

    put(t, "break_io", "");
    assert_true(lun_can_break(lun));
    assert_int_equal(lun_break(lun, &e), 0);
    assert_shows(t, "break_io", "1");

    put(t, "break_io", "");
    put(t, "lun.0/break_io", "");
    assert_int_equal(lun_break(lun, &e), 0);
    assert_shows(t, "lun.0/break_io", "1");
    assert_shows(t, "break_io", "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(insert_sets_everything),
        TEST(insert_of_a_disk_resets_both),
        TEST(insert_only_into_an_empty_drive),
        TEST(insert_looks_at_the_size_once_more),
        TEST(insert_needs_an_image),
        TEST(another_image_is_taken_out_again),
        TEST(ask_writes_a_newline),
        TEST(force_needs_the_attribute),
        TEST(swap_keeps_the_way_of_writing),
        TEST(announce_puts_the_same_medium_in_once_more),
        TEST(announce_puts_nothing_in_anew),
        TEST(what_was_withdrawn_is_not_asked),
        TEST(what_was_given_up_is_not_done),
        TEST(observe_knows_deleted_images),
        TEST(a_known_image_is_not_looked_at),
        TEST(no_lun_is_told),
        TEST(break_io_is_of_the_lun_or_of_its_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
