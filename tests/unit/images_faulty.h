/*
 * images_faulty.h - a table of file operations that fail when told to: the Nth, with an error, short, for good, or by the
 * end of the process. A process can also end like a box that loses its power: then what was not synced is undone, each
 * piece of it or not as the dice say, and so are new names in a directory that was not synced. At the worst a file that
 * was not synced after it got a new name is empty, as on FAT.
 */
#pragma once

#include "tests/unit/images_fixture.h"

#define EXIT_STATUS 77 /* of a process that ended at the Nth operation */

/* By default the thread sanitizer lets each process that ends sleep for a second first, and many end here. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "atexit_sleep_ms=0";
}

enum how { FAIL, FAIL_FOR_GOOD, WRITE_LESS, END_PROCESS, LOSE_POWER };

static struct {
    enum how how;
    int errnum;
    int at;    /* the operation that fails; 0: none */
    int count; /* so far; one operation at a time, so no lock is needed */
    const char *trace[64]; /* the names of the first ones, from 1 */
} fault;

/* ---- what a loss of power takes back ---- */

#define UNSYNCED_MAX 512

static struct unsynced {
    int fd;              /* a duplicate, of the file or of the directory */
    ino_t inode;
    char name[64];       /* of a new name in a directory; "" for bytes */
    int from_fd;         /* where a rename came from, */
    char from[64];       /* and its name there; "" for a file that was made */
    off_t offset, old_size;
    size_t len;
    void *old;
    bool empties;        /* of a file that got a new name */
} unsynced[UNSYNCED_MAX];
static size_t unsynced_count;

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 ? 0 : st.st_ino;
}

/* Not by dup(), which would keep the file locked. */
static int open_again(int fd)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool is_directory = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    return open(path, (is_directory ? O_RDONLY | O_DIRECTORY : O_RDWR) | O_CLOEXEC);
}

static struct unsynced *remember(int fd)
{
    if (fd < 0 || fault.how != LOSE_POWER || unsynced_count == UNSYNCED_MAX) return NULL;
    struct unsynced *u = &unsynced[unsynced_count++];
    *u = (struct unsynced){.fd = open_again(fd), .inode = inode_of(fd), .from_fd = -1};
    return u;
}

static void remember_bytes(int fd, off_t offset, size_t len)
{
    struct stat st;
    struct unsynced *u = remember(fd);
    if (!u || fstat(fd, &st) < 0) return;
    u->old_size = st.st_size;
    u->offset = offset;
    u->len = offset >= st.st_size ? 0 : MIN(len, (size_t)(st.st_size - offset));
    u->old = malloc(u->len + 1);
    if (pread(fd, u->old, u->len, offset) != (ssize_t)u->len) abort();
}

static void remember_name(int dir, const char *name, int from_dir, const char *from)
{
    struct unsynced *u = remember(dir);
    if (!u) return;
    snprintf(u->name, sizeof u->name, "%s", name);
    snprintf(u->from, sizeof u->from, "%s", from);
    if (from[0]) u->from_fd = open_again(from_dir);
}

static void remember_size(int dir, const char *name)
{
    cleanup_close int fd = openat(dir, name, O_RDWR | O_CLOEXEC);
    struct unsynced *u = remember(fd);
    if (u) u->empties = true;
}

static void forget_synced(int fd)
{
    ino_t inode = inode_of(fd);
    size_t kept = 0;
    for (size_t i = 0; i < unsynced_count; i++)
        if (unsynced[i].inode != inode)
            unsynced[kept++] = unsynced[i];
        else
            close(unsynced[i].fd);
    unsynced_count = kept;
}

static bool lose_directory(const struct unsynced *u)
{
    char lost[32];
    snprintf(lost, sizeof lost, ".lost-%d", (int)getpid());
    return renameat(u->fd, u->name, u->fd, lost) == 0;
}

/* Of bytes each write may be there or not; a file that became longer without its bytes is what file systems do. */
static void take_back(const struct unsynced *u, bool whole)
{
    bool ok = true;
    if (u->empties)
        ok = ftruncate(u->fd, 0) == 0;
    else if (u->from[0])
        ok = renameat(u->fd, u->name, u->from_fd, u->from) == 0;
    else if (u->name[0])
        ok = unlinkat(u->fd, u->name, 0) == 0 || errno == ENOENT || (errno == EISDIR && lose_directory(u));
    else if (u->len && pwrite(u->fd, u->old, u->len, u->offset) != (ssize_t)u->len)
        ok = false;
    else if (whole && ftruncate(u->fd, u->old_size) < 0)
        ok = false;
    if (!ok) abort();
}

static void lose_power(void)
{
    uint32_t dice = (uint32_t)fault.at * 2654435761U;
    for (size_t i = unsynced_count; i-- > 0;) {
        dice = dice * 1664525 + 1013904223;
        if (dice >> 30 && !unsynced[i].empties) take_back(&unsynced[i], dice >> 29 & 1);
    }
}

/* The worst that a loss of power can do: all that was not synced is as it was. */
attr_unused static void lose_all(void)
{
    for (size_t i = unsynced_count; i-- > 0;) take_back(&unsynced[i], true);
}

static bool is_due(const char *name)
{
    fault.count++;
    if (fault.count < (int)ARRAY_LEN(fault.trace)) fault.trace[fault.count] = name;
    if (fault.at == 0 || fault.count < fault.at || fault.how == WRITE_LESS) return false;
    if (fault.count > fault.at && fault.how != FAIL_FOR_GOOD) return false;
    if (fault.how == LOSE_POWER) lose_power();
    if (fault.how == END_PROCESS || fault.how == LOSE_POWER) _exit(EXIT_STATUS);
    errno = fault.errnum;
    return true;
}

#define FAULTY(name, params, args)                                                                                 \
    static int faulty_##name params                                                                                \
    {                                                                                                              \
        return is_due(#name) ? -1 : fileops_kernel.name args;                                                      \
    }

FAULTY(room, (int fd, struct statvfs *ret), (fd, ret))
FAULTY(reserve, (int fd, off_t offset, off_t len), (fd, offset, len))
FAULTY(writeback, (int fd, off_t offset, off_t len), (fd, offset, len))
FAULTY(truncate, (int fd, off_t size), (fd, size))
FAULTY(set_xattr, (int fd, const char *name, const void *value, size_t len), (fd, name, value, len))
FAULTY(rename_over, (int dir, const char *name, int to_dir, const char *to), (dir, name, to_dir, to))
FAULTY(unlink, (int dir, const char *name), (dir, name))

static int faulty_mkdir(int dir, const char *name, mode_t mode)
{
    if (is_due("mkdir")) return -1;
    int result = fileops_kernel.mkdir(dir, name, mode);
    if (result == 0) remember_name(dir, name, -1, "");
    return result;
}

static int faulty_open(int dir, const char *path, int flags, mode_t mode)
{
    if (is_due("open")) return -1;
    int fd = fileops_kernel.open(dir, path, flags, mode);
    if (fd >= 0 && flags & O_CREAT) remember_name(dir, path, -1, "");
    return fd;
}

static int faulty_rename_new(int dir, const char *name, int to_dir, const char *to)
{
    if (is_due("rename_new")) return -1;
    int result = fileops_kernel.rename_new(dir, name, to_dir, to);
    if (result < 0) return result;
    remember_size(to_dir, to);
    remember_name(to_dir, to, dir, name);
    return 0;
}

static int faulty_sync(int fd)
{
    if (is_due("sync")) return -1;
    forget_synced(fd); /* hundreds of real ones would only take time: nothing here looks at the disk */
    return 0;
}

static ssize_t faulty_write(int fd, const void *bytes, size_t len, off_t offset)
{
    if (is_due("write")) return -1;
    if (fault.how == WRITE_LESS && fault.count == fault.at) len = MAX(len / 3, 1);
    remember_bytes(fd, offset, len);
    return fileops_kernel.write(fd, bytes, len, offset);
}

static const struct fileops faulty_ops = {
    .open = faulty_open,
    .mkdir = faulty_mkdir,
    .room = faulty_room,
    .reserve = faulty_reserve,
    .write = faulty_write,
    .writeback = faulty_writeback,
    .truncate = faulty_truncate,
    .set_xattr = faulty_set_xattr,
    .sync = faulty_sync,
    .rename_new = faulty_rename_new,
    .rename_over = faulty_rename_over,
    .unlink = faulty_unlink,
};
