/* Images as numbers: the same image has the same key while it is in use, and no reference leaves its store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gadget/images.h"

static const struct store_list stores = {
    .items = {{.name = "main", .path = "/srv/images"}, {.name = "share", .path = "/mnt/share", .readonly = true},
              {.name = "inner", .path = "/srv/images/inner"}},
    .count = 3,
};
static struct images *images;

static int begin(void **state attr_unused)
{
    images = images_new(&stores);
    return images ? 0 : -1;
}

static int end(void **state attr_unused)
{
    images_free(images);
    return 0;
}

static image_key held(const char *store, const char *name)
{
    struct err e = {0};
    image_key key = images_intern(images, store, name, &e);
    if (!key) fail_msg("%s/%s: %s", store, name, e.text);
    images_hold(images, key);
    return key;
}

static void equal_images_are_equal_numbers(void **state attr_unused)
{
    image_key a = held("main", "a.iso");
    assert_int_equal(held("main", "a.iso"), a);
    assert_int_equal(held("", "a.iso"), a); /* the default store */
    assert_int_not_equal(held("share", "a.iso"), a);
    assert_int_not_equal(held("main", "b.iso"), a);
    assert_int_not_equal(held("main/x", "a.iso"), a);
    assert_int_not_equal(a, IMAGE_FOREIGN);
}

static void a_number_is_an_image(void **state attr_unused)
{
    const struct image_ref *ref = images_ref(images, held("main/linux/old", "a.iso"));
    assert_string_equal(ref->store, "main/linux/old");
    assert_string_equal(ref->name, "a.iso");
    assert_string_equal(images_ref(images, held("", "b.iso"))->store, "main");
    assert_null(images_ref(images, 0));
    assert_null(images_ref(images, IMAGE_FOREIGN));
    assert_null(images_ref(images, 77));
}

static void numbers_are_given_out_again_when_nobody_holds_them(void **state attr_unused)
{
    struct err e;
    image_key a = held("main", "a.iso"), b = held("main", "b.iso");
    images_hold(images, a);
    images_release(images, a);
    assert_int_not_equal(images_intern(images, "main", "c.iso", &e), a); /* one still holds it */
    images_release(images, a);
    assert_int_equal(images_intern(images, "main", "d.iso", &e), a);
    assert_string_equal(images_ref(images, b)->name, "b.iso");
    images_release(images, 0);
    images_release(images, IMAGE_FOREIGN);
}

/* Not even where a number that is free comes before the one that the image has. */
static void an_image_that_is_held_keeps_its_number(void **state attr_unused)
{
    image_key a = held("main", "a.iso"), b = held("main", "b.iso");
    images_release(images, a);
    assert_int_equal(held("main", "b.iso"), b);
}

static void there_is_a_limit(void **state attr_unused)
{
    struct err e;
    char name[32];
    for (int i = 0; i < IMAGES_KNOWN_MAX; i++) {
        snprintf(name, sizeof name, "%d.iso", i);
        held("main", name);
    }
    assert_int_equal(images_intern(images, "main", "more.iso", &e), 0);
    assert_int_equal(e.code, ERR_TOO_MANY_REQUESTS);
    assert_int_not_equal(images_intern(images, "main", "7.iso", &e), 0);
}

static void references_that_lead_elsewhere_are_refused(void **state attr_unused)
{
    static const struct {
        const char *store, *name;
        enum err_code code;
    } bad[] = {
        {"none", "a.iso", ERR_NOT_FOUND},          {"mai", "a.iso", ERR_NOT_FOUND},
        {"main2", "a.iso", ERR_NOT_FOUND},         {"/main", "a.iso", ERR_NOT_FOUND},
        {"..", "a.iso", ERR_NOT_FOUND},            {"main", "", ERR_INVALID_NAME},
        {"main", "..", ERR_INVALID_NAME},          {"main", ".hidden", ERR_INVALID_NAME},
        {"main", "../a.iso", ERR_INVALID_NAME},    {"main", "x/a.iso", ERR_INVALID_NAME},
        {"main", "a\n.iso", ERR_INVALID_NAME},     {"main", "a\xff", ERR_INVALID_NAME},
        {"main/..", "a.iso", ERR_INVALID_NAME},    {"main/x/../..", "a.iso", ERR_INVALID_NAME},
        {"main/.hidden", "a.iso", ERR_INVALID_NAME}, {"main/", "a.iso", ERR_NONE},
        {"main//x", "a.iso", ERR_INVALID_NAME},    {"main/x/", "a.iso", ERR_INVALID_NAME},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};
        image_key key = images_intern(images, bad[i].store, bad[i].name, &e);
        if ((key == 0) != (bad[i].code != ERR_NONE) || e.code != bad[i].code)
            fail_msg("%s/%s: %s", bad[i].store, bad[i].name, err_name(e.code));
    }
}

static void too_long_references_are_refused(void **state attr_unused)
{
    struct err e;
    char name[300], store[2000] = "main";
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    assert_int_equal(images_intern(images, "main", name, &e), 0);
    name[255] = '\0';
    assert_int_not_equal(images_intern(images, "main", name, &e), 0);
    while (strlen(store) < 1100) strcat(strcat(store, "/"), "folder");
    assert_int_equal(images_intern(images, store, "a.iso", &e), 0);
    assert_int_equal(e.code, ERR_INVALID_NAME);
    memset(store, 's', sizeof store - 1);
    store[sizeof store - 1] = '\0';
    assert_int_equal(images_intern(images, store, "a.iso", &e), 0);
}

static void a_path_is_an_image_of_the_store_that_it_is_in(void **state attr_unused)
{
    image_key a = held("main", "a.iso"), deep = held("share/x/y", "a.iso");
    assert_int_equal(images_intern_path(images, "/srv/images/a.iso"), a);
    assert_int_equal(images_intern_path(images, "/mnt/share/x/y/a.iso"), deep);
    assert_int_equal(images_intern_path(images, "/srv/images2/a.iso"), IMAGE_FOREIGN);
    assert_int_equal(images_intern_path(images, "/srv/images"), IMAGE_FOREIGN);
    assert_int_equal(images_intern_path(images, "/srv/images/"), IMAGE_FOREIGN);
    assert_int_equal(images_intern_path(images, "/srv/images/.hidden"), IMAGE_FOREIGN);
    assert_int_equal(images_intern_path(images, "/elsewhere/a.iso"), IMAGE_FOREIGN);
    assert_int_equal(images_intern_path(images, ""), IMAGE_FOREIGN);
}

static void an_image_is_at_a_place(void **state attr_unused)
{
    const char *below;
    const struct store_config *store = images_location(images, held("", "a.iso"), &below);
    assert_string_equal(store->path, "/srv/images");
    assert_string_equal(below, "a.iso");
    assert_false(store->readonly);
    store = images_location(images, held("share/x/y", "b.iso"), &below);
    assert_string_equal(store->path, "/mnt/share");
    assert_string_equal(below, "x/y/b.iso");
    assert_true(store->readonly);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_images_are_equal_numbers),
        TEST(a_number_is_an_image),
        TEST(numbers_are_given_out_again_when_nobody_holds_them),
        TEST(an_image_that_is_held_keeps_its_number),
        TEST(there_is_a_limit),
        TEST(references_that_lead_elsewhere_are_refused),
        TEST(too_long_references_are_refused),
        TEST(a_path_is_an_image_of_the_store_that_it_is_in),
        TEST(an_image_is_at_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
