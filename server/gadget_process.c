#include "server/gadget_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "server/program.h"

#define PROGRAM "trayd-gadget"
#define ARGUMENTS_MAX 8

int gadget_process_find(struct err *e)
{
    return program_find(PROGRAM, e);
}

bool gadget_process_answers(const char *socket_path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || strlen(socket_path) >= sizeof sun.sun_path) return false;
    strcpy(sun.sun_path, socket_path);
    return connect(fd, (const struct sockaddr *)&sun, sizeof sun) == 0;
}

static _Noreturn void become_program(int program_fd, const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 2] = {(char *)(uintptr_t)PROGRAM};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    for (size_t i = 0; arguments[i] && i < ARGUMENTS_MAX; i++) argv[i + 1] = (char *)(uintptr_t)arguments[i];
    fexecve(program_fd, argv, environ);
    log_error("Cannot start " PROGRAM ": %s", err_strerror(errno));
    _exit(127);
}

pid_t gadget_process_spawn(int program_fd, const char *const *arguments, struct err *e)
{
    pid_t pid = fork();
    if (pid == 0) become_program(program_fd, arguments);
    return pid < 0 ? err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot start " PROGRAM) : pid;
}
