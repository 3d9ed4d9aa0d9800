/* The port and the controller: a reset of the device by its host, and what the device's side says of it. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Opens the device that the drive is part of, in usbfs. */
int open_usb_device(const struct drive *drive)
{
    char bus[16], number[16], node[64];
    int fd;

    if (read_line(bus, sizeof bus, "%s/../busnum", drive->interface) != 0 ||
        read_line(number, sizeof number, "%s/../devnum", drive->interface) != 0) {
        complain("%s is not a USB mass-storage drive", drive->node);
        return -1;
    }
    snprintf(node, sizeof node, "/dev/bus/usb/%03d/%03d", atoi(bus), atoi(number));
    fd = open(node, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        complain("%s: %s", node, strerror(errno));
    return fd;
}

int command_reset(const struct args *args)
{
    struct drive drive;
    int fd, result;

    if (need_drive(args->word[0], &drive) != 0 || (fd = open_usb_device(&drive)) < 0)
        return 1;
    result = ioctl(fd, USBDEVFS_RESET, NULL);
    if (result != 0)
        complain("USBDEVFS_RESET: %s", strerror(errno));
    close(fd);
    return result != 0;
}

int command_udc(const struct args *args)
{
    char state[64] = "";
    double started = now_seconds();
    struct pollfd in = { .events = POLLPRI };
    ssize_t got;
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "/sys/class/udc/%s/state", args->word[0]);
    in.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (in.fd < 0)
        return complain("%s: %s", path, strerror(errno));
    do {
        got = pread(in.fd, state, sizeof state - 1, 0);
        state[got > 0 ? strcspn(state, "\n") : 0] = '\0';
        printf("%.3f %s\n", now_seconds(), state);
        while (!stopped() && (args->seconds < 0 || now_seconds() < started + (double)args->seconds) && poll(&in, 1, 100) == 0)
            ;
    } while (!stopped() && (in.revents & POLLPRI) && (args->seconds < 0 || now_seconds() < started + (double)args->seconds));
    close(in.fd);
    return 0;
}
