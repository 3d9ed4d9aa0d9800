/* Which addresses may be contacted, what servers' answers mean, and what an address and a checksum file say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "images/checksum_file.h"
#include "images/fetch_address.h"
#include "images/fetch_reply.h"
#include "images/fetch_url.h"
#include "base/util.h"

/* ---- addresses ---- */

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        ss.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
        ss.ss_family = AF_INET6;
    }
    return ss;
}

static void addresses_are_told_apart(attr_unused void **state)
{
    static const struct {
        const char *text, *kind;
    } cases[] = {
        {"8.8.8.8", "public"}, {"172.15.255.255", "public"}, {"172.32.0.0", "public"}, {"11.0.0.0", "public"},
        {"100.128.0.0", "public"}, {"169.253.255.255", "public"}, {"126.255.255.255", "public"},
        {"192.167.255.255", "public"}, {"223.255.255.255", "public"}, {"2606:4700::1", "public"},
        {"2001:4860:4860::8888", "public"},
        {"10.0.0.0", "private"}, {"10.255.255.255", "private"}, {"172.16.0.1", "private"}, {"172.31.255.255", "private"},
        {"192.168.0.1", "private"}, {"100.64.0.1", "private"}, {"100.127.255.255", "private"}, {"fc00::1", "private"},
        {"fdff::1", "private"}, {"fec0::1", "private"},
        {"169.254.169.254", "link_local"}, {"169.254.0.0", "link_local"}, {"fe80::1", "link_local"},
        {"febf::1", "link_local"}, {"fd00:ec2::254", "link_local"}, {"fd20:ce::254", "link_local"},
        {"100.100.100.200", "link_local"}, {"168.63.129.16", "link_local"}, {"192.0.0.192", "link_local"},
        {"127.0.0.1", "loopback"}, {"127.255.255.255", "loopback"}, {"::1", "loopback"},
        {"0.0.0.0", "nowhere"}, {"0.1.2.3", "nowhere"}, {"224.0.0.1", "nowhere"}, {"255.255.255.255", "nowhere"},
        {"240.0.0.1", "nowhere"}, {"192.0.2.1", "nowhere"}, {"::", "nowhere"}, {"ff02::1", "nowhere"},
        {"2001:db8::1", "nowhere"}, {"100::1", "nowhere"},
        /* the same, in IPv6's clothes */
        {"::ffff:127.0.0.1", "loopback"}, {"::ffff:169.254.169.254", "link_local"}, {"::ffff:10.1.2.3", "private"},
        {"::ffff:8.8.8.8", "public"}, {"::ffff:0.0.0.0", "nowhere"}, {"::127.0.0.1", "loopback"},
        {"::ffff:0:127.0.0.1", "loopback"}, {"64:ff9b::127.0.0.1", "loopback"}, {"64:ff9b::a9fe:a9fe", "link_local"},
        {"64:ff9b:1::10.0.0.1", "private"}, {"64:ff9b::8.8.8.8", "public"}, {"2002:7f00:1::", "loopback"},
        {"2002:a9fe:a9fe::1", "link_local"}, {"2002:808:808::1", "public"},
        {"2001:0:1234:5678:0:0:80ff:fffe", "loopback"}, /* Teredo: the client's address with all bits turned */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage ss = address(cases[i].text);
        const struct fetch_own none = {0};
        const char *kind = fetch_address_name(fetch_address_of((struct sockaddr *)&ss, &none));
        if (strcmp(kind, cases[i].kind) != 0) fail_msg("%s is %s, not %s", cases[i].text, kind, cases[i].kind);
    }
}

static void own_addresses_are_loopback(attr_unused void **state)
{
    const struct sockaddr_storage list[] = {address("192.168.7.9"), address("2606:4700::7")};
    const struct fetch_own own = {list, 2};
    static const struct {
        const char *text;
        enum fetch_address kind;
    } cases[] = {{"192.168.7.9", FETCH_LOOPBACK}, {"192.168.7.8", FETCH_PRIVATE}, {"::ffff:192.168.7.9", FETCH_LOOPBACK},
                 {"2606:4700::7", FETCH_LOOPBACK}, {"2606:4700::8", FETCH_PUBLIC}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage ss = address(cases[i].text);
        assert_int_equal(fetch_address_of((struct sockaddr *)&ss, &own), cases[i].kind);
    }
    const struct sockaddr local = {.sa_family = AF_UNIX};
    assert_int_equal(fetch_address_of(&local, &own), FETCH_NOWHERE);
}

/* ---- answers ---- */

static int64_t seconds(const char *text)
{
    struct tm tm = {0};
    return strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) ? (int64_t)timegm(&tm) : -1;
}

static struct fetch_reply reply(int status, const char *headers)
{
    struct fetch_reply r;
    fetch_reply_init(&r, status);
    while (*headers) {
        size_t len = strcspn(headers, "\n");
        fetch_reply_header(&r, headers, len, seconds);
        headers += len + (headers[len] == '\n');
    }
    return r;
}

#define OLD "Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\nDate: Sat, 21 Nov 2026 12:00:00 GMT\n"
#define NEW "Last-Modified: Sat, 21 Nov 2026 11:59:30 GMT\nDate: Sat, 21 Nov 2026 12:00:00 GMT\n"

static void validators_are_strong(attr_unused void **state)
{
    static const struct {
        const char *headers, *validator;
    } cases[] = {
        {"ETag: \"a\"\r\n", "\"a\""}, {"etag:\"a b\"", "\"a b\""}, {"ETag: W/\"a\"\n", ""}, {"ETag: a\n", ""},
        {"ETag: \"\n", ""}, {OLD, "@1795255200"}, {NEW, ""}, {"ETag: \"x\"\n" OLD, "\"x\""},
        {"Last-Modified: Sat, 21 Nov 2026 10:00:00 GMT\n", ""}, {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char validator[FETCH_VALIDATOR_MAX];
        struct fetch_reply r = reply(200, cases[i].headers);
        fetch_reply_validator(&r, validator);
        assert_string_equal(validator, cases[i].validator);
    }
}

static void answers_are_judged(attr_unused void **state)
{
    static const struct {
        int64_t offset, total;
        const char *validator;
        int status;
        const char *headers;
        enum fetch_verdict verdict;
    } cases[] = {
        {0, -1, "", 200, "Content-Length: 100\n", FETCH_FROM_START},
        {50, 100, "\"a\"", 206, "Content-Range: bytes 50-99/100\nETag: \"a\"\n", FETCH_GO_ON},
        {50, 100, "\"a\"", 206, "Content-Range: bytes 50-99/100\n", FETCH_GO_ON},
        {50, 100, "\"a\"", 206, "Content-Range: bytes 50-99/*\nETag: \"a\"\n", FETCH_GO_ON},
        {50, -1, "\"a\"", 206, "Content-Range: bytes 50-99/100\nETag: \"a\"\n", FETCH_GO_ON},
        {50, 100, "@1795255200", 206, "Content-Range: bytes 50-99/100\n" OLD, FETCH_GO_ON},
        {50, 100, "\"a\"", 206, "Content-Range: bytes 50-99/100\nETag: \"b\"\n", FETCH_CHANGED},
        {50, 100, "@1", 206, "Content-Range: bytes 50-99/100\n" OLD, FETCH_CHANGED},
        {50, 100, "\"a\"", 206, "Content-Range: bytes 50-100/101\nETag: \"a\"\n", FETCH_CHANGED},
        {50, 100, "", 206, "Content-Range: bytes 50-99/100\n", FETCH_CHANGED},
        {50, 100, "\"a\"", 206, "Content-Range: bytes 0-99/100\nETag: \"a\"\n", FETCH_FAILED},
        {50, 100, "\"a\"", 206, "Content-Range: bytes 51-99/100\nETag: \"a\"\n", FETCH_FAILED},
        {50, 100, "\"a\"", 206, "Content-Range: nonsense\nETag: \"a\"\n", FETCH_FAILED},
        {50, 100, "\"a\"", 206, "ETag: \"a\"\n", FETCH_FAILED},
        {0, -1, "", 206, "Content-Range: bytes 0-99/100\n", FETCH_CHANGED},
        {50, 100, "\"a\"", 200, "Content-Length: 100\nETag: \"a\"\n", FETCH_SKIP},
        {50, 100, "\"a\"", 200, "Content-Length: 101\nETag: \"a\"\n", FETCH_CHANGED},
        {50, 100, "\"a\"", 200, "Content-Length: 100\nETag: \"b\"\n", FETCH_CHANGED},
        {50, 100, "", 200, "Content-Length: 100\n", FETCH_CHANGED},
        {100, 100, "\"a\"", 416, "Content-Range: bytes */100\nETag: \"a\"\n", FETCH_WHOLE},
        {100, -1, "\"a\"", 416, "Content-Range: bytes */100\n", FETCH_WHOLE},
        {50, 100, "\"a\"", 416, "Content-Range: bytes */40\n", FETCH_CHANGED},
        {100, 100, "\"a\"", 416, "Content-Range: bytes */100\nETag: \"b\"\n", FETCH_CHANGED},
        {0, -1, "", 503, "", FETCH_AGAIN}, {0, -1, "", 429, "", FETCH_AGAIN}, {0, -1, "", 500, "", FETCH_AGAIN},
        {0, -1, "", 404, "", FETCH_FAILED}, {0, -1, "", 401, "", FETCH_FAILED}, {0, -1, "", 204, "", FETCH_FAILED},
        {0, -1, "", 302, "", FETCH_FAILED}, {0, -1, "", 0, "", FETCH_FAILED},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fetch_have have = {.offset = cases[i].offset, .total = cases[i].total};
        struct err e = {0};
        snprintf(have.validator, sizeof have.validator, "%s", cases[i].validator);
        struct fetch_reply r = reply(cases[i].status, cases[i].headers);
        enum fetch_verdict verdict = fetch_judge(&have, &r, &e);
        if (verdict != cases[i].verdict) fail_msg("case %zu: %d, not %d", i, (int)verdict, (int)cases[i].verdict);
        if (verdict >= FETCH_AGAIN) assert_int_equal(e.code, ERR_SOURCE_FAILED);
    }
}

static void pauses_double_up_to_a_minute(attr_unused void **state)
{
    assert_int_equal(fetch_pause(1000, 1), 1000);
    assert_int_equal(fetch_pause(1000, 2), 2000);
    assert_int_equal(fetch_pause(1000, 6), 32000);
    assert_int_equal(fetch_pause(1000, 7), 60000);
    assert_int_equal(fetch_pause(1000, 1000000), 60000);
    assert_int_equal(reply(503, "Retry-After: 7\n").again_after, 7);
    assert_int_equal(reply(503, "Retry-After: 7000\n").again_after, 60);
    assert_int_equal(reply(503, "Retry-After: Sat, 21 Nov 2026 12:00:00 GMT\n").again_after, 0);
}

/* ---- URLs ---- */

static void urls_are_taken_apart(attr_unused void **state)
{
    struct fetch_url u;
    struct err e;
    assert_int_equal(fetch_url_parse("HTTPS://me%40x:p%3aw@Host.Example:8443/a/debian%2012.iso?sig=1#top", &u, &e), 0);
    assert_string_equal(u.text, "https://Host.Example:8443/a/debian%2012.iso?sig=1");
    assert_string_equal(u.shown, "https://Host.Example:8443/a/debian%2012.iso");
    assert_string_equal(u.origin, "https://host.example:8443");
    assert_string_equal(u.name, "debian 12.iso");
    assert_string_equal(u.username, "me@x");
    assert_string_equal(u.password, "p:w");
    assert_int_equal(fetch_url_parse("http://h", &u, &e), 0);
    assert_string_equal(u.text, "http://h/");
    assert_string_equal(u.origin, "http://h:80");
    assert_string_equal(u.name, "");
    assert_int_equal(fetch_url_parse("http://h?x=/y.iso", &u, &e), 0);
    assert_string_equal(u.text, "http://h/?x=/y.iso");
    assert_string_equal(u.name, "");
    assert_int_equal(fetch_url_parse("http://[::1]/x.iso", &u, &e), 0);
    assert_string_equal(u.origin, "http://[::1]:80");
    assert_int_equal(fetch_url_parse("http://h/a%2fb.iso", &u, &e), 0);
    assert_string_equal(u.name, ""); /* a slash cannot be part of a name */
    assert_int_equal(fetch_url_parse("http://h/.hidden", &u, &e), 0);
    assert_string_equal(u.name, "");
}

static void bad_urls_are_refused(attr_unused void **state)
{
    static const char *const bad[] = {
        "", "h/x", "ftp://h/x", "file:///etc/passwd", "http://", "http:///x", "http://:80/x", "http://a b/x",
        "http://h/x\r\nX: y", "http://h/\xc3\xa4", "gopher://h/", "http://h\\@x/", "http://a@b@c/", "http://u%00@h/",
        "http://u%@h/", " http://h/", "http//h",
    };
    struct fetch_url u = {.text = "untouched"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};
        if (fetch_url_parse(bad[i], &u, &e) == 0) fail_msg("\"%s\" was accepted", bad[i]);
        assert_int_equal(e.code, ERR_BAD_REQUEST);
    }
    char longest[FETCH_URL_MAX + 16] = "http://h/";
    memset(longest + 9, 'a', FETCH_URL_MAX);
    assert_int_equal(fetch_url_parse(longest, &u, NULL), -1);
    longest[FETCH_URL_MAX - 1] = '\0';
    assert_int_equal(fetch_url_parse(longest, &u, NULL), 0);
    struct err e;
    assert_int_equal(fetch_url_parse("http://user:secret%@h/", &u, &e), -1);
    assert_null(strstr(e.text, "secret"));
}

/* ---- checksum files ---- */

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void checksum_files_are_read(attr_unused void **state)
{
    static const struct {
        const char *text, *digest; /* NULL: none for x.iso */
    } cases[] = {
        {A "  x.iso\n" B "  y.iso\n", A}, {B "  y.iso\r\n" A " *x.iso\r\n", A}, {A "  ./sub/x.iso", A},
        {"SHA256 (x.iso) = " A "\n", A}, {"SHA256 (y.iso) = " B "\n" A "  x.iso\n", A},
        {"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" A "  x.iso\n-----BEGIN PGP SIGNATURE-----\n", A},
        {"# x.iso: 661651456 bytes\nSHA256 (x.iso) = " A "\n", A},
        {A "\n", A}, {A, A}, {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  x.iso\n", A},
        {A "  x.iso\n" A "  x.iso\n", A},
        {A "  x.iso\n" B "  sub/x.iso\n", NULL}, {A "\n" B "\n", NULL}, {B "  y.iso\n", NULL}, {B "  y.iso\n" A "\n", NULL},
        {"", NULL}, {"x.iso\n", NULL}, {A A "  x.iso\n", NULL}, {A "  x.iso.zsync\n", NULL}, {"zz\n", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char digest[SHA256_TEXT_MAX] = "";
        struct err e;
        int result = checksum_file_find(cases[i].text, strlen(cases[i].text), "x.iso", digest, &e);
        if (result != (cases[i].digest ? 0 : -1)) fail_msg("case %zu: %d", i, result);
        if (cases[i].digest) assert_string_equal(digest, cases[i].digest);
        else assert_int_equal(e.code, ERR_SOURCE_FAILED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_told_apart), cmocka_unit_test(own_addresses_are_loopback),
        cmocka_unit_test(validators_are_strong),    cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(pauses_double_up_to_a_minute), cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused),     cmocka_unit_test(checksum_files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
