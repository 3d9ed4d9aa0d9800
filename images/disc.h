/*
 * disc.h - the volume descriptors of a CD or DVD: ISO 9660 (ECMA-119), Joliet and UDF (ECMA-167). Pure.
 */
#pragma once

#include "images/tree.h"

#define DISC_SECTOR 2048
#define DISC_DESCRIPTORS_AT (16 * DISC_SECTOR) /* ECMA-119 6.2.1, ECMA-167 2/8.3 */
#define DISC_DESCRIPTORS_MAX 10                /* looked at: five of ISO 9660 and three of UDF are usual */

struct disc {
    bool iso, udf;
    uint64_t volume_bytes;          /* as ISO 9660 says; 0 without that */
    char label[INSPECT_LABEL_MAX];
    bool has_boot_catalog;
    uint32_t boot_catalog;          /* sector */
    struct tree_place root, joliet_root;
    uint32_t block;                 /* bytes, of ISO 9660 */
    bool joliet;
};

/* One read. */
void disc_read(struct source *s, struct disc *ret);

/* The directory tree that a host would show: Joliet's where there is one. False: there is none that can be read. */
bool disc_tree_iso(const struct disc *d, struct source *s, struct tree *ret);

/* Looks for UDF's own descriptors. *label is only set where there is a label. */
bool disc_tree_udf(struct source *s, struct tree *ret, char label[INSPECT_LABEL_MAX]);
