/* When a host is taken to have dropped the device, as sequences of what is seen of the link, the threads and the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gadget/host_dropped.h"

/* A step of half a second: U unbound, D default, C configured, S suspended. In between: ! a thread begins to hang, . it goes
 * on, b the host gives a command, s a thread is sent a signal; a figure is so many more seconds of the same. From z to Z
 * nobody looks. */
static const struct {
    const char *name, *steps;
    bool dropped;
} cases[] = {
    {"nothing happens", "UDC9", false},
    {"storage hangs, and the host has patience", "UDC!C9", false},
    {"a reset that nothing hinders", "UDCDC9", false},
    {"a reset while storage hangs: not yet", "UDC!CDC4", false},
    {"then", "UDC!CDC5", true},
    {"the storage is back in time", "UDC!CDC3.C9", false},
    {"a hang that began after it was configured", "UDCDC!C9", false},
    {"the host tries again: it stays so", "UDC!CDC5DC", true},
    {"and in vain", "UDC!CDC5DC5", true},
    {"with success", "UDC!CDC5.C1DC1", false},
    {"the storage is back", "UDC!CDC5.C9", true},
    {"what had hung ends", "UDC!CDC5.bC1bC9", true},
    {"a host that goes on later had not dropped it", "UDC!CDC5.C9bC", false},
    {"one that polls an empty drive neither", "UDC!CDC5.C5bC", false},
    {"the host tries again, and the storage is back when it has given up", "UDC!CDC5DC4C.C9", true},
    {"it may just have given up: in doubt, it has", "UDC!CDC4.C9", true},
    {"unless it goes on", "UDC!CDC4.C4bC", false},
    {"a signal of ours is no command", "UDC!CDC5.C5sC9", true},
    {"what had hung ends between two looks", "UDC!CDC5.CzbC9ZC9", true},
    {"commands while it hangs are another function's", "UDC!CDC5bC9", true},
    {"reattached", "UDC!CDC5.U", false},
    {"reattached, and seen by the host", "UDC!CDC5.UCDC9", false},
    {"asleep and awake while storage hangs", "UDC!CSC9", false},
    {"adopted as it was, while storage hangs", "!C9", false},
    {"adopted unconfigured", "!DC6", true},
};

static bool plays_dropped(const char *steps)
{
    struct host_dropped h = {0};
    struct engine_link l = {0};
    struct host_dropped_sight s = {0};
    msec now = 100000;
    bool dropped = false, looks = true;
    for (const char *p = steps; *p; p++) {
        if (*p == '!') s.hangs = true;
        if (*p == '.') s.hangs = false;
        if (*p == 's') host_dropped_disturb(&h);
        if (*p == 'b' || *p == 's') s.activity++;
        if (*p == 'z' || *p == 'Z') looks = *p == 'Z';
        if (strchr("!.bszZ", *p)) continue;
        bool figure = *p >= '1' && *p <= '9';
        if (!figure) {
            l.bound = *p != 'U';
            l.configured = *p == 'C';
            snprintf(l.state, sizeof l.state, "%s", *p == 'S' ? "suspended" : *p == 'D' ? "default" : "configured");
        }
        for (int halves = figure ? 2 * (*p - '0') : 1; halves > 0; halves--) {
            now += 500;
            s.seen_at = now;
            if (looks && host_dropped_look(&h, &l, &s, now)) dropped = !dropped;
            assert_int_equal(h.dropped, dropped); /* each change is told */
        }
    }
    return dropped;
}

static void sequences(void **state attr_unused)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (plays_dropped(cases[i].steps) != cases[i].dropped) fail_msg("%s: %s", cases[i].name, cases[i].steps);
}

/* What an earlier process knew stays so until the link says otherwise. */
static void is_remembered(void **state attr_unused)
{
    struct engine_link l = {.bound = true, .configured = true, .state = "configured"};
    const struct host_dropped_sight s = {.seen_at = 1000};
    struct host_dropped h = {.dropped = true};
    assert_false(host_dropped_look(&h, &l, &s, 1000));
    assert_true(h.dropped);
    l.bound = false;
    assert_true(host_dropped_look(&h, &l, &s, 2000));
    assert_false(h.dropped);
}

/* The link is heard of between the looks at two drives: that nothing hangs is of before the request. */
static void all_drives_are_looked_at(void **state attr_unused)
{
    struct engine_link l = {.bound = true, .state = "default"};
    struct host_dropped_sight s = {.seen_at = 1000};
    struct host_dropped h = {0};
    host_dropped_look(&h, &l, &s, 1000);
    l.configured = true;
    host_dropped_look(&h, &l, &s, 2000);
    assert_int_equal(h.asked_at, 2000);
    s.hangs = true;
    s.seen_at = 2001;
    host_dropped_look(&h, &l, &s, 2001);
    assert_true(host_dropped_look(&h, &l, &s, 7000));
    assert_true(h.dropped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sequences), cmocka_unit_test(is_remembered),
                                       cmocka_unit_test(all_drives_are_looked_at)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
