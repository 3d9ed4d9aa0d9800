#include "images/hidden.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"

#define PREFIX "upload-"
#define CREATE_TRIES 4 /* a name can be lost to a collection that runs just then, hardly more than once */

int hidden_open(const struct fileops *ops, int root_fd, struct err *e)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    int fd = ops->open(root_fd, HIDDEN_DIR, flags, 0);
    if (fd < 0 && errno == ENOENT) {
        if (ops->mkdir(root_fd, HIDDEN_DIR, 0700) < 0 && errno != EEXIST)
            return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot make the directory " HIDDEN_DIR);
        fd = ops->open(root_fd, HIDDEN_DIR, flags, 0);
    }
    if (fd < 0) return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot open the directory " HIDDEN_DIR);
    return fd;
}

static int make_name(char name[HIDDEN_NAME_MAX])
{
    uint8_t random[8];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return -1;
    memcpy(name, PREFIX, sizeof PREFIX - 1);
    parse_to_hex(random, sizeof random, name + sizeof PREFIX - 1);
    return 0;
}

/* Locks the file, and sees whether it is still there: a collection can have come between the open and the lock. */
static bool lock_and_check(int fd)
{
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) return false;
    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int hidden_create(const struct fileops *ops, int hidden_fd, char ret_name[HIDDEN_NAME_MAX], struct err *e)
{
    for (int tries = 0; tries < CREATE_TRIES; tries++) {
        char name[HIDDEN_NAME_MAX];
        if (make_name(name) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot get random bytes");
        int fd = ops->open(hidden_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        if (fd < 0 && errno == EEXIST) continue;
        if (fd < 0) return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot make a file in " HIDDEN_DIR);
        if (lock_and_check(fd)) {
            memcpy(ret_name, name, sizeof name);
            return fd;
        }
        close(fd);
    }
    return err_set(e, ERR_UNAVAILABLE, "Cannot make a file in " HIDDEN_DIR ": it is being cleaned up");
}

/* 1: removed; 0: somebody holds it, or it is no file of ours; -1: it could not be removed. */
static int collect_one(const struct fileops *ops, int hidden_fd, const char *name)
{
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0) return 0;
    struct stat st;
    if (fstatat(hidden_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) return 0;
    cleanup_close int fd = fd_open_beneath(hidden_fd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd < 0) return errno == ENOENT ? 0 : -1;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) return 0;
    return ops->unlink(hidden_fd, name) < 0 ? -1 : 1; /* before the lock goes with the descriptor */
}

int hidden_collect(const struct fileops *ops, int hidden_fd)
{
    int fd = fd_open_beneath(hidden_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return -1;
    }
    int removed = 0;
    bool failed = false;
    for (struct dirent *entry; (errno = 0, entry = readdir(dir));) {
        int n = collect_one(ops, hidden_fd, entry->d_name);
        if (n < 0) failed = true;
        if (n > 0) removed++;
    }
    if (errno) failed = true;
    closedir(dir);
    if (removed) log_info("Removed %d unfinished upload%s of an earlier run", removed, removed == 1 ? "" : "s");
    return failed ? -1 : removed;
}
