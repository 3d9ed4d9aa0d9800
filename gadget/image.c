#include "gadget/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/parse.h"

#define FD_PATH_MAX 32 /* "/proc/self/fd/2147483647" */

static const char *fd_path(int fd, char text[FD_PATH_MAX])
{
    snprintf(text, FD_PATH_MAX, "/proc/self/fd/%d", fd);
    return text;
}

int image_check_size(enum drive_type type, uint64_t bytes, struct err *e)
{
    if (type == DRIVE_CDROM && bytes > IMAGE_CDROM_BYTES_MAX)
        return err_set(e, ERR_TOO_LARGE_FOR_CDROM, "The image has %llu bytes; as a CD the kernel would cut it to %llu",
                       (unsigned long long)bytes, IMAGE_CDROM_BYTES_MAX);
    if (type == DRIVE_CDROM && bytes < IMAGE_CDROM_BYTES_MIN)
        return err_set(e, ERR_TOO_SMALL_FOR_CDROM, "The image has %llu bytes; a CD has at least %llu",
                       (unsigned long long)bytes, IMAGE_CDROM_BYTES_MIN);
    if (bytes < IMAGE_DISK_BYTES_MIN)
        return err_set(e, ERR_IMAGE_UNUSABLE, "The image has %llu bytes; a disk has at least %llu",
                       (unsigned long long)bytes, IMAGE_DISK_BYTES_MIN);
    return 0;
}

/* The size of a block device as sysfs tells it, in sectors of 512 bytes whatever the device's own are. */
static uint64_t block_device_bytes(dev_t device)
{
    char path[64], text[32];
    uint64_t sectors = 0;
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/size", major(device), minor(device));
    if (fd_read_line(path, text, sizeof text) > 0) parse_u64(text, &sectors);
    return sectors * 512;
}

int image_identify(int fd, struct engine_medium *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0) return -1;
    ret->device = st.st_dev;
    ret->inode = st.st_ino;
    ret->storage = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
    ret->size = S_ISBLK(st.st_mode) ? block_device_bytes(st.st_rdev) : (uint64_t)st.st_size;
    return 0;
}

int image_path(int fd, char *ret, size_t size)
{
    char link[FD_PATH_MAX];
    ssize_t n = readlink(fd_path(fd, link), ret, size - 1);
    if (n < 0) return -1;
    ret[n] = '\0';
    return 0;
}

static int open_error(int errnum, const char *name, struct err *e)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR: return err_set(e, ERR_IMAGE_MISSING, "There is no image \"%s\" in this store", name);
    case EXDEV: return err_set(e, ERR_INVALID_NAME, "\"%s\" leads out of the store", name);
    case ELOOP: return err_set(e, ERR_IMAGE_UNUSABLE, "\"%s\" is, or is behind, a symbolic link", name);
    case EROFS: return err_set_errno(e, ERR_STORE_READ_ONLY, errnum, "\"%s\" cannot be written to", name);
    case EBUSY:
    case ETXTBSY: return err_set_errno(e, ERR_IMAGE_IN_USE, errnum, "\"%s\" is used by something else", name);
    case EACCES:
    case EPERM:
    case ENXIO:
    case ENOMEDIUM:
    case ENAMETOOLONG: return err_set_errno(e, ERR_IMAGE_UNUSABLE, errnum, "Cannot open \"%s\"", name);
    case EIO:
    case ENOTCONN:
    case ESTALE:
    case ETIMEDOUT: return err_set_errno(e, ERR_STORE_DETACHED, errnum, "The storage under \"%s\" has gone", name);
    default: return err_set_errno(e, err_code_for_errno(errnum), errnum, "Cannot open \"%s\"", name);
    }
}

/* As the kernel will open it: what cannot be had is found out before the old medium is taken out. */
static int try_open(int fd, bool block, const struct image_wish *wish, struct err *e)
{
    char path[FD_PATH_MAX];
    /* O_EXCL on a block device: not while it is mounted or part of something (open(2)). Reading does no harm there. */
    int flags = wish->readonly ? O_RDONLY : O_RDWR | (block ? O_EXCL : 0);
    cleanup_close int trial = open(fd_path(fd, path), flags | O_CLOEXEC | O_NONBLOCK);
    return trial < 0 ? open_error(errno, wish->name, e) : 0;
}

int image_open(const struct image_wish *wish, struct engine_medium *ret, struct err *e)
{
    if (!wish->readonly && wish->store_readonly)
        return err_set(e, ERR_STORE_READ_ONLY, "The store of \"%s\" is configured as read-only", wish->name);
    if (!wish->store_path[0])
        return err_set(e, ERR_STORE_DETACHED, "The store of \"%s\" is not configured", wish->name);
    cleanup_close int dir = open(wish->store_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set_errno(e, ERR_STORE_DETACHED, errno, "Cannot open the store's directory %s", wish->store_path);
    if (wish->store_mount && !fd_is_mount(dir))
        return err_set(e, ERR_STORE_DETACHED, "Nothing is mounted at %s, where the store should be", wish->store_path);
    cleanup_close int fd = fd_open_beneath(dir, wish->name, O_PATH, 0);
    if (fd < 0) return open_error(errno, wish->name, e);

    struct stat st;
    if (fstat(fd, &st) < 0) return open_error(errno, wish->name, e);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return err_set(e, ERR_IMAGE_UNUSABLE, "\"%s\" is neither a regular file nor a block device", wish->name);
    struct engine_medium found = {.present = true, .readonly = wish->readonly};
    if (image_identify(fd, &found) < 0) return open_error(errno, wish->name, e);
    if (image_check_size(wish->type, found.size, e) < 0) return -1;
    if (try_open(fd, S_ISBLK(st.st_mode), wish, e) < 0) return -1;
    if (image_path(fd, found.path, sizeof found.path) < 0) return open_error(errno, wish->name, e);
    *ret = found;
    return take_fd(&fd);
}

int image_reopen(int fd)
{
    char path[FD_PATH_MAX];
    /* fsync(2) and sync_file_range(2) write back the whole file whoever wrote to it, and need no right to write. */
    return open(fd_path(fd, path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

int image_sync_error(int errnum, struct err *e)
{
    return err_set_errno(e, errnum == ENOSPC ? ERR_NO_SPACE : ERR_UNAVAILABLE, errnum, "Cannot sync the image");
}

int image_sync(int fd, struct err *e)
{
    cleanup_close int real = image_reopen(fd);
    return real < 0 || fsync(real) < 0 ? image_sync_error(errno, e) : 0;
}

int image_write_back(int fd, struct err *e)
{
    if (sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE) == 0) return 0;
    return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot write the image back");
}

int image_watch(int inotify_fd, int fd, uint32_t mask, struct err *e)
{
    char path[FD_PATH_MAX];
    int wd = inotify_add_watch(inotify_fd, fd_path(fd, path), mask);
    return wd < 0 ? err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot watch the image") : wd;
}
