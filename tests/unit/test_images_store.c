/* Stores that come and go, and stores that do not answer. */
#include "tests/unit/images_fixture.h"

#include <pthread.h>

/* ---- gone, and back ---- */

static void detached(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists;
    struct library_content content;
    put_file(f, "main/a.iso", "x", 1);
    put_file(f, "second/b.iso", "x", 1);
    assert_int_equal(rename(path_in(f, "main"), path_in(f, "elsewhere")), 0);

    struct library_upload_request rq = {.store = "", .name = "c.iso", .length = 1};
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_STORE_DETACHED);
    assert_null(library_get(f->library, "main", "a.iso", &e));
    assert_code(e, ERR_STORE_DETACHED);
    assert_int_equal(library_content_open(f->library, "main", "a.iso", &content, &e), -1);
    assert_code(e, ERR_STORE_DETACHED);
    assert_int_equal(library_delete(f->library, "main", "a.iso", NULL, &e), -1);
    assert_code(e, ERR_STORE_DETACHED);
    assert_null(library_list(f->library, &(struct library_query){.store = "main", .limit = 1}, &e));
    assert_code(e, ERR_STORE_DETACHED);

    json_t *page = library_list(f->library, &(struct library_query){.limit = 10}, &e);
    assert_int_equal(json_array_size(json_object_get(page, "images")), 1); /* the other store's */
    json_decref(page);
    json_t *store = library_store(f->library, "main", &e);
    assert_false(json_flag(store, "attached"));
    assert_true(json_is_null(json_object_get(store, "free")));
    json_decref(store);
    json_t *stores = library_stores(f->library);
    assert_int_equal(json_array_size(stores), 2);
    assert_true(json_flag(json_array_get(stores, 1), "attached"));
    json_decref(stores);

    assert_int_equal(rename(path_in(f, "elsewhere"), path_in(f, "main")), 0);
    cleanup_json json_t *image = library_get(f->library, "main", "a.iso", &e);
    assert_non_null(image);
    store = library_store(f->library, "", &e);
    assert_true(json_flag(store, "attached"));
    assert_true(json_int(store, "size", 0) > 0);
    assert_string_equal(json_text(store, "name"), "main");
    json_decref(store);
}

/* With `mount` the bare directory is no store. */
static void not_mounted(void **state)
{
    const struct fixture *f = *state;
    struct store s;
    struct store_entry in = STORE_OUTSIDE;
    struct err e = {0};
    struct store_config config = {.name = "stick", .mount = true, .readonly = true};
    snprintf(config.path, sizeof config.path, "%s", path_in(f, "main"));
    assert_int_equal(store_enter_directly(&config, "", &in, &e), -1);
    assert_code(e, ERR_STORE_DETACHED);
    assert_non_null(strstr(e.text, config.path));
    strcpy(config.path, "/proc"); /* mounted wherever there are processes */
    assert_int_equal(store_init(&s, &config, &e), 0);
    assert_int_equal(store_enter(&s, "", &in, &e), 0);
    store_leave(&in);
    store_done(&s);
}

/* Another directory under the same path is another store: nothing of the old one is held on to. */
static void replaced_under_its_path(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    put_file(f, "main/a.iso", "x", 1);
    json_decref(library_get(f->library, "main", "a.iso", &e));
    assert_int_equal(rename(path_in(f, "main"), path_in(f, "elsewhere")), 0);
    assert_int_equal(mkdir(path_in(f, "main"), 0755), 0);
    put_file(f, "main/b.iso", "x", 1);
    assert_null(library_get(f->library, "main", "a.iso", &e));
    assert_code(e, ERR_IMAGE_MISSING);
    cleanup_json json_t *image = library_get(f->library, "main", "b.iso", &e);
    assert_non_null(image);
}

/* What was cut is attached again when it reads, or when something else lies under its path. Read errors need a device: the
 * guest's cut.sh has them. */
static void doubted(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    put_file(f, "main/a.iso", "x", 1);
    library_doubt(f->library, "main", "a.iso");
    library_doubt(f->library, "nowhere", "a.iso");
    json_t *store = library_store(f->library, "main", &e);
    assert_true(json_flag(store, "attached"));
    json_decref(store);
    library_doubt(f->library, "main", "gone.iso");
    store = library_store(f->library, "main", &e);
    assert_true(json_flag(store, "attached"));
    json_decref(store);
}

/* The directory goes while an upload is under way: it ends with an error, or where the directory is now. */
static void gone_during_upload(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, replaced;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = 3};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_int_equal(rename(path_in(f, "main"), path_in(f, "elsewhere")), 0);
    assert_int_equal(library_upload_write(u, "abc", 3, &e), 0);
    json_t *image = library_upload_finish(u, &replaced, &e);
    assert_non_null(image);
    json_decref(image);
    assert_int_equal(size_of_file(f, "elsewhere/a.iso"), 3);
    assert_int_equal(size_of_file(f, "main/a.iso"), -1);
}

static void unknown_stores(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    assert_null(library_store(f->library, "missing", &e));
    assert_code(e, ERR_NOT_FOUND);
    assert_null(library_store(f->library, "main/sub", &e));
    assert_code(e, ERR_NOT_FOUND);
    assert_null(library_store(f->library, "..", &e));
    assert_code(e, ERR_INVALID_NAME);
}

/* ---- not answering ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool inside, open;
    int ran, dropped;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void gate_run(attr_unused struct store_job *job)
{
    pthread_mutex_lock(&gate.lock);
    gate.ran++;
    gate.inside = true;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open) pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_drop(struct store_job *job)
{
    pthread_mutex_lock(&gate.lock);
    gate.dropped++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    free(job);
}

static struct store_job *gate_job(void)
{
    struct store_job *job = malloc(sizeof *job);
    *job = (struct store_job){.run = gate_run, .drop = gate_drop};
    return job;
}

static void gate_close(void)
{
    gate.open = gate.inside = false;
    gate.ran = gate.dropped = 0;
}

static void gate_wait_inside(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.inside) pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_open_and_wait_for_drops(int count)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    while (gate.dropped < count) pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* One store's thread sleeps in the kernel: the other stores answer, and this one's callers get an error in time. */
static void one_store_is_stuck(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool started;
    put_file(f, "second/b.iso", "x", 1);
    struct store_thread *t = f->library->stores[0].thread;
    gate_close();
    struct store_job *job = gate_job();
    store_thread_post(t, job);
    gate_wait_inside();

    assert_int_equal(store_thread_call(t, gate_job(), 20, &started, &e), -1); /* waits in the queue, and is taken out */
    assert_code(e, ERR_UNAVAILABLE);
    assert_false(started);
    assert_int_equal(gate.dropped, 1);
    assert_int_equal(store_thread_wait(t, job, clock_boot_ms() + 20, &started, &e), -1);
    assert_code(e, ERR_UNAVAILABLE);
    assert_true(started); /* it may still take effect */

    cleanup_json json_t *image = library_get(f->library, "second", "b.iso", &e);
    assert_non_null(image);
    struct library_upload_request rq = {.store = "second", .name = "c.iso", .length = 1};
    cleanup_json json_t *second = upload(f->library, &rq, "x", 1, &e);
    assert_non_null(second);
    assert_int_equal(library_delete(f->library, "second", "c.iso", NULL, &e), 0);

    gate_open_and_wait_for_drops(2);
    assert_int_equal(gate.ran, 1);
    put_file(f, "main/a.iso", "x", 1);
    cleanup_json json_t *again = library_get(f->library, "main", "a.iso", &e); /* and this one works again */
    assert_non_null(again);
}

/* A job that has been stuck for long makes those that come later fail at once. */
static void stuck_for_long(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool started;
    struct store_thread *t = f->library->stores[0].thread;
    gate_close();
    struct store_job *job = gate_job();
    store_thread_post(t, job);
    gate_wait_inside();
    job->started_at -= STORE_PATIENCE; /* as if that time had passed; nobody else writes it now */
    msec before = clock_boot_ms();
    assert_null(library_get(f->library, "main", "a.iso", &e));
    assert_code(e, ERR_UNAVAILABLE);
    cleanup_json json_t *stores = library_stores(f->library);
    assert_false(json_flag(json_array_get(stores, 0), "attached"));
    assert_true(json_flag(json_array_get(stores, 1), "attached"));
    cleanup_json json_t *page = library_list(f->library, &(struct library_query){.limit = 10}, &e);
    assert_non_null(page);
    assert_true(clock_boot_ms() - before < ALL_STORES_PATIENCE);
    assert_int_equal(store_thread_wait(t, job, clock_boot_ms(), &started, &e), -1);
    gate_open_and_wait_for_drops(1);
}

/* More jobs than the queue has places: the last is refused. */
static void queue_is_full(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct store_thread *t = f->library->stores[0].thread;
    struct store_job *jobs[STORE_JOBS_MAX + 1];
    gate_close();
    jobs[0] = gate_job();
    store_thread_post(t, jobs[0]);
    gate_wait_inside();
    for (size_t i = 1; i < ARRAY_LEN(jobs); i++) {
        jobs[i] = gate_job();
        store_thread_post(t, jobs[i]);
    }
    assert_int_equal(store_thread_call(t, gate_job(), 10000, NULL, &e), -1);
    assert_code(e, ERR_UNAVAILABLE);
    assert_int_equal(gate.dropped, 1);
    gate_open_and_wait_for_drops(0);
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        assert_int_equal(store_thread_wait(t, jobs[i], clock_boot_ms() + 10000, NULL, &e), 0);
        gate_drop(jobs[i]);
    }
    assert_int_equal(gate.ran, STORE_JOBS_MAX + 1);
}

/* The service ends while a store is stuck: it does not wait for it. */
static void end_while_stuck(attr_unused void **state)
{
    struct err e = {0};
    struct store_thread *t = store_thread_new(&e);
    gate_close();
    struct store_job *job = gate_job();
    assert_int_equal(store_thread_call(t, job, 20, NULL, &e), -1);
    gate_wait_inside();
    store_thread_free(t);
    gate_open_and_wait_for_drops(1);
    store_thread_free(NULL);
}

/* ---- many at once ---- */

static void *upload_and_list(void *arg)
{
    struct fixture *f = arg;
    static atomic_int turn;
    char name[32];
    snprintf(name, sizeof name, "image-%d", atomic_fetch_add(&turn, 1));
    for (int i = 0; i < 10; i++) {
        struct err e = {0};
        struct library_upload_request rq = {.store = i % 2 ? "second" : "", .name = name, .length = -1};
        json_t *image = upload(f->library, &rq, name, sizeof name, &e);
        if (!image) return "upload";
        json_decref(image);
        json_t *page = library_list(f->library, &(struct library_query){.limit = 100, .search = "IMAGE"}, &e);
        if (!page) return "list";
        json_decref(page);
        if (library_delete(f->library, rq.store, name, NULL, &e) < 0) return "delete";
    }
    return NULL;
}

static void quiet(attr_unused void *owner, attr_unused const json_t *image)
{
}

static void many_threads(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[8];
    library_set_listener(f->library, quiet, f);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, upload_and_list, f), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        if (failed) fail_msg("%s failed", (const char *)failed);
    }
    assert_nothing_left(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(detached), FIXTURE_TEST(not_mounted),
        FIXTURE_TEST(replaced_under_its_path),
        FIXTURE_TEST(gone_during_upload),
        FIXTURE_TEST(unknown_stores),
        FIXTURE_TEST(doubted),
        FIXTURE_TEST(one_store_is_stuck),
        FIXTURE_TEST(stuck_for_long),
        FIXTURE_TEST(queue_is_full),
        cmocka_unit_test(end_while_stuck),
        FIXTURE_TEST(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
