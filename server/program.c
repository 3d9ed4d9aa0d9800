#include "server/program.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int open_in(const char *directory, size_t len, const char *name)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%.*s/%s", (int)len, directory, name) >= sizeof path) return -1;
    if (access(path, X_OK) < 0) return -1;
    return open(path, O_PATH | O_CLOEXEC);
}

int program_find(const char *name, struct err *e)
{
    static const char *const places[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/local/libexec", "/usr/sbin",
                                         "/usr/bin", "/usr/libexec", "/usr/lib/trayd"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    int fd = -1;
    if (n > 0) {
        self[n] = '\0';
        fd = open_in(self, (size_t)(strrchr(self, '/') - self), name);
    }
    for (size_t i = 0; fd < 0 && i < ARRAY_LEN(places); i++) fd = open_in(places[i], strlen(places[i]), name);
    if (fd < 0)
        return err_set(e, ERR_NOT_FOUND, "%s is not beside trayd (%s), nor in one of the usual places", name,
                       n > 0 ? self : "?");
    return fd;
}
