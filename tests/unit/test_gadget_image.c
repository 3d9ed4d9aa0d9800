/* Images opened below a store, and watched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "gadget/image.h"
#include "gadget/watch.h"

struct test {
    char dir[64];
    struct loop *loop;
    struct watch watch;
    int seen[WATCH_SORTS];
};

static char *path_of(const struct test *t, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    return path;
}

static void make(const struct test *t, const char *name, off_t size)
{
    int fd = open(path_of(t, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static int setup(void **state)
{
    static struct test t;
    t = (struct test){.dir = "/tmp/test-image-XXXXXX"};
    *state = &t;
    return mkdtemp(t.dir) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", ((struct test *)*state)->dir);
    return system(command);
}

static int try_open(const struct test *t, const char *name, enum drive_type type, bool readonly,
                    struct engine_medium *m, struct err *e)
{
    struct image_wish wish = {.type = type, .readonly = readonly, .store_path = t->dir, .name = name};
    return image_open(&wish, m, e);
}

static void assert_refused(const struct test *t, const char *name, enum drive_type type, enum err_code code)
{
    struct engine_medium m = {.size = 77};
    struct err e = {0};
    assert_int_equal(try_open(t, name, type, true, &m, &e), -1);
    assert_string_equal(err_name(e.code), err_name(code));
    assert_true(e.text[0] != '\0');
    assert_int_equal(m.size, 77); /* untouched */
}

static void an_image_is_opened(void **state)
{
    const struct test *t = *state;
    struct engine_medium m;
    struct err e;
    struct stat st;
    assert_int_equal(mkdir(path_of(t, "sub"), 0755), 0);
    make(t, "sub/x.img", 4096);
    int fd = try_open(t, "sub/x.img", DRIVE_DISK, false, &m, &e);
    assert_true(fd >= 0);
    assert_int_equal(stat(path_of(t, "sub/x.img"), &st), 0);
    assert_int_equal(m.inode, st.st_ino);
    assert_int_equal(m.device, st.st_dev);
    assert_int_equal(m.size, 4096);
    assert_string_equal(m.path, path_of(t, "sub/x.img"));
    assert_true(m.present && !m.readonly);
    assert_int_equal(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(image_sync(fd, &e), 0);
    close(fd);
}

static void what_is_no_image_is_refused(void **state)
{
    const struct test *t = *state;
    make(t, "x.img", 4096);
    assert_int_equal(mkdir(path_of(t, "dir"), 0755), 0);
    assert_int_equal(mkfifo(path_of(t, "fifo"), 0644), 0);
    assert_int_equal(symlink("x.img", path_of(t, "link")), 0);
    assert_int_equal(symlink("/etc", path_of(t, "etc")), 0);
    assert_refused(t, "nothing", DRIVE_DISK, ERR_IMAGE_MISSING);
    assert_refused(t, "", DRIVE_DISK, ERR_IMAGE_MISSING);
    assert_refused(t, "x.img/y", DRIVE_DISK, ERR_IMAGE_MISSING);
    assert_refused(t, "dir", DRIVE_DISK, ERR_IMAGE_UNUSABLE);
    assert_refused(t, ".", DRIVE_DISK, ERR_IMAGE_UNUSABLE);
    assert_refused(t, "fifo", DRIVE_DISK, ERR_IMAGE_UNUSABLE);
    assert_refused(t, "link", DRIVE_DISK, ERR_IMAGE_UNUSABLE);
    assert_refused(t, "etc/passwd", DRIVE_DISK, ERR_IMAGE_UNUSABLE);
    assert_refused(t, "../../etc/passwd", DRIVE_DISK, ERR_INVALID_NAME);
    assert_refused(t, "/etc/passwd", DRIVE_DISK, ERR_INVALID_NAME);
}

static void sizes_have_limits(void **state)
{
    const struct test *t = *state;
    struct engine_medium m;
    struct err e;
    make(t, "511", 511);
    make(t, "512", 512);
    make(t, "small", 614399);
    make(t, "least", 614400);
    make(t, "most", 2359293952);
    make(t, "large", 2359293953);
    assert_refused(t, "511", DRIVE_DISK, ERR_IMAGE_UNUSABLE);
    assert_refused(t, "small", DRIVE_CDROM, ERR_TOO_SMALL_FOR_CDROM);
    assert_refused(t, "large", DRIVE_CDROM, ERR_TOO_LARGE_FOR_CDROM);
    static const struct {
        const char *name;
        enum drive_type type;
    } good[] = {{"512", DRIVE_DISK}, {"least", DRIVE_CDROM}, {"most", DRIVE_CDROM}, {"large", DRIVE_DISK}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int fd = try_open(t, good[i].name, good[i].type, true, &m, &e);
        assert_true(fd >= 0);
        close(fd);
    }
}

static void stores_have_a_say(void **state)
{
    const struct test *t = *state;
    struct engine_medium m;
    struct err e;
    make(t, "x.img", 4096);
    struct image_wish wish = {
        .type = DRIVE_DISK, .readonly = false, .store_readonly = true, .store_path = t->dir, .name = "x.img"};
    assert_int_equal(image_open(&wish, &m, &e), -1);
    assert_int_equal(e.code, ERR_STORE_READ_ONLY);
    wish.readonly = true;
    int fd = image_open(&wish, &m, &e);
    assert_true(fd >= 0);
    close(fd);
    wish.store_mount = true; /* the test's directory is none */
    assert_int_equal(image_open(&wish, &m, &e), -1);
    assert_int_equal(e.code, ERR_STORE_DETACHED);
    wish.store_path = "/proc";
    wish.name = "version"; /* without a byte, but found */
    assert_int_equal(image_open(&wish, &m, &e), -1);
    assert_int_not_equal(e.code, ERR_STORE_DETACHED);
    wish.store_mount = false;
    wish.store_path = "/nonexistent";
    assert_int_equal(image_open(&wish, &m, &e), -1);
    assert_int_equal(e.code, ERR_STORE_DETACHED);
    wish.store_path = "";
    assert_int_equal(image_open(&wish, &m, &e), -1);
    assert_int_equal(e.code, ERR_STORE_DETACHED);
}

static void a_held_image_outlives_its_name(void **state)
{
    const struct test *t = *state;
    struct engine_medium m;
    struct err e;
    char path[256], expected[256];
    make(t, "x.img", 4096);
    int fd = try_open(t, "x.img", DRIVE_DISK, true, &m, &e);
    assert_int_equal(unlink(path_of(t, "x.img")), 0);
    snprintf(expected, sizeof expected, "%s (deleted)", path_of(t, "x.img"));
    assert_int_equal(image_path(fd, path, sizeof path), 0);
    assert_string_equal(path, expected);
    assert_int_equal(image_sync(fd, &e), 0);
    close(fd);
    assert_int_equal(image_sync(-1, &e), -1);
    assert_int_equal(e.code, ERR_UNAVAILABLE);
}

/* ---- watching ---------------------------------------------------------------------------------------------------- */

static void on_seen(void *owner, enum watch_sort sort)
{
    struct test *t = owner;
    t->seen[sort]++;
}

static void stop(struct loop_timer *timer, msec now)
{
    (void)now;
    loop_stop(timer->owner);
}

static void run_loop(struct test *t)
{
    struct loop_timer timer;
    loop_timer_init(&timer, stop, t->loop);
    loop_timer_set(t->loop, &timer, clock_boot_ms() + 5); /* inotify's events are there when the call returns */
    assert_int_equal(loop_run(t->loop), 0);
}

static void add(struct test *t, int fd, enum watch_sort sort)
{
    struct err e;
    int wd = image_watch(watch_fd(&t->watch, sort), fd, watch_mask(sort), &e);
    assert_true(wd >= 0);
    watch_added(&t->watch, sort, wd);
}

static void touch(const struct test *t, const char *name)
{
    char c;
    int fd = open(path_of(t, name), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &c, 1), 1);
    close(fd);
}

static void images_are_watched(void **state)
{
    struct test *t = *state;
    struct err e;
    make(t, "x.img", 4096);
    make(t, "y.img", 4096);
    int x = open(path_of(t, "x.img"), O_PATH | O_CLOEXEC), y = open(path_of(t, "y.img"), O_PATH | O_CLOEXEC);
    t->loop = loop_new(&e);
    assert_int_equal(watch_init(&t->watch, t->loop, on_seen, t, &e), 0);
    add(t, x, WATCH_CLOSES);
    add(t, x, WATCH_ACTIVITY);
    touch(t, "y.img");
    run_loop(t);
    assert_int_equal(t->seen[WATCH_CLOSES], 0);
    touch(t, "x.img");
    run_loop(t);
    assert_int_equal(t->seen[WATCH_CLOSES], 1);
    assert_int_equal(t->seen[WATCH_ACTIVITY], 1);
    touch(t, "x.img");
    run_loop(t);
    assert_int_equal(t->seen[WATCH_CLOSES], 2);
    assert_int_equal(t->seen[WATCH_ACTIVITY], 1); /* one-shot */
    add(t, x, WATCH_ACTIVITY);
    touch(t, "x.img");
    run_loop(t);
    assert_int_equal(t->seen[WATCH_ACTIVITY], 2);

    add(t, y, WATCH_CLOSES); /* in place of x */
    t->seen[WATCH_CLOSES] = 0;
    touch(t, "x.img");
    run_loop(t);
    assert_int_equal(t->seen[WATCH_CLOSES], 0);
    touch(t, "y.img");
    run_loop(t);
    assert_int_equal(t->seen[WATCH_CLOSES], 1);
    watch_clear(&t->watch);
    touch(t, "y.img");
    run_loop(t);
    assert_int_equal(t->seen[WATCH_CLOSES], 1);
    close(x);
    close(y);
    watch_done(&t->watch);
    loop_free(t->loop);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_image_is_opened),   TEST(what_is_no_image_is_refused),    TEST(sizes_have_limits),
        TEST(stores_have_a_say),    TEST(a_held_image_outlives_its_name), TEST(images_are_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
