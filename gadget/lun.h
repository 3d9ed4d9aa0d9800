/*
 * lun.h - one order carried out on a LUN's attributes in configfs. Runs inside the worker of the LUN's function.
 *
 * Each order ends with reading back what the kernel shows now; only that is trusted. The order in which attributes
 * are written, and when, is what f_mass_storage wants (fsg_store_*() in drivers/usb/gadget/function/storage_common.c):
 * `cdrom`, then `ro`, then `file`, the first two only while the drive is empty. A write of no bytes at all does
 * nothing there, so none is ever made.
 */
#pragma once

#include "gadget/engine.h"

struct lun_image {          /* an image that is known to the engine: */
    int fd;                 /* O_PATH, -1: none */
    uint64_t device, inode, size;
};

struct lun_order {
    enum drive_do what;     /* DO_INSERT ASK FORCE SWAP OBSERVE ANNOUNCE SIGNAL (asks as long as the signal may need) */
    enum drive_type type;
    bool readonly;          /* INSERT, SWAP */
    bool signalled;         /* SIGNAL: it was sent */
    bool withdrawn;         /* ASK, SWAP, ANNOUNCE: a signal has cleared the lock that would have said no: busy */
    bool can_force;         /* FORCE: not switched off by configuration */
    msec expires_at;        /* boot time: from then on only observe, since the order was given up; MSEC_NEVER */
    struct lun_image image; /* INSERT, SWAP: to put in; ANNOUNCE: to put in once more */
    struct lun_image known; /* what is in, as far as the engine knows: saves asking the storage who it is */
};

/*
 * Fills outcome, err, medium_known and medium of *ret. *ret_fd: an O_PATH descriptor of the medium where it is neither
 * of the images in the order, else -1.
 */
void lun_perform(const char *dir, const struct lun_order *o, struct engine_result *ret, int *ret_fd);

/* Whether there is a break_io, which kernels of some appliances have: of the LUN, or of its whole function, where the
 * patch had it that was proposed to the mainline in 2022. */
bool lun_can_break(const char *dir);

/* Writes it. Returns 0, or -1 with *e. */
int lun_break(const char *dir, struct err *e);

/* Whether the LUN has that attribute; opening a missing one for writing says EACCES, not ENOENT. */
bool lun_has(const char *dir, const char *attribute);
