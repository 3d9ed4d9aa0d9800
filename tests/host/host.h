/*
 * host: what the host computer does, for tests that run in the virtual machine, where both ends of the USB cable are in
 * one kernel. Linux and libc only. Each command is one function here, a row of the table in host.c, and a few lines of
 * help; every DEVICE argument is a device node or the name of a drive.
 *
 * Exit status: 0 done, 1 the device or the kernel said no (said on stderr, or in errno= of a summary), 2 wrong usage.
 */
#ifndef TRAYD_TESTS_HOST_H
#define TRAYD_TESTS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATH_BYTES = 512, ARGUMENTS = 4 };

/* A parsed command line; numbers that were not given are -1. */
struct args {
    const char *word[ARGUMENTS];
    int words;
    const char *pattern, *tag;
    int64_t seconds, wait, bytes, from, blocks, at, lun, stop_after, timeout, rest;
    bool rw, direct, sync, loop, hold, ready, finish, no_reset;
};

/* host.c */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2))); /* prints, returns 1 */
double now_seconds(void);                                                    /* CLOCK_MONOTONIC */
bool stopped(void);              /* SIGTERM or SIGINT came, or a stdin that is a pipe was closed */
void hold_until_told(int64_t seconds); /* until stopped(), or so many seconds (-1: no limit) */

/* find.c: from a drive's name to the nodes of the host */
struct drive {
    char node[64];            /* /dev/sr0 */
    char sg[64];              /* /dev/sg0, "" when there is none */
    char interface[PATH_BYTES]; /* sysfs folder of its USB interface, "" when it is not on USB */
    int lun;
};
int find_drive(const char *name_or_node, struct drive *ret_drive); /* 0 or -1, without a message */
int need_drive(const char *name_or_node, struct drive *ret_drive); /* the same, with a message */
bool is_cdrom(const struct drive *drive);
int read_line(char *line, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4))); /* of a file */

/* usb.c */
int open_usb_device(const struct drive *drive); /* in usbfs; -1 with a message */

/* The commands */
int command_dev(const struct args *args);
int command_sg(const struct args *args);
int command_open(const struct args *args);
int command_size(const struct args *args);
int command_state(const struct args *args);
int command_lock(const struct args *args);
int command_unlock(const struct args *args);
int command_eject(const struct args *args);
int command_read(const struct args *args);
int command_write(const struct args *args);
int command_count(const struct args *args);
int command_match(const struct args *args);
int command_uevents(const struct args *args);
int command_enumerations(const struct args *args);
int command_reset(const struct args *args);
int command_udc(const struct args *args);
int command_watch(const struct args *args);
int command_keyboard(const struct args *args);
int command_bot(const struct args *args);

#endif
