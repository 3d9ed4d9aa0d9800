/*
 * The handlers of drives and operations against a trayd-gadget that this test plays: what is sent to it, and what its
 * words become for a client of the API. The library is the real one, with a store of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <strings.h>
#include <sys/stat.h>

#include "api/handlers.h"
#include "base/log.h"
#include "tests/unit/fake_gadget.h"

#define ID1 "00000000000000000001"
#define ID2 "00000000000000000002"
#define HELLO                                                                                                       \
    "{\"id\":0,\"ok\":{\"system\":{},\"operations\":[],\"drives\":[{\"name\":\"cd0\",\"medium\":null,"              \
    "\"quarantine_until\":\"2999-01-01T00:00:00Z\"},{\"name\":\"usb0\",\"medium\":{\"image\":\"in.img\","           \
    "\"store\":\"main\",\"readonly\":false,\"etag\":\"\\\"x-7\\\"\"}}]}}"

struct test {
    struct fake_gadget gadget;
    char store[80];
    struct library *library;
    struct api *api;
    pthread_mutex_t lock;
    json_t *history;            /* array, oldest first; for lock */
    const char *headers[8][2];  /* of the next request */
    const char *body;
    struct api_response rs;     /* of the last one */
    pthread_t thread;
    api_handler *handler;
    struct api_request rq;
};

/* ---- history ---- */

static void history_put(void *owner, const json_t *operation)
{
    struct test *t = owner;
    size_t i;
    json_t *row;
    pthread_mutex_lock(&t->lock);
    json_array_foreach(t->history, i, row)
        if (strcmp(json_text(row, "id"), json_text(operation, "id")) == 0) break;
    json_t *copy = json_deep_copy(operation);
    if (i < json_array_size(t->history))
        json_array_set_new(t->history, i, copy);
    else
        json_array_append_new(t->history, copy);
    pthread_mutex_unlock(&t->lock);
}

static json_t *history_get(void *owner, const char *id)
{
    struct test *t = owner;
    size_t i;
    json_t *row, *found = NULL;
    pthread_mutex_lock(&t->lock);
    json_array_foreach(t->history, i, row)
        if (strcmp(json_text(row, "id"), id) == 0) found = json_deep_copy(row);
    pthread_mutex_unlock(&t->lock);
    return found;
}

static json_t *history_list(void *owner, const char *drive, const char *state, int limit, const char *after, struct err *e)
{
    struct test *t = owner;
    json_t *list = json_array();
    (void)e;
    pthread_mutex_lock(&t->lock);
    for (size_t i = json_array_size(t->history); i-- > 0 && json_array_size(list) < (size_t)limit;) {
        json_t *row = json_array_get(t->history, i);
        if (drive && strcmp(json_text(row, "drive"), drive) != 0) continue;
        if (state && strcmp(json_text(row, "state"), state) != 0) continue;
        if (after && strcmp(json_text(row, "id"), after) >= 0) continue;
        json_array_append_new(list, json_deep_copy(row));
    }
    pthread_mutex_unlock(&t->lock);
    return list;
}

/* ---- requests ---- */

static const char *request_header(const struct api_request *rq, const char *name)
{
    const struct test *t = rq->transport;
    for (size_t i = 0; i < ARRAY_LEN(t->headers); i++)
        if (t->headers[i][0] && strcasecmp(t->headers[i][0], name) == 0) return t->headers[i][1];
    return NULL;
}

static void *run_handler(void *arg)
{
    struct test *t = arg;
    t->handler(t->api, &t->rq, &t->rs);
    return NULL;
}

/* Begins a request in a thread of its own; end() waits for its response. */
static void begin(struct test *t, api_handler *handler, const char *param)
{
    api_response_done(&t->rs);
    api_response_init(&t->rs);
    t->handler = handler;
    t->rq.transport = t;
    t->rq.header = request_header;
    t->rq.params[0] = param;
    t->rq.user = "tester";
    t->rq.body = t->body;
    t->rq.body_len = t->body ? strlen(t->body) : 0;
    pthread_create(&t->thread, NULL, run_handler, t);
}

static void end(struct test *t, int status, const char *code)
{
    pthread_join(t->thread, NULL);
    memset(t->headers, 0, sizeof t->headers);
    t->rq.query_len = 0;
    if (t->rs.status != status) fail_msg("%d: %s", t->rs.status, json_text(t->rs.json, "detail"));
    assert_string_equal(json_text(t->rs.json, "code"), code ? code : "");
}

static void once(struct test *t, api_handler *handler, const char *param, int status, const char *code)
{
    begin(t, handler, param);
    end(t, status, code);
}

static void query(struct test *t, const char *name, const char *value)
{
    t->rq.query[t->rq.query_len++] = (struct api_pair){name, value};
}

static void header(struct test *t, const char *name, const char *value)
{
    size_t i = 0;
    while (t->headers[i][0]) i++;
    t->headers[i][0] = name;
    t->headers[i][1] = value;
}

static const char *response_header(struct test *t, const char *name)
{
    for (size_t i = 0; i < t->rs.headers_len; i++)
        if (strcmp(t->rs.headers[i].name, name) == 0) return t->rs.headers[i].value;
    return "";
}

/* ---- the gadget's words ---- */

/* Hears one request, which must say `expected` (JSON, without the id), and answers with an operation in `state`. */
static void accept_work(struct test *t, const char *expected, const char *id, const char *state)
{
    json_t *request = fake_hear(&t->gadget), *want = json_loads(expected, 0, NULL);
    json_t *number = json_incref(json_object_get(request, "id"));
    assert_non_null(want);
    json_object_del(request, "id");
    if (!json_equal(request, want)) fail_msg("sent %s", json_dumps(request, JSON_SORT_KEYS));
    fake_tell_json(&t->gadget, json_pack("{s:o, s:{s:{s:s, s:s, s:s}}}", "id", number, "ok", "operation", "id", id,
                                         "state", state, "drive", "cd0"));
    json_decref(request);
    json_decref(want);
}

static void tell_operation(struct test *t, const char *members)
{
    char text[1000];
    snprintf(text, sizeof text, "{\"event\":\"operation\",\"operation\":{%s}}", members);
    fake_tell(&t->gadget, text);
}

static void until_connected(struct test *t, bool connected)
{
    msec last = clock_boot_ms() + FAKE_PATIENCE;
    while (gadget_client_connected(t->api->gadget) != connected && clock_boot_ms() < last) usleep(1000);
    assert_int_equal(gadget_client_connected(t->api->gadget), connected);
}

#define EJECT_CD0 "{\"do\":\"eject\",\"drive\":\"cd0\",\"by\":\"tester\"}"

/* ---- fixture ---- */

static int setup(void **state)
{
    struct test *t = calloc(1, sizeof *t);
    struct err e;
    fake_begin(&t->gadget);
    pthread_mutex_init(&t->lock, NULL);
    t->history = json_array();
    snprintf(t->store, sizeof t->store, "%s/store", t->gadget.dir);
    assert_int_equal(mkdir(t->store, 0700), 0);
    struct store_list stores = {.items = {{.name = "main"}}, .count = 1};
    snprintf(stores.items[0].path, sizeof stores.items[0].path, "%s", t->store);
    t->library = library_new(&stores, &e);
    if (!t->library) fail_msg("%s", e.text);
    const struct api_history history = {t, history_put, history_get, history_list};
    t->api = api_new(t->gadget.path, t->library, &history, &e);
    if (!t->api) fail_msg("%s", e.text);
    api_response_init(&t->rs);
    *state = t;
    return 0;
}

static int setup_connected(void **state)
{
    setup(state);
    struct test *t = *state;
    fake_greet(&t->gadget, HELLO);
    until_connected(t, true);
    return 0;
}

static void add_image(struct test *t, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", t->store, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    close(fd);
}

static int teardown(void **state)
{
    struct test *t = *state;
    char command[100];
    api_response_done(&t->rs);
    api_stop(t->api);
    api_free(t->api);
    library_free(t->library);
    json_decref(t->history);
    snprintf(command, sizeof command, "rm -rf '%s'", t->store);
    assert_int_equal(system(command), 0);
    fake_end(&t->gadget);
    pthread_mutex_destroy(&t->lock);
    free(t);
    return 0;
}

/* ---- tests ---- */

static void without_a_gadget(void **state)
{
    struct test *t = *state;
    once(t, api_list_drives, NULL, 503, "unavailable");
    once(t, api_get_drive, "cd0", 503, "unavailable");
    once(t, api_delete_medium, "cd0", 503, "unavailable");
    once(t, api_get_readiness, NULL, 503, "unavailable");
    once(t, api_get_health, NULL, 200, NULL);
    once(t, api_get_system, NULL, 200, NULL);
    assert_true(json_is_null(json_object_get(t->rs.json, "gadget")));
    add_image(t, "a.iso");
    once(t, api_get_image, "a.iso", 200, NULL);
    once(t, api_delete_image, "a.iso", 503, "unavailable"); /* nobody knows whether it is in a drive */
}

static void work_that_gets_done(void **state)
{
    struct test *t = *state;
    once(t, api_get_readiness, NULL, 200, NULL);
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "queued");
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"done\",\"drive\":\"cd0\"");
    end(t, 200, NULL);
    assert_string_equal(json_text(t->rs.json, "state"), "done");
    once(t, api_get_operation, ID1, 200, NULL);
    assert_string_equal(json_text(t->rs.json, "state"), "done");
    once(t, api_list_operations, NULL, 200, NULL);
    assert_int_equal(json_array_size(json_object_get(t->rs.json, "operations")), 1);
    once(t, api_get_operation, ID2, 404, "not_found");
}

static void work_that_fails(void **state)
{
    struct test *t = *state;
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "waiting");
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"failed\",\"drive\":\"cd0\",\"code\":\"medium_in_use\","
                      "\"detail\":\"The host has it locked\",\"evidence\":{\"lock\":\"locked\"}");
    end(t, 423, "medium_in_use");
    assert_string_equal(json_text(t->rs.json, "detail"), "The host has it locked");
    assert_string_equal(json_text(t->rs.json, "operation"), ID1);
    assert_string_equal(json_text(t->rs.json, "drive"), "cd0");
    assert_string_equal(json_text(json_object_get(t->rs.json, "evidence"), "lock"), "locked");

    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID2, "waiting");
    tell_operation(t, "\"id\":\"" ID2 "\",\"state\":\"cancelled\",\"drive\":\"cd0\",\"code\":\"cancelled\"");
    end(t, 409, "cancelled");
}

static void refused_at_once(void **state)
{
    struct test *t = *state;
    begin(t, api_delete_medium, "cd0");
    json_t *request = fake_hear(&t->gadget);
    fake_tell_json(&t->gadget, json_pack("{s:O, s:{s:s, s:s, s:{}}}", "id", json_object_get(request, "id"), "error", "code",
                                         "quarantine", "detail", "Not now", "evidence"));
    json_decref(request);
    end(t, 503, "quarantine");
    assert_true(atoi(response_header(t, "Retry-After")) > 1000000); /* the drive says when */
    assert_non_null(json_object_get(t->rs.json, "evidence"));
}

static void prefer(void **state)
{
    struct test *t = *state;
    header(t, "Prefer", "respond-async");
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "done"); /* 202 all the same */
    end(t, 202, NULL);
    assert_string_equal(response_header(t, "Location"), "/api/v1/operations/" ID1);
    assert_string_equal(response_header(t, "Preference-Applied"), "respond-async");

    header(t, "Prefer", "wait=0");
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID2, "waiting");
    end(t, 202, NULL);
    assert_string_equal(json_text(t->rs.json, "state"), "waiting");
    assert_string_equal(response_header(t, "Preference-Applied"), "wait=0");
}

static void what_is_said_goes_on(void **state)
{
    struct test *t = *state;
    header(t, "Prefer", "wait=0");
    query(t, "mode", "orderly");
    query(t, "patience", "1.5");
    query(t, "on_timeout", "force");
    query(t, "lock_policy", "release_when_quiet");
    query(t, "allow_collateral", "true");
    begin(t, api_delete_medium, "cd0");
    accept_work(t,
                "{\"do\":\"eject\",\"drive\":\"cd0\",\"by\":\"tester\",\"mode\":\"orderly\",\"patience\":1.5,"
                "\"on_timeout\":\"force\",\"lock_policy\":\"release_when_quiet\",\"allow_collateral\":true}",
                ID1, "waiting");
    end(t, 202, NULL);

    add_image(t, "a.iso");
    header(t, "Prefer", "wait=0");
    t->body = "{\"image\":\"a.iso\"}";
    begin(t, api_put_medium, "cd0");
    accept_work(t, "{\"do\":\"insert\",\"drive\":\"cd0\",\"image\":\"a.iso\",\"store\":\"main\",\"by\":\"tester\"}", ID2,
                "waiting");
    end(t, 202, NULL);

    header(t, "Prefer", "wait=0");
    t->body = "{\"image\":\"a.iso\",\"store\":\"main\",\"readonly\":false,\"mode\":\"forced\",\"patience\":0,"
              "\"on_timeout\":\"fail\",\"lock_policy\":\"respect\",\"swap\":\"direct\",\"type\":\"cdrom\","
              "\"accept_stale_host\":true,\"reattach\":true,\"allow_collateral\":true}";
    begin(t, api_put_medium, "cd0");
    accept_work(t,
                "{\"do\":\"insert\",\"drive\":\"cd0\",\"image\":\"a.iso\",\"store\":\"main\",\"readonly\":false,"
                "\"mode\":\"forced\",\"patience\":0,\"on_timeout\":\"fail\",\"lock_policy\":\"respect\",\"swap\":\"direct\","
                "\"type\":\"cdrom\",\"accept_stale_host\":true,\"reattach\":true,\"allow_collateral\":true,"
                "\"by\":\"tester\"}",
                ID2, "waiting");
    end(t, 202, NULL);
}

static void malformed_inserts(void **state)
{
    static const char *const bodies[] = {
        NULL, "", "x", "[]", "{}", "{\"image\":1}", "{\"image\":\"\"}", "{\"image\":\"../a\"}", "{\"image\":\"a\\u0000b\"}",
        "{\"image\":\"a.iso\",\"imag\":1}", "{\"image\":\"a.iso\",\"mode\":\"gentle\"}",
        "{\"image\":\"a.iso\",\"patience\":-1}", "{\"image\":\"a.iso\",\"patience\":86401}",
        "{\"image\":\"a.iso\",\"patience\":\"1\"}", "{\"image\":\"a.iso\",\"swap\":true}",
        "{\"image\":\"a.iso\",\"swap\":\"fast\"}", "{\"image\":\"a.iso\",\"type\":\"tape\"}",
        "{\"image\":\"a.iso\",\"readonly\":null}", "{\"image\":\"a.iso\",\"image\":\"b.iso\"}", "{\"image\":\"a.iso\"}x",
    };
    struct test *t = *state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        t->body = bodies[i];
        begin(t, api_put_medium, "cd0");
        pthread_join(t->thread, NULL);
        if (t->rs.status != 400) fail_msg("%s: %d", bodies[i] ? bodies[i] : "(none)", t->rs.status);
    }
    t->body = "{\"image\":\"a.iso\"}";
    header(t, "Content-Type", "text/plain");
    once(t, api_put_medium, "cd0", 415, "unsupported_media_type");
    header(t, "Content-Type", "application/json; charset=utf-8");
    once(t, api_put_medium, "cd0", 404, "image_missing");
    once(t, api_put_medium, "cd9", 404, "not_found");
}

static void conditions(void **state)
{
    struct test *t = *state;
    once(t, api_get_medium, "usb0", 200, NULL);
    assert_string_equal(response_header(t, "ETag"), "\"x-7\"");
    header(t, "If-None-Match", "\"x-7\"");
    once(t, api_get_medium, "usb0", 304, NULL);
    assert_string_equal(response_header(t, "ETag"), "\"x-7\"");
    once(t, api_get_medium, "cd0", 404, "no_medium");

    header(t, "If-Match", "\"x-6\"");
    once(t, api_delete_medium, "usb0", 412, "precondition_failed");
    header(t, "If-Match", "W/\"x-7\"");
    once(t, api_delete_medium, "usb0", 412, "precondition_failed");
    header(t, "If-Match", "*");
    once(t, api_delete_medium, "cd0", 412, "precondition_failed");
    header(t, "If-Match", "x-7");
    once(t, api_delete_medium, "usb0", 400, "bad_request");
    header(t, "If-None-Match", "\"x-7\"");
    once(t, api_delete_medium, "usb0", 412, "precondition_failed");

    header(t, "If-Match", "\"x-6\", \"x-7\"");
    header(t, "Prefer", "wait=0");
    begin(t, api_delete_medium, "usb0");
    accept_work(t, "{\"do\":\"eject\",\"drive\":\"usb0\",\"by\":\"tester\",\"if_match\":\"\\\"x-7\\\"\"}", ID1, "waiting");
    end(t, 202, NULL);

    add_image(t, "a.iso");
    t->body = "{\"image\":\"a.iso\"}";
    header(t, "If-None-Match", "*");
    header(t, "Prefer", "wait=0");
    begin(t, api_put_medium, "usb0");
    accept_work(t,
                "{\"do\":\"insert\",\"drive\":\"usb0\",\"image\":\"a.iso\",\"store\":\"main\",\"if_empty\":true,"
                "\"by\":\"tester\"}",
                ID2, "waiting");
    end(t, 202, NULL);
}

static void used_images_stay(void **state)
{
    struct test *t = *state;
    add_image(t, "in.img");
    add_image(t, "coming.img");
    add_image(t, "free.img");
    once(t, api_delete_image, "in.img", 409, "image_in_use");
    once(t, api_get_image, "in.img", 200, NULL);
    assert_string_equal(json_string_value(json_array_get(json_object_get(t->rs.json, "drives"), 0)), "usb0");
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"queued\",\"drive\":\"cd0\",\"image\":\"coming.img\",\"store\":\"main\"");
    for (msec last = clock_boot_ms() + FAKE_PATIENCE; clock_boot_ms() < last; usleep(1000)) {
        json_t *known = gadget_client_operation(t->api->gadget, ID1);
        json_decref(known);
        if (known) break;
    }
    once(t, api_delete_image, "coming.img", 409, "image_in_use");
    once(t, api_delete_image, "free.img", 204, NULL);
    once(t, api_delete_image, "free.img", 404, "image_missing");
}

static void changes_of_operations(void **state)
{
    struct test *t = *state;
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"waiting\",\"drive\":\"cd0\"");
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "waiting"); /* joined */
    tell_operation(t, "\"id\":\"" ID2 "\",\"state\":\"done\",\"drive\":\"cd0\"");

    struct test other = {.api = t->api};
    api_response_init(&other.rs);
    begin(&other, api_cancel_operation, ID1);
    accept_work(t, "{\"do\":\"cancel\",\"operation\":\"" ID1 "\",\"by\":\"tester\"}", ID1, "cancelled");
    tell_operation(t, "\"id\":\"" ID1 "\",\"state\":\"cancelled\",\"drive\":\"cd0\"");
    end(&other, 200, NULL); /* who asked for it */
    end(t, 409, "cancelled"); /* who waited for the work */

    once(&other, api_cancel_operation, ID1, 200, NULL);
    once(&other, api_force_operation, ID1, 409, "too_late");
    once(&other, api_cancel_operation, ID2, 409, "too_late");
    once(&other, api_cancel_operation, "0", 404, "not_found");
    api_response_done(&other.rs);
}

static void a_restart_that_forgets(void **state)
{
    struct test *t = *state;
    begin(t, api_delete_medium, "cd0");
    accept_work(t, EJECT_CD0, ID1, "waiting");
    fake_hang_up(&t->gadget);
    fake_greet(&t->gadget, HELLO);
    end(t, 503, "interrupted");
    until_connected(t, true);
    once(t, api_get_operation, ID1, 200, "interrupted");
    assert_string_equal(json_text(t->rs.json, "state"), "failed");
    assert_string_not_equal(json_text(t->rs.json, "finished_at"), "");
}

static void orders_to_the_gadget(void **state)
{
    struct test *t = *state;
    t->body = "{\"allow_collateral\":true}";
    begin(t, api_reattach_gadget, NULL);
    json_t *request = fake_hear(&t->gadget);
    assert_string_equal(json_text(request, "order"), "reattach");
    assert_true(json_flag(request, "allow_collateral"));
    fake_tell_json(&t->gadget,
                   json_pack("{s:O, s:{s:{s:b}}}", "id", json_object_get(request, "id"), "ok", "system", "bound", 1));
    json_decref(request);
    end(t, 200, NULL);
    assert_true(json_flag(json_object_get(t->rs.json, "gadget"), "bound"));
    t->body = "{\"allow\":true}";
    once(t, api_detach_gadget, NULL, 400, "bad_request");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_connected, teardown)

int main(void)
{
    log_init("test_api_work", LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_gadget, setup, teardown),
        TEST(work_that_gets_done),   TEST(work_that_fails),      TEST(refused_at_once), TEST(prefer),
        TEST(what_is_said_goes_on),  TEST(malformed_inserts),    TEST(conditions),      TEST(used_images_stay),
        TEST(changes_of_operations), TEST(a_restart_that_forgets), TEST(orders_to_the_gadget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
