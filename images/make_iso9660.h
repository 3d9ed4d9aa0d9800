/*
 * make_iso9660.h - what the two files of make_iso9660 share.
 *
 *   sector 0    16 of nothing (ECMA-119 6.2.1), for boot code that is not there
 *          16   the descriptors: primary, Joliet, terminator
 *          19   path tables: of each tree one for small and one for big endians
 *               the directories with the short names and Rock Ridge
 *               what Rock Ridge has no room for in a directory record (SUSP: continuation areas)
 *               the directories with Joliet's names
 *               the files, in the order in which they came
 *
 * Both trees name the same files.
 */
#pragma once

#include "images/make.h"

#define ISO_SECTOR 2048
#define ISO_DESCRIPTORS_AT 16
#define ISO_TABLES_AT 19
#define ISO_SECTORS_MIN 300 /* fewer are no CD for the kernel: storage_common.c, fsg_lun_open() */
#define ISO_EXTENT_MAX ((uint64_t)0xfffff800) /* bytes: whole sectors, and 32 bits; a larger file has several extents */
#define ISO_RECORD_MAX 254  /* bytes of a directory record: 255 is odd (ECMA-119 9.1.1) */

/*
 * Units of a name in Joliet. The specification says 64; a record has room for 110, and Windows and Linux read 103, as
 * mkisofs writes them with -joliet-long. What is longer gets a number before its ending.
 */
#define ISO_JOLIET_MAX 103

struct iso_name {
    uint16_t units[ISO_JOLIET_MAX];
    uint8_t len;
};

struct iso_tree {
    bool joliet;
    struct files_order order;
    uint32_t *folders;            /* by number, as in the path table; [0] is the root */
    uint32_t *numbers;            /* by index: 1 for the root */
    uint32_t *at, *bytes;         /* by index of a folder: sector, and whole sectors */
    uint32_t table_bytes, little_at, big_at;
};

struct make_layout {
    const struct make_request *rq;
    const struct files *files;
    char (*shorts)[FILES_SHORT_BYTES];
    struct iso_name *joliet;
    struct iso_tree trees[2];
    uint32_t *data_at;            /* by index of a file: its first sector */
    uint32_t *more_at;            /* by index: sector of its continuation; 0: none */
    uint16_t *more_offset;
    uint32_t *subfolders;         /* by index */
    uint32_t more_first, more_end, sectors;
};

/* How many directory records a file has. */
uint32_t iso_extents(const struct file *file);

/* Bytes of Rock Ridge that do not fit into the record of this file or folder. */
size_t iso_more_bytes(const struct file *file);

/* One record: kind 0 of the child `index` (its extent number `extent`), 1 of the folder itself, 2 of what is above. */
enum iso_record { ISO_CHILD, ISO_SELF, ISO_ABOVE };
size_t iso_record(const struct make_layout *l, const struct iso_tree *t, enum iso_record kind, uint32_t index,
                  uint32_t extent, uint8_t ret[ISO_RECORD_MAX]);

/* Bytes of an identifier in the path table. */
size_t iso_table_name(const struct make_layout *l, const struct iso_tree *t, uint32_t folder, uint8_t ret[256]);

int iso_write(struct make_layout *l, struct make_out *out, struct err *e);
