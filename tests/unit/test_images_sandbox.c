/* What is left to trayd-helper, tried in a child that shuts itself in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "images/sandbox.h"

static const char outside[] = "/tmp/test_images_sandbox";

/* Each returns true where it could be done. */
static bool can_read_passwd(void) { return open("/etc/passwd", O_RDONLY) >= 0; }
static bool can_read_root(void) { return open("/", O_RDONLY | O_DIRECTORY) >= 0; }
static bool can_read_outside(void) { return open(outside, O_RDONLY) >= 0; }
static bool can_write_outside(void) { return open(outside, O_WRONLY) >= 0; }
static bool can_create(void) { return open("/tmp/test_images_sandbox.new", O_WRONLY | O_CREAT, 0600) >= 0; }
static bool can_open_socket(void) { return socket(AF_INET, SOCK_STREAM, 0) >= 0; }
static bool can_signal(void) { return kill(getppid(), 0) == 0; }
static bool can_fork(void) { return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0; }
static bool can_map(void) { return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }
static bool can_write_pipe(void) { return write(STDERR_FILENO, "", 0) == 0; }

enum { FREE = 1, WITH_NETWORK = 2, SHUT = 4 }; /* where it can be done */

static const struct {
    const char *what;
    bool (*can)(void);
    int where;
} deeds[] = {
    {"read /etc/passwd", can_read_passwd, FREE | WITH_NETWORK}, /* names are resolved by files there */
    {"read /", can_read_root, FREE},
    {"read a file elsewhere", can_read_outside, FREE},
    {"write to it", can_write_outside, FREE},
    {"make a file", can_create, FREE},
    {"open a socket", can_open_socket, FREE | WITH_NETWORK},
    {"send a signal", can_signal, FREE | WITH_NETWORK},
    {"begin a process", can_fork, FREE | WITH_NETWORK}, /* libcurl's resolver is a thread */
    {"map memory", can_map, FREE | WITH_NETWORK | SHUT},
    {"write to a pipe", can_write_pipe, FREE | WITH_NETWORK | SHUT},
};

static void shut_in(int where)
{
    const struct sandbox box = {.network = where == WITH_NETWORK};
    if (where == FREE) return;
    if (sandbox_enter(&box, NULL) < 0 || (where == SHUT && sandbox_no_more_calls(NULL) < 0)) _exit(2);
}

/* Like _exit(), before which a sanitizer asks for its signal stack: one of the calls that are no more. */
static void end_child(int status) { syscall(SYS_exit_group, status); }

static bool try_in_child(int where, bool (*can)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        shut_in(where);
        end_child(can() ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) fail_msg("The child ended with %d", status);
    return WEXITSTATUS(status) == 0;
}

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

static void only_what_is_needed_is_left(void **state)
{
    (void)state;
    static const int places[] = {FREE, WITH_NETWORK, SHUT};
    close(open(outside, O_WRONLY | O_CREAT, 0600));
    for (size_t p = 0; p < ARRAY_LEN(places); p++) {
        if (places[p] == WITH_NETWORK && !has_landlock()) {
            print_message("SKIP files with a network: this kernel has no Landlock\n");
            continue;
        }
        for (size_t i = 0; i < ARRAY_LEN(deeds); i++) {
            bool may = deeds[i].where & places[p];
            if (try_in_child(places[p], deeds[i].can) != may)
                fail_msg("in place %d a child %s %s", places[p], may ? "cannot" : "can", deeds[i].what);
        }
    }
    unlink(outside);
    unlink("/tmp/test_images_sandbox.new");
}

static bool can_map_much(void)
{
    return mmap(NULL, (size_t)1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static void memory_is_bounded(void **state)
{
    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    print_message("SKIP memory: the sanitizer's runtime has terabytes mapped already\n");
    skip();
#endif
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        const struct sandbox box = {.memory = (size_t)256 << 20};
        _exit(can_map_much() && sandbox_enter(&box, NULL) == 0 && !can_map_much() && errno == ENOMEM ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_needed_is_left),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
