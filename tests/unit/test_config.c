/* Configuration files against a table of keys: what stands there is read, what should not is an error with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/fd.h"
#include "base/store_config.h"

struct item {
    char name[8];
    int64_t number;
    int line;
};

struct everything {
    char text[8];
    bool flag;
    int64_t number;
    uint64_t size;
    msec duration;
    int choice;
    struct item items[3];
    size_t items_count;
    char texts[2][8];
    size_t texts_count;
    struct config_entry entries[2];
    size_t entries_count;
};

static const char *const choices[] = {"red", "green", NULL};
static const struct config_key item_keys[] = {
    {.name = "name", .kind = CONFIG_TEXT, .offset = offsetof(struct item, name), .size = 8, .required = true,
     .line_offset = offsetof(struct item, line)},
    {.name = "number", .kind = CONFIG_NUMBER, .offset = offsetof(struct item, number), .max = 100},
    {0},
};
#define AT(member) .offset = offsetof(struct everything, member)
static const struct config_key group_keys[] = {
    {.name = "text", .kind = CONFIG_TEXT, AT(text), .size = 8},
    {.name = "flag", .kind = CONFIG_FLAG, AT(flag)},
    {.name = "number", .kind = CONFIG_NUMBER, AT(number), .min = -5, .max = 5000000000},
    {.name = "size", .kind = CONFIG_SIZE, AT(size)},
    {.name = "duration", .kind = CONFIG_DURATION, AT(duration), .min = 100, .max = 60000},
    {.name = "choice", .kind = CONFIG_CHOICE, AT(choice), .choices = choices},
    {0},
};
static const struct config_key keys[] = {
    {.name = "group", .kind = CONFIG_GROUP, .keys = group_keys},
    {.name = "items", .kind = CONFIG_LIST, AT(items), .size = sizeof(struct item), .count = 3, .keys = item_keys,
     .count_offset = offsetof(struct everything, items_count)},
    {.name = "texts", .kind = CONFIG_TEXTS, AT(texts), .size = 8, .count = 2, .count_offset = offsetof(struct everything, texts_count)},
    {.name = "entries", .kind = CONFIG_ENTRIES, AT(entries), .count = 2, .count_offset = offsetof(struct everything, entries_count)},
    {.name = "others", .kind = CONFIG_FOREIGN},
    {0},
};

static char path[] = "/tmp/test_config.XXXXXX";
static struct everything got;

static int make_file(void **state attr_unused)
{
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state attr_unused)
{
    return unlink(path);
}

static int load(const char *text, struct err *e)
{
    assert_int_equal(fd_replace_file(path, text, strlen(text), false, e), 0);
    got = (struct everything){.text = "before", .number = 77, .items[0].number = 9};
    *e = (struct err){0};
    return config_load(path, keys, &got, e);
}

static void loads(const char *text)
{
    struct err e;
    if (load(text, &e) < 0) fail_msg("%s", e.text);
}

static void nothing_leaves_the_defaults(void **state attr_unused)
{
    loads("");
    assert_string_equal(got.text, "before");
    assert_int_equal(got.number, 77);
    assert_int_equal(got.items_count, 0);
    loads("group = { };  # and a comment\n");
    assert_string_equal(got.text, "before");
}

static void every_kind_is_read(void **state attr_unused)
{
    loads("group = { text = \"1234567\"; flag = true; number = -5; size = \"8 GiB\"; duration = \"250 ms\"; choice = \"green\"; };\n"
          "texts = [ \"a\", \"b\" ];\n"
          "entries = { one = 1; two = \"zwei\"; };\n"
          "others = ( 1, { what = [ 2.5 ]; } );\n");
    assert_string_equal(got.text, "1234567");
    assert_true(got.flag);
    assert_int_equal(got.number, -5);
    assert_int_equal(got.size, 8ull << 30);
    assert_int_equal(got.duration, 250);
    assert_int_equal(got.choice, 1);
    assert_int_equal(got.texts_count, 2);
    assert_string_equal(got.texts[1], "b");
    assert_int_equal(got.entries_count, 2);
    assert_string_equal(got.entries[0].name, "one");
    assert_string_equal(got.entries[0].value, "1");
    assert_string_equal(got.entries[1].value, "zwei");
    assert_int_equal(got.entries[1].line, 3);
    loads("group = { number = 0x1F; }; entries = { yes = true; no = false; };");
    assert_int_equal(got.number, 31);
    assert_string_equal(got.entries[0].value, "1");
    assert_string_equal(got.entries[1].value, "0");
    loads("group = { number = 4294967296L; };");
    assert_int_equal(got.number, 4294967296);
}

static void items_begin_with_the_defaults(void **state attr_unused)
{
    loads("items = (\n  { name = \"a\"; number = 1; },\n  { name = \"b\"; },\n\n  { name = \"c\"; number = 3; } );");
    assert_int_equal(got.items_count, 3);
    assert_string_equal(got.items[1].name, "b");
    assert_int_equal(got.items[0].number, 1);
    assert_int_equal(got.items[1].number, 9); /* not the first one's */
    assert_int_equal(got.items[2].number, 3);
    assert_int_equal(got.items[0].line, 2);
    assert_int_equal(got.items[2].line, 5);
    loads("items = ( );");
    assert_int_equal(got.items_count, 0);
}

static void what_is_wrong_is_said_with_its_line(void **state attr_unused)
{
    static const struct {
        const char *text;
        int line;
        const char *said;
    } cases[] = {
        {"gruop = { };", 1, "unknown key \"gruop\"; did you mean \"group\"?"},
        {"\n\nzebra = 1;", 3, "unknown key \"zebra\""},
        {"group = {\n  txet = \"a\"; };", 2, "did you mean \"text\"?"},
        {"group = 1;", 1, "group must be a group"},
        {"group = { text = 1; };", 1, "text must be a string"},
        {"group = { text = \"12345678\"; };", 1, "text is longer than 7 bytes"},
        {"group = { flag = 1; };", 1, "flag must be true or false"},
        {"group = { flag = \"true\"; };", 1, "flag must be true or false"},
        {"group = { number = \"1\"; };", 1, "number must be an integer"},
        {"group = { number = 1.5; };", 1, "number must be an integer"},
        {"group = { number = -6; };", 1, "number must be from -5 to 5000000000"},
        {"group = { number = 5000000001L; };", 1, "number must be from"},
        {"group = { size = 8; };", 1, "size must be a string, such as \"8 GiB\""},
        {"group = { size = \"8 GiBs\"; };", 1, "\"8 GiBs\" is not a size"},
        {"group = { duration = 3; };", 1, "duration must be a string, such as"},
        {"group = { duration = \"3 parsec\"; };", 1, "is not a duration"},
        {"group = { duration = \"99 ms\"; };", 1, "duration must be from 0.1 s to 60 s"},
        {"group = { duration = \"61 s\"; };", 1, "duration must be from"},
        {"group = { choice = \"blue\"; };", 1, "choice: \"blue\" is none of \"red\", \"green\""},
        {"group = { choice = 1; };", 1, "choice must be a string"},
        {"items = { };", 1, "items must be a list"},
        {"items = ( 1 );", 1, "an item of items must be a group"},
        {"items = (\n { number = 1; } );", 2, "name is missing"},
        {"items = ( { name = \"a\"; },\n { name = \"b\"; nmae = \"c\"; } );", 2, "did you mean \"name\"?"},
        {"items = ( {name=\"a\";}, {name=\"b\";}, {name=\"c\";}, {name=\"d\";} );", 1, "items has 4 items; at most 3 fit"},
        {"texts = \"a\";", 1, "texts must be a list of strings"},
        {"texts = ( \"a\", 1 );", 1, "texts must be a string"},
        {"texts = [ \"a\", \"b\", \"c\" ];", 1, "texts has 3 items; at most 2 fit"},
        {"texts = [ \"12345678\" ];", 1, "texts is longer than 7 bytes"},
        {"entries = ( );", 1, "entries must be a group"},
        {"entries = { a = 1; b = 2; c = 3; };", 1, "entries has 3 entries; at most 2 fit"},
        {"entries = { a = [ 1 ]; };", 1, "a must be a string"},
        {"group = { text = \"a\" \n flag true; };", 2, "syntax error"},
        {"group = { flag = true; flag = false; };", 1, "duplicate"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e;
        char place[64];
        snprintf(place, sizeof place, "%s:%d: ", path, cases[i].line);
        if (load(cases[i].text, &e) == 0) fail_msg("accepted: %s", cases[i].text);
        if (e.code != ERR_BAD_REQUEST || strncmp(e.text, place, strlen(place)) != 0 || !strstr(e.text, cases[i].said))
            fail_msg("%s\nwas said to be: %s", cases[i].text, e.text);
    }
}

static void a_file_that_is_not_there(void **state attr_unused)
{
    struct err e;
    assert_int_equal(config_load("/nonexistent/trayd.conf", keys, &got, &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "/nonexistent/trayd.conf"));
}

/* ---- stores ------------------------------------------------------------------------------------------------------ */

static void there_is_always_a_store(void **state attr_unused)
{
    struct store_list list = {0};
    struct err e;
    assert_int_equal(store_list_check(&list, "f", &e), 0);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].name, "main");
    assert_string_equal(list.items[0].path, "/srv/trayd/images");
}

static void stores_are_found_by_name(void **state attr_unused)
{
    const struct store_list list = {.items = {{.name = "a", .path = "/a"}, {.name = "b", .path = "/b"}}, .count = 2}, none = {0};
    assert_ptr_equal(store_list_find(&list, ""), &list.items[0]);
    assert_ptr_equal(store_list_find(&list, "b"), &list.items[1]);
    assert_null(store_list_find(&list, "c"));
    assert_null(store_list_find(&list, "B"));
    assert_null(store_list_find(&none, ""));
}

static void stores_are_found_by_path(void **state attr_unused)
{
    const struct store_list list = {.items = {{.name = "a", .path = "/a"}, {.name = "b", .path = "/a/b/"}}, .count = 2};
    static const struct {
        const char *path;
        size_t store;
    } cases[] = {{"/a", 0}, {"/a/x", 0}, {"/a/b", 1}, {"/a/b/x", 1}, {"/a/bc", 0}, {"/ab", 2}, {"/", 2}, {"", 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (store_list_of_path(&list, cases[i].path) != cases[i].store) fail_msg("%s", cases[i].path);
    const struct store_list root = {.items = {{.name = "all", .path = "/"}}, .count = 1};
    assert_int_equal(store_list_of_path(&root, "/a/x"), 0);
}

static void stores_that_cannot_be_are_refused(void **state attr_unused)
{
    static const struct {
        struct store_config second;
        const char *said; /* NULL: good */
    } cases[] = {
        {{.name = "usb-1_A", .path = "/mnt"}, NULL},       {{.name = "", .path = "/mnt"}, "may have only"},
        {{.name = "a/b", .path = "/mnt"}, "may have only"}, {{.name = "..", .path = "/mnt"}, "may have only"},
        {{.name = "a b", .path = "/mnt"}, "may have only"}, {{.name = "x", .path = "mnt"}, "must be absolute"},
        {{.name = "x", .path = ""}, "must be absolute"},    {{.name = "main", .path = "/mnt"}, "two stores named \"main\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store_list list = {.items = {{.name = "main", .path = "/a"}, cases[i].second}, .count = 2};
        struct err e = {0};
        list.items[1].line = 12;
        int result = store_list_check(&list, "f.conf", &e);
        if (!cases[i].said) assert_int_equal(result, 0);
        if (cases[i].said && (result == 0 || !strstr(e.text, cases[i].said) || strncmp(e.text, "f.conf:12: ", 11) != 0))
            fail_msg("\"%s\" at \"%s\": %s", cases[i].second.name, cases[i].second.path, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_the_defaults),
        cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(items_begin_with_the_defaults),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(a_file_that_is_not_there),
        cmocka_unit_test(there_is_always_a_store),
        cmocka_unit_test(stores_are_found_by_name),
        cmocka_unit_test(stores_are_found_by_path),
        cmocka_unit_test(stores_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
