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
#define PARTIAL "partial-"
#define RECORD_SUFFIX ".json"
#define ID_BYTES 8
#define CREATE_TRIES 4 /* a name can be lost to a collection that runs just then, hardly more than once */

/* Synced, since nothing in it survives a power failure otherwise: on FAT a sync of what is in it does not bring it. */
static int make_directory(const struct fileops *ops, int root_fd, struct err *e)
{
    if ((ops->mkdir(root_fd, HIDDEN_DIR, 0700) == 0 || errno == EEXIST) &&
        (ops->sync(root_fd) == 0 || errno == EINVAL || errno == EOPNOTSUPP))
        return 0;
    return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot make the directory " HIDDEN_DIR);
}

int hidden_open(const struct fileops *ops, int root_fd, struct err *e)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    int fd = ops->open(root_fd, HIDDEN_DIR, flags, 0);
    if (fd < 0 && errno == ENOENT) {
        if (make_directory(ops, root_fd, e) < 0) return -1;
        fd = ops->open(root_fd, HIDDEN_DIR, flags, 0);
    }
    if (fd < 0) return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot open the directory " HIDDEN_DIR);
    return fd;
}

int hidden_make_id(char ret_id[HIDDEN_ID_MAX])
{
    uint8_t random[ID_BYTES];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return -1;
    parse_to_hex(random, sizeof random, ret_id);
    return 0;
}

bool hidden_id_check(const char *id)
{
    return strlen(id) == HIDDEN_ID_MAX - 1 && strspn(id, "0123456789abcdef") == HIDDEN_ID_MAX - 1;
}

static int make_name(char name[HIDDEN_NAME_MAX])
{
    memcpy(name, PREFIX, sizeof PREFIX - 1);
    return hidden_make_id(name + sizeof PREFIX - 1);
}

void hidden_partial_name(const char *id, bool record, char ret_name[HIDDEN_NAME_MAX])
{
    snprintf(ret_name, HIDDEN_NAME_MAX, PARTIAL "%.16s%s", id, record ? RECORD_SUFFIX : "");
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

int hidden_open_file(const struct fileops *ops, int hidden_fd, const char *name, bool lock, struct err *e)
{
    cleanup_close int fd = ops->open(hidden_fd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd < 0 && errno == ENOENT) return err_set(e, ERR_NOT_FOUND, "There is no such upload");
    if (fd < 0) return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot open a file in " HIDDEN_DIR);
    if (lock && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return err_set(e, ERR_UPLOAD_BUSY, "Another service receives this upload");
    return take_fd(&fd);
}

int hidden_make_file(const struct fileops *ops, int hidden_fd, const char *name, struct err *e)
{
    int fd = ops->open(hidden_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0) return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot make a file in " HIDDEN_DIR);
    if (lock_and_check(fd)) return fd;
    close(fd);
    return err_set(e, ERR_UNAVAILABLE, "Cannot make a file in " HIDDEN_DIR ": it is being cleaned up");
}

/* "partial-ID" without a record: one that was never finished, or is being removed. */
static bool is_bare_partial(int hidden_fd, const char *name)
{
    char record[HIDDEN_NAME_MAX];
    struct stat st;
    const char *id = name + sizeof PARTIAL - 1;
    if (strncmp(name, PARTIAL, sizeof PARTIAL - 1) != 0 || !hidden_id_check(id)) return false;
    hidden_partial_name(id, true, record);
    return fstatat(hidden_fd, record, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* 1: removed; 0: somebody holds it, or it is no file of ours; -1: it could not be removed. */
static int collect_one(const struct fileops *ops, int hidden_fd, const char *name)
{
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 && !is_bare_partial(hidden_fd, name)) return 0;
    struct stat st;
    if (fstatat(hidden_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) return 0;
    cleanup_close int fd = fd_open_beneath(hidden_fd, name, O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0);
    if (fd < 0) return errno == ENOENT ? 0 : -1;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) return 0;
    if (name[0] == PARTIAL[0] && !is_bare_partial(hidden_fd, name)) return 0; /* it was being made just then */
    return ops->unlink(hidden_fd, name) < 0 ? -1 : 1; /* before the lock goes with the descriptor */
}

static DIR *open_list(int hidden_fd)
{
    int fd = fd_open_beneath(hidden_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0) close(fd);
    return dir;
}

int hidden_each_record(int hidden_fd, bool (*found)(void *owner, const char *id), void *owner)
{
    DIR *dir = open_list(hidden_fd);
    if (!dir) return -1;
    bool more = true;
    for (struct dirent *entry; more && (errno = 0, entry = readdir(dir));) {
        char id[HIDDEN_ID_MAX] = "", name[HIDDEN_NAME_MAX];
        if (strncmp(entry->d_name, PARTIAL, sizeof PARTIAL - 1) != 0) continue;
        snprintf(id, sizeof id, "%.16s", entry->d_name + sizeof PARTIAL - 1);
        hidden_partial_name(id, true, name);
        if (hidden_id_check(id) && strcmp(name, entry->d_name) == 0) more = found(owner, id);
    }
    int result = more && errno ? -1 : 0;
    closedir(dir);
    return result;
}

int hidden_collect(const struct fileops *ops, int hidden_fd)
{
    DIR *dir = open_list(hidden_fd);
    if (!dir) return -1;
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
