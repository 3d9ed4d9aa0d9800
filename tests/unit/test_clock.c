/* Times as text, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"

static const struct {
    const char *text;
    msec real;
} pairs[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"2026-11-21T02:10:00Z", 1795227000000},
    {"2026-11-21T02:10:00.250Z", 1795227000250},
    {"2026-11-21T02:10:00.001Z", 1795227000001},
    {"2024-02-29T23:59:59.999Z", 1709251199999},
    {"2038-01-19T03:14:08Z", 2147483648000},
    {"1969-12-31T23:59:59.500Z", -500},
    {"9999-12-31T23:59:59Z", 253402300799000},
};

static void there_and_back(void **state attr_unused)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char text[CLOCK_TEXT_MAX];
        msec real = 1;
        assert_string_equal(clock_format_rfc3339(pairs[i].real, text), pairs[i].text);
        assert_int_equal(clock_parse_rfc3339(pairs[i].text, &real), 0);
        assert_int_equal(real, pairs[i].real);
    }
}

static void other_ways_to_say_it(void **state attr_unused)
{
    static const char *const same[] = {
        "2026-11-21T02:10:00+00:00", "2026-11-21t02:10:00z", "2026-11-21 02:10:00Z", "2026-11-21T03:10:00+01:00",
        "2026-11-20T20:40:00-05:30", "2026-11-21T02:10:00.0Z", "2026-11-21T02:10:00.0004Z", "2026-11-21T02:09:60Z"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        msec real = 1;
        if (clock_parse_rfc3339(same[i], &real) < 0 || real != 1795227000000) fail_msg("%s: %lld", same[i], (long long)real);
    }
}

static void what_is_no_time(void **state attr_unused)
{
    static const char *const bad[] = {
        "", "2026", "2026-11-21", "2026-11-21T02:10:00", "2026-11-21T02:10Z", "2026-13-21T02:10:00Z", "2026-00-21T02:10:00Z",
        "2026-04-31T00:00:00Z", "2025-02-29T00:00:00Z", "2026-11-00T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T02:60:00Z",
        "2026-11-21T02:10:61Z", "2026-11-21T02:10:00.Z", "2026-11-21T02:10:00ZZ", "2026-11-21T02:10:00Z ", " 2026-11-21T02:10:00Z",
        "2026-11-21T02:10:00+1:00", "2026-11-21T02:10:00+24:00", "2026-11-21T02:10:00+01:60", "2026-11-21T02:10:00+01",
        "26-11-21T02:10:00Z", "2026-1-21T02:10:00Z", "-026-11-21T02:10:00Z", "2026/11/21T02:10:00Z", "tomorrow"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        msec real = 4711;
        if (clock_parse_rfc3339(bad[i], &real) == 0 || real != 4711) fail_msg("\"%s\" was accepted", bad[i]);
    }
}

static void the_clocks_go_forward(void **state attr_unused)
{
    msec boot = clock_boot_ms(), real = clock_real_ms();
    usleep(5000);
    assert_true(clock_boot_ms() - boot >= 4);
    assert_true(clock_real_ms() > real);
    assert_true(real > 1600000000000); /* milliseconds, not seconds */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(other_ways_to_say_it), cmocka_unit_test(what_is_no_time),
        cmocka_unit_test(the_clocks_go_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
