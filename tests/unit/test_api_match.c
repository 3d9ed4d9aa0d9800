/* The generated table, and how a request finds its route in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"

static const struct api_route *match(enum api_method m, const char *path, const char *params[API_PARAMS_MAX],
                                     char allow[80], enum err_code *code)
{
    static char copy[256];
    const char *segments[16];
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *p = copy, *end; p; p = end) {
        segments[n++] = ++p;
        end = strchr(p, '/');
        if (end) *end = '\0';
    }
    *code = ERR_NONE;
    return api_match(m, segments, n, params, allow, code);
}

static void expect(enum api_method m, const char *path, const char *operation, const char *param)
{
    const char *params[API_PARAMS_MAX] = {0};
    char allow[80];
    enum err_code code;
    const struct api_route *r = match(m, path, params, allow, &code);
    if (!r) fail_msg("no route for %s: %s", path, err_name(code));
    assert_string_equal(r->operation, operation);
    if (param) assert_string_equal(params[0], param);
}

static void found(attr_unused void **state)
{
    expect(API_GET, "/api/v1/drives", "list_drives", NULL);
    expect(API_GET, "/api/v1/drives/cd0", "get_drive", "cd0");
    expect(API_PUT, "/api/v1/drives/cd0/medium", "put_medium", "cd0");
    expect(API_DELETE, "/api/v1/drives/usb0/medium", "delete_medium", "usb0");
    expect(API_POST, "/api/v1/operations/0123/force", "force_operation", "0123");
    expect(API_PUT, "/api/v1/images/debian 12.iso", "put_image", "debian 12.iso");
    expect(API_GET, "/api/v1/images/content", "get_image", "content");
    expect(API_GET, "/api/v1/images/a.iso/content", "get_image_content", "a.iso");
    expect(API_GET, "/api/v1/openapi.json", "get_openapi", NULL);
    expect(API_GET, "/healthz", "get_health", NULL);
}

static void head_is_get_without_a_body(attr_unused void **state)
{
    expect(API_HEAD, "/api/v1/drives", "list_drives", NULL);
    expect(API_HEAD, "/api/v1/images/a.iso/content", "head_image_content", "a.iso"); /* has its own */
}

static void not_found(attr_unused void **state)
{
    static const char *const paths[] = {"/", "/api", "/api/v1", "/api/v1/", "/api/v1/drives/", "/api/v1/drives//medium",
                                        "/api/v1/drive", "/api/v1/drives/cd0/medium/x", "/API/v1/drives", "/api/v1/drivess",
                                        "/api/v1/images/", "/healthz/"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        const char *params[API_PARAMS_MAX];
        char allow[80];
        enum err_code code;
        if (match(API_GET, paths[i], params, allow, &code)) fail_msg("%s has a route", paths[i]);
        assert_int_equal(code, ERR_NOT_FOUND);
    }
}

static void not_allowed(attr_unused void **state)
{
    const char *params[API_PARAMS_MAX];
    char allow[80];
    enum err_code code;
    assert_null(match(API_POST, "/api/v1/drives/cd0/medium", params, allow, &code));
    assert_int_equal(code, ERR_METHOD_NOT_ALLOWED);
    assert_string_equal(allow, "GET, PUT, DELETE, HEAD");
}

/* What the handlers and the transport rely on. */
static void table(attr_unused void **state)
{
    size_t count = 0;
    for (const struct api_route *r = api_routes; r->template; r++, count++) {
        assert_true(r->role >= API_ANYBODY && r->role <= API_ADMIN);
        assert_non_null(r->query);
        assert_true((r->handle != NULL) == (r->body != API_BODY_STREAM));
        assert_true((r->open != NULL) == (r->body == API_BODY_STREAM));
        assert_true((r->body_max > 0) == (r->body == API_BODY_JSON));
        bool asks_only = r->method == API_GET || r->method == API_HEAD || r->method == API_OPTIONS;
        if (!asks_only && r->role < API_OPERATOR)
            fail_msg("%s changes something, and asks for too low a role", r->operation);
    }
    assert_true(count > 20);
}

static void document(attr_unused void **state)
{
    json_error_t where;
    json_t *served = json_loadb((const char *)api_openapi_json, api_openapi_json_len, JSON_REJECT_DUPLICATES, &where);
    assert_non_null(served);
    assert_string_equal(json_text(served, "openapi"), "3.1.0");
    json_decref(served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found),       cmocka_unit_test(head_is_get_without_a_body),
        cmocka_unit_test(not_found),   cmocka_unit_test(not_allowed),
        cmocka_unit_test(table),       cmocka_unit_test(document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
