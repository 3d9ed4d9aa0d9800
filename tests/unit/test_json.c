/* JSON from outside: bounded, strict, and with errors that name what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/json.h"

static void exactly_one_object(void **state attr_unused)
{
    static const struct {
        const char *text;
        enum err_code code;
    } cases[] = {
        {"{}", ERR_NONE}, {" {\"a\": 1} ", ERR_NONE}, {"", ERR_BAD_REQUEST}, {" ", ERR_BAD_REQUEST}, {"[]", ERR_BAD_REQUEST},
        {"1", ERR_BAD_REQUEST}, {"null", ERR_BAD_REQUEST}, {"{", ERR_BAD_REQUEST}, {"{} {}", ERR_BAD_REQUEST}, {"{}x", ERR_BAD_REQUEST},
        {"{\"a\": 1, \"a\": 2}", ERR_BAD_REQUEST}, {"{\"a\": 01}", ERR_BAD_REQUEST}, {"{'a': 1}", ERR_BAD_REQUEST},
        {"{\"a\": \"\xff\"}", ERR_BAD_REQUEST}, {"{\"a\": NaN}", ERR_BAD_REQUEST}, {"{\"a\": 1e999}", ERR_BAD_REQUEST},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        cleanup_json json_t *o = json_parse_object(cases[i].text, strlen(cases[i].text), 100, &e);
        if ((o != NULL) != (cases[i].code == ERR_NONE) || e.code != cases[i].code)
            fail_msg("%s: %s, %s", cases[i].text, err_name(e.code), e.text);
    }
}

static void the_size_is_bounded_before_it_is_looked_at(void **state attr_unused)
{
    struct err e = {0};
    cleanup_json json_t *fits = json_parse_object("{}", 2, 2, &e);
    assert_non_null(fits);
    assert_null(json_parse_object("{} ", 3, 2, &e));
    assert_int_equal(e.code, ERR_TOO_LARGE);
}

static void depth_is_bounded(void **state attr_unused)
{
    static char deep[20000];
    struct err e = {0};
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    assert_null(json_parse_object(deep, sizeof deep, sizeof deep, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
}

/* ---- members ----------------------------------------------------------------------------------------------------- */

static struct {
    char text[8];
    bool flag, flag_given;
    int64_t number;
    msec duration;
    const json_t *members;
} got;

static int read_members(const char *text, struct err *e, json_t **ret_object)
{
    const struct json_member members[] = {
        {.name = "text", .kind = JSON_TEXT, .ret = got.text, .size = sizeof got.text, .required = true},
        {.name = "flag", .kind = JSON_FLAG, .ret = &got.flag, .ret_given = &got.flag_given},
        {.name = "number", .kind = JSON_NUMBER, .ret = &got.number, .min = -5, .max = 10},
        {.name = "duration", .kind = JSON_DURATION, .ret = &got.duration, .max = 60000},
        {.name = "members", .kind = JSON_MEMBERS, .ret = &got.members},
    };
    memset(&got, 0, sizeof got);
    strcpy(got.text, "before");
    got.number = got.duration = 77;
    *ret_object = json_loads(text, JSON_ALLOW_NUL, NULL);
    assert_non_null(*ret_object);
    return json_read(*ret_object, members, ARRAY_LEN(members), e);
}

static void members_are_read(void **state attr_unused)
{
    struct err e = {0};
    cleanup_json json_t *o = NULL, *empty = NULL;
    if (read_members("{\"text\": \"1234567\", \"flag\": true, \"number\": -5, \"duration\": 0.25, \"members\": {\"a\": 1}}", &e, &o) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(got.text, "1234567");
    assert_true(got.flag && got.flag_given);
    assert_int_equal(got.number, -5);
    assert_int_equal(got.duration, 250);
    assert_int_equal(json_int(got.members, "a", 0), 1);
    assert_int_equal(read_members("{\"text\": \"\"}", &e, &empty), 0);
    assert_string_equal(got.text, "");
    assert_false(got.flag_given);
    assert_int_equal(got.number, 77); /* what is absent is left as it was */
    assert_int_equal(got.duration, 77);
    assert_null(got.members);
}

static void what_is_wrong_is_named(void **state attr_unused)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"{}", "\"text\" is missing"},
        {"{\"text\": \"a\", \"flga\": true}", "did you mean \"flag\""},
        {"{\"text\": \"a\", \"xyzzy\": true}", "Unknown member \"xyzzy\""},
        {"{\"text\": 1}", "\"text\" must be a string"},
        {"{\"text\": null}", "\"text\" must be a string"},
        {"{\"text\": \"12345678\"}", "\"text\" has 8 bytes; at most 7 fit"},
        {"{\"text\": \"a\\u0000b\"}", "\"text\" contains U+0000"},
        {"{\"text\": \"a\", \"flag\": 1}", "\"flag\" must be true or false"},
        {"{\"text\": \"a\", \"flag\": \"true\"}", "\"flag\" must be true or false"},
        {"{\"text\": \"a\", \"number\": 11}", "\"number\" must be from -5 to 10"},
        {"{\"text\": \"a\", \"number\": -6}", "\"number\" must be from -5 to 10"},
        {"{\"text\": \"a\", \"number\": 1.0}", "\"number\" must be an integer"},
        {"{\"text\": \"a\", \"number\": \"1\"}", "\"number\" must be an integer"},
        {"{\"text\": \"a\", \"duration\": \"1 s\"}", "\"duration\" must be a number of seconds"},
        {"{\"text\": \"a\", \"duration\": 60.001}", "\"duration\" must be from 0 to 60 seconds"},
        {"{\"text\": \"a\", \"duration\": -1}", "\"duration\" must be from 0 to 60 seconds"},
        {"{\"text\": \"a\", \"members\": []}", "\"members\" must be an object"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        cleanup_json json_t *o = NULL;
        if (read_members(cases[i].text, &e, &o) == 0) fail_msg("accepted: %s", cases[i].text);
        if (e.code != ERR_BAD_REQUEST || !strstr(e.text, cases[i].said)) fail_msg("%s: %s", cases[i].text, e.text);
    }
}

/* ---- making and looking ------------------------------------------------------------------------------------------ */

static void values_are_put(void **state attr_unused)
{
    cleanup_json json_t *o = json_object();
    json_put_text(o, "text", "gr\xc3\xbc\xc3\x9f");
    json_put_text(o, "no_text", NULL);
    json_put_text(o, "no_utf8", "a\xff" "b");
    json_put_int(o, "int", INT64_MIN);
    json_put_flag(o, "flag", true);
    json_put_seconds(o, "seconds", 2000);
    json_put_seconds(o, "fraction", 2250);
    json_put_time(o, "time", 1795227000000);
    json_put_time(o, "never", 0);
    json_put(o, "null", NULL);
    cleanup_json json_t *wanted = json_loads(
        "{\"text\": \"gr\xc3\xbc\xc3\x9f\", \"no_text\": null, \"no_utf8\": \"a?b\", \"int\": -9223372036854775808, \"flag\": true, "
        "\"seconds\": 2, \"fraction\": 2.25, \"time\": \"2026-11-21T02:10:00Z\", \"never\": null, \"null\": null}", 0, NULL);
    assert_non_null(wanted);
    cleanup_free char *text = json_dumps(o, JSON_SORT_KEYS);
    if (!json_equal(o, wanted)) fail_msg("%s", text);
    json_put_int(o, "text", 1); /* replaces */
    assert_int_equal(json_int(o, "text", 0), 1);
}

static void equal_values_are_equal_texts(void **state attr_unused)
{
    cleanup_json json_t *o = json_pack("{s:f, s:i, s:[b, n]}", "b", 2.25, "a", 1, "c", 1);
    cleanup_free char *sorted = json_write(o, true);
    assert_string_equal(sorted, "{\"a\":1,\"b\":2.25,\"c\":[true,null]}");
    cleanup_json json_t *fraction = json_real(0.1);
    cleanup_free char *text = json_write(fraction, false);
    assert_string_equal(text, "0.1");
}

static void looking_never_fails(void **state attr_unused)
{
    cleanup_json json_t *o = json_loads("{\"text\": \"x\", \"int\": 5, \"flag\": true, \"null\": null}", 0, NULL);
    assert_string_equal(json_text(o, "text"), "x");
    assert_string_equal(json_text(o, "int"), "");
    assert_string_equal(json_text(o, "null"), "");
    assert_string_equal(json_text(NULL, "text"), "");
    assert_int_equal(json_int(o, "int", 9), 5);
    assert_int_equal(json_int(o, "text", 9), 9);
    assert_int_equal(json_int(NULL, "int", 9), 9);
    assert_true(json_flag(o, "flag"));
    assert_false(json_flag(o, "int"));
    assert_false(json_flag(NULL, "flag"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_one_object),
        cmocka_unit_test(the_size_is_bounded_before_it_is_looked_at),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(members_are_read),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(values_are_put),
        cmocka_unit_test(equal_values_are_equal_texts),
        cmocka_unit_test(looking_never_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
