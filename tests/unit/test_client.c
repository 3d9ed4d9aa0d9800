/*
 * The client of trayd-gadget's socket against a gadget that this test plays: greeting, mirror, calls, waiting, and
 * everything that the other side can do wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "base/log.h"
#include "gadget/client.h"
#include "tests/unit/fake_gadget.h"

#define HELLO                                                                                                      \
    "{\"id\":0,\"ok\":{\"system\":{\"incarnation\":\"1\"},\"drives\":[{\"name\":\"cd0\",\"state\":\"empty\"},"     \
    "{\"name\":\"usb0\",\"state\":\"empty\"}],\"operations\":[{\"id\":\"01\",\"state\":\"done\"},"                 \
    "{\"id\":\"02\",\"state\":\"waiting\"}]}}"

struct test {
    struct fake_gadget gadget;
    struct gadget_client *client;
    pthread_mutex_t lock;
    int drives, operations, connections, losses, ejects, cuts, stores;
    char last[80];
};

/* ---- the listener's side ---- */

static void count(struct test *t, int *counter, const char *text)
{
    pthread_mutex_lock(&t->lock);
    ++*counter;
    snprintf(t->last, sizeof t->last, "%s", text);
    pthread_mutex_unlock(&t->lock);
}

static void on_drive(void *owner, const json_t *drive)
{
    struct test *t = owner;
    count(t, &t->drives, json_text(drive, "name"));
}

static void on_operation(void *owner, const json_t *operation)
{
    struct test *t = owner;
    count(t, &t->operations, json_text(operation, "id"));
}

static void on_system(void *owner, const json_t *system)
{
    struct test *t = owner;
    count(t, system ? &t->connections : &t->losses, "system");
}

static void on_storage_cut(void *owner, const json_t *event)
{
    struct test *t = owner;
    count(t, &t->cuts, json_text(event, "how"));
}

static void on_host_ejected(void *owner, const json_t *event)
{
    struct test *t = owner;
    count(t, &t->ejects, json_text(event, "image"));
}

static void on_schedule(void *owner, const json_t *schedule)
{
    on_host_ejected(owner, schedule);
}

static void on_storage_gone(void *owner, const json_t *event)
{
    on_host_ejected(owner, event);
}

static void on_store(void *owner, const json_t *store)
{
    struct test *t = owner;
    count(t, &t->stores, json_text(store, "stage"));
}

static void on_synced(void *owner, const json_t *operations)
{
    struct test *t = owner;
    char text[20];
    snprintf(text, sizeof text, "synced %zu", json_array_size(operations));
    count(t, &(int){0}, text);
}

static void greet(struct test *t)
{
    fake_greet(&t->gadget, HELLO);
}

static void until(struct test *t, const int *counter, int value)
{
    for (msec end = clock_boot_ms() + FAKE_PATIENCE; clock_boot_ms() < end; usleep(1000)) {
        pthread_mutex_lock(&t->lock);
        bool reached = *counter >= value;
        pthread_mutex_unlock(&t->lock);
        if (reached) return;
    }
    fail_msg("waited in vain");
}

static void until_connected(struct test *t, bool connected)
{
    msec end = clock_boot_ms() + FAKE_PATIENCE;
    while (gadget_client_connected(t->client) != connected && clock_boot_ms() < end) usleep(1000);
    assert_int_equal(gadget_client_connected(t->client), connected);
}

static int setup(void **state)
{
    struct test *t = calloc(1, sizeof *t);
    struct err e;
    pthread_mutex_init(&t->lock, NULL);
    fake_begin(&t->gadget);
    const struct gadget_listener l = {t, on_drive, on_operation, on_system, on_schedule, on_store, on_host_ejected,
                                      on_storage_cut, on_storage_gone, on_synced};
    t->client = gadget_client_new(t->gadget.path, &l, &e);
    assert_non_null(t->client);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;
    gadget_client_free(t->client);
    fake_end(&t->gadget);
    pthread_mutex_destroy(&t->lock);
    free(t);
    return 0;
}

/* ---- calls from threads of their own, as handlers make them ---- */

struct call {
    struct gadget_client *client;
    pthread_t thread;
    json_t *ok, *problem;
    struct err e;
};

static void *make_call(void *arg)
{
    struct call *c = arg;
    c->ok = gadget_client_call(c->client, json_pack("{s:s, s:s}", "do", "eject", "drive", "cd0"), &c->problem, &c->e);
    return NULL;
}

static void begin(struct test *t, struct call *c)
{
    *c = (struct call){.client = t->client};
    pthread_create(&c->thread, NULL, make_call, c);
}

static void end(struct call *c)
{
    pthread_join(c->thread, NULL);
}

/* ---- tests ---- */

static void nothing_before_the_first_hello(void **state)
{
    struct test *t = *state;
    struct err e;
    json_t *problem;
    assert_false(gadget_client_connected(t->client));
    assert_null(gadget_client_drives(t->client));
    assert_null(gadget_client_system(t->client));
    assert_null(gadget_client_drive(t->client, "cd0"));
    assert_null(gadget_client_call(t->client, json_object(), &problem, &e));
    assert_int_equal(e.code, ERR_UNAVAILABLE);
    assert_null(problem);
}

static void hello_fills_the_mirror(void **state)
{
    struct test *t = *state;
    greet(t);
    until(t, &t->connections, 1);
    until_connected(t, true);
    json_t *drives = gadget_client_drives(t->client), *operations = gadget_client_operations(t->client);
    json_t *drive = gadget_client_drive(t->client, "usb0"), *operation = gadget_client_operation(t->client, "01");
    json_t *system = gadget_client_system(t->client);
    assert_int_equal(json_array_size(drives), 2);
    assert_int_equal(json_array_size(operations), 2);
    assert_string_equal(json_text(drive, "state"), "empty");
    assert_string_equal(json_text(operation, "state"), "done");
    assert_string_equal(json_text(system, "incarnation"), "1");
    assert_null(gadget_client_drive(t->client, "cd1"));
    assert_null(gadget_client_operation(t->client, "99"));
    json_decref(drives);
    json_decref(operations);
    json_decref(drive);
    json_decref(operation);
    json_decref(system);
    assert_int_equal(t->drives, 2);
    assert_int_equal(t->operations, 2);
}

static void events_change_it(void **state)
{
    struct test *t = *state;
    greet(t);
    until_connected(t, true);
    fake_tell(&t->gadget, "{\"event\":\"drive\",\"drive\":{\"name\":\"cd0\",\"state\":\"loaded\"}}");
    until(t, &t->drives, 3);
    json_t *drive = gadget_client_drive(t->client, "cd0");
    assert_string_equal(json_text(drive, "state"), "loaded");
    json_decref(drive);
    json_t *drives = gadget_client_drives(t->client); /* still in the order of the configuration */
    assert_string_equal(json_text(json_array_get(drives, 0), "name"), "cd0");
    json_decref(drives);
    fake_tell(&t->gadget, "{\"event\":\"storage_cut\",\"drive\":\"cd0\",\"image\":\"a.iso\",\"store\":\"main\",\"how\":\"nbd\"}");
    until(t, &t->cuts, 1);
    assert_string_equal(t->last, "nbd");
    fake_tell(&t->gadget, "{\"event\":\"host_ejected\",\"drive\":\"cd0\",\"image\":\"a.iso\",\"store\":\"main\"}");
    until(t, &t->ejects, 1);
    assert_string_equal(t->last, "a.iso");
    fake_tell(&t->gadget, "{\"event\":\"store\",\"store\":{\"name\":\"main\",\"stage\":\"leaving\",\"step\":\"sync\"}}");
    until(t, &t->stores, 1);
    assert_string_equal(t->last, "leaving");
    json_t *store = gadget_client_wait_store(t->client, "main", clock_boot_ms() + 20);
    assert_string_equal(json_text(store, "step"), "sync");
    json_decref(store);
    fake_tell(&t->gadget, "{\"event\":\"store\",\"store\":{\"name\":\"main\",\"stage\":\"detached\",\"step\":null}}");
    store = gadget_client_wait_store(t->client, "main", clock_boot_ms() + FAKE_PATIENCE);
    assert_string_equal(json_text(store, "stage"), "detached");
    json_decref(store);
    assert_null(gadget_client_wait_store(t->client, "other", clock_boot_ms() + FAKE_PATIENCE));
    fake_tell(&t->gadget, "{\"event\":\"system\",\"system\":{\"incarnation\":\"2\"}}");
    until(t, &t->connections, 2);
}

static void an_answer_reaches_its_caller(void **state)
{
    struct test *t = *state;
    struct call first, second;
    char answer[200];
    greet(t);
    until_connected(t, true);
    begin(t, &first);
    json_t *one = fake_hear(&t->gadget);
    begin(t, &second);
    json_t *two = fake_hear(&t->gadget);
    assert_string_equal(json_text(one, "do"), "eject");
    assert_int_not_equal(json_int(one, "id", -1), json_int(two, "id", -1));

    /* in the other order, with an answer to nobody in between */
    fake_tell(&t->gadget, "{\"id\":999,\"ok\":{}}");
    snprintf(answer, sizeof answer,
             "{\"id\":%d,\"error\":{\"code\":\"medium_in_use\",\"detail\":\"locked\",\"evidence\":{\"lock\":\"locked\"}}}",
             (int)json_int(two, "id", -1));
    fake_tell(&t->gadget, answer);
    end(&second);
    assert_null(second.ok);
    assert_int_equal(second.e.code, ERR_MEDIUM_IN_USE);
    assert_string_equal(second.e.text, "locked");
    assert_null(json_object_get(second.problem, "code"));
    assert_string_equal(json_text(json_object_get(second.problem, "evidence"), "lock"), "locked");

    snprintf(answer, sizeof answer, "{\"id\":%d,\"ok\":{\"operation\":{\"id\":\"03\",\"state\":\"queued\"}}}",
             (int)json_int(one, "id", -1));
    fake_tell(&t->gadget, answer);
    end(&first);
    assert_string_equal(json_text(json_object_get(first.ok, "operation"), "id"), "03");
    json_t *known = gadget_client_operation(t->client, "03"); /* known at once, without an event */
    assert_non_null(known);
    assert_string_equal(t->last, "03");
    json_decref(known);
    json_decref(first.ok);
    json_decref(second.problem);
    json_decref(one);
    json_decref(two);
}

static void a_call_ends_with_the_connection(void **state)
{
    struct test *t = *state;
    struct call c;
    greet(t);
    until_connected(t, true);
    begin(t, &c);
    json_decref(fake_hear(&t->gadget));
    fake_hang_up(&t->gadget);
    end(&c);
    assert_null(c.ok);
    assert_int_equal(c.e.code, ERR_UNAVAILABLE);
    until(t, &t->losses, 1);
    json_t *drive = gadget_client_drive(t->client, "cd0"); /* what was true last */
    assert_non_null(drive);
    json_decref(drive);
}

static void *finish_later(void *arg)
{
    struct test *t = arg;
    usleep(20000);
    fake_tell(&t->gadget, "{\"event\":\"operation\",\"operation\":{\"id\":\"02\",\"state\":\"running\"}}");
    usleep(20000);
    fake_tell(&t->gadget, "{\"event\":\"operation\",\"operation\":{\"id\":\"02\",\"state\":\"failed\"}}");
    return NULL;
}

static void waits_for_the_end(void **state)
{
    struct test *t = *state;
    pthread_t thread;
    greet(t);
    until_connected(t, true);
    json_t *operation = gadget_client_wait(t->client, "02", clock_boot_ms() + 20);
    assert_string_equal(json_text(operation, "state"), "waiting");
    json_decref(operation);
    pthread_create(&thread, NULL, finish_later, t);
    operation = gadget_client_wait(t->client, "02", clock_boot_ms() + FAKE_PATIENCE);
    pthread_join(thread, NULL);
    assert_string_equal(json_text(operation, "state"), "failed");
    assert_string_equal(t->last, "02"); /* the listener was told first */
    json_decref(operation);
    assert_null(gadget_client_wait(t->client, "77", clock_boot_ms() + FAKE_PATIENCE));
}

static void *end_in_two_messages(void *arg)
{
    struct test *t = arg;
    fake_tell(&t->gadget,
              "{\"event\":\"operation\",\"operation\":{\"id\":\"02\",\"state\":\"done\",\"drive\":\"cd0\"}}");
    usleep(50000);
    fake_tell(&t->gadget,
              "{\"event\":\"drive\",\"drive\":{\"name\":\"cd0\",\"state\":\"loaded\",\"operation\":null}}");
    return NULL;
}

/* Who is told that the operation is done must see the drive as it left it. */
static void waits_for_the_drive_too(void **state)
{
    struct test *t = *state;
    pthread_t thread;
    greet(t);
    until_connected(t, true);
    fake_tell(&t->gadget, "{\"event\":\"drive\",\"drive\":{\"name\":\"cd0\",\"operation\":{\"id\":\"02\"}}}");
    until(t, &t->drives, 3);
    pthread_create(&thread, NULL, end_in_two_messages, t);
    json_t *operation = gadget_client_wait(t->client, "02", clock_boot_ms() + FAKE_PATIENCE);
    json_t *drive = gadget_client_drive(t->client, "cd0");
    pthread_join(thread, NULL);
    assert_string_equal(json_text(operation, "state"), "done");
    assert_string_equal(json_text(drive, "state"), "loaded");
    json_decref(operation);
    json_decref(drive);
}

static void *restart_without_the_operation(void *arg)
{
    struct test *t = arg;
    close(t->gadget.listening);
    fake_hang_up(&t->gadget);
    fake_listen(&t->gadget);
    fake_greet(&t->gadget, "{\"id\":0,\"ok\":{\"system\":{},\"drives\":[],\"operations\":[]}}");
    return NULL;
}

static void waiting_ends_when_it_is_forgotten(void **state)
{
    struct test *t = *state;
    pthread_t thread;
    greet(t);
    until_connected(t, true);
    pthread_create(&thread, NULL, restart_without_the_operation, t);
    assert_null(gadget_client_wait(t->client, "02", clock_boot_ms() + FAKE_PATIENCE));
    pthread_join(thread, NULL);
    until_connected(t, true);
    assert_string_equal(t->last, "synced 0");
    json_t *drives = gadget_client_drives(t->client);
    assert_int_equal(json_array_size(drives), 0);
    json_decref(drives);
}

/* Whatever is said that cannot be understood: the client hangs up. */
static void nonsense(attr_unused void **state)
{
    static const char *const texts[] = {
        "x", "{}", "[]", "{\"id\":\"1\"}", "{\"id\":-1}", "{\"event\":7}", "{\"event\":\"drive\"}",
        "{\"event\":\"drive\",\"drive\":{}}", "{\"event\":\"drive\",\"drive\":[]}",
        "{\"event\":\"operation\",\"operation\":{}}", "{\"event\":\"system\",\"system\":null}",
        "{\"event\":\"host_ejected\"}", "{\"event\":\"storage_cut\"}", "{\"event\":\"party\"}", "{\"id\":1,\"id\":1}",
        "{\"id\":0}", "{\"id\":0,\"ok\":{}}", "{\"id\":0,\"ok\":{\"system\":{},\"drives\":[1],\"operations\":[]}}",
        "{\"id\":0,\"ok\":{\"system\":{},\"drives\":[],\"operations\":[{}]}}", "\xff",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) { /* each with a client of its own: coming again takes a pause */
        void *own;
        setup(&own);
        struct test *t = own;
        greet(t);
        until_connected(t, true);
        fake_tell(&t->gadget, texts[i]);
        until_connected(t, false);
        teardown(&own);
    }
}

static void stop_ends_all_waiting(void **state)
{
    struct test *t = *state;
    struct call c;
    greet(t);
    until_connected(t, true);
    begin(t, &c);
    json_decref(fake_hear(&t->gadget));
    gadget_client_stop(t->client);
    end(&c);
    assert_int_equal(c.e.code, ERR_UNAVAILABLE);
    json_t *operation = gadget_client_wait(t->client, "02", clock_boot_ms() + FAKE_PATIENCE);
    assert_string_equal(json_text(operation, "state"), "waiting");
    json_decref(operation);
    assert_null(gadget_client_call(t->client, json_object(), NULL, &c.e));
}

static void refuses_what_fits_no_packet(void **state)
{
    struct test *t = *state;
    struct err e = {0};
    static char padding[GADGET_MESSAGE_MAX + 1];
    greet(t);
    until_connected(t, true);
    memset(padding, 'x', sizeof padding - 1);
    assert_null(gadget_client_call(t->client, json_pack("{s:s}", "do", padding), NULL, &e));
    assert_int_equal(e.code, ERR_TOO_LARGE);
    assert_true(gadget_client_connected(t->client));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    log_init("test_client", LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(nothing_before_the_first_hello), TEST(hello_fills_the_mirror),            TEST(events_change_it),
        TEST(an_answer_reaches_its_caller),   TEST(a_call_ends_with_the_connection),   TEST(waits_for_the_end),
        TEST(waits_for_the_drive_too),        TEST(waiting_ends_when_it_is_forgotten), cmocka_unit_test(nonsense),
        TEST(stop_ends_all_waiting),          TEST(refuses_what_fits_no_packet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
