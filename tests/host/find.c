/* From a drive's name to the host's device nodes, by the INQUIRY strings that trayd gives its drives: vendor "trayd",
 * product ending in the drive's name. */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int read_line(char *line, size_t size, const char *format, ...)
{
    char path[PATH_BYTES];
    va_list list;
    ssize_t got;
    int fd;

    va_start(list, format);
    vsnprintf(path, sizeof path, format, list);
    va_end(list);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    got = read(fd, line, size - 1);
    close(fd);
    if (got < 0)
        return -1;
    while (got > 0 && (line[got - 1] == '\n' || line[got - 1] == ' '))
        got--;
    line[got] = '\0';
    return 0;
}

/* Follows the block device up to its SCSI address and its USB interface. */
static void look_around(const char *block_name, struct drive *drive)
{
    char link[PATH_BYTES], path[PATH_BYTES], line[64];
    char *real, *slash;
    struct dirent *entry;
    DIR *dir;

    snprintf(drive->node, sizeof drive->node, "/dev/%.32s", block_name);
    snprintf(path, sizeof path, "/sys/class/block/%.32s/device/scsi_generic", block_name);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "sg", 2) == 0)
            snprintf(drive->sg, sizeof drive->sg, "/dev/%.32s", entry->d_name);
    }
    if (dir)
        closedir(dir);
    snprintf(link, sizeof link, "/sys/class/block/%.32s/device", block_name);
    real = realpath(link, NULL);
    if (!real)
        return;
    sscanf(strrchr(real, '/'), "/%*d:%*d:%*d:%d", &drive->lun);
    while ((slash = strrchr(real, '/')) != NULL && slash != real) {
        if (read_line(line, sizeof line, "%s/bInterfaceNumber", real) == 0) {
            snprintf(drive->interface, sizeof drive->interface, "%s", real);
            break;
        }
        *slash = '\0';
    }
    free(real);
}

static bool is_ours(const char *block_name, const char *drive_name)
{
    char line[64];
    const char *last;

    if (read_line(line, sizeof line, "/sys/class/block/%s/device/vendor", block_name) != 0 || strcmp(line, "trayd") != 0)
        return false;
    if (read_line(line, sizeof line, "/sys/class/block/%s/device/model", block_name) != 0)
        return false;
    last = strrchr(line, ' ');
    return strcmp(last ? last + 1 : line, drive_name) == 0;
}

int find_drive(const char *name_or_node, struct drive *ret_drive)
{
    struct drive drive = { 0 };
    struct dirent *entry;
    DIR *dir;

    if (strncmp(name_or_node, "/dev/", 5) == 0) {
        if (access(name_or_node, F_OK) != 0)
            return -1;
        look_around(name_or_node + 5, &drive);
        *ret_drive = drive;
        return 0;
    }
    dir = opendir("/sys/class/block");
    while (dir && !*drive.node && (entry = readdir(dir)) != NULL) {
        if (is_ours(entry->d_name, name_or_node))
            look_around(entry->d_name, &drive);
    }
    if (dir)
        closedir(dir);
    /* devtmpfs makes the node a moment after sysfs shows the device. */
    if (!*drive.node || access(drive.node, F_OK) != 0)
        return -1;
    *ret_drive = drive;
    return 0;
}

int need_drive(const char *name_or_node, struct drive *ret_drive)
{
    if (find_drive(name_or_node, ret_drive) == 0)
        return 0;
    complain("the host sees no drive \"%s\"", name_or_node);
    return -1;
}

bool is_cdrom(const struct drive *drive)
{
    return strncmp(drive->node, "/dev/sr", 7) == 0;
}

static int wait_for_drive(const struct args *args, struct drive *ret_drive)
{
    double end = now_seconds() + (double)args->wait;

    while (find_drive(args->word[0], ret_drive) != 0) {
        if (args->wait < 0 || now_seconds() >= end || stopped())
            return need_drive(args->word[0], ret_drive);
        usleep(50 * 1000);
    }
    return 0;
}

int command_dev(const struct args *args)
{
    struct drive drive;

    if (wait_for_drive(args, &drive) != 0)
        return 1;
    puts(drive.node);
    return 0;
}

int command_sg(const struct args *args)
{
    struct drive drive;

    if (wait_for_drive(args, &drive) != 0)
        return 1;
    if (!*drive.sg)
        return complain("%s has no SCSI generic device (is the module sg loaded?)", drive.node);
    puts(drive.sg);
    return 0;
}

int command_open(const struct args *args)
{
    struct drive drive;
    int fd;

    if (need_drive(args->word[0], &drive) != 0)
        return 1;
    fd = open(drive.node, (args->rw ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0)
        return complain("%s: %s", drive.node, strerror(errno));
    puts("ready");
    hold_until_told(args->seconds);
    close(fd);
    return 0;
}

int command_size(const struct args *args)
{
    struct drive drive;
    uint64_t bytes;
    int fd, result;

    if (need_drive(args->word[0], &drive) != 0)
        return 1;
    fd = open(drive.node, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return complain("%s: %s", drive.node, strerror(errno));
    result = ioctl(fd, BLKGETSIZE64, &bytes);
    close(fd);
    if (result != 0)
        return complain("%s: %s", drive.node, strerror(errno));
    printf("%llu\n", (unsigned long long)bytes);
    return 0;
}
