/*
 * api_fixture.h - handlers under test: the real API and library, a store of their own, a history in memory, and a
 * trayd-gadget that the test plays (fake_gadget.h).
 *
 * Include after cmocka.h. A request runs in a thread of its own, so that the test can be the gadget meanwhile.
 */
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <strings.h>
#include <sys/stat.h>

#include "api/handlers.h"
#include "tests/unit/fake_gadget.h"

#define ID1 "00000000000000000001"
#define ID2 "00000000000000000002"
#define HELLO                                                                                                       \
    "{\"id\":0,\"ok\":{\"system\":{\"found\":\"built\"},\"operations\":[],\"drives\":[{\"name\":\"cd0\",\"medium\":null,"              \
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

static inline void history_put(void *owner, const json_t *operation)
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

static inline json_t *history_get(void *owner, const char *id)
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

static inline json_t *history_list(void *owner, const char *drive, const char *state, int limit, const char *after, struct err *e)
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

static inline const char *request_header(const struct api_request *rq, const char *name)
{
    const struct test *t = rq->transport;
    for (size_t i = 0; i < ARRAY_LEN(t->headers); i++)
        if (t->headers[i][0] && strcasecmp(t->headers[i][0], name) == 0) return t->headers[i][1];
    return NULL;
}

static inline void *run_handler(void *arg)
{
    struct test *t = arg;
    t->handler(t->api, &t->rq, &t->rs);
    return NULL;
}

/* Begins a request in a thread of its own; end() waits for its response. */
static inline void begin(struct test *t, api_handler *handler, const char *param)
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

static inline void end(struct test *t, int status, const char *code)
{
    pthread_join(t->thread, NULL);
    memset(t->headers, 0, sizeof t->headers);
    t->rq.query_len = 0;
    if (t->rs.status != status) fail_msg("%d: %s", t->rs.status, json_text(t->rs.json, "detail"));
    assert_string_equal(json_text(t->rs.json, "code"), code ? code : "");
}

static inline void once(struct test *t, api_handler *handler, const char *param, int status, const char *code)
{
    begin(t, handler, param);
    end(t, status, code);
}

static inline void query(struct test *t, const char *name, const char *value)
{
    t->rq.query[t->rq.query_len++] = (struct api_pair){name, value};
}

static inline void header(struct test *t, const char *name, const char *value)
{
    size_t i = 0;
    while (t->headers[i][0]) i++;
    t->headers[i][0] = name;
    t->headers[i][1] = value;
}

static inline const char *response_header(struct test *t, const char *name)
{
    for (size_t i = 0; i < t->rs.headers_len; i++)
        if (strcmp(t->rs.headers[i].name, name) == 0) return t->rs.headers[i].value;
    return "";
}

/* ---- the gadget's words ---- */

/* Hears one request, which must say `expected` (JSON, without the id), and answers with an operation in `state`. */
static inline void accept_work(struct test *t, const char *expected, const char *id, const char *state)
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

static inline void tell_operation(struct test *t, const char *members)
{
    char text[1000];
    snprintf(text, sizeof text, "{\"event\":\"operation\",\"operation\":{%s}}", members);
    fake_tell(&t->gadget, text);
}

/* The gadget's words have been taken up to and including those of this operation. */
static inline void until_known(struct test *t, const char *id)
{
    for (msec last = clock_boot_ms() + FAKE_PATIENCE; clock_boot_ms() < last; usleep(1000)) {
        json_t *known = gadget_client_operation(t->api->gadget, id);
        json_decref(known);
        if (known) return;
    }
    fail_msg("%s never came", id);
}

static inline void until_connected(struct test *t, bool connected)
{
    msec last = clock_boot_ms() + FAKE_PATIENCE;
    while (gadget_client_connected(t->api->gadget) != connected && clock_boot_ms() < last) usleep(1000);
    assert_int_equal(gadget_client_connected(t->api->gadget), connected);
}

/* The audit has tests of its own, with the real database. */
static inline void audit_add(void *owner attr_unused, const char *by attr_unused, const json_t *entry attr_unused) {}

static inline json_t *audit_list(void *owner attr_unused, const char *by attr_unused, int limit attr_unused,
                                 const char *after attr_unused, struct err *e attr_unused)
{
    return json_array();
}

/* So have the marks. */
static inline int marks_add(void *owner attr_unused, const char *operation attr_unused, const char *store attr_unused,
                            const char *image attr_unused, const json_t *mark attr_unused)
{
    return 0;
}

static inline json_t *marks_waiting(void *owner attr_unused)
{
    return json_array();
}

/* ---- fixture ---- */

static inline int setup(void **state)
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
    const struct api_audit audit = {t, audit_add, audit_list};
    const struct api_marks marks = {.owner = t, .add = marks_add, .waiting = marks_waiting};
    t->api = api_new(t->gadget.path, t->library, &history, &audit, &marks, &e);
    if (!t->api) fail_msg("%s", e.text);
    api_response_init(&t->rs);
    *state = t;
    return 0;
}

static inline int setup_connected(void **state)
{
    setup(state);
    struct test *t = *state;
    fake_greet(&t->gadget, HELLO);
    until_connected(t, true);
    return 0;
}

static inline void add_image(struct test *t, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", t->store, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    close(fd);
}

static inline int teardown(void **state)
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
