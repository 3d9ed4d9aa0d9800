/*
 * backing.h - the storage under an image, where it is ours to cut: found when the image is opened, cut when it hangs.
 *
 * Storage that does not answer cannot be interrupted: who waits for it sleeps in the kernel until it answers or is
 * declared dead, and the host at the other end of the cable loses patience meanwhile. Some storage can be declared dead
 * from here, and then all who wait get an I/O error. What has been cut stays dead for everybody until somebody sets it up
 * again; so this is only done to a store whose configuration says `cut`:
 *
 *   nbd            NBD_CLEAR_SOCK: the network block device gives up its connection, and with it all requests. Where the
 *                  kernel sleeps in sendmsg() because the server reads nothing any more, that sleeps as well (tx_lock in
 *                  drivers/block/nbd.c)
 *   fuse           /sys/fs/fuse/connections/N/abort (needs fusectl mounted there)
 *   device-mapper  a table with the one target "error", and resume, without a flush or a freeze of the file system. It
 *                  frees who waits for the mapping itself (suspended, no path left), not who waits for a device below it
 *
 * The device is found through st_dev of the image (st_rdev where the image is a block device), then from mappings and
 * partitions downwards as long as each lies on one other device. An image that is held open pins its mount, so the number
 * stays that device's.
 *
 * backing_find() reads /sys only and never hangs. backing_cut() may: it belongs into a worker of its own.
 */
#pragma once

#include <sys/types.h>

#include "base/store_config.h"

struct backing {
    int how;          /* enum store_cut; CUT_NEVER: there is nothing to cut */
    uint64_t number;  /* device number (dev_t) of the nbd or dm device; of the FUSE connection */
    uint64_t sectors; /* of 512 bytes; device-mapper: length of the table */
};

/* What is to be cut, in the way `how`, when the file that `fd` refers to hangs. `sys` is "/sys". Returns 0, or -1 with
 * *e where there is no such device under it. */
int backing_find(const char *sys, int fd, enum store_cut how, struct backing *ret, struct err *e);

/* From a device number, for tests of the above. */
int backing_of_device(const char *sys, dev_t device, enum store_cut how, struct backing *ret, struct err *e);

static inline bool backing_equal(const struct backing *a, const struct backing *b)
{
    return a->how == b->how && a->number == b->number;
}

/* Cuts it. Returns 0 when all who waited have been told, or -1 with *e. */
int backing_cut(const struct backing *b, struct err *e);
