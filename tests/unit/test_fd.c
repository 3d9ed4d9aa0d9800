/* Files, carefully: nothing leaves its directory, and what is replaced is old or new but never half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"

static char dir[] = "/tmp/test_fd.XXXXXX";

static int begin(void **state attr_unused)
{
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    return mkdtemp(dir) && chdir(dir) == 0 && mkdir("sub", 0755) == 0 && mkdir("outside", 0755) == 0 ? 0 : -1;
}

static int end(void **state attr_unused)
{
    static const char *const all[] = {"sub/file", "sub/link", "sub/out", "sub/dir", "sub/new", 
                                      "outside/secret", "sub", "outside", "state", "state.new"};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) remove(all[i]);
    return chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text)
{
    struct err e;
    assert_int_equal(fd_replace_file(path, text, strlen(text), false, &e), 0);
}

static void a_file_is_replaced_as_a_whole(void **state attr_unused)
{
    char text[32];
    struct stat old, new;
    put("state", "first");
    assert_int_equal(stat("state", &old), 0);
    cleanup_close int reader = open("state", O_RDONLY | O_CLOEXEC);
    put("state", "the second");
    assert_int_equal(stat("state", &new), 0);
    assert_int_not_equal(old.st_ino, new.st_ino);
    assert_int_equal(fd_read_full(reader, text, sizeof text), 5); /* who had it open has the old one, whole */
    assert_int_equal(fd_read_text("state", text, sizeof text), 10);
    assert_string_equal(text, "the second");
    assert_int_equal(access("state.new", F_OK), -1);
    struct err e;
    assert_int_equal(fd_replace_file("state", "", 0, true, &e), 0);
    assert_int_equal(fd_read_text("state", text, sizeof text), 0);
}

static void what_cannot_be_replaced_stays(void **state attr_unused)
{
    struct err e = {0};
    char path[5000];
    assert_int_equal(fd_replace_file("none/state", "x", 1, false, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(e.errnum, ENOENT);
    assert_int_equal(fd_replace_file("sub", "x", 1, false, &e), -1); /* a directory */
    assert_int_equal(access("sub.new", F_OK), -1);
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(fd_replace_file(path, "x", 1, false, &e), -1);
}

static void nothing_leaves_its_directory(void **state attr_unused)
{
    static const struct {
        const char *path;
        int error; /* 0: opens */
    } cases[] = {
        {"file", 0},       {"./file", 0},           {"dir/../file", ELOOP}, {"link", ELOOP},         {"out", ELOOP},
        {"dir/secret", ELOOP}, {"../outside/secret", EXDEV}, {"..", EXDEV}, {"/etc/passwd", EXDEV}, {"none", ENOENT},
        {"file/x", ENOTDIR}, {"../sub/file", EXDEV},
    };
    put("sub/file", "x");
    put("outside/secret", "x");
    assert_int_equal(symlink("file", "sub/link"), 0);
    assert_int_equal(symlink("../outside/secret", "sub/out"), 0);
    assert_int_equal(symlink("../outside", "sub/dir"), 0);
    cleanup_close int sub = open("sub", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        errno = 0;
        cleanup_close int fd = fd_open_beneath(sub, cases[i].path, O_RDONLY, 0);
        if ((fd >= 0) != (cases[i].error == 0) || (fd < 0 && errno != cases[i].error))
            fail_msg("%s: fd %d, %s", cases[i].path, fd, strerror(errno));
        if (fd >= 0) assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    cleanup_close int made = fd_open_beneath(sub, "new", O_WRONLY | O_CREAT | O_EXCL, 0600);
    struct stat st;
    assert_true(made >= 0 && fstat(made, &st) == 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fd_open_beneath(sub, "out", O_WRONLY | O_CREAT, 0600), -1);
}

static void small_files_are_read_whole_or_not(void **state attr_unused)
{
    char text[8] = "before";
    put("state", "1234567");
    assert_int_equal(fd_read_text("state", text, sizeof text), 7);
    assert_string_equal(text, "1234567");
    put("state", "12345678");
    errno = 0;
    assert_int_equal(fd_read_text("state", text, sizeof text), -1);
    assert_int_equal(errno, EFBIG);
    assert_int_equal(fd_read_text("none", text, sizeof text), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(fd_read_text("sub", text, sizeof text), -1);
}

static void a_line_loses_its_end(void **state attr_unused)
{
    static const char *const cases[][2] = {{"abc\n", "abc"}, {"abc", "abc"}, {"\n", ""}, {"", ""}, {"a\n\n", "a\n"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[16];
        put("state", cases[i][0]);
        assert_int_equal(fd_read_line("state", text, sizeof text), (ssize_t)strlen(cases[i][1]));
        assert_string_equal(text, cases[i][1]);
    }
}

/* A pipe takes and gives as little at a time as it likes. */
static void *fill(void *arg)
{
    static char data[300000];
    memset(data, 'd', sizeof data);
    int fd = *(const int *)arg;
    long result = fd_write_full(fd, data, sizeof data);
    close(fd);
    return (void *)result;
}

static void short_counts_are_gone_on_from(void **state attr_unused)
{
    static char data[300010];
    int ends[2];
    pthread_t writer;
    void *result;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pthread_create(&writer, NULL, fill, &ends[1]), 0);
    assert_int_equal(fd_read_full(ends[0], data, sizeof data), 300000);
    pthread_join(writer, &result);
    assert_null(result);
    close(ends[0]);
    assert_int_equal(fd_write_full(-1, "x", 1), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(fd_read_full(-1, data, 1), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_replaced_as_a_whole), TEST(what_cannot_be_replaced_stays), TEST(nothing_leaves_its_directory),
        TEST(small_files_are_read_whole_or_not), TEST(a_line_loses_its_end), TEST(short_counts_are_gone_on_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
