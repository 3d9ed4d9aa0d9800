/* Listing: what is shown and what not, order, search, and pages while images come and go. */
#include "tests/unit/images_fixture.h"

static json_t *list(struct fixture *f, struct library_query q)
{
    struct err e = {0};
    if (!q.limit) q.limit = LISTING_LIMIT_MAX;
    json_t *page = library_list(f->library, &q, &e);
    if (!page) fail_msg("%s", e.text);
    return page;
}

/* "store:name store:name ..." into text. */
static const char *names_of(const json_t *page, char text[4096])
{
    size_t i, used = 0;
    const json_t *image;
    text[0] = '\0';
    json_array_foreach(json_object_get(page, "images"), i, image)
        used += (size_t)snprintf(text + used, 4096 - used, "%s%s:%s", i ? " " : "", json_text(image, "store"),
                                 json_text(image, "name"));
    return text;
}

#define assert_names(f, wanted, ...)                                                                               \
    do {                                                                                                           \
        char text_[4096];                                                                                          \
        cleanup_json json_t *page_ = list(f, (struct library_query){__VA_ARGS__});                                 \
        assert_string_equal(names_of(page_, text_), wanted);                                                       \
    } while (0)

static void set_time(const struct fixture *f, const char *relative, time_t seconds, long ns)
{
    const struct timespec times[2] = {{.tv_sec = seconds, .tv_nsec = ns}, {.tv_sec = seconds, .tv_nsec = ns}};
    assert_int_equal(utimensat(AT_FDCWD, path_in(f, relative), times, 0), 0);
}

static void orders(void **state)
{
    struct fixture *f = *state;
    put_file(f, "main/b", "22", 2);
    put_file(f, "main/A", "1", 1);
    put_file(f, "main/c", "333", 3);
    put_file(f, "second/b", "4444", 4);
    put_file(f, "second/\xc3\xa4", "", 0);
    set_time(f, "main/b", -5, 0); /* before 1970 */
    set_time(f, "main/A", 100, 2);
    set_time(f, "main/c", 100, 1);
    set_time(f, "second/b", 300, 0);
    set_time(f, "second/\xc3\xa4", 200, 0);
    assert_names(f, "main:A main:b second:b main:c second:\xc3\xa4", .store = NULL);
    assert_names(f, "second:\xc3\xa4 main:c second:b main:b main:A", .sort = "-name");
    assert_names(f, "second:\xc3\xa4 main:A main:b main:c second:b", .sort = "size");
    assert_names(f, "second:b main:c main:b main:A second:\xc3\xa4", .sort = "-size");
    assert_names(f, "main:b main:c main:A second:\xc3\xa4 second:b", .sort = "modified");
    assert_names(f, "second:b second:\xc3\xa4 main:A main:c main:b", .sort = "-modified");
    assert_names(f, "main:A main:b main:c", .store = "");
    assert_names(f, "second:b second:\xc3\xa4", .store = "second");
    /* A page of one at a time gives the same, in each order. */
    static const char *const sorts[] = {"name", "-name", "size", "-size", "modified", "-modified"};
    for (size_t i = 0; i < ARRAY_LEN(sorts); i++) {
        char whole[4096], pieces[4096] = "", one[4096], cursor[ORDER_CURSOR_MAX] = "";
        json_t *page = list(f, (struct library_query){.sort = sorts[i]});
        names_of(page, whole);
        json_decref(page);
        for (int k = 0; k < 5; k++) {
            page = list(f, (struct library_query){.sort = sorts[i], .limit = 1, .after = *cursor ? cursor : NULL});
            strcat(strcat(pieces, k ? " " : ""), names_of(page, one));
            assert_true(json_is_string(json_object_get(page, "next")) == (k < 4));
            snprintf(cursor, sizeof cursor, "%s", json_text(page, "next"));
            json_decref(page);
        }
        assert_string_equal(pieces, whole);
    }
}

static void searching(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"Debian-12.iso", "debian-13.iso", "Windows.iso", "\xc3\x9c" "bung.img",
                                        "stra\xc3\x9f" "e.img"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[300];
        snprintf(path, sizeof path, "main/%s", names[i]);
        put_file(f, path, "", 0);
    }
    assert_names(f, "main:Debian-12.iso main:debian-13.iso", .search = "DEBIAN");
    assert_names(f, "main:Windows.iso", .search = "wind");
    assert_names(f, "main:\xc3\x9c" "bung.img", .search = "\xc3\xbc" "BUNG");
    assert_names(f, "main:stra\xc3\x9f" "e.img", .search = "STRASSE");
    assert_names(f, "", .search = "\xc3\xa4");
    assert_names(f, "", .search = "*");
    assert_names(f, "main:debian-13.iso", .search = "-13", .limit = 1);
}

static void folders(void **state)
{
    struct fixture *f = *state;
    char path[400] = "main";
    put_file(f, "main/top", "", 0);
    for (int i = 1; i <= FOLDER_LEVELS_MAX + 1; i++) {
        snprintf(path + strlen(path), sizeof path - strlen(path), "/%d", i);
        assert_int_equal(mkdir(path_in(f, path), 0755), 0);
        char file[420];
        snprintf(file, sizeof file, "%s/f%d", path, i);
        put_file(f, file, "", 0);
    }
    assert_names(f,
                 "main/1:f1 main/1/2:f2 main/1/2/3:f3 main/1/2/3/4:f4 main/1/2/3/4/5:f5 main/1/2/3/4/5/6:f6 "
                 "main/1/2/3/4/5/6/7:f7 main/1/2/3/4/5/6/7/8:f8 main:top", .store = NULL);
    assert_names(f, "main/1/2/3/4/5/6/7:f7 main/1/2/3/4/5/6/7/8:f8", .store = "main/1/2/3/4/5/6/7");
    struct err e = {0};
    assert_null(library_list(f->library, &(struct library_query){.store = "main/missing", .limit = 1}, &e));
    assert_code(e, ERR_NOT_FOUND);
}

static void what_is_skipped(void **state)
{
    struct fixture *f = *state;
    put_file(f, "main/good", "", 0);
    put_file(f, "main/.hidden", "", 0);
    put_file(f, "main/not-\xff-utf8", "", 0);
    put_file(f, "main/u\xcc\x88-decomposed", "", 0);
    put_file(f, "main/line\nfeed", "", 0);
    put_file(f, "main/\xe2\x80\xae" "gpj.exe", "", 0);
    assert_int_equal(mkdir(path_in(f, "main/bad\x01" "folder"), 0755), 0);
    assert_int_equal(mkfifo(path_in(f, "main/fifo"), 0644), 0);
    assert_int_equal(symlink("good", path_in(f, "main/link")), 0);
    assert_int_equal(symlink("..", path_in(f, "main/loop")), 0);
    assert_int_equal(mkdir(path_in(f, "main/.folder"), 0755), 0);
    put_file(f, "main/.folder/inside", "", 0);
    assert_names(f, "main:good", .store = NULL);
    cleanup_json json_t *page = list(f, (struct library_query){.store = "main"});
    assert_int_equal(json_int(page, "skipped", -1), 5);
}

/* A file or folder that the service may not read is no image for it. */
static void unreadable(void **state)
{
    struct fixture *f = *state;
    static const uid_t nobody = 65534; /* root may read all */
    put_file(f, "main/a", "", 0);
    put_file(f, "main/b", "", 0);
    assert_int_equal(mkdir(path_in(f, "main/c"), 0755), 0);
    put_file(f, "main/c/d", "", 0);
    assert_int_equal(chmod(path_in(f, "main/a"), 0), 0);
    assert_int_equal(chmod(path_in(f, "main/c"), 0), 0);
    bool root = geteuid() == 0;
    if (root) assert_int_equal(chown(f->dir, nobody, (gid_t)-1) | seteuid(nobody), 0);
    struct err e = {0};
    json_t *page = library_list(f->library, &(struct library_query){.limit = 1}, &e);
    json_t *image = library_get(f->library, "", "a", &e);
    if (root) assert_int_equal(seteuid(0), 0);
    char text[4096];
    assert_string_equal(names_of(page, text), "main:b");
    assert_true(json_is_null(json_object_get(page, "next")));
    assert_null(image);
    assert_code(e, ERR_IMAGE_UNUSABLE);
    json_decref(page);
    chmod(path_in(f, "main/c"), 0755);
}

/* Between two pages: one image appears somewhere, and where the last one shown is such a one it goes. */
static void disturb(struct fixture *f, const json_t *page, int turn)
{
    char name[64];
    const json_t *images = json_object_get(page, "images");
    const json_t *last = json_array_get(images, json_array_size(images) - 1);
    if (strstr(json_text(last, "name"), "-new"))
        assert_int_equal(library_delete(f->library, json_text(last, "store"), json_text(last, "name"), NULL, NULL), 0);
    snprintf(name, sizeof name, "main/stay-%03d-new", turn * 31 % 200);
    put_file(f, name, "x", 1);
    set_time(f, name, 1000 + turn * 31 % 200, 500);
}

/* Images that are there all the time are on exactly one page, whatever comes and goes between the pages. */
static void pages_while_files_change(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 200, PAGE = 17 };
    for (int i = 0; i < COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/stay-%03d", i % 3 ? "main" : "second", i);
        put_file(f, name, "x", 1);
        set_time(f, name, 1000 + i, 0);
    }
    static const char *const sorts[] = {"name", "-name", "size", "-size", "modified", "-modified"};
    for (size_t s = 0; s < ARRAY_LEN(sorts); s++) {
        int seen[COUNT] = {0}, pages = 0;
        char cursor[ORDER_CURSOR_MAX] = "";
        do {
            cleanup_json json_t *page =
                list(f, (struct library_query){.sort = sorts[s], .limit = PAGE, .after = *cursor ? cursor : NULL});
            size_t i;
            const json_t *image;
            json_array_foreach(json_object_get(page, "images"), i, image) {
                const char *name = json_text(image, "name");
                if (!strstr(name, "-new")) seen[atoi(name + strlen("stay-"))]++;
            }
            snprintf(cursor, sizeof cursor, "%s", json_text(page, "next"));
            disturb(f, page, pages++);
            assert_true(pages < COUNT);
        } while (*cursor);
        assert_true(pages >= COUNT / PAGE);
        for (int i = 0; i < COUNT; i++) assert_int_equal(seen[i], 1);
    }
}

static void bad_queries(void **state)
{
    struct fixture *f = *state;
    put_file(f, "main/a", "", 0);
    put_file(f, "main/b", "", 0);
    cleanup_json json_t *page = list(f, (struct library_query){.limit = 1});
    const char *cursor = json_text(page, "next");
    assert_true(*cursor);
    char long_cursor[2 * ORDER_CURSOR_MAX + 1];
    memset(long_cursor, '6', sizeof long_cursor - 1);
    long_cursor[sizeof long_cursor - 1] = '\0';
    char long_search[SEARCH_BYTES_MAX + 2];
    memset(long_search, 'x', sizeof long_search - 1);
    long_search[sizeof long_search - 1] = '\0';
    const struct {
        struct library_query q;
        enum err_code code;
    } cases[] = {
        {{.limit = 0}, ERR_BAD_REQUEST},
        {{.limit = -1}, ERR_BAD_REQUEST},
        {{.limit = LISTING_LIMIT_MAX + 1}, ERR_BAD_REQUEST},
        {{.limit = 1, .sort = "colour"}, ERR_BAD_REQUEST},
        {{.limit = 1, .sort = ""}, ERR_BAD_REQUEST},
        {{.limit = 1, .sort = "--name"}, ERR_BAD_REQUEST},
        {{.limit = 1, .store = "missing"}, ERR_NOT_FOUND},
        {{.limit = 1, .store = "main/../second"}, ERR_INVALID_NAME},
        {{.limit = 1, .search = "\xff"}, ERR_BAD_REQUEST},
        {{.limit = 1, .search = long_search}, ERR_BAD_REQUEST},
        {{.limit = 1, .after = cursor, .sort = "size"}, ERR_BAD_REQUEST},
        {{.limit = 1, .after = cursor, .sort = "-name"}, ERR_BAD_REQUEST},
        {{.limit = 1, .after = cursor + 1}, ERR_BAD_REQUEST},
        {{.limit = 1, .after = cursor + 2}, ERR_BAD_REQUEST},
        {{.limit = 1, .after = ""}, ERR_BAD_REQUEST},
        {{.limit = 1, .after = "6e616d650a"}, ERR_BAD_REQUEST},             /* "name\n" */
        {{.limit = 1, .after = "6e616d650a780a6d61696e0a61"}, ERR_BAD_REQUEST}, /* "name\nx\nmain\na" */
        {{.limit = 1, .after = "6e616d650a300a006d61696e0a61"}, ERR_BAD_REQUEST}, /* with a NUL */
        {{.limit = 1, .after = long_cursor}, ERR_BAD_REQUEST},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        json_t *result = library_list(f->library, &cases[i].q, &e);
        if (result) fail_msg("case %zu is accepted", i);
        if (e.code != cases[i].code) fail_msg("case %zu: %s: %s", i, err_name(e.code), e.text);
    }
}

static void uploads_are_listed(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    put_file(f, "main/b", "12", 2);
    assert_int_equal(mkdir(path_in(f, "main/sub"), 0755), 0);
    struct library_upload_request rq = {.store = "", .name = "a", .length = 3};
    struct library_upload *a = library_upload_begin(f->library, &rq, &exists, &e);
    rq = (struct library_upload_request){.store = "main/sub", .name = "c", .length = -1};
    struct library_upload *c = library_upload_begin(f->library, &rq, &exists, &e);
    assert_names(f, "main:a main:b main/sub:c", .store = NULL);
    assert_names(f, "main/sub:c", .store = "main/sub");
    assert_names(f, "", .store = "second");
    assert_names(f, "main:a", .search = "A");
    assert_names(f, "main:a main:b main/sub:c", .sort = "-size");
    cleanup_json json_t *page = list(f, (struct library_query){.limit = 2});
    assert_names(f, "main/sub:c", .after = json_text(page, "next"));
    library_upload_abort(a);
    library_upload_abort(c);
    assert_names(f, "main:b", .store = NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(orders),
        FIXTURE_TEST(searching),
        FIXTURE_TEST(folders),
        FIXTURE_TEST(what_is_skipped),
        FIXTURE_TEST(unreadable),
        FIXTURE_TEST(pages_while_files_change),
        FIXTURE_TEST(bad_queries),
        FIXTURE_TEST(uploads_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
