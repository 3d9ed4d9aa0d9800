#include "images/fileops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"

static int do_reserve(int fd, off_t offset, off_t len)
{
    /* Not posix_fallocate(), which writes every block where the file system has no call for it; nor without
     * KEEP_SIZE, with which FAT does the same (fs/fat/file.c). */
    int result;
    do {
        result = fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, len);
    } while (result < 0 && errno == EINTR);
    return result;
}

static ssize_t do_write(int fd, const void *data, size_t len, off_t offset)
{
    ssize_t n;
    do {
        n = pwrite(fd, data, len, offset);
    } while (n < 0 && errno == EINTR);
    return n;
}

static int do_writeback(int fd, off_t offset, off_t len)
{
    return sync_file_range(fd, offset, len, SYNC_FILE_RANGE_WRITE);
}

static int do_set_xattr(int fd, const char *name, const void *value, size_t len)
{
    return fsetxattr(fd, name, value, len, 0);
}

static int do_rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
    if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    /* NFS and some FUSE file systems know no flags; a hard link is as exclusive. A process that is killed between
     * the two leaves a second name in the hidden directory, which the collection there removes. */
    if (linkat(from_dir, from, to_dir, to, 0) == 0) {
        unlinkat(from_dir, from, 0);
        return 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return -1;
    /* Neither: our own uploads exclude each other by the library's lock; only a foreign program could come between. */
    struct stat st;
    if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    return errno == ENOENT ? renameat(from_dir, from, to_dir, to) : -1;
}

static int do_unlink(int dir_fd, const char *name)
{
    return unlinkat(dir_fd, name, 0);
}

const struct fileops fileops_kernel = {
    .open = fd_open_beneath,
    .mkdir = mkdirat,
    .room = fstatvfs,
    .reserve = do_reserve,
    .write = do_write,
    .writeback = do_writeback,
    .truncate = ftruncate,
    .set_xattr = do_set_xattr,
    .sync = fsync,
    .rename_new = do_rename_new,
    .rename_over = renameat,
    .unlink = do_unlink,
};
