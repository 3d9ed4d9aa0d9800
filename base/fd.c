#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int fd_write_full(int fd, const void *data, size_t len)
{
    for (const char *p = data; len > 0;) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

ssize_t fd_read_full(int fd, void *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = read(fd, (char *)data + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int fd_open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = (flags & (O_CREAT | O_TMPFILE)) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    /* EAGAIN: a rename somewhere made the kernel unable to prove that the path stayed beneath (openat2(2)). */
    for (int tries = 0; tries < 8; tries++) {
        long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return (int)fd;
    }
    return -1;
}

static int write_and_sync(const char *path, const void *data, size_t len, bool durable)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 || fd_write_full(fd, data, len) < 0) return -1;
    return durable ? fsync(fd) : 0;
}

static int sync_directory_of(const char *path)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (len >= sizeof dir) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(dir, path, len);
    dir[len] = '\0';
    cleanup_close int fd = open(len ? dir : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

bool fd_is_mount(int fd)
{
    struct statx x;
    if (statx(fd, "", AT_EMPTY_PATH, 0, &x) < 0) return false;
    return !(x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) || (x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

int fd_replace_file(const char *path, const void *data, size_t len, bool durable, struct err *e)
{
    char temporary[4096];
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.new", path) >= sizeof temporary)
        return err_set(e, ERR_INTERNAL, "The path of %s is too long", path);
    if (write_and_sync(temporary, data, len, durable) < 0) {
        err_set_errno(e, err_code_for_errno(errno), errno, "Cannot write %s", temporary);
        unlink(temporary);
        return -1;
    }
    if (rename(temporary, path) < 0) {
        err_set_errno(e, err_code_for_errno(errno), errno, "Cannot rename %s to %s", temporary, path);
        unlink(temporary);
        return -1;
    }
    if (durable && sync_directory_of(path) < 0)
        return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot sync the directory of %s", path);
    return 0;
}

ssize_t fd_read_text(const char *path, char *text, size_t max)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = fd_read_full(fd, text, max);
    if (n < 0) return -1;
    if ((size_t)n == max) {
        errno = EFBIG;
        return -1;
    }
    text[n] = '\0';
    return n;
}

ssize_t fd_read_line(const char *path, char *text, size_t max)
{
    ssize_t n = fd_read_text(path, text, max);
    if (n > 0 && text[n - 1] == '\n') text[--n] = '\0';
    return n;
}
