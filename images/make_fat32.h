/*
 * make_fat32.h - what the two files of make_fat32 share.
 *
 *   sector 0    boot sector, and its copy in 6; 1 and 7: how much is free
 *         32    the table of clusters, twice
 *               clusters: the folders, then the files, as they came
 *
 * As Microsoft's specification (1.03) has it, each file and folder in one run of clusters.
 */
#pragma once

#include "images/make.h"

#define FAT_SECTOR 512
#define FAT_RESERVED 32
#define FAT_TABLES 2
#define FAT_CLUSTER_FIRST 2
#define FAT_ENTRY 32
#define FAT_UNITS_PER_ENTRY 13

struct make_layout {
    const struct make_request *rq;
    const struct files *files;
    char (*shorts)[FILES_SHORT_BYTES];
    struct files_order order;
    uint32_t *first, *clusters;   /* by index; an empty file has none */
    uint32_t used, all, table;    /* clusters; sectors of one table */
    uint32_t cluster;             /* bytes */
};

uint64_t fat_image_sectors(const struct make_layout *l);

/* How many entries of a folder the name of a file or folder takes. */
uint32_t fat_entries(const struct make_layout *l, uint32_t index);

int fat_write(struct make_layout *l, struct make_out *out, struct err *e);
