/* What may be cut under an image, found in a tree that looks like /sys. The cutting itself needs a kernel: tests/vm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/sysmacros.h>

#include "gadget/backing.h"
#include "tests/unit/sysfs_fixture.h"

/* /sys/dev/block has links into /sys/devices; a partition lies in its disk's directory. */
static void block(const char *number, const char *dir, const char *name)
{
    char path[128], text[64];
    snprintf(path, sizeof path, "devices/%s/dev", dir);
    tree_file(path, number);
    snprintf(path, sizeof path, "devices/%s/size", dir);
    tree_file(path, "4096\n");
    snprintf(path, sizeof path, "devices/%s/uevent", dir);
    snprintf(text, sizeof text, "MAJOR=1\nDEVNAME=%s\nDEVTYPE=disk\n", name);
    tree_file(path, text);
    tree_file("dev/block/", "");
    snprintf(path, sizeof path, "dev/block/%s", number);
    snprintf(text, sizeof text, "../../devices/%s", dir);
    tree_link(path, text);
}

static struct backing found(enum store_cut how, unsigned major_number, unsigned minor_number)
{
    struct backing b = {0};
    struct err e;
    if (backing_of_device(tree, makedev(major_number, minor_number), how, &b, &e) < 0) b.how = -1;
    return b;
}

static void a_network_block_device(void **state attr_unused)
{
    block("43:32", "nbd1", "nbd1");
    struct backing b = found(CUT_NBD, 43, 32);
    assert_int_equal(b.how, CUT_NBD);
    assert_int_equal(b.number, makedev(43, 32));
}

static void its_partition(void **state attr_unused)
{
    block("43:32", "nbd1", "nbd1");
    block("43:33", "nbd1/nbd1p1", "nbd1p1");
    tree_file("devices/nbd1/nbd1p1/partition", "1\n");
    assert_int_equal(found(CUT_NBD, 43, 33).number, makedev(43, 32));
}

static void a_mapping_on_it(void **state attr_unused)
{
    block("43:32", "nbd1", "nbd1");
    block("254:3", "dm-3", "dm-3");
    tree_file("devices/dm-3/dm/name", "crypt\n");
    tree_file("devices/dm-3/slaves/", "");
    tree_link("devices/dm-3/slaves/nbd1", "../../nbd1");
    assert_int_equal(found(CUT_NBD, 254, 3).number, makedev(43, 32));
    struct backing b = found(CUT_DEVICE_MAPPER, 254, 3); /* the mapping itself, where that is meant */
    assert_int_equal(b.number, makedev(254, 3));
    assert_int_equal(b.sectors, 4096);
}

/* One of several is not all: what is asked for is not certain to be under this image, and others may use it. */
static void a_mapping_on_two(void **state attr_unused)
{
    block("43:0", "nbd0", "nbd0");
    block("43:32", "nbd1", "nbd1");
    block("254:3", "dm-3", "dm-3");
    tree_file("devices/dm-3/dm/name", "raid\n");
    tree_file("devices/dm-3/slaves/", "");
    tree_link("devices/dm-3/slaves/nbd0", "../../nbd0");
    tree_link("devices/dm-3/slaves/nbd1", "../../nbd1");
    assert_int_equal(found(CUT_NBD, 254, 3).how, -1);
}

static void another_disk(void **state attr_unused)
{
    block("8:0", "sda", "sda");
    assert_int_equal(found(CUT_NBD, 8, 0).how, -1);
    assert_int_equal(found(CUT_DEVICE_MAPPER, 8, 0).how, -1);
    assert_int_equal(found(CUT_NBD, 0, 40).how, -1); /* NFS, btrfs: no block device */
    assert_int_equal(found(CUT_NEVER, 8, 0).how, CUT_NEVER);
}

static void a_loop_in_what_lies_on_what_ends(void **state attr_unused)
{
    block("254:3", "dm-3", "dm-3");
    tree_file("devices/dm-3/slaves/", "");
    tree_link("devices/dm-3/slaves/dm-3", "../../dm-3");
    assert_int_equal(found(CUT_NBD, 254, 3).how, -1);
}

static void a_fuse_connection(void **state attr_unused)
{
    tree_file("fs/fuse/connections/46/abort", "");
    tree_file("fs/fuse/connections/8388609/abort", ""); /* fuseblk on 8:1, MKDEV(8, 1) */
    assert_int_equal(found(CUT_FUSE, 0, 46).number, 46);
    assert_int_equal(found(CUT_FUSE, 8, 1).number, 8388609);
    assert_int_equal(found(CUT_FUSE, 0, 47).how, -1);
}

static void nothing_is_cut_that_is_not_ours(void **state attr_unused)
{
    struct err e = {0};
    assert_int_equal(backing_cut(&(struct backing){0}, &e), -1);
    assert_int_equal(backing_cut(&(struct backing){.how = CUT_NBD, .number = makedev(4095, 1)}, &e), -1);
    assert_non_null(strstr(e.text, "4095:1"));
    assert_int_equal(backing_cut(&(struct backing){.how = CUT_FUSE, .number = UINT32_MAX}, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(a_network_block_device),
        TREE_TEST(its_partition),
        TREE_TEST(a_mapping_on_it),
        TREE_TEST(a_mapping_on_two),
        TREE_TEST(another_disk),
        TREE_TEST(a_loop_in_what_lies_on_what_ends),
        TREE_TEST(a_fuse_connection),
        TREE_TEST(nothing_is_cut_that_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
