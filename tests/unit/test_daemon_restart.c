/*
 * What must not be forgotten over restarts of trayd-gadget, however slow they are and however often they come: that a
 * host was robbed of a writable medium, that a reattach is under way or the gadget detached, and how operations ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gadget/client.h"
#include "tests/unit/daemon_each.h"

static void a_slow_start_is_no_reattach(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    assert_true(f->daemon->units[USB0].machine.stale_host);
    fixture_kill(f);
    usleep(3 * FIXTURE_HOLD * 1000); /* before the first look at the link */
    until(f, f->daemon->started && f->daemon->link.configured);
    assert_true(f->daemon->units[USB0].machine.stale_host);
}

static void a_doubt_outlives_a_second_restart(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "hang usb0 host");
    fixture_begin(f, EJECT("usb0", ", \"mode\": \"forced\""));
    fixture_kill(f);
    state_file_save(f->daemon); /* as any event does, before the kernel was seen */
    fixture_kill(f);
    until(f, f->daemon->units[USB0].machine.observed);
    assert_true(f->daemon->units[USB0].machine.stale_host);
    assert_int_equal(f->daemon->units[USB0].resumed_doing, DO_NOTHING);
}

/* ---- with a kernel that outlives the daemon ----------------------------------------------------------------------- */

static int begin_kept(void **state attr_unused)
{
    f = fixture_new("", "stuck_after = \"1 s\";");
    fixture_keep_kernel(f);
    fixture_ready(f);
    return 0;
}

static unsigned enumerations(void)
{
    char answer[64];
    fixture_host_says(f, "enumerations", answer, sizeof answer);
    return (unsigned)atoi(answer + strlen("ok "));
}

static void restarted(void)
{
    fixture_kill(f);
    until(f, f->daemon->started && !reattach_under_way(f->daemon) && f->daemon->units[USB0].machine.observed);
}

static void begin_reattach(enum reattach_order order)
{
    struct err e;
    assert_int_equal(reattach_begin(f->daemon, order, NO_DRIVE, false, true, NULL, NULL, &e), 0);
}

static void what_is_in_is_found_again(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    unsigned before = enumerations();
    restarted();
    assert_true(f->daemon->units[USB0].machine.medium.image);
    assert_int_equal(f->daemon->found, FOUND_AS_PLANNED);
    assert_int_equal(enumerations(), before);
}

/* Who detached the gadget does not want it back because a process died. */
static void a_detached_gadget_stays_so(void **state attr_unused)
{
    begin_reattach(REATTACH_ONLY_DETACH);
    until(f, !reattach_under_way(f->daemon));
    unsigned before = enumerations();
    for (int i = 0; i < 2; i++) {
        restarted();
        assert_false(f->daemon->link.bound);
        assert_int_equal(f->daemon->attachment, ATTACHMENT_ENDED);
    }
    assert_int_equal(enumerations(), before);
    begin_reattach(REATTACH_ONLY_ATTACH);
    until(f, !reattach_under_way(f->daemon));
    restarted();
    assert_true(f->daemon->link.bound);
    assert_int_equal(enumerations(), before + 1);
}

static void a_reattach_is_ended_by_the_next_one(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    unsigned before = enumerations();
    f->config.reattach_hold = 400;
    begin_reattach(REATTACH_FULL);
    until(f, f->daemon->unbound_since);
    msec since = f->daemon->unbound_since;
    for (int i = 0; i < 2; i++) {
        fixture_kill(f);
        until(f, f->daemon->started);
        assert_true(reattach_under_way(f->daemon));
    }
    until(f, f->daemon->link.bound);
    assert_true(clock_boot_ms() - since >= 400); /* as long as the host needs to see it */
    until(f, !reattach_under_way(f->daemon));
    assert_false(f->daemon->units[USB0].machine.stale_host);
    assert_int_equal(enumerations(), before + 1);
}

static void a_bind_that_was_written_down_counts(void **state attr_unused)
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_do(f, EJECT("usb0", ", \"mode\": \"forced\""));
    const msec now = clock_boot_ms();
    for (int held = 0; held < 2; held++) { /* bound all the while, or after a pause that nobody saw the end of */
        f->daemon->unbound_since = now - 2 * FIXTURE_HOLD;
        f->daemon->bind_ordered = held ? now : now - 2 * FIXTURE_HOLD + 1;
        state_file_save(f->daemon);
        restarted();
        assert_int_equal(f->daemon->units[USB0].machine.stale_host, !held);
        assert_int_equal(f->daemon->bind_ordered, 0);
    }
}

static const json_t *outcome_of(const char *id)
{
    size_t i;
    json_t *outcome;
    json_array_foreach(f->daemon->outcomes, i, outcome)
        if (strcmp(json_text(outcome, "id"), id) == 0) return outcome;
    return NULL;
}

static void an_outcome_that_nobody_heard_is_kept(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    strcpy(id, fixture_do(f, INSERT("usb0", "d.img", ", \"by\": \"ann\""))->id);
    for (int i = 0; i < 3; i++) {
        restarted();
        const json_t *outcome = outcome_of(id);
        assert_non_null(outcome);
        assert_string_equal(json_text(outcome, "state"), "done");
        assert_string_equal(json_text(outcome, "by"), "ann");
    }
    f->daemon->outcomes_unheard = false; /* as after hello */
    fixture_do(f, EJECT("usb0", ""));
    restarted();
    assert_null(outcome_of(id));
}

static void outcomes_are_bounded(void **state attr_unused)
{
    for (int i = 0; i < GADGET_OPERATIONS_KEPT + 5; i++) fixture_do(f, EJECT("usb0", ""));
    restarted();
    assert_int_equal(json_array_size(f->daemon->outcomes), GADGET_OPERATIONS_KEPT);
}

static void an_interrupted_one_is_known_after_two_deaths(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    fixture_do(f, INSERT("cd0", "a.iso", ""));
    fixture_host(f, "lock cd0");
    strcpy(id, fixture_begin(f, EJECT("cd0", ", \"patience\": 60"))->id);
    until(f, f->daemon->units[CD0].machine.queue[0].phase == PHASE_LOCKED);
    fixture_kill(f);
    state_file_save(f->daemon); /* as any event does, before the kernel was seen */
    fixture_kill(f);
    const struct operation *op = operations_by_id(f->daemon->operations, id);
    assert_non_null(op);
    until(f, operation_is_finished(op));
    assert_int_equal(op->err.code, ERR_INTERRUPTED);
    assert_true(f->daemon->units[CD0].machine.medium.image);
}

/* Nobody waits for a kernel that does not answer; and what it did in the end is not forgotten for that. */
static void a_drive_that_hangs_holds_up_no_outcome(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "hang usb0 storage");
    strcpy(id, fixture_begin(f, EJECT("usb0", ", \"mode\": \"forced\""))->id);
    fixture_kill(f);
    const struct operation *op = operations_by_id(f->daemon->operations, id);
    until(f, operation_is_finished(op));
    assert_int_equal(op->err.code, ERR_INTERRUPTED);
    assert_true(f->daemon->units[USB0].machine.stuck);
    assert_int_equal(f->daemon->units[USB0].resumed_doing, DO_FORCE);
    fixture_host(f, "hang usb0 off");
    until(f, f->daemon->units[USB0].machine.observed && !f->daemon->units[USB0].machine.stuck);
    assert_true(f->daemon->units[USB0].machine.medium.image); /* the order had died with the one that gave it */
    assert_false(f->daemon->units[USB0].machine.stale_host);
}

static void who_inserted_it_is_known(void **state attr_unused)
{
    fixture_host(f, "hang usb0 host");
    fixture_begin(f, INSERT("usb0", "d.img", ", \"by\": \"ann\""));
    until(f, f->daemon->units[USB0].machine.outstanding == DO_INSERT);
    char *then = fixture_state(f);
    fixture_host(f, "hang usb0 off");
    until(f, f->daemon->units[USB0].machine.medium.image);
    fixture_killed_at(f, then); /* the kernel has taken it, and nobody has heard of that */
    until(f, f->daemon->units[USB0].machine.observed);
    assert_string_equal(f->daemon->units[USB0].medium.by, "ann");
}

/* ---- what was taken ------------------------------------------------------------------------------------------------ */

static int begin_impatient(void **state attr_unused)
{
    f = fixture_new("", "stuck_after = \"1 s\";");
    fixture_ready(f);
    return 0;
}

static void rob(const char *hangs, char id[OPERATION_ID_LEN + 1])
{
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "write usb0 4KiB");
    fixture_host(f, hangs);
    strcpy(id, fixture_begin(f, EJECT("usb0", ", \"mode\": \"forced\", \"by\": \"ann\""))->id);
    until(f, f->daemon->units[USB0].machine.outstanding == DO_FORCE);
}

static void assert_taken(const struct operation *op)
{
    const struct image_ref *image = images_ref(f->daemon->images, op->taken.image);
    assert_non_null(image);
    assert_string_equal(image->name, "d.img");
    assert_non_null(operation_unclean(op));
    assert_true(op->unheard);
}

static void a_call_that_came_back_late_belongs_to_its_operation(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    rob("hang usb0 storage", id);
    struct operation *op = operations_by_id(f->daemon->operations, id);
    until(f, operation_is_finished(op));
    assert_int_equal(op->err.code, ERR_DRIVE_STUCK);
    assert_null(operation_unclean(op)); /* it is still in */
    op->unheard = false;
    fixture_host(f, "hang usb0 off");
    until(f, !f->daemon->units[USB0].machine.medium.image);
    assert_taken(op);
    assert_int_equal(op->taken.written, 4096);
    assert_int_equal(op->err.code, ERR_DRIVE_STUCK); /* which is what its client was told */
}

static void what_was_taken_is_known_after_a_restart(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    rob("hang usb0 host", id);
    char *then = fixture_state(f);
    fixture_host(f, "hang usb0 off");
    until(f, !f->daemon->units[USB0].machine.medium.image);
    fixture_killed_at(f, then); /* the kernel has let it go, and nobody has heard of that */
    const struct operation *op = operations_by_id(f->daemon->operations, id);
    until(f, operation_is_finished(op));
    assert_taken(op);
    assert_string_equal(operation_unclean(op), "not_durable");
}

/* It is out, and what replaces it waits. */
static void what_was_taken_is_written_down(void **state attr_unused)
{
    char id[OPERATION_ID_LEN + 1];
    f->config.drives[USB0].dwell = 60000;
    fixture_kill(f);
    until(f, f->daemon->units[USB0].machine.observed);
    fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "write usb0 4KiB");
    strcpy(id, fixture_begin(f, INSERT("usb0", "e.img", ", \"mode\": \"forced\", \"readonly\": true"))->id);
    until(f, f->daemon->units[USB0].machine.queue[0].phase == PHASE_DWELL);
    fixture_kill(f);
    const struct operation *op = operations_by_id(f->daemon->operations, id);
    until(f, operation_is_finished(op));
    assert_int_equal(op->err.code, ERR_INTERRUPTED);
    assert_taken(op);
    assert_int_equal(op->taken.written, 4096);
    assert_string_equal(operation_unclean(op), "forced");
}

static void what_the_host_ejected_was_not_taken(void **state attr_unused)
{
    const struct operation *op = fixture_do(f, INSERT("usb0", "d.img", ""));
    fixture_host(f, "write usb0 4KiB");
    fixture_host(f, "eject usb0");
    until(f, !f->daemon->units[USB0].machine.medium.image);
    assert_int_equal(op->taken.image, 0);
}

#define KEPT(t) cmocka_unit_test_setup_teardown(t, begin_kept, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slow_start_is_no_reattach, begin, end),
        cmocka_unit_test_setup_teardown(a_doubt_outlives_a_second_restart, begin, end),
        KEPT(what_is_in_is_found_again),
        KEPT(a_detached_gadget_stays_so),
        KEPT(a_reattach_is_ended_by_the_next_one),
        KEPT(a_bind_that_was_written_down_counts),
        KEPT(an_outcome_that_nobody_heard_is_kept),
        KEPT(outcomes_are_bounded),
        KEPT(an_interrupted_one_is_known_after_two_deaths),
        KEPT(a_drive_that_hangs_holds_up_no_outcome),
        KEPT(who_inserted_it_is_known),
        cmocka_unit_test_setup_teardown(a_call_that_came_back_late_belongs_to_its_operation, begin_impatient, end),
        KEPT(what_was_taken_is_known_after_a_restart),
        KEPT(what_was_taken_is_written_down),
        KEPT(what_the_host_ejected_was_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
