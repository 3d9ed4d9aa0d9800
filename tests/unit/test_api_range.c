/* Range: every form of RFC 9110, 14.1.2, and what is ignored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "api/range.h"
#include "base/util.h"

static void parse(attr_unused void **state)
{
    static const struct {
        const char *header;
        uint64_t size;
        enum range_kind kind;
        uint64_t first, length;
    } cases[] = {
        {NULL, 1000, RANGE_WHOLE, 0, 1000},
        {"bytes=0-499", 1000, RANGE_PART, 0, 500},
        {"bytes=500-999", 1000, RANGE_PART, 500, 500},
        {"bytes=500-", 1000, RANGE_PART, 500, 500},
        {"bytes=500-100000", 1000, RANGE_PART, 500, 500},
        {"bytes=999-999", 1000, RANGE_PART, 999, 1},
        {"Bytes=0-0", 1000, RANGE_PART, 0, 1},
        {"bytes= 1-2 ", 1000, RANGE_PART, 1, 2},
        {"bytes=-1", 1000, RANGE_PART, 999, 1},
        {"bytes=-1000", 1000, RANGE_PART, 0, 1000},
        {"bytes=-5000", 1000, RANGE_PART, 0, 1000},
        {"bytes=1000-", 1000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=1000-2000", 1000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 1000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-5", 0, RANGE_WHOLE, 0, 0},
        {"bytes=99999999999999999999-", 1000, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=1-99999999999999999999999999", 1000, RANGE_PART, 1, 999},
        {"bytes=18446744073709551615-", UINT64_MAX, RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-18446744073709551616", 1000, RANGE_PART, 0, 1000},
        {"bytes=0-18446744073709551615", UINT64_MAX, RANGE_PART, 0, UINT64_MAX},
        /* ignored: the whole */
        {"bytes=500-100", 1000, RANGE_WHOLE, 0, 1000},
        {"bytes=0-1,5-6", 1000, RANGE_WHOLE, 0, 1000},
        {"bytes=", 1000, RANGE_WHOLE, 0, 1000},
        {"bytes=-", 1000, RANGE_WHOLE, 0, 1000},
        {"bytes=a-b", 1000, RANGE_WHOLE, 0, 1000},
        {"bytes=1-2x", 1000, RANGE_WHOLE, 0, 1000},
        {"bytes=1", 1000, RANGE_WHOLE, 0, 1000},
        {"bytes", 1000, RANGE_WHOLE, 0, 1000},
        {"lines=1-2", 1000, RANGE_WHOLE, 0, 1000},
        {"", 1000, RANGE_WHOLE, 0, 1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct range r = range_parse(cases[i].header, cases[i].size);
        if (r.kind != cases[i].kind || r.first != cases[i].first || r.length != cases[i].length)
            fail_msg("'%s' of %llu: kind %d, %llu+%llu", cases[i].header ? cases[i].header : "(none)",
                     (unsigned long long)cases[i].size, (int)r.kind, (unsigned long long)r.first,
                     (unsigned long long)r.length);
    }
}

/* Whatever digits stand in it, a part never leaves the file. */
static void never_outside(attr_unused void **state)
{
    static const char *const numbers[] = {"", "0", "1", "9", "10", "11", "4294967296", "18446744073709551615",
                                          "184467440737095516150000"};
    for (uint64_t size = 0; size < 12; size++)
        for (size_t a = 0; a < ARRAY_LEN(numbers); a++)
            for (size_t b = 0; b < ARRAY_LEN(numbers); b++) {
                char header[80];
                snprintf(header, sizeof header, "bytes=%s-%s", numbers[a], numbers[b]);
                struct range r = range_parse(header, size);
                if (r.kind == RANGE_WHOLE) assert_int_equal(r.length, size);
                if (r.kind != RANGE_PART) continue;
                assert_true(r.length > 0 && r.first < size && r.length <= size - r.first);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parse), cmocka_unit_test(never_outside)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
