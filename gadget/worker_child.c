#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/parse.h"
#include "gadget/priority.h"
#include "gadget/worker.h"

#define CHILD_SOCKET 3 /* the only descriptor that a child keeps besides the standard ones */

/* The parent's signals mean nothing here: a worker ends with its parent, or when the parent closes the socket. */
static void reset_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, normal = {.sa_handler = SIG_DFL};
    for (int i = 1; i < SIGRTMIN; i++) sigaction(i, &normal, NULL);
    static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++) sigaction(ignored[i], &ignore, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become_worker(const struct worker_spec *spec, int socket, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0); /* it died before the line above */
    prctl(PR_SET_NAME, "trayd-worker");
    reset_signals();
    if (spec->first) priority_first();
    if (socket != CHILD_SOCKET) dup2(socket, CHILD_SOCKET);
    close_range(CHILD_SOCKET + 1, ~0U, 0);
}

static pid_t read_holder(int fd)
{
    char text[24] = "";
    uint64_t pid;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n > 0) text[strcspn(text, "\n")] = '\0';
    return n > 0 && parse_u64(text, &pid) == 0 ? (pid_t)pid : 0;
}

/* The descriptor stays open, and the lock ours, until this process is gone, in whatever call it may hang. */
static int take_lock(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK) return -1;
        packet_send(CHILD_SOCKET, WORKER_SAYS_HELD, read_holder(fd), NULL, 0, NULL);
        while (flock(fd, LOCK_EX) < 0)
            if (errno != EINTR) return -1;
    }
    char text[24];
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    /* For people, and for the text of `held`: the lock is what counts. */
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) < 0) return 0;
    return 0;
}

_Noreturn void worker_child_run(const struct worker_spec *spec, int socket, pid_t parent)
{
    become_worker(spec, socket, parent);
    if (spec->lock_path && take_lock(spec->lock_path) < 0) {
        packet_send(CHILD_SOCKET, WORKER_SAYS_BROKEN, errno, NULL, 0, NULL);
        _exit(1);
    }
    void *request = malloc(spec->request_size), *answer = malloc(spec->answer_size);
    if (!request || !answer) _exit(1);
    packet_send(CHILD_SOCKET, WORKER_SAYS_READY, 0, NULL, 0, NULL);

    struct packet_head head;
    int fds[PACKET_FDS_MAX];
    while (packet_receive(CHILD_SOCKET, &head, request, spec->request_size, fds) == 1) {
        int ret_fds[PACKET_FDS_MAX] = {-1, -1};
        memset(answer, 0, spec->answer_size);
        FAULT_POINT("worker.begin");
        spec->serve(spec->context, request, fds, answer, ret_fds);
        FAULT_POINT("worker.end");
        int sent = packet_send(CHILD_SOCKET, WORKER_SAYS_ANSWER, 0, answer, spec->answer_size, ret_fds);
        packet_close(ret_fds);
        FAULT_POINT("worker.answered");
        packet_close(fds); /* after the answer: closing may be what hangs */
        if (sent < 0) break;
    }
    _exit(0);
}
