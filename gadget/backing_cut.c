#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/nbd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "gadget/backing.h"

#define DM_CONTROL "/dev/mapper/control"

/* The node in /dev, by its name in sysfs; it must be that device. */
static int open_node(dev_t number, struct err *e)
{
    char path[64], uevent[256], name[64] = "", node[80];
    snprintf(path, sizeof path, "/sys/dev/block/%u:%u/uevent", major(number), minor(number));
    const char *at = fd_read_text(path, uevent, sizeof uevent) > 0 ? strstr(uevent, "DEVNAME=") : NULL;
    if (!at || sscanf(at, "DEVNAME=%63[^\n]", name) != 1)
        return err_set(e, ERR_INTERNAL, "There is no block device %u:%u any more", major(number), minor(number));
    snprintf(node, sizeof node, "/dev/%s", name);
    /* O_NONBLOCK: not to wait for a medium; nothing is read here. */
    cleanup_close int fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot open %s", node);
    if (!S_ISBLK(st.st_mode) || st.st_rdev != number)
        return err_set(e, ERR_INTERNAL, "%s is not block device %u:%u", node, major(number), minor(number));
    return take_fd(&fd);
}

static int cut_nbd(const struct backing *b, struct err *e)
{
    cleanup_close int fd = open_node((dev_t)b->number, e);
    if (fd < 0) return -1;
    if (ioctl(fd, NBD_CLEAR_SOCK) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot disconnect the network block device");
    return 0;
}

static int cut_fuse(const struct backing *b, struct err *e)
{
    char path[80];
    snprintf(path, sizeof path, "/sys/fs/fuse/connections/%llu/abort", (unsigned long long)b->number);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot abort the FUSE connection");
    return 0;
}

struct dm_request {               /* Documentation/admin-guide/device-mapper, linux/dm-ioctl.h */
    struct dm_ioctl head;
    struct dm_target_spec target; /* of DM_TABLE_LOAD; its parameters are the empty string behind it */
    char parameters[8];
};

static int dm_call(int control, unsigned long what, const struct backing *b, uint32_t flags, uint32_t targets)
{
    const dev_t number = (dev_t)b->number;
    struct dm_request r = {
        .head = {.version = {DM_VERSION_MAJOR, 0, 0}, /* older minor versions of the interface than ours are meant, too */
                 .data_size = sizeof r,
                 .data_start = offsetof(struct dm_request, target),
                 .target_count = targets,
                 .flags = flags,
                 /* huge_encode_dev() in linux/kdev_t.h */
                 .dev = (minor(number) & 0xff) | major(number) << 8 | (uint64_t)(minor(number) & ~0xffU) << 12},
        .target = {.length = b->sectors, .next = sizeof r - offsetof(struct dm_request, target), .target_type = "error"},
    };
    return ioctl(control, what, &r);
}

/* Where it is suspended already, suspending again is no error (dm_suspend() is not called twice: do_suspend()). */
static int cut_dm(const struct backing *b, struct err *e)
{
    static const struct {
        unsigned long call;
        uint32_t flags, targets;
        const char *wrong;
    } steps[] = {
        {DM_TABLE_LOAD, 0, 1, "Cannot load a table of errors"},
        {DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG, 0, "Cannot suspend the mapping"},
        {DM_DEV_SUSPEND, DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG, 0, "Cannot resume the mapping"},
    };
    cleanup_close int control = open(DM_CONTROL, O_RDWR | O_CLOEXEC);
    if (control < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot open %s", DM_CONTROL);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (dm_call(control, steps[i].call, b, steps[i].flags, steps[i].targets) < 0)
            return err_set_errno(e, ERR_INTERNAL, errno, "%s", steps[i].wrong);
    return 0;
}

int backing_cut(const struct backing *b, struct err *e)
{
    switch ((enum store_cut)b->how) {
    case CUT_NBD: return cut_nbd(b, e);
    case CUT_FUSE: return cut_fuse(b, e);
    case CUT_DEVICE_MAPPER: return cut_dm(b, e);
    case CUT_NEVER: break;
    }
    return err_set(e, ERR_INTERNAL, "This storage is not ours to cut");
}
