/* Files and stores that come and go without the library, and who hears of it. */
#include "tests/unit/images_fixture.h"

#include <sys/mount.h>

#define PATIENCE 10000 /* ms; a liveness bound */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char heard[65536]; /* "+main/a.iso -main/a.iso main! ", in this order */

static void say(const char *text)
{
    pthread_mutex_lock(&lock);
    if (strlen(heard) + strlen(text) + 2 < sizeof heard) strcat(strcat(heard, text), " ");
    pthread_mutex_unlock(&lock);
}

static void on_image(void *owner, const json_t *image)
{
    char text[700];
    (void)owner;
    snprintf(text, sizeof text, "%c%s/%s", json_flag(image, "deleted") ? '-' : '+', json_text(image, "store"), json_text(image, "name"));
    say(text);
}

static void on_store(void *owner, const json_t *store)
{
    char text[64];
    (void)owner;
    snprintf(text, sizeof text, "%s%s", json_text(store, "name"), json_flag(store, "attached") ? "!" : "?");
    say(text);
}

static int count(const char *what)
{
    int n = 0;
    pthread_mutex_lock(&lock);
    for (const char *p = heard; (p = strstr(p, what)); p += strlen(what)) n++;
    pthread_mutex_unlock(&lock);
    return n;
}

static void until(const char *what)
{
    msec end = clock_boot_ms() + PATIENCE;
    while (!count(what) && clock_boot_ms() < end) usleep(1000);
    if (!count(what)) fail_msg("not heard: \"%s\", but \"%s\"", what, heard);
}

static void forget(void)
{
    pthread_mutex_lock(&lock);
    heard[0] = '\0';
    pthread_mutex_unlock(&lock);
}

/* A file of its own marks the end: what was done before has been told when this is. */
static void settle(struct fixture *f)
{
    static int number;
    char name[64], told[64];
    snprintf(told, sizeof told, "+main/mark%d.img ", ++number);
    snprintf(name, sizeof name, "main/mark%d.img", number);
    put_file(f, name, "x", 1);
    until(told);
}

static int begin(void **state)
{
    struct err e;
    struct fixture *f;
    if (fixture_setup(state) < 0) return -1;
    f = *state;
    forget();
    library_set_listener(f->library, on_image, f);
    assert_int_equal(library_observe(f->library, on_store, f, &e), 0);
    json_decref(library_rescan(f->library, "main", &e)); /* told once the first look is over */
    until("main!");
    forget();
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(library_observe(f->library, NULL, NULL, NULL), 0);
    return fixture_teardown(state);
}

static void put(struct fixture *f, const char *name)
{
    put_file(f, name, "x", 1);
}

static void change(struct fixture *f, const char *from, const char *to)
{
    assert_int_equal(to ? rename(path_in(f, from), path_in(f, to)) : remove(path_in(f, from)), 0);
}

static void make_folder(struct fixture *f, const char *path)
{
    assert_int_equal(mkdir(path_in(f, path), 0755), 0);
}

static void what_others_do_is_told(void **state)
{
    struct fixture *f = *state;
    put(f, "main/a.iso");
    until("+main/a.iso ");
    change(f, "main/a.iso", "main/b.iso");
    until("-main/a.iso ");
    until("+main/b.iso ");
    change(f, "main/b.iso", NULL);
    until("-main/b.iso ");
}

static void hidden_and_impossible_names_are_not(void **state)
{
    struct fixture *f = *state;
    put(f, "main/.hidden");
    put(f, "main/new\nline");
    settle(f);
    assert_int_equal(count("hidden"), 0);
    assert_int_equal(count("line"), 0);
}

static void folders_are_watched_as_they_come(void **state)
{
    struct fixture *f = *state;
    make_folder(f, "main/sub");
    until("main!"); /* whoever looks now sees what is in it; from now on it is watched */
    forget();
    make_folder(f, "main/sub/deep");
    until("main!");
    put(f, "main/sub/deep/c.iso");
    until("+main/sub/deep/c.iso ");
    forget();
    change(f, "main/sub", "main/other");
    until("main!");
    put(f, "main/other/deep/d.iso");
    until("+main/other/deep/d.iso ");
}

static void a_store_that_goes_and_comes_back_is_told(void **state)
{
    struct fixture *f = *state;
    struct err e;
    change(f, "main", "away");
    until("main?");
    forget();
    change(f, "away", "main");
    cleanup_json json_t *store = library_rescan(f->library, "main", &e); /* by itself within a minute */
    assert_true(json_flag(store, "attached"));
    until("main!");
    put(f, "main/e.iso");
    until("+main/e.iso ");
}

static void a_mount_is_noticed_by_itself(void **state)
{
    struct fixture *f = *state;
    const char *path = path_in(f, "main");
    if (mount("none", path, "tmpfs", 0, "size=1m") < 0) skip();
    until("main!");
    put(f, "main/f.iso");
    until("+main/f.iso ");
    forget();
    assert_int_equal(umount2(path_in(f, "main"), MNT_DETACH), 0);
    until("main!");
    settle(f);
}

static void a_flood_is_told_as_one(void **state)
{
    struct fixture *f = *state;
    char name[64];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "main/flood%d.img", i);
        put(f, name);
    }
    until("main!");
}

/* By whom it was done first is chance: the one who did it, or the one who saw it. */
static void what_we_do_ourselves_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, replaced;
    const struct library_upload_request rq = {.store = "main", .name = "own.img", .length = 3};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    if (!u) fail_msg("%s", e.text);
    assert_int_equal(library_upload_write(u, "abc", 3, &e), 0);
    settle(f);
    forget(); /* that it is on its way was told too */
    cleanup_json json_t *image = library_upload_finish(u, &replaced, &e);
    assert_non_null(image);
    settle(f);
    assert_int_equal(count("+main/own.img "), 1);
    assert_int_equal(library_delete(f->library, "main", "own.img", NULL, &e), 0);
    settle(f);
    assert_int_equal(count("-main/own.img "), 1);
}

static void an_unknown_store_cannot_be_looked_at(void **state)
{
    struct fixture *f = *state;
    struct err e;
    assert_null(library_rescan(f->library, "nowhere", &e));
    assert_int_equal(e.code, ERR_NOT_FOUND);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_others_do_is_told),
        TEST(hidden_and_impossible_names_are_not),
        TEST(folders_are_watched_as_they_come),
        TEST(a_store_that_goes_and_comes_back_is_told),
        TEST(a_mount_is_noticed_by_itself),
        TEST(a_flood_is_told_as_one),
        TEST(what_we_do_ourselves_is_told_once),
        TEST(an_unknown_store_cannot_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
