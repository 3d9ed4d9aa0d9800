/* Responses: problem documents, headers, bodies that replace each other, and percent-encoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>

#include "api/http.h"
#include "api/uri.h"

static const char *header(const struct api_response *rs, const char *name)
{
    for (size_t i = 0; i < rs->headers_len; i++)
        if (strcmp(rs->headers[i].name, name) == 0) return rs->headers[i].value;
    return NULL;
}

static void problem(attr_unused void **state)
{
    struct api_response rs;
    struct err e;
    api_response_init(&rs);
    err_set(&e, ERR_MEDIUM_IN_USE, "The host has cd0 locked");
    api_problem_with(&rs, &e, json_pack("{s:s, s:s}", "drive", "cd0", "code", "forged"));
    assert_int_equal(rs.status, 423);
    assert_string_equal(rs.content_type, "application/problem+json");
    assert_string_equal(json_text(rs.json, "type"), "/problems/medium_in_use");
    assert_string_equal(json_text(rs.json, "title"), err_title(ERR_MEDIUM_IN_USE));
    assert_int_equal(json_int(rs.json, "status", 0), 423);
    assert_string_equal(json_text(rs.json, "detail"), "The host has cd0 locked");
    assert_string_equal(json_text(rs.json, "code"), "medium_in_use");
    assert_string_equal(json_text(rs.json, "remedy"), err_remedy(ERR_MEDIUM_IN_USE));
    assert_string_equal(json_text(rs.json, "drive"), "cd0");
    assert_null(header(&rs, "Retry-After"));
    api_response_done(&rs);
}

static void problem_without_code(attr_unused void **state)
{
    struct api_response rs;
    api_response_init(&rs);
    api_problem(&rs, &(struct err){0});
    assert_int_equal(rs.status, 500);
    api_response_done(&rs);
}

static void retry_after(attr_unused void **state)
{
    struct api_response rs;
    struct err e;
    err_set(&e, ERR_QUARANTINE, "cd0 is in quarantine");
    json_t *more = json_object();
    json_put_time(more, "quarantine_until", clock_real_ms() + 90500);
    api_response_init(&rs);
    api_problem_with(&rs, &e, more);
    int seconds = atoi(header(&rs, "Retry-After"));
    assert_true(seconds >= 89 && seconds <= 91);
    api_response_done(&rs);

    more = json_object();
    json_put_time(more, "quarantine_until", clock_real_ms() - 5000);
    api_response_init(&rs);
    api_problem_with(&rs, &e, more);
    assert_string_equal(header(&rs, "Retry-After"), "1");
    api_response_done(&rs);

    api_response_init(&rs);
    api_problem(&rs, &e);
    assert_string_equal(header(&rs, "Retry-After"), "30");
    api_response_done(&rs);

    err_set(&e, ERR_UNAVAILABLE, "gone");
    api_response_init(&rs);
    api_problem(&rs, &e);
    assert_non_null(header(&rs, "Retry-After"));
    api_response_done(&rs);
}

static void headers(attr_unused void **state)
{
    struct api_response rs;
    char longest[3000];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    api_response_init(&rs);
    api_header(&rs, "Location", "/a\r\nSet-Cookie: %s\x7f", "b");
    assert_string_equal(header(&rs, "Location"), "/a??Set-Cookie: b?");
    api_header(&rs, "X", "%s", longest);
    assert_string_equal(header(&rs, "X"), longest);
    for (int i = 0; i < 2 * API_HEADERS_MAX; i++) api_header(&rs, "Y", "%d", i);
    assert_int_equal(rs.headers_len, API_HEADERS_MAX);
    api_response_done(&rs);
}

static void a_body_replaces_the_one_before(attr_unused void **state)
{
    struct api_response rs;
    struct err e;
    api_response_init(&rs);
    api_json(&rs, 201, json_object());
    assert_int_equal(rs.status, 201);
    api_json(&rs, 200, json_object());
    rs.fd = open("/dev/null", O_RDONLY);
    rs.bytes = strdup("bytes");
    int fd = rs.fd;
    err_set(&e, ERR_INTERNAL, "too late");
    api_problem(&rs, &e);
    assert_int_equal(rs.fd, -1);
    assert_null(rs.bytes);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    api_json(&rs, 200, NULL);
    assert_int_equal(rs.status, 503);
    api_response_done(&rs);
}

static void encoding(attr_unused void **state)
{
    char *text = uri_encode("a-b._~Z9 /%ä\"", false);
    assert_string_equal(text, "a-b._~Z9%20%2F%25%C3%A4%22");
    free(text);
    text = uri_encode("main/a b", true);
    assert_string_equal(text, "main/a%20b");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problem), cmocka_unit_test(problem_without_code), cmocka_unit_test(retry_after),
        cmocka_unit_test(headers), cmocka_unit_test(a_body_replaces_the_one_before), cmocka_unit_test(encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
