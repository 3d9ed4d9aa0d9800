/* Conditional requests: lists of entity tags, dates, and the order of RFC 9110, 13.2.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "api/conditions.h"

static void lists(attr_unused void **state)
{
    static const struct {
        const char *value;
        bool any;
        size_t count;
        const char *only;
    } good[] = {
        {"*", true, 0, ""},
        {" *", true, 0, ""},
        {"\"a\"", false, 1, "\"a\""},
        {"\"\"", false, 1, "\"\""},
        {" \"a,b\" ", false, 1, "\"a,b\""},
        {"W/\"a\"", false, 1, ""},
        {"\"a\", \"b\"", false, 2, ""},
        {"\"a\",,W/\"b\" ,", false, 2, ""},
    };
    static const char *const bad[] = {"", " ", ",", "a", "\"a", "a\"", "\"a\" \"b\"", "\"a\"b", "w/\"a\"", "*, \"a\"",
                                      "\"a\", *", "**", "\"a b\"", "'a'"};
    struct etag_list list;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (etag_list_parse("If-Match", good[i].value, &list, &e) < 0) fail_msg("'%s': %s", good[i].value, e.text);
        assert_int_equal(list.any, good[i].any);
        assert_int_equal(list.count, good[i].count);
        assert_string_equal(list.only, good[i].only);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (etag_list_parse("If-Match", bad[i], &list, &e) == 0) fail_msg("'%s' passed", bad[i]);
}

static void comparison(attr_unused void **state)
{
    assert_true(etag_list_has("\"a\"", "\"a\"", false));
    assert_true(etag_list_has("\"x\", \"a\"", "\"a\"", false));
    assert_true(etag_list_has("*", "", false));
    assert_false(etag_list_has("\"ab\"", "\"a\"", false));
    assert_false(etag_list_has("\"a\"", "\"ab\"", false));
    assert_false(etag_list_has("\"x, \\\"a\"", "\"a\"", false));
    assert_false(etag_list_has("W/\"a\"", "\"a\"", false));
    assert_true(etag_list_has("W/\"a\"", "\"a\"", true));
    assert_false(etag_list_has("\"a\"", "", false)); /* what has no tag at the moment equals no tag */
}

static void dates(attr_unused void **state)
{
    char text[HTTP_DATE_MAX];
    msec real = 0;
    assert_string_equal(http_date_format(784111777000, text), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_int_equal(http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT", &real), 0);
    assert_int_equal(real, 784111777000);
    static const char *const bad[] = {
        "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 9999999 08:49:37 GMT",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (http_date_parse(bad[i], &real) == 0) fail_msg("'%s' passed", bad[i]);
}

static int check(const struct conditions *c)
{
    struct err e = {0};
    return conditions_check(c, "\"now\"", 784111777250, &e); /* a fraction of a second that dates cannot carry */
}

static void precedence(attr_unused void **state)
{
    const char *then = "Sun, 06 Nov 1994 08:49:37 GMT", *before = "Sat, 05 Nov 1994 08:49:37 GMT";
    assert_int_equal(check(&(struct conditions){0}), CONDITIONS_HOLD);
    assert_int_equal(check(&(struct conditions){.if_match = "\"now\""}), CONDITIONS_HOLD);
    assert_int_equal(check(&(struct conditions){.if_match = "\"old\""}), CONDITIONS_FAIL);
    assert_int_equal(check(&(struct conditions){.if_match = "nonsense"}), -1);
    assert_int_equal(check(&(struct conditions){.if_none_match = "\"now\""}), CONDITIONS_UNCHANGED);
    assert_int_equal(check(&(struct conditions){.if_none_match = "W/\"now\""}), CONDITIONS_UNCHANGED);
    assert_int_equal(check(&(struct conditions){.if_none_match = "\"old\""}), CONDITIONS_HOLD);
    assert_int_equal(check(&(struct conditions){.if_none_match = "old"}), -1);
    assert_int_equal(check(&(struct conditions){.if_modified_since = then}), CONDITIONS_UNCHANGED);
    assert_int_equal(check(&(struct conditions){.if_modified_since = before}), CONDITIONS_HOLD);
    assert_int_equal(check(&(struct conditions){.if_modified_since = "yesterday"}), CONDITIONS_HOLD);
    assert_int_equal(check(&(struct conditions){.if_unmodified_since = then}), CONDITIONS_HOLD);
    assert_int_equal(check(&(struct conditions){.if_unmodified_since = before}), CONDITIONS_FAIL);
    /* a tag makes the date of its kind irrelevant */
    assert_int_equal(check(&(struct conditions){.if_none_match = "\"old\"", .if_modified_since = then}), CONDITIONS_HOLD);
    assert_int_equal(check(&(struct conditions){.if_match = "\"now\"", .if_unmodified_since = before}), CONDITIONS_HOLD);
    /* If-Match is first */
    assert_int_equal(check(&(struct conditions){.if_match = "\"old\"", .if_none_match = "\"now\""}), CONDITIONS_FAIL);
}

static void without_validators(attr_unused void **state)
{
    struct err e;
    assert_int_equal(conditions_check(&(struct conditions){.if_match = "\"a\""}, "", 0, &e), CONDITIONS_FAIL);
    assert_int_equal(conditions_check(&(struct conditions){.if_match = "*"}, "", 0, &e), CONDITIONS_HOLD);
    assert_int_equal(conditions_check(&(struct conditions){.if_none_match = "\"a\""}, "", 0, &e), CONDITIONS_HOLD);
    assert_int_equal(conditions_check(&(struct conditions){.if_modified_since = "Sun, 06 Nov 1994 08:49:37 GMT"}, "", 0, &e),
                     CONDITIONS_HOLD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists), cmocka_unit_test(comparison), cmocka_unit_test(dates),
                                       cmocka_unit_test(precedence), cmocka_unit_test(without_validators)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
