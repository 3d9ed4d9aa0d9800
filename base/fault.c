#include "base/fault.h"

#ifdef TRAYD_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/fd.h"

#define ORDER_MAX 1024 /* bytes: a handful of lines */
#define NAME_MAX_BYTES 64

static int open_file(const char *name, int flags)
{
    const char *dir = getenv("TRAYD_FAULTS");
    char path[512];
    if (!dir || (size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path) return -1;
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0666);
}

/* One write, so that the lines of several processes do not mix. */
static void append(int fd, const char *who, const char *name)
{
    char line[2 * NAME_MAX_BYTES];
    int n = snprintf(line, sizeof line, "%s %s\n", who, name);
    if (fd < 0 || write(fd, line, (size_t)n) == n) return;
    perror("fault_point");
    abort();
}

/* Is it this one's turn? Takes the passage, or the whole line, off the order. `ret_who`: who dies. */
static bool is_ordered(const char *name, char ret_who[NAME_MAX_BYTES])
{
    cleanup_close int fd = open_file("order", O_RDWR);
    char text[ORDER_MAX], rest[ORDER_MAX + 32], where[NAME_MAX_BYTES];
    unsigned count;
    if (fd < 0 || flock(fd, LOCK_EX) < 0) return false; /* nearly always: no order */
    ssize_t n = fd_read_full(fd, text, sizeof text - 1);
    if (n <= 0) return false;
    text[n] = '\0';
    if (sscanf(text, "%63s %u %63s", where, &count, ret_who) != 3 || count == 0) abort();
    if (strcmp(where, "*") != 0 && strcmp(where, name) != 0) return false;
    const char *next = strchr(text, '\n');
    next = next ? next + 1 : "";
    int len = count > 1 ? snprintf(rest, sizeof rest, "%s %u %s\n%s", where, count - 1, ret_who, next)
                        : snprintf(rest, sizeof rest, "%s", next);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, rest, (size_t)len, 0) != len) abort();
    return count == 1;
}

void fault_point(const char *name)
{
    static pid_t daemon_pid; /* of who passed a point first; its children inherit it */
    char who[NAME_MAX_BYTES];
    int before = errno;
    if (!daemon_pid) daemon_pid = getpid();
    const char *self = getpid() == daemon_pid ? "daemon" : "worker";

    cleanup_close int passages = open_file("passages", O_WRONLY | O_APPEND);
    append(passages, self, name);
    bool dies = is_ordered(name, who);
    errno = before;
    if (!dies) return;
    cleanup_close int deaths = open_file("deaths", O_WRONLY | O_APPEND | O_CREAT);
    append(deaths, self, name);
    if (strcmp(who, "daemon") == 0) kill(daemon_pid, SIGKILL);
    kill(getpid(), SIGKILL);
}

#endif
