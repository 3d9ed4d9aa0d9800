#include "gadget/backing.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/parse.h"

#define DEPTH_MAX 8      /* mappings and partitions on top of each other; more than anybody builds */
#define SYS_PATH_MAX 512

struct block_device {
    char dir[SYS_PATH_MAX]; /* in sysfs */
    dev_t number;
};

static bool read_text(const char *dir, const char *name, char *ret, size_t size)
{
    char path[SYS_PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return fd_read_line(path, ret, size) > 0;
}

static bool has(const char *dir, const char *name)
{
    char path[SYS_PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static bool read_number(const char *dir, dev_t *ret)
{
    char text[32];
    unsigned major_number, minor_number;
    if (!read_text(dir, "dev", text, sizeof text) || sscanf(text, "%u:%u", &major_number, &minor_number) != 2) return false;
    *ret = makedev(major_number, minor_number);
    return true;
}

static bool enter(const char *sys, dev_t number, struct block_device *ret)
{
    ret->number = number;
    snprintf(ret->dir, sizeof ret->dir, "%s/dev/block/%u:%u", sys, major(number), minor(number));
    return has(ret->dir, "dev");
}

/* The one device that this one lies on: the disk of a partition, the one slave of a mapping. */
static bool go_down(const char *sys, struct block_device *d)
{
    char dir[SYS_PATH_MAX + 320];
    dev_t below = 0;
    int count = 0;
    if (has(d->dir, "partition")) {
        snprintf(dir, sizeof dir, "%s/..", d->dir);
        return read_number(dir, &below) && enter(sys, below, d);
    }
    snprintf(dir, sizeof dir, "%s/slaves", d->dir);
    DIR *slaves = opendir(dir);
    for (struct dirent *s; slaves && (s = readdir(slaves));) {
        if (s->d_name[0] == '.') continue;
        char slave[SYS_PATH_MAX + 640];
        snprintf(slave, sizeof slave, "%s/%s", dir, s->d_name);
        if (read_number(slave, &below)) count++;
    }
    if (slaves) closedir(slaves);
    return count == 1 && enter(sys, below, d);
}

/* The block layer calls them nbd0, nbd1, ... (nbd_dev_add() in drivers/block/nbd.c). */
static bool is_nbd(const struct block_device *d)
{
    char uevent[256];
    char path[SYS_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/uevent", d->dir);
    ssize_t n = fd_read_text(path, uevent, sizeof uevent);
    return n > 0 && strstr(uevent, "DEVNAME=nbd") && !has(d->dir, "partition");
}

static int find_block(const char *sys, dev_t device, enum store_cut how, struct backing *ret, struct err *e)
{
    struct block_device d;
    bool there = enter(sys, device, &d);
    for (int depth = 0; there && depth < DEPTH_MAX; depth++) {
        bool is_it = how == CUT_NBD ? is_nbd(&d) : has(d.dir, "dm");
        if (is_it) {
            char text[32];
            *ret = (struct backing){.how = (int)how, .number = d.number};
            if (read_text(d.dir, "size", text, sizeof text)) parse_u64(text, &ret->sectors);
            return 0;
        }
        there = go_down(sys, &d);
    }
    return err_set(e, ERR_NOT_FOUND, "There is no %s device under it (it lies on %u:%u)", store_cut_names[how], major(device),
                   minor(device));
}

/* fuse_ctl_add_conn() in fs/fuse/control.c: the superblock's device number as the kernel keeps it (MKDEV: 20 bits of
 * minor). */
static int find_fuse(const char *sys, dev_t device, struct backing *ret, struct err *e)
{
    char dir[SYS_PATH_MAX];
    uint64_t number = (uint64_t)major(device) << 20 | minor(device);
    snprintf(dir, sizeof dir, "%s/fs/fuse/connections/%llu", sys, (unsigned long long)number);
    if (!has(dir, "abort"))
        return err_set(e, ERR_NOT_FOUND, "There is no FUSE connection %s (is fusectl mounted?)", dir);
    *ret = (struct backing){.how = CUT_FUSE, .number = number};
    return 0;
}

int backing_of_device(const char *sys, dev_t device, enum store_cut how, struct backing *ret, struct err *e)
{
    if (how == CUT_FUSE) return find_fuse(sys, device, ret, e);
    if (how == CUT_NBD || how == CUT_DEVICE_MAPPER) return find_block(sys, device, how, ret, e);
    *ret = (struct backing){0};
    return 0;
}

int backing_find(const char *sys, int fd, enum store_cut how, struct backing *ret, struct err *e)
{
    struct stat st;
    *ret = (struct backing){0};
    if (how == CUT_NEVER) return 0;
    if (fstat(fd, &st) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot look at the image");
    return backing_of_device(sys, S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev, how, ret, e);
}
