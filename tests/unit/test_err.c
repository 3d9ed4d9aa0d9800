/* The vocabulary of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void every_code_is_complete(void **state attr_unused)
{
    for (int i = 1; i < ERR_COUNT; i++) {
        enum err_code code = (enum err_code)i;
        const char *remedy = err_remedy(code);
        assert_int_equal(err_from_name(err_name(code)), code); /* so the names differ */
        assert_int_equal(strspn(err_name(code), "abcdefghijklmnopqrstuvwxyz_"), strlen(err_name(code)));
        assert_true(err_status(code) >= 400 && err_status(code) < 600);
        assert_true(strlen(err_title(code)) > 3);
        if (remedy[0] == '\0' || remedy[strlen(remedy) - 1] != '.') fail_msg("%s has no sentence for a remedy", err_name(code));
    }
}

static void what_is_not_in_the_table_is_internal(void **state attr_unused)
{
    assert_int_equal(err_from_name("nonsense"), ERR_INTERNAL);
    assert_int_equal(err_from_name(""), ERR_INTERNAL);
    assert_int_equal(err_from_name(NULL), ERR_INTERNAL);
    assert_string_equal(err_name((enum err_code)9999), err_name(ERR_INTERNAL));
    assert_string_equal(err_name((enum err_code)-1), err_name(ERR_INTERNAL));
    assert_string_equal(err_name(ERR_NONE), "ok");
    assert_int_equal(err_status(ERR_NONE), 200);
}

static void an_error_has_code_number_and_text(void **state attr_unused)
{
    struct err e = {.errnum = 7};
    assert_int_equal(err_set(&e, ERR_NOT_FOUND, "no %s in %d", "drive", 3), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_int_equal(e.errnum, 0);
    assert_string_equal(e.text, "no drive in 3");
    assert_int_equal(err_set_errno(&e, ERR_INTERNAL, ENOENT, "Cannot open %s", "x"), -1);
    assert_int_equal(e.errnum, ENOENT);
    assert_string_equal(e.text, "Cannot open x: No such file or directory");
    assert_int_equal(err_prefix(&e, "store %s", "main"), -1);
    assert_string_equal(e.text, "store main: Cannot open x: No such file or directory");
    assert_int_equal(e.code, ERR_INTERNAL);
    assert_int_equal(err_set(NULL, ERR_INTERNAL, "nobody wants to know"), -1);
    assert_int_equal(err_set_errno(NULL, ERR_INTERNAL, 1, "nor this"), -1);
    assert_int_equal(err_prefix(NULL, "nor this"), -1);
}

/* The sanitizers look on. */
static void long_texts_are_cut(void **state attr_unused)
{
    struct err e;
    char text[2 * ERR_TEXT_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    err_set(&e, ERR_INTERNAL, "%s", text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    err_prefix(&e, "short");
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    assert_memory_equal(e.text, "short: xx", 9);
    err_set_errno(&e, ERR_INTERNAL, ENOENT, "%s", text);
    assert_int_equal(strlen(e.text), ERR_TEXT_MAX - 1);
    err_prefix(&e, "%s", text);
    assert_true(strlen(e.text) < ERR_TEXT_MAX);
    err_set(&e, ERR_INTERNAL, "tail");
    err_prefix(&e, "%s", text);
    assert_string_equal(e.text + strlen(e.text) - 6, ": tail");
}

static void numbers_become_codes_and_words(void **state attr_unused)
{
    assert_int_equal(err_code_for_errno(ENOENT), ERR_NOT_FOUND);
    assert_int_equal(err_code_for_errno(EEXIST), ERR_EXISTS);
    assert_int_equal(err_code_for_errno(ENOSPC), ERR_NO_SPACE);
    assert_int_equal(err_code_for_errno(EDQUOT), ERR_NO_SPACE);
    assert_int_equal(err_code_for_errno(EROFS), ERR_STORE_READ_ONLY);
    assert_int_equal(err_code_for_errno(ENOMEM), ERR_UNAVAILABLE);
    assert_int_equal(err_code_for_errno(EIO), ERR_INTERNAL);
    assert_string_equal(err_strerror(EBUSY), "Device or resource busy");
    assert_non_null(strstr(err_strerror(525), "too small"));
    assert_string_equal(err_strerror(99999), "Unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_complete), cmocka_unit_test(what_is_not_in_the_table_is_internal),
        cmocka_unit_test(an_error_has_code_number_and_text), cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(numbers_become_codes_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
