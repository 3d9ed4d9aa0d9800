/*
 * inspect.h - what an image is, from a few bytes of it.
 *
 * Pure: it asks a reader for at most INSPECT_READS_MAX pieces and never trusts what they say about sizes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define INSPECT_READS_MAX 2
#define INSPECT_READ_BYTES_MAX 12288

/* f_mass_storage takes a CD of 300 sectors at least, and cuts one of 256 * 60 * 75 sectors or more to just below
 * that (drivers/usb/gadget/function/storage_common.c, fsg_lun_open). */
#define INSPECT_CDROM_BYTES_MIN (300 * 2048LL)
#define INSPECT_CDROM_BYTES_MAX ((256 * 60 * 75 - 1) * 2048LL)

enum inspect_format { INSPECT_UNKNOWN, INSPECT_ISO9660, INSPECT_UDF };

struct inspect_reader {
    void *owner;
    /* Bytes read at offset, fewer than len only at the end; negative when it fails. */
    ssize_t (*read)(void *owner, void *data, size_t len, uint64_t offset);
};

struct inspect_result {
    enum inspect_format format;
    bool boot_sector;         /* 55 aa at the end of the first sector: a disk, or a hybrid ISO */
    bool cdrom;               /* the suggestion: a CD drive rather than a disk drive */
    const char *reason;       /* one constant sentence */
};

/* A read that fails counts as "nothing there". */
void inspect(const struct inspect_reader *reader, uint64_t size, struct inspect_result *ret);
