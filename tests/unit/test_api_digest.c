/* Repr-Digest and Content-Digest: the SHA-256 comes out as it went in, and nothing malformed passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "api/digest.h"

/* of the empty string */
#define EMPTY_BASE64 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define EMPTY_HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void found(attr_unused void **state)
{
    static const char *const values[] = {
        "sha-256=:" EMPTY_BASE64 ":",
        "  sha-256=:" EMPTY_BASE64 ":  ",
        "sha-512=:AAAA:, sha-256=:" EMPTY_BASE64 ":",
        "sha-256=:" EMPTY_BASE64 ":,md5=::",
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char hex[SHA256_HEX_SIZE] = "";
        struct err e;
        assert_int_equal(digest_parse("Repr-Digest", values[i], hex, &e), 1);
        assert_string_equal(hex, EMPTY_HEX);
    }
}

static void other_algorithms(attr_unused void **state)
{
    char hex[SHA256_HEX_SIZE];
    struct err e;
    assert_int_equal(digest_parse("Repr-Digest", "sha-512=:AAAA:, unixsum=:AA==:", hex, &e), 0);
}

static void malformed(attr_unused void **state)
{
    static const char *const values[] = {
        "", "sha-256", "sha-256=", "sha-256=:", "sha-256=::", "sha-256=:AAAA:", "sha-256=" EMPTY_BASE64,
        "sha-256=:" EMPTY_BASE64, "sha-256=:" EMPTY_BASE64 ":,", "sha-256=:" EMPTY_BASE64 ": x",
        "sha-256=:" EMPTY_BASE64 ":sha-512=:AAAA:", "SHA-256=:" EMPTY_BASE64 ":",
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA:",  /* no padding */
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=:",  /* bits left over */
        "sha-256=:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=:",  /* the URL's alphabet */
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu====:",
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char hex[SHA256_HEX_SIZE];
        struct err e = {0};
        if (digest_parse("Repr-Digest", values[i], hex, &e) != -1) fail_msg("'%s' passed", values[i]);
        assert_int_equal(e.code, ERR_BAD_REQUEST);
        assert_non_null(strstr(e.text, "Repr-Digest"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(found), cmocka_unit_test(other_algorithms),
                                       cmocka_unit_test(malformed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
