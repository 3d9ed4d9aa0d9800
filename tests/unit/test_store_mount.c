/*
 * What is mounted at a store's directory, read from texts as /proc/self/mountinfo has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mount.h>

#include "gadget/store_mount.h"

#define TABLE                                                                                                       \
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"                                                     \
    "30 22 8:17 / /srv/stick rw,nosuid,nodev,noatime shared:9 master:2 - vfat /dev/sdb1 rw,fmask=0022,errors=remount-ro\n" \
    "31 22 0:44 / /srv/nas ro,relatime - nfs4 nas:/images rw,vers=4.2,addr=10.0.0.2\n"                             \
    "32 22 8:17 /sub /srv/part rw - vfat /dev/sdb1 rw\n"                                                           \
    "33 22 8:33 / /srv/with\\040blank\\134 rw - ext4 /dev/disk/by-label/my\\040stick ro,data=ordered\n"           \
    "34 30 8:49 / /srv/stick ro - iso9660 /dev/sdc ro\n"

static void is_found(void **state)
{
    (void)state;
    struct store_mount m;
    assert_true(store_mount_parse("30 22 8:17 / /srv/stick rw,nosuid,nodev,noatime shared:9 master:2 - vfat /dev/sdb1 "
                                  "rw,fmask=0022,errors=remount-ro\n", "/srv/stick", &m));
    assert_true(m.there && m.block && !m.part);
    assert_int_equal(m.major, 8);
    assert_int_equal(m.minor, 17);
    assert_string_equal(m.source, "/dev/sdb1");
    assert_string_equal(m.type, "vfat");
    assert_string_equal(m.options, "fmask=0022,errors=remount-ro");
    assert_int_equal(m.flags, MS_NOSUID | MS_NODEV | MS_NOATIME);
}

static void others_are_not(void **state)
{
    (void)state;
    struct store_mount m = {.source = "untouched"};
    assert_false(store_mount_parse(TABLE, "/srv/stic", &m));
    assert_false(store_mount_parse(TABLE, "/srv/stick/sub", &m));
    assert_false(store_mount_parse(TABLE, "/srv", &m));
    assert_false(store_mount_parse("", "/", &m));
    assert_string_equal(m.source, "untouched");
}

static void the_topmost_counts(void **state)
{
    (void)state;
    struct store_mount m;
    assert_true(store_mount_parse(TABLE, "/srv/stick", &m));
    assert_string_equal(m.source, "/dev/sdc");
    assert_int_equal(m.flags, MS_RDONLY);
    assert_string_equal(m.options, "");
}

static void kinds(void **state)
{
    (void)state;
    struct store_mount m;
    assert_true(store_mount_parse(TABLE, "/srv/nas", &m));
    assert_false(m.block);
    assert_int_equal(m.flags, MS_RDONLY | MS_RELATIME);
    assert_true(store_mount_parse(TABLE, "/srv/part", &m));
    assert_true(m.part);
    assert_true(store_mount_parse(TABLE, "/srv/with blank\\", &m));
    assert_string_equal(m.source, "/dev/disk/by-label/my stick");
}

static void nonsense_is_none(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\n\n", "30", "30 22 8:17 / /srv/stick rw", "30 22 8:17 / /srv/stick rw shared:9 -", "30 22 8:17 / /srv/stick rw - vfat",
        "30 22 8:17 / /srv/stick rw - vfat /dev/sdb1", "30 22 8 / /srv/stick rw - vfat /dev/sdb1 rw", "- - - - - - - - - -",
        "30 22 8:17 / /srv/stick rw 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 - vfat /dev/sdb1 rw"};
    struct store_mount m = {0};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) assert_false(store_mount_parse(lines[i], "/srv/stick", &m));
    char text[2000] = "30 22 8:17 / /srv/stick rw - vfat /dev/sdb1 ";
    for (size_t n = strlen(text); n < 1900; n++) text[n] = 'x';
    assert_false(store_mount_parse(text, "/srv/stick", &m)); /* it could not be mounted again */
    assert_false(m.there);
}

static void what_is_no_mount_is_not_unmounted(void **state)
{
    (void)state;
    struct store_mount m = {0};
    struct err e = {0};
    assert_int_equal(store_mount_sync("/proc/self", &m, &e), 0);
    assert_false(m.there);
    assert_int_equal(store_mount_unmount("/proc/self", &m, &e), -1);
    assert_int_equal(e.code, ERR_UNMOUNT_UNAVAILABLE);
    assert_int_equal(store_mount_again("/proc/self", &m, &e), 0); /* nothing ever was */
    assert_int_equal(store_mount_sync("/nowhere/at/all", &m, &e), -1);
    assert_int_equal(e.code, ERR_STORE_DETACHED);
    m = (struct store_mount){.there = true, .source = "/nowhere/at/all", .type = "ext4"};
    assert_int_equal(store_mount_unmount("/nowhere/at/all", &m, &e), 0); /* it was done before */
    assert_int_equal(store_mount_check(&m, &e), 0);                       /* no device */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_found), cmocka_unit_test(others_are_not),    cmocka_unit_test(the_topmost_counts),
        cmocka_unit_test(kinds),    cmocka_unit_test(nonsense_is_none), cmocka_unit_test(what_is_no_mount_is_not_unmounted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
