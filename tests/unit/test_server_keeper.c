/* The keeper of trayd-gadget (sleep(1) plays it), and the end of privileges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "server/directories.h"
#include "server/keeper.h"
#include "server/privileges.h"

#define LIVENESS 10000 /* ms; a bound on hanging, not on speed */

static const char *const arguments[] = {"1000", NULL};

static int open_sleep(void)
{
    int fd = open("/bin/sleep", O_PATH | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* The keeper's child: 0 while it has none. */
static pid_t child_of(pid_t keeper)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
    return fd_read_text(path, text, sizeof text) > 0 ? (pid_t)atoi(text) : 0;
}

static pid_t wait_for_child(pid_t keeper, pid_t not_this)
{
    msec end = clock_boot_ms() + LIVENESS;
    for (pid_t pid; clock_boot_ms() < end; usleep(5000))
        if ((pid = child_of(keeper)) != 0 && pid != not_this) return pid;
    fail_msg("the keeper starts nothing");
    return 0;
}

static void wait_until_gone(pid_t pid)
{
    msec end = clock_boot_ms() + LIVENESS;
    while (waitpid(pid, NULL, WNOHANG) != pid && kill(pid, 0) == 0) {
        if (clock_boot_ms() > end) fail_msg("%d does not end", (int)pid);
        usleep(5000);
    }
}

static void keeps_and_ends(attr_unused void **state)
{
    struct keeper k = {0};
    struct err e;
    struct keeper_config c = {.program_fd = open_sleep(), .arguments = arguments};
    assert_int_equal(keeper_start(&c, &k, &e), 0);
    pid_t first = wait_for_child(k.pid, 0);
    assert_int_equal(kill(first, SIGKILL), 0);
    pid_t second = wait_for_child(k.pid, first);
    pid_t keeper = k.pid;
    keeper_stop(&k);
    assert_int_equal(kill(second, 0), -1);
    assert_int_equal(kill(keeper, 0), -1);
    keeper_stop(&k); /* harmless */
}

/* A process that starts a keeper and is killed. Returns the keeper's pid; its child's in *ret_child. */
static pid_t keeper_of_a_victim(const struct keeper_config *c, pid_t *ret_child)
{
    int ends[2];
    pid_t pids[2];
    assert_int_equal(pipe(ends), 0);
    pid_t victim = fork();
    if (victim == 0) {
        struct keeper k;
        struct err e;
        if (keeper_start(c, &k, &e) < 0) _exit(1);
        pids[0] = k.pid;
        while ((pids[1] = child_of(k.pid)) == 0) usleep(1000);
        if (write(ends[1], pids, sizeof pids) != sizeof pids) _exit(1);
        for (;;) pause();
    }
    assert_int_equal(read(ends[0], pids, sizeof pids), sizeof pids);
    close(ends[0]);
    close(ends[1]);
    close(c->program_fd);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    *ret_child = pids[1];
    return pids[0];
}

static void goes_on_when_its_parent_is_killed(attr_unused void **state)
{
    pid_t child;
    struct keeper_config c = {.program_fd = open_sleep(), .arguments = arguments};
    pid_t keeper = keeper_of_a_victim(&c, &child);
    usleep(100000);
    assert_int_equal(kill(child, 0), 0);
    kill(keeper, SIGTERM);
    wait_until_gone(child);
    wait_until_gone(keeper);
}

static void ends_with_its_parent_where_told_so(attr_unused void **state)
{
    pid_t child;
    char directory[] = "/tmp/test_server_keeper-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct keeper_config c = {
        .program_fd = open_sleep(), .arguments = arguments, .end_with_parent = true, .remove_directory = directory};
    pid_t keeper = keeper_of_a_victim(&c, &child);
    wait_until_gone(child);
    wait_until_gone(keeper);
    assert_int_equal(access(directory, F_OK), -1);
}

static void status_has(const char *text, const char *line)
{
    if (!strstr(text, line)) {
        fprintf(stderr, "/proc/self/status without \"%s\":\n%s", line, text);
        _exit(1);
    }
}

/* In a child, since there is no way back. */
static void gives_up_privileges(attr_unused void **state)
{
    struct identity nobody;
    struct err e;
    int status;
    if (geteuid() != 0 || privileges_find("nobody", &nobody, &e) < 0) skip();
    pid_t pid = fork();
    if (pid == 0) {
        char text[8192];
        if (privileges_drop(&nobody, &e) < 0 || geteuid() != nobody.uid || setuid(0) == 0 || seteuid(0) == 0) _exit(1);
        if (fd_read_text("/proc/self/status", text, sizeof text) < 0) _exit(1);
        status_has(text, "CapPrm:\t0000000000000000");
        status_has(text, "CapEff:\t0000000000000000");
        status_has(text, "CapBnd:\t0000000000000000");
        status_has(text, "NoNewPrivs:\t1");
        _exit(0);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void refuses_root_and_strangers(attr_unused void **state)
{
    struct identity who;
    struct err e;
    assert_int_equal(privileges_find("root", &who, &e), -1);
    assert_int_equal(privileges_find("no-such-user", &who, &e), -1);
    assert_non_null(strstr(e.text, "useradd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_ends),
        cmocka_unit_test(goes_on_when_its_parent_is_killed),
        cmocka_unit_test(ends_with_its_parent_where_told_so),
        cmocka_unit_test(gives_up_privileges),
        cmocka_unit_test(refuses_root_and_strangers),
    };
    log_init("test", LOG_LEVEL_ERROR);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans come to us, so that their end is seen at once */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
