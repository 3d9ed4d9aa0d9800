/* The header fields of tus: what is taken, and what is refused with which words. Base64 below them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "api/tus.h"

static void base64(attr_unused void **state)
{
    static const struct {
        const char *text, *bytes;
    } good[] = {{"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg==", "foob"}, {"+/+/", "\xfb\xff\xbf"}};
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zm9", "=", "====", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm-_"};
    uint8_t bytes[16];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(parse_base64(good[i].text, strlen(good[i].text), bytes, sizeof bytes), strlen(good[i].bytes));
        assert_memory_equal(bytes, good[i].bytes, strlen(good[i].bytes));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (parse_base64(bad[i], strlen(bad[i]), bytes, sizeof bytes) >= 0) fail_msg("'%s' is taken", bad[i]);
    assert_int_equal(parse_base64("Zm9v", 4, bytes, 3), 3);
    assert_int_equal(parse_base64("Zm9v", 4, bytes, 2), -1);
    assert_int_equal(parse_base64("Zm9v", 4, NULL, SIZE_MAX), 3);
}

static void metadata(attr_unused void **state)
{
    struct tus_metadata m;
    struct err e;
    assert_int_equal(tus_metadata_parse(NULL, &m, &e), 0);
    assert_string_equal(m.name, "");
    assert_int_equal(tus_metadata_parse("filename YQ==,store bWFpbi9zdWI=,other,flag ", &m, &e), 0);
    assert_string_equal(m.name, "a");
    assert_string_equal(m.store, "main/sub");
    assert_int_equal(tus_metadata_parse("name Yg==, filename YQ==", &m, &e), 0); /* a blank after the comma, as some do */
    assert_string_equal(m.name, "b");
    assert_int_equal(tus_metadata_parse("filename YQ==,name Yg==", &m, &e), 0);
    assert_string_equal(m.name, "b");
    static const char *const bad[] = {" ", ",", "a,,b", "filename YQ==,", "filename  YQ==", "filename YQ", "name AA==", "name /w==",
                                      "a YQ==,a YQ==", "\xc3\xa4 YQ==", "a\tb YQ==", "x YQ=", "a YQ== YQ=="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (tus_metadata_parse(bad[i], &m, &e) == 0) fail_msg("'%s' is taken", bad[i]);
        assert_int_equal(e.code, ERR_BAD_REQUEST);
    }
    char many[400] = "k0";
    for (int i = 1; i < 40; i++) sprintf(many + strlen(many), ",k%d", i);
    assert_int_equal(tus_metadata_parse(many, &m, &e), -1);
}

static void checksums(attr_unused void **state)
{
    struct tus_checksum c;
    struct err e;
    assert_int_equal(tus_checksum_parse(NULL, &c, &e), 0);
    assert_int_equal(c.algorithm, TUS_NO_CHECKSUM);
    assert_int_equal(tus_checksum_parse("md5 1B2M2Y8AsgTpgAmY7PhCfg==", &c, &e), 0);
    assert_int_equal(c.algorithm, TUS_MD5);
    assert_int_equal(c.len, 16);
    assert_int_equal(c.bytes[0], 0xd4);
    static const char *const bad[] = {"", "md5", "md5 ", "sha1 1B2M2Y8AsgTpgAmY7PhCfg==", "MD5 1B2M2Y8AsgTpgAmY7PhCfg==",
                                      "md 1B2M2Y8AsgTpgAmY7PhCfg==", "md5  1B2M2Y8AsgTpgAmY7PhCfg=="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (tus_checksum_parse(bad[i], &c, &e) == 0) fail_msg("'%s' is taken", bad[i]);
}

static void numbers(attr_unused void **state)
{
    int64_t n = 7;
    struct err e;
    assert_int_equal(tus_number("Upload-Offset", "9223372036854775807", &n, &e), 0);
    assert_true(n == INT64_MAX);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (tus_number("Upload-Offset", bad[i], &n, &e) == 0) fail_msg("'%s' is taken", bad[i]);
    assert_int_equal(tus_number("Upload-Offset", NULL, &n, &e), -1);
    assert_true(n == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64), cmocka_unit_test(metadata), cmocka_unit_test(checksums), cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
