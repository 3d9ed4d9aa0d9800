/* Marks of unclean images: kept with the file, or by somebody else where that cannot be; and what is no mark. */
#include "tests/unit/images_fixture.h"

#define ATTRIBUTE "user.trayd.unclean"

static const struct unclean mark = {
    .at = 1795226400000, .operation = "0123456789abcdef0123", .by = "ann \"the admin\" Ümlaut", .reason = "forced"};

/* ---- somebody who keeps what the store cannot ---- */

static struct {
    bool has;
    char name[NAME_BYTES_MAX + 1];
    int moves;
} other;

static json_t *other_get(attr_unused void *owner, const char *store, const char *name)
{
    return other.has && strcmp(store, "main") == 0 && strcmp(name, other.name) == 0 ? unclean_json(&mark) : NULL;
}

static void other_moved(attr_unused void *owner, const char *store, const char *name, const char *to)
{
    if (strcmp(store, "main") != 0 || strcmp(name, other.name) != 0) return;
    other.moves++;
    if (to)
        strcpy(other.name, to);
    else
        other.has = false;
}

static int no_xattrs(attr_unused int fd, attr_unused const char *name, attr_unused const void *value, attr_unused size_t len)
{
    errno = EOPNOTSUPP;
    return -1;
}

static const json_t *shown(struct fixture *f, const char *name)
{
    static json_t *image;
    struct err e;
    json_decref(image);
    image = library_get(f->library, "main", name, &e);
    if (!image) fail_msg("%s", e.text);
    return json_object_get(image, "unclean");
}

static json_t *edit(struct fixture *f, const char *name, const struct library_edit *how)
{
    struct err e = {0};
    json_t *image = library_edit_image(f->library, "main", name, how, &e);
    if (!image) fail_msg("%s", e.text);
    return image;
}

/* ---- tests ---- */

static void kept_with_the_file(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    if (!f->xattrs) skip();
    put_file(f, "main/a.img", "x", 1);
    assert_true(json_is_null(shown(f, "a.img")));
    f->changes = 0;
    assert_int_equal(library_mark_unclean(f->library, "main", "a.img", &mark, &e), 0);
    assert_int_equal(f->changes, 1);
    assert_string_equal(json_text(json_object_get(f->last_change, "unclean"), "operation"), mark.operation);
    const json_t *m = shown(f, "a.img");
    assert_string_equal(json_text(m, "by"), mark.by);
    assert_string_equal(json_text(m, "reason"), "forced");
    assert_string_equal(json_text(m, "at"), "2026-11-21T02:00:00Z");
    assert_true(json_is_null(json_object_get(m, "filesystem_dirty")));
    json_t *page = library_list(f->library, &(struct library_query){.limit = 10}, &e);
    const json_t *listed = json_object_get(json_array_get(json_object_get(page, "images"), 0), "unclean");
    assert_true(json_equal((json_t *)(uintptr_t)listed, (json_t *)(uintptr_t)m));
    json_decref(page);

    json_decref(edit(f, "a.img", &(struct library_edit){.name = "b.img", .note = "noted"}));
    assert_string_equal(json_text(shown(f, "b.img"), "operation"), mark.operation);
    json_decref(edit(f, "b.img", &(struct library_edit){.acknowledge = true}));
    assert_true(json_is_null(shown(f, "b.img")));
}

static void not_there(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    assert_int_equal(library_mark_unclean(f->library, "main", "a.img", &mark, &e), -1);
    assert_code(e, ERR_IMAGE_MISSING);
    assert_int_equal(library_mark_unclean(f->library, "nowhere", "a.img", &mark, &e), -1);
    assert_code(e, ERR_NOT_FOUND);
    assert_int_equal(rename(path_in(f, "main"), path_in(f, "elsewhere")), 0);
    assert_int_equal(library_mark_unclean(f->library, "main", "a.img", &mark, &e), -1);
    assert_code(e, ERR_STORE_DETACHED);
    assert_int_equal(rename(path_in(f, "elsewhere"), path_in(f, "main")), 0);
}

static void kept_by_somebody_else(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct fileops ops = fileops_kernel;
    ops.set_xattr = no_xattrs;
    f->library->ops = &ops;
    library_set_marks(f->library, &(struct library_marks){.get = other_get, .moved = other_moved});
    memset(&other, 0, sizeof other);
    strcpy(other.name, "a.img");
    other.has = true;
    put_file(f, "main/a.img", "x", 1);
    assert_int_equal(library_mark_unclean(f->library, "main", "a.img", &mark, &e), -1);
    assert_code(e, ERR_STORE_CANNOT);
    assert_string_equal(json_text(shown(f, "a.img"), "operation"), mark.operation);
    json_decref(edit(f, "a.img", &(struct library_edit){.name = "b.img"}));
    assert_string_equal(json_text(shown(f, "b.img"), "operation"), mark.operation);
    json_decref(edit(f, "b.img", &(struct library_edit){.acknowledge = true}));
    assert_true(json_is_null(shown(f, "b.img")));
    assert_int_equal(other.moves, 2);

    other.has = true;
    assert_int_equal(library_delete(f->library, "main", "b.img", NULL, &e), 0);
    assert_false(other.has);
    other.has = true; /* of an image that was there before */
    const struct library_upload_request rq = {.store = "", .name = "b.img", .length = 3};
    json_decref(upload(f->library, &rq, "new", 3, &e));
    assert_false(other.has);
    f->library->ops = &fileops_kernel;
}

static void what_is_no_mark(void **state)
{
    struct fixture *f = *state;
    if (!f->xattrs) skip();
    put_file(f, "main/a.img", "x", 1);
    static char long_one[4096];
    memset(long_one, ' ', sizeof long_one - 1);
    static const char good[] = "{\"at\":\"2026-11-21T02:00:00Z\",\"by\":\"ann\",\"operation\":\"1\",\"reason\":\"forced\"}";
    const char *const texts[] = {
        "", "x", "{}", "[]", "null", "\xff", "{\"at\":\"2026-11-21T02:00:00Z\"", long_one,
        "{\"at\":\"yesterday\",\"by\":\"ann\",\"operation\":\"1\",\"reason\":\"forced\"}",
        "{\"at\":\"1960-11-21T02:00:00Z\",\"by\":\"ann\",\"operation\":\"1\",\"reason\":\"forced\"}",
        "{\"at\":1,\"by\":\"ann\",\"operation\":\"1\",\"reason\":\"forced\"}",
        "{\"at\":\"2026-11-21T02:00:00Z\",\"by\":null,\"operation\":\"1\",\"reason\":\"forced\"}",
        "{\"at\":\"2026-11-21T02:00:00Z\",\"by\":\"ann\",\"operation\":\"1\"}",
        "{\"at\":\"2026-11-21T02:00:00Z\",\"by\":\"ann\",\"operation\":\"1\",\"reason\":\"forced\",\"more\":1}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (setxattr(path_in(f, "main/a.img"), ATTRIBUTE, texts[i], strlen(texts[i]), 0) < 0) continue; /* ext4: too long */
        if (!json_is_null(shown(f, "a.img"))) fail_msg("text %zu is taken for a mark", i);
    }
    assert_int_equal(setxattr(path_in(f, "main/a.img"), ATTRIBUTE, good, strlen(good), 0), 0);
    assert_true(json_is_object(shown(f, "a.img")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(kept_with_the_file), FIXTURE_TEST(not_there), FIXTURE_TEST(kept_by_somebody_else),
        FIXTURE_TEST(what_is_no_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
