/* The records of operations: their steps, and which of them are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gadget/operations.h"

#define KEPT 3

static const struct store_list stores = {.items = {{.name = "main", .path = "/images"}}, .count = 1};
static struct images *images;
static struct operations *operations;

static int begin(void **state attr_unused)
{
    images = images_new(&stores);
    operations = operations_new(images, KEPT);
    return images && operations ? 0 : -1;
}

static int end(void **state attr_unused)
{
    operations_free(operations);
    images_free(images);
    return 0;
}

static struct operation *add(enum op_action action, image_key image)
{
    const struct drive_request rq = {.action = action, .image = image};
    struct operation *op = operations_add(operations, 1, &rq, "somebody");
    assert_non_null(op);
    return op;
}

static size_t count(void)
{
    size_t n = 0;
    for (const struct operation *op = operations_first(operations); op; op = op->next) n++;
    return n;
}

static void each_has_an_id_and_a_key(void **state attr_unused)
{
    struct operation *first = add(OP_EJECT, 0), *second = add(OP_EJECT, 0);
    assert_int_equal(strlen(first->id), OPERATION_ID_LEN);
    assert_int_equal(strspn(first->id, "0123456789abcdef"), OPERATION_ID_LEN);
    assert_string_not_equal(first->id, second->id);
    assert_int_not_equal(first->key, second->key);
    assert_int_equal(first->rq.op, first->key);
    assert_int_equal(first->drive, 1);
    assert_string_equal(first->by, "somebody");
    assert_int_equal(first->state, OP_QUEUED);
    assert_true(first->accepted_real > 0);
    assert_ptr_equal(operations_by_id(operations, first->id), first);
    assert_ptr_equal(operations_by_key(operations, second->key), second);
    assert_ptr_equal(operations_first(operations), second);
    assert_null(operations_by_id(operations, "0"));
    assert_null(operations_by_key(operations, 99));
}

/* History pages by id, so a later operation has the greater one. */
static void ids_ascend_with_time(void **state attr_unused)
{
    struct operation *first = add(OP_EJECT, 0);
    msec began = clock_real_ms();
    while (clock_real_ms() == began) usleep(200);
    assert_true(strcmp(first->id, add(OP_EJECT, 0)->id) < 0);
}

static void one_that_was_refused_has_never_been(void **state attr_unused)
{
    struct operation *kept = add(OP_EJECT, 0), *dropped = add(OP_EJECT, 0);
    operations_drop(operations, dropped);
    assert_int_equal(count(), 1);
    assert_ptr_equal(operations_first(operations), kept);
}

static void one_of_an_earlier_process_keeps_its_id(void **state attr_unused)
{
    const struct drive_request rq = {.action = OP_EJECT};
    struct operation *op = operations_restore(operations, "0123456789abcdef0123", 0, &rq, "before");
    assert_string_equal(op->id, "0123456789abcdef0123");
    assert_ptr_equal(operations_by_id(operations, "0123456789abcdef0123"), op);
    assert_int_not_equal(op->key, 0);
}

static void the_oldest_finished_ones_are_forgotten(void **state attr_unused)
{
    struct operation *unfinished = add(OP_EJECT, 0);
    for (int i = 0; i < KEPT + 2; i++) {
        struct operation *op = add(OP_EJECT, 0);
        op->key = (op_key)(100 + i);
        operations_finish(operations, op, i % 2 ? OP_FAILED : OP_DONE, 10);
    }
    assert_int_equal(count(), KEPT + 1);
    assert_ptr_equal(operations_by_key(operations, unfinished->key), unfinished);
    assert_null(operations_by_key(operations, 101));
    assert_non_null(operations_by_key(operations, 102));
}

static void a_finished_one_says_so(void **state attr_unused)
{
    static const struct {
        enum op_state state;
        bool finished;
    } states[] = {{OP_QUEUED, false}, {OP_WAITING, false}, {OP_RUNNING, false}, {OP_DONE, true}, {OP_FAILED, true}, {OP_CANCELLED, true}};
    struct operation *op = add(OP_EJECT, 0);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        op->state = states[i].state;
        assert_int_equal(operation_is_finished(op), states[i].finished);
    }
    operations_finish(operations, op, OP_CANCELLED, 10);
    assert_int_equal(op->state, OP_CANCELLED);
    assert_true(op->finished_real > 0 && op->started_real > 0);
    assert_int_equal(op->phase, PHASE_FINISHED);
}

/* An image that an operation names keeps its number until the operation is forgotten. */
static void what_was_taken_is_unclean_for_a_reason(void **state attr_unused)
{
    const image_key image = images_intern(images, "main", "d.img", NULL);
    const struct {
        struct taken_medium taken;
        unsigned facts;
        const char *reason;
    } cases[] = {
        {{0}, FACT_FORCED | FACT_NOT_DURABLE, NULL}, /* nothing was taken */
        {{.image = image, .written_known = true, .written = 1}, 0, NULL},
        {{.image = image, .written_known = true, .written = 1}, FACT_REATTACHED | FACT_UNCHANGED | FACT_LOCK_OVERRIDDEN, NULL},
        {{.image = image, .written_known = true, .written = 1}, FACT_FORCED, "forced"},
        {{.image = image, .written_known = true, .written = 1}, FACT_STALE_HOST, "forced"},
        {{.image = image, .written_known = true, .written = 1}, FACT_RACED_WITH_WRITE, "raced_with_write"},
        {{.image = image, .written_known = true, .written = 1}, FACT_FORCED | FACT_RACED_WITH_WRITE | FACT_NOT_DURABLE, "not_durable"},
        {{.image = image, .written_known = true, .written = 0}, FACT_FORCED | FACT_NOT_DURABLE, NULL}, /* nothing to lose */
        {{.image = image, .written_known = false}, FACT_FORCED, "forced"}, /* nobody knows: it counts as written */
        {{.image = image, .readonly = true, .written_known = true, .written = 1}, FACT_FORCED, NULL},
        {{.image = IMAGE_FOREIGN, .written_known = true, .written = 1}, FACT_FORCED, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct operation *op = add(OP_EJECT, 0);
        operation_took(operations, op, &cases[i].taken);
        op->facts = cases[i].facts;
        const char *reason = operation_unclean(op);
        if (!reason != !cases[i].reason || (reason && strcmp(reason, cases[i].reason) != 0))
            fail_msg("case %zu: %s", i, reason ? reason : "clean");
    }
}

static void it_takes_one_medium(void **state attr_unused)
{
    struct operation *op = add(OP_EJECT, 0);
    const image_key first = images_intern(images, "main", "d.img", NULL), second = images_intern(images, "main", "e.img", NULL);
    operation_took(operations, op, &(struct taken_medium){.image = first});
    operation_took(operations, op, &(struct taken_medium){.image = second});
    assert_int_equal(op->taken.image, first);
}

static void they_hold_their_images(void **state attr_unused)
{
    struct err e;
    image_key a = images_intern(images, "", "a.iso", &e);
    struct operation *op = add(OP_INSERT, a);
    assert_int_not_equal(images_intern(images, "", "b.iso", &e), a);
    operations_drop(operations, op);
    assert_int_equal(images_intern(images, "", "c.iso", &e), a);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static void assert_step(const struct operation *op, size_t i, const char *rung, const char *outcome, msec duration, unsigned times)
{
    assert_true(i < op->steps_len);
    assert_string_equal(op->steps[i].rung, rung);
    if (outcome)
        assert_string_equal(op->steps[i].outcome, outcome);
    else
        assert_null(op->steps[i].outcome);
    assert_int_equal(op->steps[i].duration, duration);
    assert_int_equal(op->steps[i].times, times);
}

static void steps_tell_what_was_tried(void **state attr_unused)
{
    struct operation *op = add(OP_EJECT, 0);
    operation_step_begin(op, "ask", 100);
    assert_step(op, 0, "ask", NULL, 0, 1);
    operation_step_end(op, "busy", 150);
    operation_step_begin(op, "force", 200);
    operation_step_end(op, "done", 210);
    assert_int_equal(op->steps_len, 2);
    assert_step(op, 0, "ask", "busy", 50, 1);
    assert_step(op, 1, "force", "done", 10, 1);
}

static void an_end_without_a_beginning_is_nothing(void **state attr_unused)
{
    struct operation *op = add(OP_EJECT, 0);
    operation_step_end(op, "done", 100);
    assert_int_equal(op->steps_len, 0);
    operation_step_begin(op, "ask", 100);
    operation_step_end(op, "busy", 150);
    operation_step_end(op, "done", 300);
    assert_step(op, 0, "ask", "busy", 50, 1);
}

static void the_next_step_ends_the_one_before(void **state attr_unused)
{
    struct operation *op = add(OP_INSERT, 0);
    operation_note_phase(op, PHASE_DWELL, 100);
    operation_step_begin(op, "insert", 3100);
    assert_step(op, 0, "dwell", "done", 3000, 1);
    assert_step(op, 1, "insert", NULL, 0, 1);
}

static void equal_answers_count_as_one_step(void **state attr_unused)
{
    struct operation *op = add(OP_EJECT, 0);
    for (msec at = 0; at < 5000; at += 500) {
        operation_step_begin(op, "ask", at);
        operation_step_end(op, "busy", at + 2);
    }
    operation_step_begin(op, "ask", 5000);
    operation_step_end(op, "done", 5002);
    assert_int_equal(op->steps_len, 2);
    assert_step(op, 0, "ask", "busy", 4502, 10);
    assert_step(op, 1, "ask", "done", 2, 1);
}

/* The beginning says why, the end says how it ended. */
static void of_too_many_steps_the_middle_goes(void **state attr_unused)
{
    static char names[40][12];
    struct operation *op = add(OP_EJECT, 0);
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        operation_step_begin(op, names[i], i);
        operation_step_end(op, "done", i);
    }
    assert_int_equal(op->steps_len, OPERATION_STEPS_MAX);
    assert_string_equal(op->steps[0].rung, "0");
    assert_string_equal(op->steps[OPERATION_STEPS_MAX / 2 - 1].rung, "7");
    assert_string_equal(op->steps[OPERATION_STEPS_MAX - 1].rung, "39");
    for (size_t i = OPERATION_STEPS_MAX / 2 + 1; i < OPERATION_STEPS_MAX; i++)
        assert_int_equal(atoi(op->steps[i].rung), atoi(op->steps[i - 1].rung) + 1);
}

static void waits_that_say_something_are_steps(void **state attr_unused)
{
    struct operation *op = add(OP_EJECT, 0);
    operation_note_phase(op, PHASE_QUIET, 100);
    operation_note_phase(op, PHASE_QUIET, 200);
    operation_note_phase(op, PHASE_ASKING, 2100);
    operation_step_begin(op, "ask", 2100);
    operation_step_end(op, "busy", 2101);
    operation_note_phase(op, PHASE_LOCKED, 2101);
    assert_int_equal(op->steps_len, 2);
    assert_step(op, 0, "quiesce", "done", 2000, 1);
    assert_true(op->started_real > 0);
}

static void a_failure_ends_its_step_with_the_code(void **state attr_unused)
{
    struct operation *op = add(OP_EJECT, 0);
    operation_step_begin(op, "force", 100);
    op->err.code = ERR_DRIVE_STUCK;
    operations_finish(operations, op, OP_FAILED, 10100);
    assert_step(op, 0, "force", "drive_stuck", 10000, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_has_an_id_and_a_key),
        TEST(ids_ascend_with_time),
        TEST(one_that_was_refused_has_never_been),
        TEST(one_of_an_earlier_process_keeps_its_id),
        TEST(the_oldest_finished_ones_are_forgotten),
        TEST(a_finished_one_says_so),
        TEST(they_hold_their_images),
        TEST(what_was_taken_is_unclean_for_a_reason),
        TEST(it_takes_one_medium),
        TEST(steps_tell_what_was_tried),
        TEST(an_end_without_a_beginning_is_nothing),
        TEST(the_next_step_ends_the_one_before),
        TEST(equal_answers_count_as_one_step),
        TEST(of_too_many_steps_the_middle_goes),
        TEST(waits_that_say_something_are_steps),
        TEST(a_failure_ends_its_step_with_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
