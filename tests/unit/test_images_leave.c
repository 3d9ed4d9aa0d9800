/*
 * A store that is taken away, in the library: who may still come in, and who is inside.
 */
#include "tests/unit/images_fixture.h"

static enum err_code get(struct fixture *f, const char *store)
{
    struct err e = {0};
    json_t *image = library_get(f->library, store, "a.iso", &e);
    bool found = image;
    json_decref(image);
    return found ? ERR_NONE : e.code;
}

static struct library_upload *begin_upload(struct fixture *f, const char *name, struct err *e)
{
    const struct library_upload_request rq = {.store = "main", .name = name, .length = 4, .user = "u"};
    bool exists;
    return library_upload_begin(f->library, &rq, &exists, e);
}

static void put(struct fixture *f, const char *name)
{
    struct err e;
    bool replaced;
    struct library_upload *u = begin_upload(f, name, &e);
    assert_non_null(u);
    assert_int_equal(library_upload_write(u, "abcd", 4, &e), 0);
    json_decref(library_upload_finish(u, &replaced, &e));
}

static void a_closed_door(void **state)
{
    struct fixture *f = *state;
    struct err e;
    put(f, "a.iso");
    for (int i = 0; i < 2; i++) {
        library_set_door(f->library, "main", i ? LIBRARY_CLOSED : LIBRARY_ENDING);
        assert_int_equal(get(f, "main"), ERR_STORE_DETACHED);
        assert_int_equal(get(f, ""), ERR_STORE_DETACHED);
        assert_int_equal(get(f, "main/sub"), ERR_STORE_DETACHED);
        assert_null(begin_upload(f, "b.iso", &e));
        assert_int_equal(e.code, ERR_STORE_DETACHED);
        assert_int_equal(library_delete(f->library, "main", "a.iso", NULL, &e), -1);
        assert_int_equal(e.code, ERR_STORE_DETACHED);
        assert_int_equal(library_may_use(f->library, "main", &e), -1);
        assert_int_equal(library_may_use(f->library, "second", &e), 0);
        const struct library_query all = {.limit = 10}, only = {.store = "main", .limit = 10};
        json_t *list = library_list(f->library, &all, &e);
        assert_int_equal(json_array_size(json_object_get(list, "images")), 0);
        json_decref(list);
        assert_null(library_list(f->library, &only, &e));
        assert_int_equal(e.code, ERR_STORE_DETACHED);
        json_t *store = library_store(f->library, "main", &e);
        assert_false(json_flag(store, "attached"));
        json_decref(store);
    }
    library_set_door(f->library, "main", LIBRARY_OPEN);
    assert_int_equal(get(f, "main"), ERR_NONE);
}

static void who_is_inside_stays(void **state)
{
    struct fixture *f = *state;
    struct err e;
    bool replaced;
    char what[300] = "";
    assert_int_equal(library_open_files(f->library, "main", what, sizeof what), 0);
    struct library_upload *u = begin_upload(f, "a.iso", &e);
    assert_non_null(u);
    assert_true(library_open_files(f->library, "main", what, sizeof what) > 0);
    assert_non_null(strstr(what, f->stores.items[0].path));
    assert_int_equal(library_open_files(f->library, "second", NULL, 0), 0);
    library_set_door(f->library, "main", LIBRARY_CLOSED);
    assert_int_equal(library_upload_write(u, "abcd", 4, &e), 0);
    json_decref(library_upload_finish(u, &replaced, &e));
    assert_int_equal(library_open_files(f->library, "main", NULL, 0), 0);
    library_set_door(f->library, "main", LIBRARY_OPEN);
    assert_int_equal(get(f, "main"), ERR_NONE);
}

static void what_is_under_way_is_ended(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct library_upload *u = begin_upload(f, "a.iso", &e);
    assert_non_null(u);
    library_set_door(f->library, "main", LIBRARY_ENDING);
    library_end_transfers(f->library, "second");
    assert_int_equal(library_upload_write(u, "ab", 2, &e), 0);
    library_end_transfers(f->library, "main");
    assert_int_equal(library_upload_write(u, "cd", 2, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    library_upload_abort(u);
    assert_int_equal(library_open_files(f->library, "main", NULL, 0), 0);
}

static void names(void **state)
{
    struct fixture *f = *state;
    struct err e;
    char name[STORE_NAME_MAX];
    assert_int_equal(library_store_name(f->library, "second", name, &e), 0);
    assert_string_equal(name, "second");
    assert_int_equal(library_store_name(f->library, "main/sub", name, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(library_store_name(f->library, "third", name, &e), -1);
    library_set_door(f->library, "third", LIBRARY_CLOSED); /* nothing */
    assert_int_equal(library_open_files(f->library, "third", NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_closed_door),
        FIXTURE_TEST(who_is_inside_stays),
        FIXTURE_TEST(what_is_under_way_is_ended),
        FIXTURE_TEST(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
