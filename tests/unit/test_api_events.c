/* Events: what a listener reads, where it goes on, and what happens to one that is slow, late or one too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "api/events.h"

static int snapshots;

static json_t *snapshot(void *owner)
{
    snapshots++;
    return json_pack("[{s:s, s:{s:s}}, {s:s, s:{s:i}}]", "event", "drive", "data", "name", "cd0", "event", "system", "data",
                     "round", *(int *)owner);
}

static int round_number = 7;

static struct events_listener *listen_from(struct events *ev, const char *last_id)
{
    struct err e;
    struct events_listener *l = events_listen(ev, last_id, snapshot, &round_number, &e);
    assert_non_null(l);
    return l;
}

/* Reads until there is nothing more at the moment; at most `max` bytes at a time. */
static char *read_all(struct events_listener *l, size_t max)
{
    static char text[2 << 20];
    size_t len = 0;
    ssize_t n;
    while ((n = events_read(l, text + len, max, 0)) > 0) len += (size_t)n;
    assert_true(n == 0);
    text[len] = '\0';
    return text;
}

static void publish(struct events *ev, int number)
{
    json_t *data = json_pack("{s:i}", "number", number);
    events_publish(ev, "drive", data);
    json_decref(data);
}

/* The id of the last event in the text. */
static void last_id(const char *text, char id[40])
{
    const char *at = NULL;
    for (const char *p = text; (p = strstr(p, "id: ")); p++) at = p + 4;
    assert_non_null(at);
    snprintf(id, 40, "%.*s", (int)strcspn(at, "\n"), at);
}

static void begins_with_a_snapshot(attr_unused void **state)
{
    struct events *ev = events_new();
    publish(ev, 1);
    struct events_listener *l = listen_from(ev, NULL);
    char *text = read_all(l, 3); /* in small pieces, as a transport may want it */
    char id[40], expected[200];
    last_id(text, id);
    snprintf(expected, sizeof expected,
             "retry: 2000\n\nevent: drive\ndata: {\"name\":\"cd0\"}\n\nid: %s\nevent: system\ndata: {\"round\":7}\n\n", id);
    assert_string_equal(text, expected);
    assert_string_equal(strchr(id, '-'), "-1");

    publish(ev, 2);
    text = read_all(l, 4096);
    assert_non_null(strstr(text, "-2\nevent: drive\ndata: {\"number\":2}\n\n"));
    assert_string_equal(read_all(l, 4096), "");
    events_unlisten(l);
    events_free(ev);
}

static void resumes(attr_unused void **state)
{
    struct events *ev = events_new();
    struct events_listener *l = listen_from(ev, NULL);
    char id[40];
    for (int i = 1; i <= 3; i++) publish(ev, i);
    last_id(read_all(l, 4096), id);
    events_unlisten(l);
    for (int i = 4; i <= 5; i++) publish(ev, i);

    snapshots = 0;
    l = listen_from(ev, id);
    const char *text = read_all(l, 4096);
    assert_int_equal(snapshots, 0);
    assert_null(strstr(text, "\"number\":3"));
    assert_non_null(strstr(text, "\"number\":4"));
    assert_non_null(strstr(text, "\"number\":5"));
    events_unlisten(l);
    events_free(ev);
}

static void does_not_resume(attr_unused void **state)
{
    struct events *ev = events_new(), *other = events_new();
    struct events_listener *l = listen_from(ev, NULL);
    char first[40], beyond[40], foreign[40];
    publish(ev, 0);
    last_id(read_all(l, 4096), first);
    events_unlisten(l);
    for (int i = 1; i < 2 * EVENTS_KEPT; i++) publish(ev, i);
    snprintf(beyond, sizeof beyond, "%.8s-99999", first);
    l = listen_from(other, NULL);
    last_id(read_all(l, 4096), foreign);
    events_unlisten(l);

    const char *ids[] = {first, beyond, foreign, "", "x", "-", "1-", "zzzzzzzz-1", "00000000-1 ", "00000000--1"};
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        snapshots = 0;
        l = listen_from(ev, ids[i]);
        read_all(l, 4096);
        if (snapshots != 1) fail_msg("'%s' was resumed from", ids[i]);
        events_unlisten(l);
    }
    events_free(ev);
    events_free(other);
}

static void a_slow_listener_gets_a_snapshot(attr_unused void **state)
{
    struct events *ev = events_new();
    struct events_listener *l = listen_from(ev, NULL);
    read_all(l, 4096);
    snapshots = 0;
    for (int i = 0; i < EVENTS_KEPT + 10; i++) publish(ev, i);
    const char *text = read_all(l, 4096);
    assert_int_equal(snapshots, 1);
    assert_null(strstr(text, "\"number\""));
    publish(ev, 4711);
    assert_non_null(strstr(read_all(l, 4096), "4711"));
    events_unlisten(l);
    events_free(ev);
}

static void the_ring_is_bounded_in_bytes(attr_unused void **state)
{
    struct events *ev = events_new();
    struct events_listener *l = listen_from(ev, NULL);
    read_all(l, 4096);
    static char big[EVENTS_BYTES_KEPT / 4];
    memset(big, 'x', sizeof big - 1);
    json_t *data = json_pack("{s:s}", "big", big);
    snapshots = 0;
    for (int i = 0; i < 3; i++) events_publish(ev, "drive", data);
    assert_true(strlen(read_all(l, 65536)) > 3 * sizeof big);
    assert_int_equal(snapshots, 0);
    for (int i = 0; i < 6; i++) events_publish(ev, "drive", data);
    read_all(l, 65536);
    assert_int_equal(snapshots, 1);
    json_decref(data);
    events_unlisten(l);
    events_free(ev);
}

static void too_many(attr_unused void **state)
{
    struct events *ev = events_new();
    struct events_listener *all[EVENTS_LISTENERS_MAX];
    struct err e = {0};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) all[i] = listen_from(ev, NULL);
    assert_null(events_listen(ev, NULL, snapshot, &round_number, &e));
    assert_int_equal(e.code, ERR_TOO_MANY_REQUESTS);
    events_unlisten(all[0]);
    all[0] = listen_from(ev, NULL);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) events_unlisten(all[i]);
    events_free(ev);
}

struct reader {
    struct events_listener *l;
    char text[4096];
    ssize_t end;
};

static void *read_to_the_end(void *arg)
{
    struct reader *r = arg;
    size_t len = 0;
    while ((r->end = events_read(r->l, r->text + len, sizeof r->text - 1 - len, 10000)) >= 0) len += (size_t)r->end;
    return NULL;
}

static void a_waiting_reader_is_woken(attr_unused void **state)
{
    struct events *ev = events_new();
    struct reader r = {.l = listen_from(ev, NULL)};
    pthread_t thread;
    msec begin = clock_boot_ms();
    pthread_create(&thread, NULL, read_to_the_end, &r);
    usleep(20000); /* most likely it waits by now; if not, the test is just easier */
    publish(ev, 1);
    usleep(20000);
    events_stop(ev);
    pthread_join(thread, NULL);
    assert_true(clock_boot_ms() - begin < 5000);
    assert_non_null(strstr(r.text, "\"number\":1"));
    assert_int_equal(r.end, -1);
    events_unlisten(r.l);
    events_free(ev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_a_snapshot),       cmocka_unit_test(resumes),
        cmocka_unit_test(does_not_resume),              cmocka_unit_test(a_slow_listener_gets_a_snapshot),
        cmocka_unit_test(the_ring_is_bounded_in_bytes), cmocka_unit_test(too_many),
        cmocka_unit_test(a_waiting_reader_is_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
