#include "gadget/flusher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    bool open;
    int fd;
    dev_t device;
    ino_t inode;
} held[DRIVES_MAX];

static void let_go(size_t drive)
{
    if (held[drive].open) close(held[drive].fd);
    held[drive].open = false;
}

void flusher_let_go(void)
{
    for (size_t i = 0; i < DRIVES_MAX; i++) let_go(i);
}

/* The file that is open for this drive, where it is this image. */
static bool holds(size_t drive, int fd)
{
    struct stat st;
    return held[drive].open && fstat(fd, &st) == 0 && st.st_dev == held[drive].device && st.st_ino == held[drive].inode;
}

int flusher_write_back(size_t drive, int fd, struct err *e)
{
    if (!holds(drive, fd)) {
        struct stat st;
        let_go(drive);
        int real = fstat(fd, &st) < 0 ? -1 : image_reopen(fd);
        if (real < 0) return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot open the image to write it back");
        held[drive].open = true;
        held[drive].fd = real;
        held[drive].device = st.st_dev;
        held[drive].inode = st.st_ino;
    }
    return image_write_back(held[drive].fd, e);
}

int flusher_sync(size_t drive, int fd, struct err *e)
{
    if (!holds(drive, fd)) return image_sync(fd, e);
    int result = fsync(held[drive].fd) < 0 ? image_sync_error(errno, e) : 0;
    let_go(drive);
    return result;
}
