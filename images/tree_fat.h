/*
 * tree_fat.h - FAT12, FAT16 and FAT32: what it is, its label, and its directories by their short names. Pure.
 */
#pragma once

#include "images/tree.h"

/* Is there a FAT file system at `offset`, by its first sector? Fills *ret, whose `fat.bits` says which. */
bool tree_fat_open(struct source *s, uint64_t offset, const uint8_t sector[512], struct tree *ret);

/* "" where it has none. The entry in the root directory counts; the one in the first sector is often out of date. */
void tree_fat_label(const struct tree *t, const uint8_t sector[512], char ret[INSPECT_LABEL_MAX]);

/* Would UEFI firmware find \EFI\BOOT\BOOT*.EFI? */
bool tree_fat_boots_uefi(const struct tree *t);
