/* What the kernel tells: uevents, enumerations, inotify, and keys. */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/input.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

/* Waits for fd until it is readable (1), or the time or the patience is over (0). */
static int wait_readable(int fd, int64_t seconds, double started)
{
    struct pollfd in = { .fd = fd, .events = POLLIN };

    while (!stopped() && (seconds < 0 || now_seconds() < started + (double)seconds)) {
        if (poll(&in, 1, 100) == 1)
            return 1;
    }
    return 0;
}

static const char *member(const char *message, size_t size, const char *key)
{
    size_t length = strlen(key);

    for (const char *at = message; at < message + size; at += strlen(at) + 1) {
        if (strncmp(at, key, length) == 0 && at[length] == '=')
            return at + length + 1;
    }
    return NULL;
}

static void print_uevent(const char *message, size_t size)
{
    static const char *const shown[] = { "DEVTYPE", "DISK_MEDIA_CHANGE", "DISK_EJECT_REQUEST", "USB_UDC_DRIVER", "DRIVER" };
    const char *action = member(message, size, "ACTION"), *subsystem = member(message, size, "SUBSYSTEM");
    const char *path = member(message, size, "DEVPATH"), *value;

    if (!action || !subsystem || !path)
        return;
    if (strcmp(subsystem, "block") != 0 && strcmp(subsystem, "usb") != 0 && strcmp(subsystem, "udc") != 0)
        return;
    printf("%.3f %s %s %s", now_seconds(), action, subsystem, strrchr(path, '/') + 1);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        value = member(message, size, shown[i]);
        if (value)
            printf(" %s=%s", shown[i], value);
    }
    putchar('\n');
}

int command_uevents(const struct args *args)
{
    struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
    char message[8192];
    double started = now_seconds();
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
    ssize_t got;

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return complain("uevents: %s", strerror(errno));
    puts("ready");
    while (wait_readable(fd, args->seconds, started)) {
        got = recv(fd, message, sizeof message - 1, 0);
        if (got < 0 && errno == ENOBUFS)
            puts("lost");
        if (got <= 0)
            continue;
        message[got] = '\0';
        print_uevent(message, (size_t)got);
    }
    close(fd);
    return 0;
}

/* The virtual machine has no USB but dummy_hcd, so every device that is not a root hub is the gadget. */
static void print_address(void)
{
    char bus[16], number[16];
    bool found = false;
    struct dirent *entry;
    DIR *dir = opendir("/sys/bus/usb/devices");

    while (dir && !found && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || strchr(entry->d_name, ':') || strncmp(entry->d_name, "usb", 3) == 0)
            continue;
        if (read_line(bus, sizeof bus, "/sys/bus/usb/devices/%s/busnum", entry->d_name) == 0 &&
            read_line(number, sizeof number, "/sys/bus/usb/devices/%s/devnum", entry->d_name) == 0) {
            printf("device=%s:%s", bus, number);
            found = true;
        }
    }
    if (dir)
        closedir(dir);
    if (!found)
        printf("device=none");
}

int command_enumerations(const struct args *args)
{
    char line[8192];
    int enumerations = 0, resets = 0, fd;
    ssize_t got;

    (void)args;
    fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return complain("/dev/kmsg: %s", strerror(errno));
    /* One record per read; EPIPE means that some were overwritten, and reading goes on with the oldest. */
    while ((got = read(fd, line, sizeof line - 1)) > 0 || errno == EPIPE) {
        if (got <= 0)
            continue;
        line[got] = '\0';
        if (!strstr(line, ";usb ") || !strstr(line, " USB device number "))
            continue;
        enumerations += strstr(line, ": new ") != NULL;
        resets += strstr(line, ": reset ") != NULL;
    }
    close(fd);
    print_address();
    printf(" enumerations=%d resets=%d\n", enumerations, resets);
    return 0;
}

static void print_inotify(uint32_t mask)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = { { IN_ACCESS, "ACCESS" }, { IN_MODIFY, "MODIFY" }, { IN_ATTRIB, "ATTRIB" }, { IN_OPEN, "OPEN" },
                  { IN_CLOSE_WRITE, "CLOSE_WRITE" }, { IN_CLOSE_NOWRITE, "CLOSE_NOWRITE" }, { IN_MOVE_SELF, "MOVE_SELF" },
                  { IN_DELETE_SELF, "DELETE_SELF" }, { IN_IGNORED, "IGNORED" }, { IN_Q_OVERFLOW, "OVERFLOW" } };

    printf("%.3f", now_seconds());
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (mask & names[i].bit)
            printf(" %s", names[i].name);
    }
    putchar('\n');
}

int command_watch(const struct args *args)
{
    _Alignas(struct inotify_event) char events[4096];
    double started = now_seconds();
    int fd = inotify_init1(IN_CLOEXEC);
    ssize_t got;

    if (fd < 0 || inotify_add_watch(fd, args->word[0], IN_ALL_EVENTS) < 0)
        return complain("%s: %s", args->word[0], strerror(errno));
    puts("ready");
    while (wait_readable(fd, args->seconds, started) && (got = read(fd, events, sizeof events)) > 0) {
        for (char *at = events; at < events + got;) {
            struct inotify_event event;

            memcpy(&event, at, sizeof event);
            print_inotify(event.mask);
            at += sizeof event + event.len;
        }
    }
    close(fd);
    return 0;
}

/* Opens the evdev node of an input device behind USB; the machine's own PS/2 keyboard is not meant. */
static int open_usb_input(void)
{
    char link[PATH_BYTES], node[64];
    struct dirent *entry;
    DIR *dir = opendir("/sys/class/input");
    int fd = -1;

    while (dir && fd < 0 && (entry = readdir(dir)) != NULL) {
        char *real;

        if (strncmp(entry->d_name, "event", 5) != 0)
            continue;
        snprintf(link, sizeof link, "/sys/class/input/%.32s", entry->d_name);
        real = realpath(link, NULL);
        if (real && strstr(real, "/usb")) {
            snprintf(node, sizeof node, "/dev/input/%.32s", entry->d_name);
            fd = open(node, O_RDONLY | O_CLOEXEC);
        }
        free(real);
    }
    if (dir)
        closedir(dir);
    return fd;
}

static int write_report(int fd, unsigned char key, double end)
{
    unsigned char report[8] = { 0, 0, key, 0, 0, 0, 0, 0 };
    struct pollfd out = { .fd = fd, .events = POLLOUT };

    /* Non-blocking: a host that does not poll the keyboard would hold the write for good. */
    while (write(fd, report, sizeof report) != (ssize_t)sizeof report) {
        if (errno != EAGAIN || now_seconds() >= end || stopped())
            return -1;
        poll(&out, 1, 50);
    }
    return 0;
}

int command_keyboard(const struct args *args)
{
    enum { USAGE_A = 0x04, DEFAULT_WAIT_S = 5 };
    int64_t wait = args->wait < 0 ? DEFAULT_WAIT_S : args->wait;
    double started = now_seconds(), end = started + (double)wait;
    int gadget = -1, host = -1;
    struct input_event event;

    while ((gadget < 0 || host < 0) && now_seconds() < end && !stopped()) {
        if (gadget < 0)
            gadget = open("/dev/hidg0", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (host < 0)
            host = open_usb_input();
        if (gadget < 0 || host < 0)
            usleep(50 * 1000);
    }
    if (gadget < 0)
        return complain("there is no /dev/hidg0");
    if (host < 0)
        return complain("the host has no USB keyboard");
    if (write_report(gadget, USAGE_A, end) != 0)
        return complain("the host does not take reports: %s", strerror(errno));
    while (wait_readable(host, wait, started) && read(host, &event, sizeof event) == (ssize_t)sizeof event) {
        if (event.type != EV_KEY || event.code != KEY_A || event.value != 1)
            continue;
        write_report(gadget, 0, end);
        puts("alive");
        return 0;
    }
    return complain("the key did not arrive within %lld s", (long long)wait);
}
