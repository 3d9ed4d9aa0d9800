/* The flusher's process: one file open for each drive, from the first write to the sync. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>

#include "gadget/flusher.h"
#include "tests/unit/sysfs_fixture.h"

static int image(const char *name)
{
    char path[512];
    tree_file(name, "content");
    int fd = open(tree_path(name, path), O_PATH | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static void one_file_from_the_first_write_to_the_sync(void **state attr_unused)
{
    struct err e;
    int a = image("a"), b = image("b"), before = descriptors();
    for (int i = 0; i < 3; i++) assert_int_equal(flusher_write_back(0, a, &e), 0);
    assert_int_equal(descriptors(), before + 1);
    assert_int_equal(flusher_write_back(1, b, &e), 0);
    assert_int_equal(descriptors(), before + 2);
    assert_int_equal(flusher_sync(0, a, &e), 0);
    assert_int_equal(flusher_sync(1, b, &e), 0);
    assert_int_equal(descriptors(), before);
    assert_int_equal(flusher_sync(0, a, &e), 0); /* nothing was written: as any other */
    assert_int_equal(descriptors(), before);
    close(a);
    close(b);
}

static void another_image_in_the_drive(void **state attr_unused)
{
    struct err e;
    int a = image("a"), b = image("b"), before = descriptors();
    assert_int_equal(flusher_write_back(0, a, &e), 0);
    assert_int_equal(flusher_write_back(0, b, &e), 0);
    assert_int_equal(flusher_sync(0, a, &e), 0); /* b's file stays */
    assert_int_equal(descriptors(), before + 1);
    assert_int_equal(flusher_sync(0, b, &e), 0);
    assert_int_equal(descriptors(), before);
    close(a);
    close(b);
}

static void what_cannot_be_opened(void **state attr_unused)
{
    struct err e = {0};
    assert_int_equal(flusher_write_back(0, -1, &e), -1);
    assert_int_equal(flusher_sync(0, -1, &e), -1);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(one_file_from_the_first_write_to_the_sync),
        TREE_TEST(another_image_in_the_drive),
        TREE_TEST(what_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
