/* The registry of transfers: what it tells, when, and what a cancellation does; and the rate of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "images/rate.h"
#include "images/transfers.h"

struct heard {
    int count, cancels;
    char states[64][16];
    int64_t bytes;
    char id[TRANSFER_ID_MAX];
};

static void changed(void *owner, const json_t *transfer)
{
    struct heard *h = owner;
    if (h->count < 64) snprintf(h->states[h->count], 16, "%s", json_text(transfer, "state"));
    h->count++;
    h->bytes = json_int(transfer, "bytes", -1);
}

static void cancelled(void *owner, const char *id)
{
    struct heard *h = owner;
    h->cancels++;
    snprintf(h->id, sizeof h->id, "%s", id);
}

static struct transfer_request request(struct heard *h)
{
    return (struct transfer_request){.kind = TRANSFER_UPLOAD, .method = "put", .store = "main", .name = "a.iso",
                                     .user = "local", .size = 1000, .cancel = cancelled, .cancel_owner = h};
}

static void life_of_one(attr_unused void **state)
{
    struct heard h = {0};
    struct err e;
    struct transfers *t = transfers_new();
    transfers_set_listener(t, changed, &h);
    struct transfer_request rq = request(&h);
    struct transfer *x = transfer_begin(t, &rq, &e);
    char id[TRANSFER_ID_MAX];
    strcpy(id, transfer_id(x));
    assert_int_equal(strlen(id), 16);
    for (int i = 1; i <= 500; i++) transfer_progress(x, i); /* within one second: nobody is told */
    assert_in_range(h.count, 1, 1 + 5);
    transfer_pause(x, NULL);
    transfer_expires(x, 1000);
    cleanup_json json_t *paused = transfers_get(t, id, &e);
    assert_string_equal(json_text(paused, "state"), "paused");
    assert_int_equal(json_int(paused, "bytes", 0), 500);
    assert_float_equal(json_real_value(json_object_get(paused, "progress")), 0.5, 1e-9);
    assert_string_equal(json_text(paused, "expires_at"), "1970-01-01T00:00:01Z");
    transfer_resume(x);
    assert_int_equal(transfers_wait(t, id, 1, &e), 0);
    cleanup_json json_t *image = json_pack("{s:s}", "name", "a.iso");
    transfer_end(x, NULL, image);
    assert_int_equal(transfers_wait(t, id, 1000, &e), 1);
    cleanup_json json_t *done = transfers_get(t, id, &e);
    assert_string_equal(json_text(done, "state"), "done");
    assert_string_equal(json_text(json_object_get(done, "result"), "name"), "a.iso");
    assert_string_equal(h.states[h.count - 1], "done");
    assert_int_equal(transfers_cancel(t, id, &e), -1);
    assert_int_equal(e.code, ERR_TOO_LATE);
    assert_int_equal(transfers_cancel(t, "0", &e), -1);
    assert_int_equal(e.code, ERR_NOT_FOUND);
    transfers_free(t);
}

static void cancel(attr_unused void **state)
{
    struct heard h = {0};
    struct err e;
    struct transfers *t = transfers_new();
    transfers_set_listener(t, changed, &h);
    struct transfer_request rq = request(&h);
    struct transfer *x = transfer_begin(t, &rq, &e);
    char id[TRANSFER_ID_MAX];
    strcpy(id, transfer_id(x));
    assert_int_equal(transfer_check(x, &e), 0);
    assert_int_equal(transfers_cancel(t, id, &e), 0);
    assert_int_equal(transfers_cancel(t, id, &e), 0);
    assert_int_equal(h.cancels, 2);
    assert_string_equal(h.id, id);
    assert_int_equal(transfer_check(x, &e), -1);
    assert_int_equal(e.code, ERR_CANCELLED);
    cleanup_json json_t *json = transfers_get(t, id, &e);
    assert_true(json_flag(json, "cancelling"));
    transfer_end(x, &e, NULL);
    cleanup_json json_t *ended = transfers_get(t, id, &e);
    assert_string_equal(json_text(ended, "state"), "cancelled");
    transfers_free(t);
}

static void bounds(attr_unused void **state)
{
    struct heard h = {0};
    struct err e;
    struct transfers *t = transfers_new();
    struct transfer_request rq = request(&h);
    struct transfer *all[TRANSFERS_MAX];
    for (size_t i = 0; i < TRANSFERS_MAX; i++) assert_non_null(all[i] = transfer_begin(t, &rq, &e));
    assert_null(transfer_begin(t, &rq, &e));
    assert_int_equal(e.code, ERR_TOO_MANY_REQUESTS);
    struct err why;
    err_set(&why, ERR_NO_SPACE, "full");
    char last[TRANSFER_ID_MAX];
    strcpy(last, transfer_id(all[TRANSFERS_MAX - 1]));
    for (size_t i = 0; i < TRANSFERS_MAX; i++) transfer_end(all[i], &why, NULL);
    cleanup_json json_t *list = transfers_list(t);
    const json_t *items = json_object_get(list, "transfers");
    assert_int_equal(json_array_size(items), TRANSFERS_KEPT);
    assert_string_equal(json_text(json_array_get(items, 0), "id"), last);
    assert_string_equal(json_text(json_array_get(items, 0), "code"), "no_space");
    assert_string_equal(json_text(json_array_get(items, 0), "detail"), "full");
    /* One that begins again under its old id takes the place of the finished one. */
    rq.id = last;
    struct transfer *again = transfer_begin(t, &rq, &e);
    cleanup_json json_t *json = transfers_get(t, last, &e);
    assert_string_equal(json_text(json, "state"), "running");
    transfer_end(again, NULL, NULL);
    transfers_free(t);
}

/* Many who move and many who look and cancel: for the thread sanitizer, and the order of the news. */
static struct transfers *shared;

static void *move(void *arg)
{
    struct err e;
    for (int round = 0; round < 50; round++) {
        struct transfer_request rq = request(arg);
        rq.cancel = NULL;
        struct transfer *x = transfer_begin(shared, &rq, &e);
        int64_t bytes = 0;
        while (bytes < 1000 && transfer_check(x, &e) == 0) transfer_progress(x, ++bytes);
        transfer_end(x, bytes < 1000 ? &e : NULL, NULL);
    }
    return NULL;
}

static void many(attr_unused void **state)
{
    struct heard h = {0};
    struct err e;
    shared = transfers_new();
    transfers_set_listener(shared, changed, &h);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) pthread_create(&threads[i], NULL, move, &h);
    for (int i = 0; i < 200; i++) {
        cleanup_json json_t *list = transfers_list(shared);
        const json_t *first = json_array_get(json_object_get(list, "transfers"), 0);
        if (first) transfers_cancel(shared, json_text(first, "id"), &e);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) pthread_join(threads[i], NULL);
    cleanup_json json_t *list = transfers_list(shared);
    assert_int_equal(json_array_size(json_object_get(list, "transfers")), TRANSFERS_KEPT);
    transfers_free(shared);
}

static void rates(attr_unused void **state)
{
    struct rate r;
    rate_start(&r, 1000, 5000);
    assert_int_equal(rate_per_second(&r, 1000, 5000), 0);
    assert_int_equal(rate_per_second(&r, 2000, 6000), 1000);
    for (int s = 1; s <= 20; s++) { /* 20 s at 1000 bytes a second, told four times a second */
        for (int quarter = 0; quarter < 4; quarter++)
            rate_add(&r, 1000 + s * 1000 + quarter * 250, 5000 + s * 1000 + quarter * 250);
    }
    assert_int_equal(rate_per_second(&r, 21750, 25750), 1000);
    assert_in_range(rate_per_second(&r, 29750, 25750), 1, 500); /* it stands still: the rate falls */
    for (int s = 0; s < 10; s++) rate_add(&r, 30000 + s * 1000, 25750 + s * 5000);
    assert_in_range(rate_per_second(&r, 39000, 70750), 4900, 5100); /* the newest seconds alone count */
    assert_int_equal(rate_per_second(&r, 39000, 0), 0); /* it began again with less */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_of_one), cmocka_unit_test(cancel), cmocka_unit_test(bounds),
        cmocka_unit_test(many),        cmocka_unit_test(rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
