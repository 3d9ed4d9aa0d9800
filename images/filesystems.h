/*
 * filesystems.h - which file system begins at a place, its label, and how far it reaches. Pure.
 */
#pragma once

#include "images/tree.h"

#define FILESYSTEM_HEAD_BYTES 4096

struct filesystem {
    const char *name;               /* "ext4", "fat32", ...: as Linux calls it, but for the widths of FAT */
    char label[INSPECT_LABEL_MAX];
    uint64_t bytes;                 /* as it says itself; 0: it does not */
    bool owns_first_sector;         /* so that there is no partition table in it */
    bool boots_uefi;                /* FAT with EFI/BOOT/BOOT*.EFI */
    enum inspect_dirty dirty;       /* known of FAT, exFAT, NTFS, ext2 to ext4, HFS+ */
    bool has_tree;
    struct tree tree;
};

/* False: none that is known. One to a dozen reads. */
bool filesystem_read(struct source *s, uint64_t offset, struct filesystem *ret);
