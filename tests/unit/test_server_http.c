/* What the HTTP transport decides before libmicrohttpd or a handler is asked: heads, targets, fields, origins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "server/http_head.h"
#include "server/http_origin.h"
#include "server/http_target.h"

#define HOST "Host: localhost:8080\r\n"

/* ---- heads ---- */

static const struct {
    const char *bytes;
    enum http_head verdict;
    enum err_code code; /* of BAD */
} heads[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n", HTTP_HEAD_OK, 0},
    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", HTTP_HEAD_OK, 0},
    {"GET / HTTP/1.0\r\n\r\n", HTTP_HEAD_OK, 0},
    {"PUT /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\n\0abcd", HTTP_HEAD_OK, 0},
    {"GET / HTTP/1.1\r\n" HOST "X:  a b \t\r\n\r\n", HTTP_HEAD_OK, 0},
    {"", HTTP_HEAD_MORE, 0},
    {"G", HTTP_HEAD_MORE, 0},
    {"GET / HTTP/1.1\r\n" HOST, HTTP_HEAD_MORE, 0},
    {"GET / HTTP/1.1\r\n" HOST "\r", HTTP_HEAD_MORE, 0},
    {"\x16\x03\x01\x02", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\n" HOST, HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET /\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET  / HTTP/1.1\r\n" HOST "\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / x HTTP/1.1\r\n" HOST "\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/2.0\r\n" HOST "\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"G(T / HTTP/1.1\r\n" HOST "\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET /\x01 HTTP/1.1\r\n" HOST "\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
    {"GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", HTTP_HEAD_BAD, ERR_BAD_REQUEST},
};

static enum http_head check_head(const char *bytes, size_t len, struct err *e)
{
    /* exactly as large as promised, for the address sanitizer */
    char *copy = malloc(len + 1);
    memcpy(copy, bytes, len);
    enum http_head verdict = http_head_check(copy, len, e);
    free(copy);
    return verdict;
}

static void judges_heads(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct err e = {0};
        enum http_head verdict = check_head(heads[i].bytes, strlen(heads[i].bytes), &e);
        if (verdict != heads[i].verdict) fail_msg("head %zu: %d (%s): %s", i, (int)verdict, e.text, heads[i].bytes);
        if (verdict == HTTP_HEAD_BAD) assert_int_equal(e.code, heads[i].code);
    }
}

static void judges_heads_that_come_bytewise(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct err e;
        if (heads[i].verdict != HTTP_HEAD_OK) continue;
        const char *end = strstr(heads[i].bytes + 2, "\r\n\r\n");
        size_t whole = (size_t)(end - heads[i].bytes) + 4;
        for (size_t len = 0; len < whole; len++) assert_int_equal(check_head(heads[i].bytes, len, &e), HTTP_HEAD_MORE);
        assert_int_equal(check_head(heads[i].bytes, whole, &e), HTTP_HEAD_OK);
    }
}

static void refuses_nul_in_a_head(attr_unused void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
    struct err e;
    assert_int_equal(check_head(head, sizeof head - 1, &e), HTTP_HEAD_BAD);
}

static void bounds_heads(attr_unused void **state)
{
    struct err e;
    char *large = malloc(HTTP_HEAD_BYTES_MAX + 100);
    memset(large, 'a', HTTP_HEAD_BYTES_MAX);
    memcpy(large, "GET /", 5);
    assert_int_equal(check_head(large, HTTP_HEAD_BYTES_MAX - 1, &e), HTTP_HEAD_MORE);
    assert_int_equal(check_head(large, HTTP_HEAD_BYTES_MAX, &e), HTTP_HEAD_BAD);
    assert_int_equal(e.code, ERR_URI_TOO_LONG);
    memcpy(large, "GET / HTTP/1.1\r\nX: ", 19);
    assert_int_equal(check_head(large, HTTP_HEAD_BYTES_MAX, &e), HTTP_HEAD_BAD);
    assert_int_equal(e.code, ERR_HEADERS_TOO_LARGE);
    memset(large, 'a', HTTP_HEAD_BYTES_MAX);
    memcpy(large, "GET /", 5);
    strcpy(large + HTTP_TARGET_MAX + 10, " HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(check_head(large, strlen(large), &e), HTTP_HEAD_BAD);
    assert_int_equal(e.code, ERR_URI_TOO_LONG);
    free(large);
}

/* ---- targets ---- */

static const struct {
    const char *raw;
    const char *segments; /* joined by '|'; NULL: refused */
} targets[] = {
    {"/", ""},
    {"/healthz", "healthz"},
    {"/a/b%20c/d", "a|b c|d"},
    {"/a%25b", "a%b"},
    {"/a+b", "a+b"},
    {"/%C3%A4", "\xc3\xa4"},
    {"/...", "..."},
    {"/a?x=1", "a"},
    {"/?x=/../", ""},
    {"", NULL},
    {"*", NULL},
    {"http://localhost/", NULL},
    {"a", NULL},
    {"//", NULL},
    {"/a//b", NULL},
    {"/a/", NULL},
    {"/.", NULL},
    {"/a/../b", NULL},
    {"/%2e%2e/b", NULL},
    {"/a%2fb", NULL},
    {"/a%2Fb", NULL},
    {"/a%5cb", NULL},
    {"/a\\b", NULL},
    {"/a%00", NULL},
    {"/a%0a", NULL},
    {"/a%7f", NULL},
    {"/a%", NULL},
    {"/a%4", NULL},
    {"/a%4/b", NULL},
    {"/a%zz", NULL},
    {"/a b", NULL},
    {"/a#b", NULL},
    {"/\xc3\xa4", NULL},
    {"/%ff", NULL},
    {"/%c0%af", NULL},
    {"/%ed%a0%80", NULL},
    {"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", NULL},
};

static void splits_targets(attr_unused void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        struct http_target t;
        struct err e = {0};
        char joined[200] = "";
        int result = http_target_parse(targets[i].raw, &t, &e);
        if ((result == 0) != (targets[i].segments != NULL)) fail_msg("\"%s\": %d %s", targets[i].raw, result, e.text);
        for (size_t k = 0; result == 0 && k < t.segments_len; k++) {
            if (k) strcat(joined, "|");
            strcat(joined, t.segments[k]);
        }
        if (result == 0) assert_string_equal(joined, targets[i].segments);
        http_target_done(&t);
    }
}

static void keeps_the_path_as_it_came(attr_unused void **state)
{
    struct http_target t;
    struct err e;
    assert_int_equal(http_target_parse("/a%20b?x=1", &t, &e), 0);
    assert_string_equal(t.raw, "/a%20b");
    http_target_done(&t);
}

static void reads_the_query(attr_unused void **state)
{
    struct http_target t;
    struct err e;
    assert_int_equal(http_target_parse("/a?q=x+y%2Bz&empty=&flag&n=a=b", &t, &e), 0);
    assert_int_equal(t.query_len, 4);
    assert_string_equal(t.query[0].name, "q");
    assert_string_equal(t.query[0].value, "x y+z");
    assert_string_equal(t.query[1].value, "");
    assert_string_equal(t.query[2].name, "flag");
    assert_string_equal(t.query[2].value, "");
    assert_string_equal(t.query[3].value, "a=b");
    http_target_done(&t);
    static const char *const bad[] = {"/?a=1&a=2", "/?=1", "/?a=%00", "/?a=%0d%0a", "/?a=%ff", "/?a=%", "/?a&&b",
                                      "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (http_target_parse(bad[i], &t, &e) == 0) fail_msg("accepted: %s", bad[i]);
        assert_int_equal(e.code, ERR_BAD_REQUEST);
        http_target_done(&t);
    }
}

static void names_unknown_parameters(attr_unused void **state)
{
    static const char *const known[] = {"patience", "mode", NULL};
    struct http_target t;
    struct err e;
    assert_int_equal(http_target_parse("/a?mode=x&patience=1", &t, &e), 0);
    assert_int_equal(http_target_check_query(&t, known, &e), 0);
    assert_int_equal(http_target_check_query(&t, NULL, &e), -1);
    http_target_done(&t);
    assert_int_equal(http_target_parse("/a?patienc=1", &t, &e), 0);
    assert_int_equal(http_target_check_query(&t, known, &e), -1);
    assert_non_null(strstr(e.text, "did you mean \"patience\""));
    http_target_done(&t);
}

/* ---- fields ---- */

static int check_fields(const char *const *pairs, bool http_1_1, struct http_body *body, struct err *e)
{
    struct http_fields f = {0};
    for (; pairs[0]; pairs += 2) http_fields_add(&f, pairs[0], pairs[1]);
    return http_fields_check(&f, http_1_1, body, e);
}

#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void reads_the_framing(attr_unused void **state)
{
    struct http_body b;
    struct err e;
    assert_int_equal(check_fields(FIELDS("Host", "a"), true, &b, &e), 0);
    assert_false(b.present || b.declared);
    assert_int_equal(check_fields(FIELDS("Host", "a", "content-length", "0"), true, &b, &e), 0);
    assert_true(b.declared && !b.present && b.length == 0);
    assert_int_equal(check_fields(FIELDS("Host", "a", "Content-Length", "17"), true, &b, &e), 0);
    assert_true(b.declared && b.present && b.length == 17);
    assert_int_equal(check_fields(FIELDS("Host", "a", "Transfer-Encoding", "Chunked"), true, &b, &e), 0);
    assert_true(b.declared && b.present && b.length == -1);
}

static void refuses_ambiguous_framing(attr_unused void **state)
{
    static const char *const bad[][8] = {
        {"X", "no host"},
        {"Host", "a", "Host", "a"},
        {"Host", "a", "Content-Length", "1", "Content-Length", "1"},
        {"Host", "a", "Content-Length", "1", "Transfer-Encoding", "chunked"},
        {"Host", "a", "Transfer-Encoding", "gzip, chunked"},
        {"Host", "a", "Transfer-Encoding", "identity"},
        {"Host", "a", "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"},
        {"Host", "a", "Content-Length", "-1"},
        {"Host", "a", "Content-Length", "+1"},
        {"Host", "a", "Content-Length", "1, 1"},
        {"Host", "a", "Content-Length", ""},
        {"Host", "a", "Content-Length", "0x10"},
        {"Host", "a", "Content-Length", "99999999999999999999"},
        {"Host", "a", "Content-Length", "9223372036854775808"},
        {"Host", "a", "Content-Length ", "1"},
        {"Host", "a", "Expect", "magic"},
        {"Host", "a", "X", "a\x01"},
    };
    struct http_body b;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (check_fields(bad[i], true, &b, &e) == 0) fail_msg("accepted: %zu", i);
    assert_int_equal(check_fields(FIELDS("Transfer-Encoding", "chunked"), false, &b, &e), -1);
    assert_int_equal(check_fields(FIELDS("X", "no host"), false, &b, &e), 0);
}

static void bounds_the_fields(attr_unused void **state)
{
    struct http_fields f = {0};
    struct http_body b;
    struct err e;
    http_fields_add(&f, "Host", "a");
    for (int i = 1; i < HTTP_FIELDS_MAX; i++) http_fields_add(&f, "X", "y");
    assert_int_equal(http_fields_check(&f, true, &b, &e), 0);
    http_fields_add(&f, "X", "y");
    assert_int_equal(http_fields_check(&f, true, &b, &e), -1);
    assert_int_equal(e.code, ERR_HEADERS_TOO_LARGE);
}

static void knows_json(attr_unused void **state)
{
    static const struct {
        const char *type;
        bool json;
    } types[] = {{"application/json", true},          {"Application/JSON; charset=utf-8", true},
                 {"application/json ;x=y", true},     {"application/jsonp", false},
                 {"application/problem+json", false}, {"text/plain", false}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct http_fields f = {0};
        http_fields_add(&f, "Content-Type", types[i].type);
        assert_int_equal(http_fields_is_json(&f), types[i].json);
    }
    assert_false(http_fields_is_json(&(struct http_fields){0}));
}

/* ---- origins ---- */

static const struct http_origin ours = {.port = 8080, .hosts = {"kvm.example.org", "Other:8443"}, .hosts_len = 2};

static enum err_code judge(const struct http_origin *o, enum api_method m, const char *path, const char *const *pairs)
{
    struct http_fields f = {0};
    struct err e;
    for (; pairs[0]; pairs += 2) http_fields_add(&f, pairs[0], pairs[1]);
    return http_origin_check(o, m, path, &f, &e) == 0 ? ERR_NONE : e.code;
}

static void knows_its_hosts(attr_unused void **state)
{
    static const struct {
        const char *host;
        enum err_code code;
    } hosts[] = {
        {"localhost:8080", 0},
        {"LOCALHOST:8080", 0},
        {"localhost.:8080", 0},
        {"127.0.0.1:8080", 0},
        {"127.1.2.3:8080", 0},
        {"[::1]:8080", 0},
        {"x.localhost:8080", 0},
        {"kvm.example.org", 0},
        {"kvm.example.org:9999", 0},
        {"other:8443", 0},
        {"other", ERR_MISDIRECTED},
        {"localhost", ERR_MISDIRECTED},
        {"localhost:80", ERR_MISDIRECTED},
        {"evil.org:8080", ERR_MISDIRECTED},
        {"127.0.0.1.evil.org:8080", ERR_MISDIRECTED},
        {"localhost.evil.org:8080", ERR_MISDIRECTED},
        {"10.0.0.1:8080", ERR_MISDIRECTED},
        {"", ERR_BAD_REQUEST},
        {":8080", ERR_BAD_REQUEST},
        {"localhost:", ERR_BAD_REQUEST},
        {"localhost:0", ERR_BAD_REQUEST},
        {"localhost:99999", ERR_BAD_REQUEST},
        {"a@localhost:8080", ERR_BAD_REQUEST},
        {"localhost:8080/x", ERR_BAD_REQUEST},
        {"[::1", ERR_BAD_REQUEST},
        {"[::1]x:8080", ERR_BAD_REQUEST},
        {"local host", ERR_BAD_REQUEST},
    };
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        enum err_code code = judge(&ours, API_GET, "/", FIELDS("Host", hosts[i].host));
        if (code != hosts[i].code) fail_msg("\"%s\": %s", hosts[i].host, err_name(code));
    }
    struct http_origin local = {.port = 0};
    assert_int_equal(judge(&local, API_GET, "/", FIELDS("Host", "localhost")), ERR_NONE);
    assert_int_equal(judge(&local, API_GET, "/", FIELDS("Host", "evil.org")), ERR_MISDIRECTED);
}

static void keeps_other_pages_out(attr_unused void **state)
{
    static const struct {
        enum api_method method;
        const char *path, *fields[8];
        enum err_code code;
    } cases[] = {
        {API_PUT, "/x", {"Host", "localhost:8080", "Origin", "http://localhost:8080"}, 0},
        {API_PUT, "/x", {"Host", "kvm.example.org", "Origin", "https://kvm.example.org"}, 0},
        {API_PUT, "/x", {"Host", "kvm.example.org", "Origin", "https://kvm.example.org:8443"}, ERR_FORBIDDEN},
        {API_PUT, "/x", {"Host", "kvm.example.org", "Origin", "http://kvm.example.org"}, 0},
        {API_PUT, "/x", {"Host", "kvm.example.org:443", "Origin", "https://kvm.example.org"}, 0},
        {API_PUT, "/x", {"Host", "localhost:8080", "Origin", "http://localhost:3000"}, ERR_FORBIDDEN},
        {API_PUT, "/x", {"Host", "localhost:8080", "Origin", "http://127.0.0.1:8080"}, ERR_FORBIDDEN},
        {API_PUT, "/x", {"Host", "localhost:8080", "Origin", "null"}, ERR_FORBIDDEN},
        {API_PUT, "/x", {"Host", "localhost:8080", "Origin", ""}, ERR_FORBIDDEN},
        {API_DELETE, "/x", {"Host", "localhost:8080", "Origin", "https://evil.org"}, ERR_FORBIDDEN},
        {API_GET, "/x", {"Host", "localhost:8080", "Origin", "https://evil.org"}, 0},
        {API_POST, "/x", {"Host", "localhost:8080", "Sec-Fetch-Site", "same-origin"}, 0},
        {API_POST, "/x", {"Host", "localhost:8080", "Sec-Fetch-Site", "none"}, 0},
        {API_POST, "/x", {"Host", "localhost:8080", "Sec-Fetch-Site", "same-site"}, ERR_FORBIDDEN},
        {API_POST, "/x", {"Host", "localhost:8080", "Sec-Fetch-Site", "cross-site"}, ERR_FORBIDDEN},
        {API_POST, "/x", {"Host", "localhost:8080", "Sec-Fetch-Site", "new-word"}, ERR_FORBIDDEN},
        {API_GET, "/x", {"Host", "localhost:8080", "Sec-Fetch-Site", "same-site"}, 0},
        {API_GET, "/x", {"Host", "localhost:8080", "Sec-Fetch-Site", "cross-site"}, ERR_FORBIDDEN},
        {API_GET, "/", {"Host", "localhost:8080", "Sec-Fetch-Site", "cross-site"}, ERR_FORBIDDEN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum err_code code = judge(&ours, cases[i].method, cases[i].path, cases[i].fields);
        if (code != cases[i].code) fail_msg("case %zu: %s", i, err_name(code));
    }
    const char *const *visit = FIELDS("Host", "localhost:8080", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode",
                                      "navigate", "Sec-Fetch-Dest", "document");
    assert_int_equal(judge(&ours, API_GET, "/", visit), ERR_NONE);
    assert_int_equal(judge(&ours, API_GET, "/api/v1/drives", visit), ERR_FORBIDDEN);
    assert_int_equal(judge(&ours, API_POST, "/", visit), ERR_FORBIDDEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_heads),
        cmocka_unit_test(judges_heads_that_come_bytewise),
        cmocka_unit_test(refuses_nul_in_a_head),
        cmocka_unit_test(bounds_heads),
        cmocka_unit_test(splits_targets),
        cmocka_unit_test(keeps_the_path_as_it_came),
        cmocka_unit_test(reads_the_query),
        cmocka_unit_test(names_unknown_parameters),
        cmocka_unit_test(reads_the_framing),
        cmocka_unit_test(refuses_ambiguous_framing),
        cmocka_unit_test(bounds_the_fields),
        cmocka_unit_test(knows_json),
        cmocka_unit_test(knows_its_hosts),
        cmocka_unit_test(keeps_other_pages_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
