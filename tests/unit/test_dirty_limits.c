/* Limits of what is unwritten: on the device where it has its own, else on the system; and back again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/sysmacros.h>

#include "base/log.h"
#include "gadget/dirty_limits.h"
#include "tests/unit/sysfs_fixture.h"

#define DISK makedev(8, 0)
#define PARTITION makedev(8, 1)

static char sys[64], proc[64];

static struct dirty_limits *start(bool system_wide)
{
    log_init("test", LOG_LEVEL_ERROR);
    snprintf(sys, sizeof sys, "%s/sys", tree);
    snprintf(proc, sizeof proc, "%s/proc", tree);
    struct dirty_limits *d = dirty_limits_new(sys, proc, tree, system_wide);
    assert_non_null(d);
    return d;
}

static void device_has_limits(void)
{
    tree_file("sys/class/bdi/8:0/max_bytes", "100000000\n");
    tree_file("sys/class/bdi/8:0/max_ratio_fine", "1000000\n");
    tree_file("sys/class/bdi/8:0/strict_limit", "0\n");
    tree_file("sys/dev/block/", "");
    tree_file("sys/devices/sda/dev", "8:0\n");
    tree_file("sys/devices/sda/sda1/partition", "1\n");
    tree_link("sys/dev/block/8:0", "../../devices/sda");
    tree_link("sys/dev/block/8:1", "../../devices/sda/sda1");
}

static void system_has_limits(void)
{
    tree_file("proc/vm/dirty_bytes", "0\n");
    tree_file("proc/vm/dirty_ratio", "20\n");
}

static bool recorded(void)
{
    char path[512];
    return access(tree_path("dirty-limits", path), F_OK) == 0;
}

static void the_device_of_its_own(void **state attr_unused)
{
    device_has_limits();
    system_has_limits();
    struct dirty_limits *d = start(true);
    dirty_limits_apply(d, &(struct dirty_limit){DISK, 20000000}, 1);
    assert_tree_file("sys/class/bdi/8:0/max_bytes", "20000000");
    assert_tree_file("sys/class/bdi/8:0/strict_limit", "1");
    assert_tree_file("proc/vm/dirty_bytes", "0");
    assert_true(recorded());
    dirty_limits_apply(d, NULL, 0);
    assert_tree_file("sys/class/bdi/8:0/strict_limit", "0");
    assert_tree_file("sys/class/bdi/8:0/max_ratio_fine", "1000000");
    assert_false(recorded());
    dirty_limits_free(d);
}

static void a_partition_has_its_disks(void **state attr_unused)
{
    device_has_limits();
    struct dirty_limits *d = start(false);
    dirty_limits_apply(d, &(struct dirty_limit){PARTITION, 20000000}, 1);
    assert_tree_file("sys/class/bdi/8:0/max_bytes", "20000000");
    dirty_limits_free(d);
}

static void the_lowest_counts(void **state attr_unused)
{
    const struct dirty_limit limits[] = {{DISK, 30000000}, {DISK, 10000000}, {DISK, 20000000}};
    device_has_limits();
    struct dirty_limits *d = start(false);
    dirty_limits_apply(d, limits, ARRAY_LEN(limits));
    assert_tree_file("sys/class/bdi/8:0/max_bytes", "10000000");
    dirty_limits_free(d);
}

static void the_whole_system_where_the_device_has_none(void **state attr_unused)
{
    const struct dirty_limit limits[] = {{makedev(0, 44), 30000000}, {DISK, 10000000}};
    tree_file("sys/class/bdi/8:0/max_ratio", "100\n"); /* before Linux 6.2 */
    system_has_limits();
    struct dirty_limits *d = start(true);
    dirty_limits_apply(d, limits, ARRAY_LEN(limits));
    assert_tree_file("proc/vm/dirty_bytes", "10000000");
    dirty_limits_apply(d, NULL, 0);
    assert_tree_file("proc/vm/dirty_ratio", "20"); /* which makes the kernel forget dirty_bytes */
    dirty_limits_free(d);
}

static void only_where_that_is_allowed(void **state attr_unused)
{
    system_has_limits();
    struct dirty_limits *d = start(false);
    dirty_limits_apply(d, &(struct dirty_limit){DISK, 10000000}, 1);
    assert_tree_file("proc/vm/dirty_bytes", "0");
    assert_false(recorded());
    dirty_limits_free(d);
}

static void bytes_that_somebody_set_come_back(void **state attr_unused)
{
    tree_file("proc/vm/dirty_bytes", "50000000\n");
    tree_file("proc/vm/dirty_ratio", "0\n");
    struct dirty_limits *d = start(true);
    dirty_limits_apply(d, &(struct dirty_limit){DISK, 10000000}, 1);
    assert_tree_file("proc/vm/dirty_bytes", "10000000");
    dirty_limits_apply(d, NULL, 0);
    assert_tree_file("proc/vm/dirty_bytes", "50000000");
    assert_tree_file("proc/vm/dirty_ratio", "0");
    dirty_limits_free(d);
}

/* Killed, that is: nothing was put back, and the next process does it. */
static void the_next_process_puts_back(void **state attr_unused)
{
    device_has_limits();
    system_has_limits();
    struct dirty_limits *d = start(true);
    const struct dirty_limit limits[] = {{DISK, 30000000}, {makedev(0, 44), 10000000}};
    dirty_limits_apply(d, limits, 2);
    dirty_limits_free(d);
    assert_tree_file("sys/class/bdi/8:0/strict_limit", "1");
    d = start(true);
    assert_tree_file("sys/class/bdi/8:0/strict_limit", "0");
    assert_tree_file("sys/class/bdi/8:0/max_ratio_fine", "1000000");
    assert_tree_file("proc/vm/dirty_ratio", "20");
    assert_false(recorded());
    dirty_limits_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(the_device_of_its_own),
        TREE_TEST(a_partition_has_its_disks),
        TREE_TEST(the_lowest_counts),
        TREE_TEST(the_whole_system_where_the_device_has_none),
        TREE_TEST(only_where_that_is_allowed),
        TREE_TEST(bytes_that_somebody_set_come_back),
        TREE_TEST(the_next_process_puts_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
