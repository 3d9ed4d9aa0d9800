/* Names and store references, the hostile ones first. */
#include "tests/unit/images_fixture.h"

#define LETTERS_50 "abcdefghijklmnopqrstuvwxyabcdefghijklmnopqrstuvwxy"
#define LETTERS_250 LETTERS_50 LETTERS_50 LETTERS_50 LETTERS_50 LETTERS_50

static const char *const bad_names[] = {
    "",
    ".", "..", "...", ".hidden", ".trayd", "./a", "../a", "../../etc/passwd", "a/../b", "/etc/passwd", "a/b", "a/", "/",
    "a\nb", "a\rb", "a\tb", "\x01", "a\x1b[31m", "a\x7f", "\xc2\x80", "a\xc2\x9f",    /* C0, escape, DEL, C1 */
    "\xff", "\xfe\xff", "a\x80", "\xc3", "\xc3\x28", "\xe2\x82", "\xf0\x9f\x92",      /* broken sequences */
    "\xc0\xaf", "\xc0\xae\xc0\xae", "\xe0\x80\xaf", "\xf0\x80\x80\xaf",               /* overlong '/' and '.' */
    "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",       /* surrogates, too large */
    "photo_\xe2\x80\xaegpj.iso",                                                      /* right-to-left override */
    "a\xe2\x80\xaa", "a\xe2\x80\xab", "a\xe2\x80\xac", "a\xe2\x80\xad",               /* other embeddings */
    "a\xe2\x81\xa6", "a\xe2\x81\xa7", "a\xe2\x81\xa8", "a\xe2\x81\xa9",               /* isolates */
    "a\xe2\x80\x8e", "a\xe2\x80\x8f", "a\xe2\x80\xa8", "a\xe2\x80\xa9", "\xef\xbb\xbf" "a", /* marks, separators, BOM */
    "u\xcc\x88.iso", "e\xcc\x81", "A\xcc\x8a", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", /* NFD: umlaut, accents, han */
    "\xe2\x84\xab", "\xe2\x84\xa6",                                                   /* Angstrom, Ohm: never NFC */
    LETTERS_250 "123456",
};

static const char *const good_names[] = {
    "a", "debian.iso", "a b.iso", " a", "a.", "a..b", "-", "-rf", "~", "con", "nul.iso", "%2e%2e%2f", "%00", "a\\b",
    "$(reboot)", "'; DROP TABLE images; --", "<script>", "*", "?", "a:b", "\xc3\xbc.iso",
    "\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4.iso", "\xf0\x9f\x92\xbf.iso", "\xd7\x90\xd7\x91.iso",
    LETTERS_250 "12345",
};

static void names(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_names); i++) {
        struct err e = {0};
        if (image_name_check(bad_names[i], &e) == 0) fail_msg("bad name %zu is accepted: %s", i, bad_names[i]);
        assert_code(e, ERR_INVALID_NAME);
        assert_true(parse_is_utf8(e.text, strlen(e.text)));
        assert_false(image_name_usable(bad_names[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(good_names); i++) {
        struct err e = {0};
        if (image_name_check(good_names[i], &e) < 0) fail_msg("good name %zu: %s", i, e.text);
        assert_true(image_name_usable(good_names[i]));
    }
}

static void references(attr_unused void **state)
{
    static const struct {
        const char *text, *store, *folder;
    } good[] = {
        {NULL, "", ""},
        {"", "", ""},
        {"main", "main", ""},
        {"usb-stick_2", "usb-stick_2", ""},
        {"main/sub", "main", "sub"},
        {"main/sub/folder", "main", "sub/folder"},
        {"main/1/2/3/4/5/6/7/8", "main", "1/2/3/4/5/6/7/8"},
        {"main/\xc3\xbc", "main", "\xc3\xbc"},
        {"main/" LETTERS_250 "12345", "main", LETTERS_250 "12345"},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct store_ref ref;
        struct err e = {0};
        char text[STORE_REF_MAX];
        if (store_ref_parse(good[i].text, &ref, &e) < 0) fail_msg("%s: %s", good[i].text, e.text);
        assert_string_equal(ref.store, good[i].store);
        assert_string_equal(ref.folder, good[i].folder);
        assert_string_equal(store_ref_format(ref.store, ref.folder, text), good[i].text ? good[i].text : "");
    }
    static const char *const bad[] = {
        "/", "/main", "main/", "main//sub", "main/sub/", "main/..", "main/../second", "main/./sub", "main/.trayd",
        "main/sub/../..", "..", ".", "ma in", "m\xc3\xa4in", "main\n", "main/a\nb", "main/u\xcc\x88",
        "main/1/2/3/4/5/6/7/8/9", "main/" LETTERS_250 "123456", "a23456789012345678901234567890123", "main/\xff",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct store_ref ref = {.store = "untouched"};
        struct err e = {0};
        if (store_ref_parse(bad[i], &ref, &e) == 0) fail_msg("bad reference is accepted: %s", bad[i]);
        assert_code(e, ERR_INVALID_NAME);
        assert_string_equal(ref.store, "untouched");
    }
}

/* Eight folders of 255 bytes, below the store of the longest name: the buffers are for that. */
static void longest_reference(attr_unused void **state)
{
    char text[4096] = "abcdefghijabcdefghijabcdefghija", again[STORE_REF_MAX];
    for (int i = 0; i < FOLDER_LEVELS_MAX; i++) strcat(text, "/" LETTERS_250 "12345");
    struct store_ref ref;
    assert_int_equal(store_ref_parse(text, &ref, NULL), 0);
    assert_string_equal(store_ref_format(ref.store, ref.folder, again), text);
}

/* No function lets a bad name come near the disk. */
static void names_at_the_door(void **state)
{
    struct fixture *f = *state;
    put_file(f, "secret", "x", 1);
    for (size_t i = 0; i < ARRAY_LEN(bad_names); i++) {
        const char *name = bad_names[i];
        bool exists;
        struct err e = {0};
        struct library_content content;
        assert_null(library_get(f->library, "", name, &e));
        assert_code(e, ERR_INVALID_NAME);
        assert_int_equal(library_content_open(f->library, "", name, &content, &e), -1);
        assert_code(e, ERR_INVALID_NAME);
        assert_int_equal(library_delete(f->library, "", name, NULL, &e), -1);
        assert_code(e, ERR_INVALID_NAME);
        struct library_upload_request rq = {.store = "", .name = name, .length = 1};
        assert_null(library_upload_begin(f->library, &rq, &exists, &e));
        assert_code(e, ERR_INVALID_NAME);
    }
    assert_int_equal(size_of_file(f, "secret"), 1);
    assert_int_equal(count_names(f, "main"), 0);
}

/* Every good name goes in, is listed, found and deleted under exactly these bytes. */
static void good_names_work(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(good_names); i++) {
        struct err e = {0};
        struct library_upload_request rq = {.store = "", .name = good_names[i], .length = 1};
        cleanup_json json_t *image = upload(f->library, &rq, "x", 1, &e);
        if (!image) fail_msg("%s: %s", good_names[i], e.text);
        assert_string_equal(json_text(image, "name"), good_names[i]);
        cleanup_json json_t *again = library_get(f->library, "main", good_names[i], &e);
        assert_true(json_equal(image, again));
    }
    cleanup_json json_t *page = library_list(f->library, &(struct library_query){.limit = 1000}, NULL);
    assert_int_equal(json_array_size(json_object_get(page, "images")), ARRAY_LEN(good_names));
    for (size_t i = 0; i < ARRAY_LEN(good_names); i++)
        assert_int_equal(library_delete(f->library, "", good_names[i], NULL, NULL), 0);
    assert_int_equal(count_names(f, "main"), 1); /* the hidden directory */
}

/* Symbolic links are not followed, whatever they point to: neither as an image nor as a folder. */
static void symbolic_links(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct library_content content;
    bool exists;
    put_file(f, "secret", "x", 1);
    put_file(f, "second/a.iso", "x", 1);
    assert_int_equal(symlink("../secret", path_in(f, "main/link.iso")), 0);
    assert_int_equal(symlink("../second", path_in(f, "main/folder")), 0);
    assert_int_equal(symlink("/proc/self/root/etc", path_in(f, "main/etc")), 0);
    assert_int_equal(library_content_open(f->library, "", "link.iso", &content, &e), -1);
    assert_code(e, ERR_IMAGE_MISSING);
    assert_int_equal(library_content_open(f->library, "main/folder", "a.iso", &content, &e), -1);
    assert_code(e, ERR_NOT_FOUND);
    assert_int_equal(library_content_open(f->library, "main/etc", "passwd", &content, &e), -1);
    assert_code(e, ERR_NOT_FOUND);
    assert_int_equal(library_delete(f->library, "main/folder", "a.iso", NULL, &e), -1);
    assert_code(e, ERR_NOT_FOUND);
    struct library_upload_request into = {.store = "main/folder", .name = "b.iso", .length = 1};
    assert_null(library_upload_begin(f->library, &into, &exists, &e));
    assert_code(e, ERR_NOT_FOUND);
    struct library_upload_request onto = {.store = "main", .name = "link.iso", .length = 1, .if_match = "*"};
    assert_null(library_upload_begin(f->library, &onto, &exists, &e));
    assert_code(e, ERR_EXISTS);
    assert_int_equal(size_of_file(f, "second/a.iso"), 1);
    cleanup_json json_t *page = library_list(f->library, &(struct library_query){.store = "main", .limit = 9}, NULL);
    assert_int_equal(json_array_size(json_object_get(page, "images")), 0);
}

/* Somebody who can write to the stick that is a store must not get us to write elsewhere. */
static void hostile_hidden_directory(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = 1};
    assert_int_equal(mkdir(path_in(f, "elsewhere"), 0755), 0);
    assert_int_equal(symlink("../elsewhere", path_in(f, HIDDEN_OF_MAIN)), 0);
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_int_equal(count_names(f, "elsewhere"), 0);
    assert_int_equal(unlink(path_in(f, HIDDEN_OF_MAIN)), 0);
    put_file(f, HIDDEN_OF_MAIN, "x", 1);
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_int_equal(unlink(path_in(f, HIDDEN_OF_MAIN)), 0);
    cleanup_json json_t *image = upload(f->library, &rq, "x", 1, &e);
    assert_non_null(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(references),
        cmocka_unit_test(longest_reference),
        FIXTURE_TEST(names_at_the_door),
        FIXTURE_TEST(good_names_work),
        FIXTURE_TEST(symbolic_links),
        FIXTURE_TEST(hostile_hidden_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
