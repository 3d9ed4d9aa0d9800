/* Whether the device under a store has gone, in a tree that looks like /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/sysmacros.h>

#include "base/util.h"
#include "base/device.h"
#include "tests/unit/sysfs_fixture.h"

static void block(const char *number, const char *name, const char *size)
{
    char path[128], text[64];
    snprintf(path, sizeof path, "dev/block/%s/size", number);
    tree_file(path, size);
    snprintf(path, sizeof path, "dev/block/%s/uevent", number);
    snprintf(text, sizeof text, "DEVNAME=%s\n", name);
    tree_file(path, text);
}

static void told_by_the_kernel(void **state attr_unused)
{
    block("8:1", "sda1", "2048\n");
    block("8:16", "sdb", "0\n");
    block("43:0", "nbd0", "2048\n");
    tree_file("dev/block/43:0/pid", "77\n");
    block("43:32", "nbd1", "2048\n");
    static const struct {
        unsigned major_number, minor_number;
        bool gone;
    } devices[] = {{8, 1, false}, {8, 16, true}, {8, 32, true}, {43, 0, false}, {43, 32, true}, {0, 44, false}};
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        assert_int_equal(device_is_gone(tree, makedev(devices[i].major_number, devices[i].minor_number)), devices[i].gone);
}

static void nothing_is_said_where_there_is_no_sysfs(void **state attr_unused)
{
    assert_false(device_is_gone(tree, makedev(8, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {TREE_TEST(told_by_the_kernel), TREE_TEST(nothing_is_said_where_there_is_no_sysfs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
