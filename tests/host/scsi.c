/*
 * SCSI commands to a drive: lock, unlock, eject, state.
 *
 * Who holds the lock, really: the kernel's sd driver sends PREVENT at a disk's first open and ALLOW at its last close, sr
 * the same for opens that want data, unless CDROM_LOCKDOOR said "keep locked" (what systemd's udev rule does to every CD).
 * So anything that opens /dev/sdX, even O_NONBLOCK, changes a disk's lock; only the sg device leaves it alone.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/cdrom.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { DEFAULT_TIMEOUT_S = 30, SENSE_BYTES = 32, UNIT_ATTENTION = 6, ATTENTIONS = 4 };

struct sense {
    int key, asc, ascq;
};

/* 0: good; 1: refused, with the sense; -1: the command did not get there (errno). */
static int send_command(int fd, const unsigned char cdb[6], int64_t timeout_s, struct sense *ret_sense)
{
    unsigned char command[6], sense[SENSE_BYTES] = { 0 };
    struct sg_io_hdr io = { .interface_id = 'S', .dxfer_direction = SG_DXFER_NONE, .cmd_len = sizeof command,
                            .cmdp = command, .mx_sb_len = sizeof sense, .sbp = sense };

    memcpy(command, cdb, sizeof command);
    io.timeout = (unsigned)(timeout_s < 0 ? DEFAULT_TIMEOUT_S : timeout_s) * 1000;
    if (ioctl(fd, SG_IO, &io) != 0)
        return -1;
    *ret_sense = (struct sense) { sense[2] & 0xf, sense[12], sense[13] };
    if ((io.info & SG_INFO_OK_MASK) == SG_INFO_OK)
        return 0;
    if (io.sb_len_wr == 0) {
        errno = io.host_status == 3 /* DID_TIME_OUT */ ? ETIMEDOUT : EIO;
        return -1;
    }
    return 1;
}

/* A pending UNIT ATTENTION answers the first command, whatever it is: take it, and ask again. */
static int insist(int fd, const unsigned char cdb[6], int64_t timeout_s, struct sense *ret_sense, struct sense *ret_attention)
{
    int result;

    for (int i = 0;; i++) {
        result = send_command(fd, cdb, timeout_s, ret_sense);
        if (result != 1 || ret_sense->key != UNIT_ATTENTION || i == ATTENTIONS)
            return result;
        if (ret_attention)
            *ret_attention = *ret_sense;
    }
}

static int open_for_commands(const char *name, bool past_the_driver, struct drive *ret_drive)
{
    const char *node;
    int fd;

    if (need_drive(name, ret_drive) != 0)
        return -1;
    node = past_the_driver && *ret_drive->sg ? ret_drive->sg : ret_drive->node;
    fd = open(node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && (errno == EROFS || errno == EACCES))
        fd = open(node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        complain("%s: %s", node, strerror(errno));
    return fd;
}

static int tell(const char *what, int result, const struct sense *sense)
{
    if (result == 0)
        return 0;
    if (result < 0)
        return complain("%s: %s", what, strerror(errno));
    return complain("%s: refused, sense %02x/%02x/%02x", what, (unsigned)sense->key, (unsigned)sense->asc,
                    (unsigned)sense->ascq);
}

static int set_lock(const struct args *args, bool lock)
{
    const unsigned char cdb[6] = { 0x1e, 0, 0, 0, lock, 0 };
    struct sense sense = { 0 };
    struct drive drive;
    int fd = open_for_commands(args->word[0], true, &drive), result;

    if (fd < 0)
        return 1;
    if (is_cdrom(&drive)) {
        int cd = open(drive.node, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        result = cd < 0 ? -1 : ioctl(cd, CDROM_LOCKDOOR, lock ? 1UL : 0UL);
        tell(lock ? "CDROM_LOCKDOOR 1" : "CDROM_LOCKDOOR 0", result, &sense);
        if (cd >= 0)
            close(cd);
        result = result != 0;
    } else {
        result = tell(lock ? "PREVENT" : "ALLOW", insist(fd, cdb, args->timeout, &sense, NULL), &sense);
    }
    close(fd);
    return result;
}

int command_lock(const struct args *args)
{
    return set_lock(args, true);
}

int command_unlock(const struct args *args)
{
    return set_lock(args, false);
}

int command_eject(const struct args *args)
{
    static const unsigned char allow[6] = { 0x1e, 0, 0, 0, 0, 0 }, unload[6] = { 0x1b, 0, 0, 0, 2, 0 };
    struct sense sense = { 0 };
    struct drive drive;
    int fd = open_for_commands(args->word[0], false, &drive), result;

    if (fd < 0)
        return 1;
    if (is_cdrom(&drive))
        ioctl(fd, CDROM_LOCKDOOR, 0UL); /* or sr would go on thinking that it is to be kept locked */
    result = tell("ALLOW", insist(fd, allow, args->timeout, &sense, NULL), &sense);
    if (result == 0)
        result = tell("START STOP UNIT", insist(fd, unload, args->timeout, &sense, NULL), &sense);
    close(fd);
    return result;
}

int command_state(const struct args *args)
{
    static const unsigned char ready[6] = { 0 };
    struct sense sense = { 0 }, attention = { 0 };
    struct drive drive;
    int fd = open_for_commands(args->word[0], true, &drive), result;

    if (fd < 0)
        return 1;
    result = insist(fd, ready, args->timeout, &sense, &attention);
    close(fd);
    if (result < 0)
        return tell("TEST UNIT READY", result, &sense);
    printf("%s", result == 0 ? "present" : sense.asc == 0x3a ? "absent" : "not-ready");
    if (result != 0)
        printf(" sense=%02x/%02x/%02x", (unsigned)sense.key, (unsigned)sense.asc, (unsigned)sense.ascq);
    if (attention.key)
        printf(" attention=%02x/%02x/%02x", (unsigned)attention.key, (unsigned)attention.asc, (unsigned)attention.ascq);
    putchar('\n');
    return 0;
}
