/*
 * image.h - what is done to an image itself: open and check it, sync it, watch it. Runs inside a worker.
 *
 * Every call here touches the storage under the image, and may hang with it. An image that was opened is held by an
 * O_PATH descriptor: it keeps the file itself, whatever happens to its name; closing it writes nothing back; and
 * /proc/self/fd/N of it can be opened again, which is how the kernel's mass storage is given the image.
 */
#pragma once

#include "gadget/engine.h"

/* f_mass_storage takes CD images up to here and cuts larger ones (fsg_lun_open(): below 256*60*75 sectors of 2048) */
#define IMAGE_CDROM_BYTES_MAX ((256ULL * 60 * 75 - 1) * 2048)
#define IMAGE_CDROM_BYTES_MIN (300ULL * 2048) /* "Smallest track is 300 frames", the same place */
#define IMAGE_DISK_BYTES_MIN 512ULL           /* one sector */

struct image_wish {
    enum drive_type type;
    bool readonly;
    bool store_readonly;    /* as root configured it, */
    bool store_mount;       /* ... as is that something must be mounted there */
    const char *store_path; /* the store's directory */
    const char *name;       /* below it */
};

/*
 * Opens the image without leaving the store or following a symbolic link, and makes sure that it is a regular file or
 * block device of a possible size, which can be opened as wished. Returns an O_PATH descriptor, or -1 with *e:
 * image_missing, invalid_name, image_unusable, image_in_use, image_too_large_for_cdrom, image_too_small_for_cdrom,
 * store_detached, store_read_only.
 */
int image_open(const struct image_wish *wish, struct engine_medium *ret, struct err *e);

/* Whether a medium of that size can be one. Pure. */
int image_check_size(enum drive_type type, uint64_t bytes, struct err *e);

/* Fills device, inode and size from a descriptor (O_PATH will do). Returns 0, or -1 with errno. */
int image_identify(int fd, struct engine_medium *ret);

/* The path that the kernel has for a descriptor, " (deleted)" included. Touches no storage. Returns 0, or -1. */
int image_path(int fd, char *ret, size_t size);

/* Everything that was written to the image is on the disk when this returns 0. */
int image_sync(int fd, struct err *e);

/* A real descriptor of the image that an O_PATH descriptor holds, for reading; -1 with errno. Closing one writes nothing
 * back on file systems of the kernel's own, but asks the server of a FUSE file system. */
int image_reopen(int fd);
int image_sync_error(int errnum, struct err *e); /* of an fsync(2); -1 */

/* `fd` is a real descriptor. Begins to bring what was written to the disk, and does not wait for it, as far as the
 * storage's queue takes it. Errors of the storage are left to whoever syncs. Returns 0, or -1 with *e. */
int image_write_back(int fd, struct err *e);

/* Adds the image to the inotify instance. Returns the watch descriptor, or -1 with *e. */
int image_watch(int inotify_fd, int fd, uint32_t mask, struct err *e);
