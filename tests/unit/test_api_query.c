/* Query parameters: each kind, its limits, and doubled ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "api/query.h"

static const char *const colours[] = {"red", "green", NULL};

struct all {
    const char *text, *choice;
    bool flag, given;
    int64_t number;
    msec patience;
};

static int read_all(struct all *all, const char *name, const char *value, struct err *e)
{
    const struct query_param params[] = {
        {.name = "text", .kind = QUERY_TEXT, .ret = &all->text},
        {.name = "choice", .kind = QUERY_CHOICE, .ret = &all->choice, .choices = colours},
        {.name = "flag", .kind = QUERY_FLAG, .ret = &all->flag},
        {.name = "number", .kind = QUERY_NUMBER, .ret = &all->number, .min = 1, .max = 10},
        {.name = "patience", .kind = QUERY_DURATION, .ret = &all->patience, .max = 60000, .ret_given = &all->given},
    };
    struct api_request rq = {.query = {{name, value}}, .query_len = 1};
    *all = (struct all){.number = 5};
    *e = (struct err){0};
    return query_read(&rq, params, ARRAY_LEN(params), e);
}

static void accepted(attr_unused void **state)
{
    struct all all;
    struct err e;
    assert_int_equal(read_all(&all, "other", "1", &e), 0);
    assert_int_equal(all.number, 5);
    assert_false(all.given);
    assert_int_equal(read_all(&all, "text", "a b", &e), 0);
    assert_string_equal(all.text, "a b");
    assert_int_equal(read_all(&all, "choice", "green", &e), 0);
    assert_string_equal(all.choice, "green");
    assert_int_equal(read_all(&all, "flag", "true", &e), 0);
    assert_true(all.flag);
    assert_int_equal(read_all(&all, "number", "10", &e), 0);
    assert_int_equal(all.number, 10);
    assert_int_equal(read_all(&all, "patience", "0.25", &e), 0);
    assert_int_equal(all.patience, 250);
    assert_true(all.given);
    assert_int_equal(read_all(&all, "patience", "60", &e), 0);
    assert_int_equal(all.patience, 60000);
}

static void refused(attr_unused void **state)
{
    static const char *const cases[][2] = {
        {"text", ""}, {"choice", ""}, {"choice", "blue"}, {"choice", "Red"}, {"flag", "1"}, {"flag", "TRUE"}, {"flag", ""},
        {"number", "0"}, {"number", "11"}, {"number", "-1"}, {"number", "1.0"}, {"number", "0x5"}, {"number", " 5"},
        {"number", "99999999999999999999"}, {"number", ""}, {"patience", "-1"}, {"patience", "60.001"}, {"patience", "nan"},
        {"patience", "inf"}, {"patience", "1e1"}, {"patience", "0x1"}, {"patience", ""}, {"patience", "."},
        {"patience", "1.2.3"}, {"patience", "30 s"}, {"text", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct all all;
        struct err e;
        if (read_all(&all, cases[i][0], cases[i][1], &e) == 0) fail_msg("%s=%s passed", cases[i][0], cases[i][1]);
        assert_int_equal(e.code, ERR_BAD_REQUEST);
        assert_non_null(strstr(e.text, cases[i][0]));
    }
}

static void doubled(attr_unused void **state)
{
    bool flag = false;
    struct err e = {0};
    const struct query_param params[] = {{.name = "flag", .kind = QUERY_FLAG, .ret = &flag}};
    struct api_request rq = {.query = {{"flag", "true"}, {"flag", "true"}}, .query_len = 2};
    assert_int_equal(query_read(&rq, params, 1, &e), -1);
    assert_string_equal(e.text, "flag= is given twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(accepted), cmocka_unit_test(refused), cmocka_unit_test(doubled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
