/* What a thread of the gadget waits for, and which thread is whose, from a /proc of our own making. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "gadget/probe.h"

#define KTHREAD "2129984" /* PF_KTHREAD | PF_NOFREEZE... as read from a real one: 0x208040 */
#define MAIN                                                                                                          \
    "[<0>] fsg_main_thread+0x15a/0x1d00 [usb_f_mass_storage]\n[<0>] kthread+0xd7/0x100\n[<0>] ret_from_fork+0x1f/0x30\n"
#define FSG(f) "[<0>] " f "+0x10/0x200 [usb_f_mass_storage]\n"
#define KERNEL(f) "[<0>] " f "+0x10/0x200\n"

/* ---- what it waits for ------------------------------------------------------------------------------------------- */

static void stacks_are_classified(void **state)
{
    (void)state;
    static const struct {
        const char *stack;
        char state;
        enum waiting_for expected;
    } cases[] = {
        {FSG("sleep_thread") MAIN, 'S', WAITING_NOTHING},
        {FSG("sleep_thread") FSG("get_next_command") MAIN, 'S', WAITING_NOTHING},
        {FSG("sleep_thread.isra.0") MAIN, 'S', WAITING_NOTHING},
        {FSG("sleep_thread") FSG("do_read") MAIN, 'S', WAITING_HOST},
        {FSG("sleep_thread") FSG("do_write") FSG("do_scsi_command") MAIN, 'S', WAITING_HOST},
        {FSG("sleep_thread") FSG("send_status") MAIN, 'S', WAITING_HOST},
        {FSG("sleep_thread") FSG("throw_away_data") MAIN, 'S', WAITING_HOST},
        {KERNEL("folio_wait_bit_common") KERNEL("filemap_read") FSG("do_read") MAIN, 'D', WAITING_STORAGE},
        {KERNEL("rpc_wait_bit_killable") KERNEL("nfs_file_fsync") KERNEL("vfs_fsync_range") MAIN, 'D', WAITING_STORAGE},
        {KERNEL("request_wait_answer") KERNEL("fuse_simple_request") KERNEL("fuse_fsync") MAIN, 'S', WAITING_STORAGE},
        {KERNEL("rwsem_down_read_slowpath") KERNEL("down_read") MAIN, 'D', WAITING_STORAGE},
        {FSG("sleep_thread") FSG("handle_exception") MAIN, 'S', WAITING_UNKNOWN},
        {KERNEL("usb_ep_dequeue") FSG("handle_exception") MAIN, 'D', WAITING_UNKNOWN},
        {KERNEL("something") FSG("do_read") MAIN, 'S', WAITING_UNKNOWN}, /* not a wait that we know */
        {FSG("sleep_thread") MAIN, 'R', WAITING_UNKNOWN},                /* it runs: the stack is of the past */
        {MAIN, 'S', WAITING_UNKNOWN},
        {"", 'S', WAITING_UNKNOWN},
        {KERNEL("kthread") KERNEL("ret_from_fork"), 'S', WAITING_UNKNOWN},
        {"garbage", 'D', WAITING_UNKNOWN},
        {"[<0>] ", 'D', WAITING_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (probe_classify(cases[i].stack, cases[i].state) != cases[i].expected)
            fail_msg("'%c' %s: %s", cases[i].state, cases[i].stack,
                     waiting_for_names[probe_classify(cases[i].stack, cases[i].state)]);
}

/* tests/vm/facts: how kernels really print it. */
static void real_stacks_are_classified(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        char state;
        enum waiting_for expected;
        bool flush;
    } facts[] = {
        {"stack-*-idle.txt", 'S', WAITING_NOTHING, false},
        {"stack-*-read-waits-for-host.txt", 'S', WAITING_HOST, false},
        {"stack-*[0-9]-write-waits-for-host.txt", 'S', WAITING_HOST, false},
        {"stack-*-status-waits-for-host.txt", 'S', WAITING_HOST, false},
        {"stack-*-read-waits-for-storage.txt", 'D', WAITING_STORAGE, false},
        {"stack-*-sync-waits-for-storage.txt", 'D', WAITING_STORAGE, true},
        /* throw_away_data() is part of fsg_main_thread() in these builds: the one wait that looks idle and is not. */
        {"stack-*-refused-write-waits-for-host.txt", 'S', WAITING_NOTHING, false},
        {"stack-*-forced-eject-*.txt", 'D', WAITING_UNKNOWN, false}, /* no thread of the gadget: a writer of an attribute */
    };
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        char pattern[512], text[PROBE_STACK_MAX];
        const char *source = getenv("TRAYD_SOURCE");
        glob_t found;
        snprintf(pattern, sizeof pattern, "%s/tests/vm/facts/%s", source ? source : ".", facts[i].pattern);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        for (size_t k = 0; k < found.gl_pathc; k++) {
            assert_true(fd_read_text(found.gl_pathv[k], text, sizeof text) > 0);
            if (probe_classify(text, facts[i].state) != facts[i].expected)
                fail_msg("%s: %s", found.gl_pathv[k], waiting_for_names[probe_classify(text, facts[i].state)]);
            if (probe_is_flush(text) != facts[i].flush) fail_msg("%s: is it a flush?", found.gl_pathv[k]);
        }
        globfree(&found);
    }
}

/* ---- which thread is whose --------------------------------------------------------------------------------------- */

struct proc {
    char path[64];
};

static void put(const struct proc *p, int pid, const char *name, const char *text)
{
    char path[128];
    struct err e;
    snprintf(path, sizeof path, "%s/%d/%s", p->path, pid, name);
    assert_int_equal(fd_replace_file(path, text, strlen(text), false, &e), 0);
}

static void add_thread(const struct proc *p, int pid, const char *comm, const char *flags, int started, int bytes)
{
    char path[128], text[512];
    snprintf(path, sizeof path, "%s/%d", p->path, pid);
    mkdir(path, 0755);
    snprintf(text, sizeof text, "%d (%s) S 2 0 0 0 -1 %s 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, comm, flags, started);
    put(p, pid, "stat", text);
    snprintf(text, sizeof text, "rchar: %d\nwchar: %d\nsyscr: 7\nsyscw: 8\n", bytes, bytes + 1);
    put(p, pid, "io", text);
    snprintf(text, sizeof text, "Name:\t%s\nvoluntary_ctxt_switches:\t%d\nnonvoluntary_ctxt_switches:\t9\n", comm,
             bytes + 2);
    put(p, pid, "status", text);
    put(p, pid, "stack", FSG("sleep_thread") FSG("do_read") MAIN);
}

static int setup(void **state)
{
    static struct proc p;
    snprintf(p.path, sizeof p.path, "/tmp/test-probe-XXXXXX");
    *state = &p;
    return mkdtemp(p.path) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", ((struct proc *)*state)->path);
    return system(command);
}

static void threads_go_by_start_then_pid(void **state)
{
    const struct proc *p = *state;
    struct probe_counters c;
    add_thread(p, 30, "file-storage", KTHREAD, 500, 3000);
    add_thread(p, 9, "file-storage", KTHREAD, 700, 900); /* pids began again from below */
    add_thread(p, 20, "file-storage", KTHREAD, 500, 2000);
    add_thread(p, 10, "file-storage", "4194304", 100, 1); /* not a kernel thread: anybody can be called so */
    add_thread(p, 11, "file-storage2", KTHREAD, 100, 1);
    add_thread(p, 12, "kworker/0:1) S (", KTHREAD, 100, 1);
    struct probe *probe = probe_new(p->path, 3);
    static const int expected[] = {2000, 3000, 900};
    for (size_t i = 0; i < 3; i++) {
        assert_true(probe_sample(probe, i, &c));
        assert_int_equal(c.read, expected[i]);
        assert_int_equal(c.written, expected[i] + 1);
        assert_int_equal(c.commands, expected[i] + 2);
        assert_int_equal(c.waiting_for, WAITING_HOST);
    }
    assert_false(probe_known(probe, 3));
    probe_free(probe);
}

static void one_too_many_and_nothing_is_known(void **state)
{
    const struct proc *p = *state;
    struct probe_counters c;
    add_thread(p, 20, "file-storage", KTHREAD, 500, 2000);
    add_thread(p, 21, "file-storage", KTHREAD, 501, 2000);
    struct probe *one = probe_new(p->path, 1), *three = probe_new(p->path, 3), *two = probe_new(p->path, 2);
    assert_false(probe_sample(one, 0, &c));
    assert_false(probe_sample(three, 0, &c));
    assert_true(probe_sample(two, 0, &c));
    /* One of the three appears: looked for again. */
    add_thread(p, 22, "file-storage", KTHREAD, 502, 2200);
    assert_true(probe_sample(three, 2, &c));
    assert_int_equal(c.read, 2200);
    /* Those that were found stay so, until the gadget changes. */
    assert_true(probe_known(two, 1));
    probe_forget(two);
    assert_false(probe_known(two, 1));
    probe_free(one);
    probe_free(two);
    probe_free(three);
}

static void a_thread_that_ended_is_not_known(void **state)
{
    const struct proc *p = *state;
    struct probe_counters c = {.read = 77};
    char path[128];
    add_thread(p, 20, "file-storage", KTHREAD, 500, 2000);
    struct probe *probe = probe_new(p->path, 1);
    assert_true(probe_sample(probe, 0, &c));
    snprintf(path, sizeof path, "%s/20/io", p->path);
    unlink(path);
    assert_false(probe_sample(probe, 0, &c));
    assert_int_equal(c.read, 2000); /* untouched */
    probe_free(probe);
}

static void what_cannot_be_read_is_unknown(void **state)
{
    const struct proc *p = *state;
    struct probe_counters c;
    char path[128];
    add_thread(p, 20, "file-storage", KTHREAD, 500, 2000);
    snprintf(path, sizeof path, "%s/20/stack", p->path);
    unlink(path);
    struct probe *probe = probe_new(p->path, 1);
    assert_true(probe_sample(probe, 0, &c));
    assert_int_equal(c.waiting_for, WAITING_UNKNOWN);
    put(p, 20, "io", "rchar: 1\n");
    assert_false(probe_sample(probe, 0, &c));
    probe_free(probe);
}

/* Directories of this /proc cannot be signalled: whoever comes so far gets "internal". */
static void only_a_thread_that_nothing_woke_is_interrupted(void **state)
{
    const struct proc *p = *state;
    struct probe_counters looked;
    struct err e;
    add_thread(p, 20, "file-storage", KTHREAD, 500, 2000);
    struct probe *probe = probe_new(p->path, 1);
    assert_int_equal(probe_interrupt(probe, 0, NULL, &e), -1); /* it waits for the host: to break that was asked for */
    assert_int_equal(e.code, ERR_INTERNAL);
    assert_true(probe_sample(probe, 0, &looked));
    assert_int_equal(probe_interrupt(probe, 0, &looked, &e), -1);
    assert_int_equal(e.code, ERR_FORCED_UNAVAILABLE);

    put(p, 20, "stack", FSG("sleep_thread") MAIN);
    assert_int_equal(probe_interrupt(probe, 0, &looked, &e), -1); /* what was then under way is over, and nothing else came */
    assert_int_equal(e.code, ERR_INTERNAL);
    uint64_t *const moved[] = {&looked.read, &looked.written, &looked.commands};
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        --*moved[i];
        assert_int_equal(probe_interrupt(probe, 0, &looked, &e), -1);
        assert_int_equal(e.code, ERR_FORCED_UNAVAILABLE);
        ++*moved[i];
    }
    assert_int_equal(probe_interrupt(probe, 0, NULL, &e), -1);
    assert_int_equal(e.code, ERR_INTERNAL);
    probe_free(probe);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stacks_are_classified),
        cmocka_unit_test(real_stacks_are_classified),
        TEST(threads_go_by_start_then_pid),
        TEST(one_too_many_and_nothing_is_known),
        TEST(a_thread_that_ended_is_not_known),
        TEST(what_cannot_be_read_is_unknown),
        TEST(only_a_thread_that_nothing_woke_is_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
