#include "server/gadget_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"

#define PROGRAM "trayd-gadget"
#define ARGUMENTS_MAX 8

static int open_in(const char *directory, size_t len)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%.*s/" PROGRAM, (int)len, directory) >= sizeof path) return -1;
    if (access(path, X_OK) < 0) return -1;
    return open(path, O_PATH | O_CLOEXEC);
}

int gadget_process_find(struct err *e)
{
    static const char *const places[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin",
                                         "/usr/lib/trayd"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int fd = -1;
    if (n > 0) {
        self[n] = '\0';
        fd = open_in(self, (size_t)(strrchr(self, '/') - self));
    }
    for (size_t i = 0; fd < 0 && i < ARRAY_LEN(places); i++) fd = open_in(places[i], strlen(places[i]));
    if (fd < 0)
        return err_set(e, ERR_NOT_FOUND, PROGRAM " is not beside trayd (%s), nor in /usr/local/sbin or /usr/sbin",
                       n > 0 ? self : "?");
    return fd;
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
