/*
 * A host of the USB Mass Storage Bulk-Only Transport that stops in mid-command: what a host does that crashed, sleeps, or
 * whose user pulled at the cable. usb-storage is put aside for this interface (the drive's nodes vanish) and comes back at
 * the end. The gadget buffers 2 times 16 KiB by itself, so a read must be longer than --stop-after by more than that for
 * the gadget to be left waiting.
 */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CBW_BYTES = 31, CSW_BYTES = 13, BLOCK = 512, CD_BLOCK = 2048, PIECE = 16 * 1024, DEFAULT_BLOCKS = 256,
       DEFAULT_TIMEOUT_S = 30, PACKET = 512 };

struct bot {
    int fd;
    unsigned interface, in, out;
    unsigned timeout_ms;
    uint32_t tag;
};

static int bulk(const struct bot *bot, unsigned endpoint, void *data, size_t size)
{
    struct usbdevfs_bulktransfer transfer = { .ep = endpoint, .len = (unsigned)size, .timeout = bot->timeout_ms, .data = data };

    return ioctl(bot->fd, USBDEVFS_BULK, &transfer);
}

static int send_cbw(struct bot *bot, int lun, bool in, uint32_t length, const unsigned char *cdb, size_t cdb_size)
{
    unsigned char cbw[CBW_BYTES] = { 'U', 'S', 'B', 'C' };

    bot->tag++;
    for (int i = 0; i < 4; i++) {
        cbw[4 + i] = (unsigned char)(bot->tag >> (8 * i));
        cbw[8 + i] = (unsigned char)(length >> (8 * i));
    }
    cbw[12] = in ? 0x80 : 0;
    cbw[13] = (unsigned char)lun;
    cbw[14] = (unsigned char)cdb_size;
    memcpy(cbw + 15, cdb, cdb_size);
    return bulk(bot, bot->out, cbw, sizeof cbw) == CBW_BYTES ? 0 : -1;
}

/* The command's status: 0 passed, 1 failed, 2 phase error, -1 none came. */
static int read_csw(const struct bot *bot, uint32_t *ret_residue)
{
    unsigned char csw[PACKET];

    if (bulk(bot, bot->in, csw, sizeof csw) != CSW_BYTES || memcmp(csw, "USBS", 4) != 0)
        return -1;
    *ret_residue = (uint32_t)csw[8] | (uint32_t)csw[9] << 8 | (uint32_t)csw[10] << 16 | (uint32_t)csw[11] << 24;
    return csw[12];
}

static int find_endpoints(const struct drive *drive, struct bot *bot)
{
    char type[16], direction[8], address[8], number[8];
    struct dirent *entry;
    DIR *dir = opendir(drive->interface);

    while (dir && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "ep_", 3) != 0 ||
            read_line(type, sizeof type, "%s/%s/type", drive->interface, entry->d_name) != 0 ||
            read_line(direction, sizeof direction, "%s/%s/direction", drive->interface, entry->d_name) != 0 ||
            read_line(address, sizeof address, "%s/%s/bEndpointAddress", drive->interface, entry->d_name) != 0)
            continue;
        if (strcmp(type, "Bulk") == 0)
            *(strcmp(direction, "in") == 0 ? &bot->in : &bot->out) = (unsigned)strtoul(address, NULL, 16);
    }
    if (dir)
        closedir(dir);
    if (read_line(number, sizeof number, "%s/bInterfaceNumber", drive->interface) != 0)
        return -1;
    bot->interface = (unsigned)strtoul(number, NULL, 16);
    return bot->in && bot->out ? 0 : -1;
}

static int take_interface(const struct drive *drive, struct bot *bot)
{
    struct usbdevfs_disconnect_claim claim = { .flags = USBDEVFS_DISCONNECT_CLAIM_IF_DRIVER, .driver = "usb-storage" };

    if (find_endpoints(drive, bot) != 0)
        return complain("%s is not a USB mass-storage drive", drive->node);
    claim.interface = bot->interface;
    if ((bot->fd = open_usb_device(drive)) < 0)
        return 1;
    if (ioctl(bot->fd, USBDEVFS_DISCONNECT_CLAIM, &claim) != 0)
        return complain("USBDEVFS_DISCONNECT_CLAIM: %s", strerror(errno));
    return 0;
}

/* Reset recovery as the specification has it; then the kernel's driver may have the interface again. */
static void give_interface_back(struct bot *bot, bool reset)
{
    struct usbdevfs_ctrltransfer clear = { .bRequestType = 0x21, .bRequest = 0xff, .timeout = 5000,
                                           .wIndex = (uint16_t)bot->interface };
    struct usbdevfs_ioctl connect = { .ifno = (int)bot->interface, .ioctl_code = USBDEVFS_CONNECT };

    if (reset) {
        ioctl(bot->fd, USBDEVFS_CONTROL, &clear);
        ioctl(bot->fd, USBDEVFS_CLEAR_HALT, &bot->in);
        ioctl(bot->fd, USBDEVFS_CLEAR_HALT, &bot->out);
    }
    ioctl(bot->fd, USBDEVFS_RELEASEINTERFACE, &bot->interface);
    ioctl(bot->fd, USBDEVFS_IOCTL, &connect);
    close(bot->fd);
}

/* Moves up to `bytes` of the command's data. The amount that went, which is less when the device or the bus gave up. */
static int64_t move(const struct bot *bot, bool reading, int64_t bytes)
{
    static char piece[PIECE];
    int64_t done = 0;

    memset(piece, 'B', sizeof piece);
    while (done < bytes) {
        size_t size = bytes - done < PIECE ? (size_t)(bytes - done) : PIECE;
        int moved = bulk(bot, reading ? bot->in : bot->out, piece, size);

        if (moved < 0)
            break;
        done += moved;
        if ((size_t)moved < size)
            break;
    }
    return done;
}

static int finish(const struct bot *bot, bool reading, int64_t left)
{
    int64_t moved = move(bot, reading, left);
    uint32_t residue = 0;
    int status = read_csw(bot, &residue);

    printf("moved=%lld csw=%d residue=%u error=%s\n", (long long)moved, status, residue, status < 0 ? strerror(errno) : "none");
    return status != 0;
}

int command_bot(const struct args *args)
{
    static const unsigned char test_unit_ready[6] = { 0 };
    bool reading = strcmp(args->word[1], "read") == 0;
    int64_t blocks = args->blocks < 0 ? DEFAULT_BLOCKS : args->blocks, at = args->at < 0 ? 0 : args->at;
    int64_t stop_after = args->stop_after < 0 ? 0 : args->stop_after, total;
    struct bot bot = { .timeout_ms = (unsigned)(args->timeout < 0 ? DEFAULT_TIMEOUT_S : args->timeout) * 1000 };
    unsigned char command[10] = { reading ? 0x28 : 0x2a };
    struct drive drive;
    uint32_t residue;
    int lun, result = 0;

    if (!reading && strcmp(args->word[1], "write") != 0)
        return complain("\"bot\" can read or write, not \"%s\"", args->word[1]);
    if (need_drive(args->word[0], &drive) != 0)
        return 1;
    total = blocks * (is_cdrom(&drive) ? CD_BLOCK : BLOCK);
    if (stop_after % PACKET != 0 || stop_after > total || blocks > UINT16_MAX)
        return complain("--stop-after must be a multiple of %d and within the %lld bytes of the command", PACKET, (long long)total);
    lun = args->lun < 0 ? drive.lun : (int)args->lun;
    if (take_interface(&drive, &bot) != 0)
        return 1;

    /* A pending UNIT ATTENTION would answer the command that matters. */
    for (int i = 0; i < 3; i++) {
        if (send_cbw(&bot, lun, false, 0, test_unit_ready, sizeof test_unit_ready) != 0 || read_csw(&bot, &residue) == 0)
            break;
    }
    for (int i = 0; i < 4; i++)
        command[2 + i] = (unsigned char)(at >> (24 - 8 * i));
    command[7] = (unsigned char)(blocks >> 8);
    command[8] = (unsigned char)blocks;
    if (send_cbw(&bot, lun, reading, (uint32_t)total, command, sizeof command) != 0)
        result = complain("the command was not taken: %s", strerror(errno));
    else if (move(&bot, reading, stop_after) != stop_after)
        result = complain("the device did not move %lld bytes: %s", (long long)stop_after, strerror(errno));
    if (result == 0) {
        puts("ready");
        hold_until_told(args->seconds);
        if (args->finish)
            result = finish(&bot, reading, total - stop_after);
    }
    give_interface_back(&bot, !args->no_reset);
    return result;
}
