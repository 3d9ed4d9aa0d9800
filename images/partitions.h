/*
 * partitions.h - the partition table of an image: MBR with its chain of logical partitions, or GPT. Pure.
 *
 * A GPT's header and entries are checked against their sums; where the first one is damaged, the second one at the
 * end of the image counts. Sector sizes of 512 and 4096 bytes are tried, and 2048 as on hybrid discs.
 */
#pragma once

#include "images/inspect_source.h"

struct partitions {
    enum inspect_table table;
    struct inspect_partition *list;     /* room for INSPECT_PARTITIONS_MAX */
    size_t count;
    bool more;
    bool boot_code;                     /* the first sector has a program in it */
    bool bios_boot, esp;                /* a partition that GRUB boots from under GPT; an EFI system partition */
    bool hybrid;                        /* MBR with entries of its own beside a GPT */
    bool primary_bad, backup_bad;       /* of a GPT */
    bool chain_bad;                     /* of logical partitions */
    uint64_t end;                       /* bytes: the farthest end of a partition */
};

/* `sector` is the image's first, which ends with 55 aa. False: there is no table in it. */
bool partitions_read(struct source *s, const uint8_t sector[512], struct partitions *ret,
                     struct inspect_partition list[INSPECT_PARTITIONS_MAX]);

/* Bytes that are not all the same: tools leave zeros, or halt instructions, where there is no program. */
bool partitions_is_program(const uint8_t *data, size_t len);

/* "EFI system", or NULL. */
const char *partitions_type_name(const struct inspect_partition *p);

/* "0x0c", or a GUID in lower case; `ret` has room for 37 bytes. */
void partitions_type_text(const struct inspect_partition *p, char ret[37]);

/* ---- between partitions.c and gpt.c ---- */

void partitions_add(struct partitions *r, const struct inspect_partition *p);

/* False: there is no GPT, neither at the beginning nor at the end. */
bool gpt_read(struct source *s, struct partitions *r);
