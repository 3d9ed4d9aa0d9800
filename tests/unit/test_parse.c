/* Numbers, sizes, durations and names: the whole string or nothing, and exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/parse.h"

struct number_case {
    const char *text;
    int64_t value; /* -1: must fail */
};

static void numbers(void **state attr_unused)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", true, 0},           {"7", true, 7},  {"007", true, 7}, {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0}, {"99999999999999999999", false, 0}, {"", false, 0}, {" 1", false, 0}, {"1 ", false, 0},
        {"+1", false, 0},         {"-1", false, 0}, {"0x10", false, 0}, {"1.0", false, 0}, {"1e3", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 4711;
        int result = parse_u64(cases[i].text, &value);
        if (result != (cases[i].good ? 0 : -1) || value != (cases[i].good ? cases[i].value : 4711))
            fail_msg("\"%s\": %d, %llu", cases[i].text, result, (unsigned long long)value);
    }
}

static void sizes(void **state attr_unused)
{
    static const struct number_case cases[] = {
        {"0", 0}, {"512", 512}, {"512B", 512}, {"512 B", 512}, {"8 GiB", 8ll << 30}, {"8GiB", 8ll << 30}, {"8G", 8ll << 30},
        {"1K", 1024}, {"1 KiB", 1024}, {"1 kB", 1000}, {"1KB", 1000}, {"700MB", 700000000}, {"2.4 GB", 2400000000},
        {"1.5 KiB", 1536}, {"0.5K", 512}, {"2 TiB", 2ll << 40}, {"1 TB", 1000000000000}, {"9223372036854775807", INT64_MAX},
        {"9223372036854775808", -1}, {"8388608 TiB", -1}, {"99999999 TiB", -1}, {"", -1}, {"B", -1}, {"1  B", -1}, {" 1", -1},
        {"1 ", -1}, {"1 b", -1}, {"1 gb", -1}, {"1 Gb", -1}, {"-1", -1}, {"1.", -1}, {".5K", -1}, {"1.5", -1}, {"0.3 KiB", -1},
        {"0.0000001 GB", -1}, {"1e3", -1}, {"1 K x", -1}, {"0x10", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t value = 4711;
        int result = parse_size(cases[i].text, &value);
        bool good = cases[i].value >= 0;
        if (result != (good ? 0 : -1) || value != (good ? (uint64_t)cases[i].value : 4711))
            fail_msg("\"%s\": %d, %llu", cases[i].text, result, (unsigned long long)value);
    }
}

static void durations(void **state attr_unused)
{
    static const struct number_case cases[] = {
        {"30 s", 30000}, {"250 ms", 250}, {"250ms", 250}, {"5 min", 300000}, {"2 h", 7200000}, {"1 d", 86400000}, {"1.5 s", 1500},
        {"25", 25000}, {"0.25", 250}, {"0", 0}, {"0.001 s", 1}, {"0.0001 s", -1}, {"0.5 ms", -1}, {"", -1}, {"s", -1}, {"-1 s", -1},
        {"5 m", -1}, {"5 sec", -1}, {"1 s ", -1}, {"99999999999999999 d", -1}, {"9223372036854775807 ms", -1}, {"inf", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        msec value = 4711;
        int result = parse_duration(cases[i].text, &value);
        bool good = cases[i].value >= 0;
        if (result != (good ? 0 : -1) || value != (good ? cases[i].value : 4711))
            fail_msg("\"%s\": %d, %lld", cases[i].text, result, (long long)value);
    }
}

static void booleans(void **state attr_unused)
{
    bool value = false;
    assert_int_equal(parse_bool("true", &value), 0);
    assert_true(value);
    static const char *const bad[] = {"", "1", "True", "yes", "true ", "tru"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_int_equal(parse_bool(bad[i], &value), -1);
    assert_true(value);
    assert_int_equal(parse_bool("false", &value), 0);
    assert_false(value);
}

/* RFC 3629; the bad ones are those that decoders are known to let through. */
static void utf8(void **state attr_unused)
{
    static const char *const good[] = {"", "abc", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                       "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "gr\xc3\xbc\xc3\x9f"};
    static const char *const bad[] = {
        "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xe0\xa0", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff", "a\xe2\x82"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!parse_is_utf8(good[i], strlen(good[i]))) fail_msg("good %zu", i);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (parse_is_utf8(bad[i], strlen(bad[i]))) fail_msg("bad %zu", i);
    assert_false(parse_is_utf8("a\0b", 3));
    assert_true(parse_is_utf8("\xc3\xbc" "x", 2));
    assert_false(parse_is_utf8("\xc3\xbc", 1)); /* not beyond its length */
}

static void names(void **state attr_unused)
{
    char longest[258];
    memset(longest, 'n', sizeof longest);
    longest[255] = '\0';
    const char *const good[] = {"a", "debian-12.iso", "a b", "a.", "a..b", "gr\xc3\xbc\xc3\x9f.iso",
                                longest, "-", "~", "a\\b", "\xf0\x9f\x92\xbf"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err e = {0};
        if (name_check(good[i], &e) < 0) fail_msg("\"%s\": %s", good[i], e.text);
    }
    longest[255] = 'n';
    longest[256] = '\0';
    static const char *const refused[] = {
        "", ".", "..", ".a", "a/b", "/", "a\n", "a\tb", "a\x7f", "\x1b[31m", "a\xff", "\xc3", "\xc2\x85", "a\xe2\x80\xae" "b",
        "a\xe2\x81\xa6", "\xef\xbb\xbf" "a", "a\xe2\x80\xa8", "a\xe2\x80\x8e"};
    struct err e;
    assert_int_equal(name_check(longest, &e), -1);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        e.code = ERR_NONE;
        if (name_check(refused[i], &e) == 0 || e.code != ERR_INVALID_NAME) fail_msg("\"%s\" was accepted", refused[i]);
    }
}

static void hexadecimal(void **state attr_unused)
{
    uint8_t bytes[4] = {1, 2, 3, 4};
    char text[9];
    assert_int_equal(parse_hex("00fFA5", bytes, 3), 0);
    assert_memory_equal(bytes, "\x00\xff\xa5\x04", 4);
    parse_to_hex(bytes, 4, text);
    assert_string_equal(text, "00ffa504");
    static const char *const bad[] = {"", "00ff", "00ffa", "00ffa500", "00ffag", "0x00ff", "00 ffa"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) assert_int_equal(parse_hex(bad[i], bytes, 3), -1);
    assert_memory_equal(bytes, "\x00\xff\xa5\x04", 4); /* untouched */
    parse_to_hex(bytes, 0, text);
    assert_string_equal(text, "");
}

static void the_nearest_word_is_offered_where_one_is_near(void **state attr_unused)
{
    static const char *const known[] = {"readonly", "reattach", "mode", "patience"};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"readonly", "readonly"}, {"read_only", "readonly"}, {"redaonly", "readonly"}, {"reatach", "reattach"}, {"pateince", "patience"},
        {"mod", "mode"}, {"Mode", "mode"}, {"xyz", NULL}, {"image", NULL}, {"", NULL},
        {"a word that is longer than anything that could be meant", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *found = parse_nearest(cases[i].word, known, ARRAY_LEN(known));
        if ((found == NULL) != (cases[i].nearest == NULL) || (found && strcmp(found, cases[i].nearest) != 0))
            fail_msg("\"%s\": %s", cases[i].word, found ? found : "nothing");
    }
    assert_null(parse_nearest("mode", known, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),  cmocka_unit_test(sizes), cmocka_unit_test(durations),   cmocka_unit_test(booleans),
        cmocka_unit_test(utf8),     cmocka_unit_test(names), cmocka_unit_test(hexadecimal),
        cmocka_unit_test(the_nearest_word_is_offered_where_one_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
