#include "images/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "images/helper_child.h"

#define PIPE_BYTES (1 << 20) /* what a process may ask for without privilege (pipe-max-size); fewer wake-ups */

static int program = -1;

void helper_use(int program_fd)
{
    util_close_fd(&program);
    program = program_fd < 0 ? -1 : fcntl(program_fd, F_DUPFD_CLOEXEC, HELPER_CONTROL_FD + 1); /* above what a child has */
    util_close_fd(&program_fd);
}

/* ---- start ---- */

struct ends {
    int in[2], out[2], control[2]; /* [0] is read, [1] is written; of control, [0] is ours */
};

static void close_ends(struct ends *p)
{
    int *all[] = {p->in, p->out, p->control};
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        util_close_fd(&all[i][0]);
        util_close_fd(&all[i][1]);
    }
}

static int make_ends(struct ends *p, int file_fd, struct err *e)
{
    *p = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}};
    if ((file_fd < 0 && pipe2(p->in, O_CLOEXEC) < 0) || pipe2(p->out, O_CLOEXEC) < 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->control) < 0) {
        err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot make a pipe");
        close_ends(p);
        return -1;
    }
    int ours[] = {p->in[1], p->out[0], p->control[0]};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (ours[i] >= 0) fcntl(ours[i], F_SETFL, O_NONBLOCK);
    fcntl(p->out[0], F_SETPIPE_SZ, PIPE_BYTES); /* less will do */
    if (p->in[1] >= 0) fcntl(p->in[1], F_SETPIPE_SZ, PIPE_BYTES);
    return 0;
}

/*
 * posix_spawn(), since a fork of a process with threads copies page tables for nothing. The numbers of our own
 * descriptors can be those that the child wants, so they are moved out of the way first.
 */
static int spawn(const char *role, const struct ends *p, int file_fd, int *ret_pid)
{
    static const int wanted[] = {STDIN_FILENO, STDOUT_FILENO, HELPER_CONTROL_FD};
    const int from[] = {file_fd >= 0 ? file_fd : p->in[0], p->out[1], p->control[1]};
    int moved[ARRAY_LEN(wanted)];
    char path[32], *const argv[] = {(char *)(uintptr_t)"trayd-helper", (char *)(uintptr_t)role, NULL}, *const env[] = {NULL};
    int errnum = 0;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        moved[i] = fcntl(from[i], F_DUPFD_CLOEXEC, HELPER_CONTROL_FD + 1);
        if (moved[i] < 0) errnum = errno;
        else posix_spawn_file_actions_adddup2(&actions, moved[i], wanted[i]);
    }
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    snprintf(path, sizeof path, "/proc/self/fd/%d", program);
    pid_t pid = 0;
    if (!errnum) errnum = posix_spawn(&pid, path, &actions, &attr, argv, env);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) util_close_fd(&moved[i]);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    *ret_pid = pid;
    return errnum;
}

static int send_order(int control, const json_t *order, struct err *e)
{
    cleanup_free char *text = json_write(order, false);
    if (!text) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    size_t len = strlen(text);
    if (len > HELPER_MESSAGE_MAX) return err_set(e, ERR_TOO_LARGE, "The order is too long");
    if (send(control, text, len, MSG_NOSIGNAL) == (ssize_t)len) return 0;
    return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot talk to trayd-helper");
}

int helper_start(const char *role, int file_fd, const json_t *order, struct helper *ret, struct err *e)
{
    struct ends p;
    *ret = (struct helper)HELPER_NONE;
    if (program < 0)
        return err_set(e, ERR_UNAVAILABLE, "trayd-helper is not installed beside trayd; it is needed for this");
    if (make_ends(&p, file_fd, e) < 0) return -1;
    int errnum = spawn(role, &p, file_fd, &ret->pid);
    if (errnum) {
        close_ends(&p);
        return err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start trayd-helper");
    }
    ret->in = take_fd(&p.in[1]);
    ret->out = take_fd(&p.out[0]);
    ret->control = take_fd(&p.control[0]);
    close_ends(&p);
    if (send_order(ret->control, order, e) == 0) return 0;
    helper_done(ret);
    return -1;
}

void helper_done(struct helper *h)
{
    if (h->pid > 0) {
        kill(h->pid, SIGKILL);
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR) continue;
    }
    util_close_fd(&h->in);
    util_close_fd(&h->out);
    util_close_fd(&h->control);
    *h = (struct helper)HELPER_NONE;
}

/* ---- talk ---- */

static int gone(struct helper *h, struct err *e)
{
    int status = 0;
    if (h->pid > 0) {
        while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR) continue;
        h->pid = 0;
    }
    if (WIFSIGNALED(status))
        return err_set(e, ERR_UNAVAILABLE, "trayd-helper was ended by signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    return err_set(e, ERR_UNAVAILABLE, "trayd-helper ended with status %d", WEXITSTATUS(status));
}

int helper_event(struct helper *h, json_t **ret, struct err *e)
{
    cleanup_free char *text = malloc(HELPER_MESSAGE_MAX);
    if (!text) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    ssize_t n;
    do {
        n = recv(h->control, text, HELPER_MESSAGE_MAX, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) return gone(h, e);
    *ret = json_parse_object(text, (size_t)n, HELPER_MESSAGE_MAX, e);
    return *ret ? 1 : -1;
}

int helper_failure(const json_t *event, struct err *e)
{
    enum err_code code = err_from_name(json_text(event, "code"));
    return err_set(e, code == ERR_NONE ? ERR_INTERNAL : code, "%s", json_text(event, "text"));
}

int helper_wait(const struct helper *h, bool writing, msec wait, struct helper_ready *ret)
{
    struct pollfd fds[] = {
        {.fd = h->out, .events = POLLIN},
        {.fd = h->control, .events = POLLIN},
        {.fd = writing ? h->in : -1, .events = POLLOUT},
        {.fd = h->wake, .events = POLLIN},
    };
    *ret = (struct helper_ready){0};
    int n = poll(fds, ARRAY_LEN(fds), (int)wait);
    if (n <= 0) return 0;
    *ret = (struct helper_ready){.out = fds[0].revents != 0, .control = fds[1].revents != 0,
                                 .in = fds[2].revents != 0, .wake = fds[3].revents != 0};
    return 1;
}
