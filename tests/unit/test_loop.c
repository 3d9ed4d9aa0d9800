/* The event loop: what is ready is called, what is due is called in order, and what was taken out is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "base/loop.h"

static struct loop *loop;
static char trace[64]; /* one letter for each call */

static int begin(void **state attr_unused)
{
    struct err e;
    trace[0] = '\0';
    loop = loop_new(&e);
    return loop ? 0 : -1;
}

static int end(void **state attr_unused)
{
    loop_free(loop);
    return 0;
}

static void note(char letter)
{
    size_t len = strlen(trace);
    assert_true(len + 1 < sizeof trace);
    trace[len] = letter;
    trace[len + 1] = '\0';
}

/* ---- timers ------------------------------------------------------------------------------------------------------ */

struct clockwork {
    struct loop_timer timer;
    char letter; /* '.' ends the loop */
    struct clockwork *sets, *cancels;
    msec sets_after;
    int again;
};

static void tick(struct loop_timer *t, msec now)
{
    struct clockwork *c = t->owner;
    assert_true(clock_boot_ms() >= now);
    assert_int_equal(t->at, MSEC_NEVER);
    note(c->letter);
    if (c->letter == '.') loop_stop(loop);
    if (c->cancels) loop_timer_set(loop, &c->cancels->timer, MSEC_NEVER);
    if (c->sets && c->again-- > 0) loop_timer_set(loop, &c->sets->timer, now + c->sets_after);
}

static void set(struct clockwork *c, char letter, msec after)
{
    loop_timer_init(&c->timer, tick, c);
    c->letter = letter;
    loop_timer_set(loop, &c->timer, clock_boot_ms() + after);
}

static void timers_come_in_order(void **state attr_unused)
{
    struct clockwork c[5] = {0};
    set(&c[0], '.', 30);
    set(&c[1], 'b', 10);
    set(&c[2], 'a', 0);
    set(&c[3], 'c', 20);
    set(&c[4], 'x', 60000);
    msec began = clock_boot_ms();
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "abc.");
    assert_true(clock_boot_ms() - began >= 29);
    loop_timer_set(loop, &c[4].timer, MSEC_NEVER);
}

static void equal_times_keep_their_order(void **state attr_unused)
{
    struct clockwork c[4] = {0};
    msec at = clock_boot_ms() + 5;
    for (size_t i = 0; i < 4; i++) {
        loop_timer_init(&c[i].timer, tick, &c[i]);
        c[i].letter = "abc."[i];
        loop_timer_set(loop, &c[i].timer, at);
    }
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "abc.");
}

static void a_timer_can_be_moved_and_taken_out(void **state attr_unused)
{
    struct clockwork c[3] = {0};
    set(&c[0], 'a', 5);
    set(&c[1], 'b', 10);
    set(&c[2], '.', 40);
    loop_timer_set(loop, &c[0].timer, clock_boot_ms() + 20);
    loop_timer_set(loop, &c[1].timer, MSEC_NEVER);
    loop_timer_set(loop, &c[1].timer, MSEC_NEVER);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "a.");
}

static void a_callback_may_set_itself_and_take_out_others(void **state attr_unused)
{
    struct clockwork c[3] = {0};
    set(&c[0], 'a', 0);
    set(&c[1], 'b', 1);
    set(&c[2], '.', 40);
    c[0].sets = &c[0];
    c[0].sets_after = 3;
    c[0].again = 2;
    c[0].cancels = &c[1];
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "aaa.");
}

static void stopping_ends_it_before_the_next_timer(void **state attr_unused)
{
    struct clockwork c[2] = {0};
    msec at = clock_boot_ms();
    set(&c[0], '.', 0);
    set(&c[1], 'x', 0);
    loop_timer_set(loop, &c[0].timer, at);
    loop_timer_set(loop, &c[1].timer, at);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, ".");
    c[1].letter = '.';
    assert_int_equal(loop_run(loop), 0); /* and it can run again */
    assert_string_equal(trace, "..");
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

struct reader {
    struct loop_watch watch;
    char letter;
    bool keep;              /* leaves the byte there */
    struct reader *removes;
};

static void readable(struct loop_watch *w, uint32_t events)
{
    struct reader *r = w->owner;
    char byte;
    note(r->letter);
    if (!r->keep && (events & EPOLLIN)) assert_int_equal(read(w->fd, &byte, 1), 1);
    if (events & EPOLLHUP) note('!');
    if (r->removes) loop_remove(loop, &r->removes->watch);
    if (r->letter == '.') loop_stop(loop);
}

static int watch(struct reader *r, char letter, int ret_ends[2])
{
    assert_int_equal(pipe2(ret_ends, O_CLOEXEC | O_NONBLOCK), 0);
    r->letter = letter;
    return loop_add(loop, &r->watch, ret_ends[0], EPOLLIN, readable, r);
}

static void shut(int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static void what_is_ready_is_called(void **state attr_unused)
{
    struct reader a = {0}, b = {0};
    struct clockwork stop = {0};
    int of_a[2], of_b[2];
    assert_int_equal(watch(&a, 'a', of_a), 0);
    assert_int_equal(watch(&b, 'b', of_b), 0);
    assert_int_equal(write(of_a[1], "xx", 2), 2);
    set(&stop, '.', 20);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, "aa.");
    shut(of_a);
    shut(of_b);
}

/* Both are ready in the same batch; the one that is taken out by the other must not be called any more. */
static void what_was_taken_out_is_not_called(void **state attr_unused)
{
    struct reader a = {0}, b = {0};
    struct clockwork stop = {0};
    int of_a[2], of_b[2];
    assert_int_equal(watch(&a, 'a', of_a), 0);
    assert_int_equal(watch(&b, 'b', of_b), 0);
    a.removes = &b;
    b.removes = &a;
    a.keep = b.keep = true;
    assert_int_equal(write(of_a[1], "x", 1), 1);
    assert_int_equal(write(of_b[1], "x", 1), 1);
    set(&stop, '.', 0);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(strchr(trace, 'a') && strchr(trace, 'b'), 0);
    loop_remove(loop, &a.watch);
    loop_remove(loop, &a.watch); /* harmless */
    assert_false(a.watch.added || b.watch.added);
    shut(of_a);
    shut(of_b);
}

static void wishes_can_change(void **state attr_unused)
{
    struct reader a = {0};
    struct clockwork stop = {0};
    int ends[2];
    assert_int_equal(watch(&a, 'a', ends), 0);
    loop_change(loop, &a.watch, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    set(&stop, '.', 10);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, ".");
    loop_change(loop, &a.watch, EPOLLIN);
    set(&stop, '.', 10);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(trace, ".a.");
    shut(ends);
}

static void what_cannot_be_watched_is_an_error(void **state attr_unused)
{
    struct reader a = {0};
    assert_int_equal(loop_add(loop, &a.watch, -1, EPOLLIN, readable, &a), -1);
    assert_false(a.watch.added);
    loop_remove(loop, &a.watch);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_come_in_order),
        TEST(equal_times_keep_their_order),
        TEST(a_timer_can_be_moved_and_taken_out),
        TEST(a_callback_may_set_itself_and_take_out_others),
        TEST(stopping_ends_it_before_the_next_timer),
        TEST(what_is_ready_is_called),
        TEST(what_was_taken_out_is_not_called),
        TEST(wishes_can_change),
        TEST(what_cannot_be_watched_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
