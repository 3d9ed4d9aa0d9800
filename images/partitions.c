#include "images/partitions.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define SECTOR 512
#define ENTRIES_AT 446
#define BOOT_CODE_BYTES 440 /* what follows is a disk's serial number */
#define LOGICAL_MAX 64      /* links followed in the chain of logical partitions */

enum { TYPE_EXTENDED = 0x05, TYPE_EXTENDED_LBA = 0x0f, TYPE_EXTENDED_LINUX = 0x85, TYPE_PROTECTIVE = 0xee,
       TYPE_ESP = 0xef };

static bool is_extended(uint8_t type)
{
    return type == TYPE_EXTENDED || type == TYPE_EXTENDED_LBA || type == TYPE_EXTENDED_LINUX;
}

void partitions_add(struct partitions *r, const struct inspect_partition *p)
{
    r->end = MAX(r->end, source_at(p->start, p->size, 1));
    if (r->count < INSPECT_PARTITIONS_MAX) r->list[r->count++] = *p;
    else r->more = true;
}

static struct inspect_partition partition_of(const uint8_t *entry, uint64_t base, unsigned number)
{
    return (struct inspect_partition){
        .number = number,
        .active = entry[0] == 0x80,
        .mbr_type = entry[4],
        .start = (base + le32(entry + 8)) * SECTOR,
        .size = (uint64_t)le32(entry + 12) * SECTOR,
    };
}

/*
 * An extended partition is a chain of sectors, each with one logical partition and a link to the next, which counts
 * from the beginning of the extended one. A link leads forward; one that does not is damaged or bites its tail.
 */
static void read_logical(struct source *s, uint64_t extended, struct partitions *r)
{
    uint64_t at = extended;
    unsigned number = 5;
    for (unsigned i = 0; i < LOGICAL_MAX; i++) {
        uint8_t sector[SECTOR];
        const uint8_t *entry = sector + ENTRIES_AT, *link = entry + 16;
        if (!source_read(s, at * SECTOR, sector, sizeof sector) || le16(sector + 510) != 0xaa55) {
            r->chain_bad = true;
            return;
        }
        if (le32(entry + 12)) {
            struct inspect_partition p = partition_of(entry, at, number++);
            partitions_add(r, &p);
        }
        if (!is_extended(link[4]) || !le32(link + 8)) return;
        uint64_t next = extended + le32(link + 8);
        if (next <= at) {
            r->chain_bad = true;
            return;
        }
        at = next;
    }
    r->more = true;
}

/* A first sector with 55 aa may also belong to a file system without partitions, or to anything. */
static bool is_table(const uint8_t *sector)
{
    bool any = false;
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *entry = sector + ENTRIES_AT + 16 * i;
        if (entry[0] & 0x7f) return false; /* 0x00 or 0x80 */
        any |= le32(entry + 12) != 0;
    }
    return any;
}

bool partitions_is_program(const uint8_t *data, size_t len)
{
    for (size_t i = 1; i < len; i++)
        if (data[i] != data[0]) return true;
    return false;
}

static bool has_type(const uint8_t *sector, uint8_t type)
{
    for (size_t i = 0; i < 4; i++)
        if (sector[ENTRIES_AT + 16 * i + 4] == type) return true;
    return false;
}

static void read_primary(struct source *s, const uint8_t *sector, struct partitions *r)
{
    uint64_t extended = 0;
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *entry = sector + ENTRIES_AT + 16 * i;
        if (!le32(entry + 12)) continue;
        struct inspect_partition p = partition_of(entry, 0, i + 1);
        partitions_add(r, &p);
        r->esp |= entry[4] == TYPE_ESP;
        if (is_extended(entry[4]) && !extended) extended = le32(entry + 8);
    }
    if (extended) read_logical(s, extended, r);
}

/* Beside a GPT, entries of the MBR other than the one that protects it are for those who do not know GPT. */
static bool is_hybrid(const uint8_t *sector)
{
    for (size_t i = 0; i < 4; i++) {
        const uint8_t *entry = sector + ENTRIES_AT + 16 * i;
        if (le32(entry + 12) && entry[4] != TYPE_PROTECTIVE) return true;
    }
    return false;
}

bool partitions_read(struct source *s, const uint8_t sector[512], struct partitions *ret,
                     struct inspect_partition list[INSPECT_PARTITIONS_MAX])
{
    *ret = (struct partitions){.list = list, .boot_code = partitions_is_program(sector, BOOT_CODE_BYTES)};
    bool mbr = is_table(sector);
    if ((mbr || has_type(sector, TYPE_PROTECTIVE)) && gpt_read(s, ret)) {
        ret->table = INSPECT_TABLE_GPT;
        ret->hybrid = is_hybrid(sector);
        return true;
    }
    if (!mbr) return false;
    ret->table = INSPECT_TABLE_MBR;
    read_primary(s, sector, ret);
    return true;
}

/* ---- types as people know them ---- */

static const char *mbr_type_name(uint8_t type)
{
    static const struct {
        uint8_t type;
        const char *name;
    } names[] = {
        {0x01, "FAT12"},          {0x04, "FAT16"},      {0x05, "Extended"},   {0x06, "FAT16"},
        {0x07, "NTFS or exFAT"},  {0x0b, "FAT32"},      {0x0c, "FAT32"},      {0x0e, "FAT16"},
        {0x0f, "Extended"},       {0x17, "ISO 9660 (hybrid)"},                {0x27, "Windows recovery"},
        {0x82, "Linux swap"},     {0x83, "Linux"},      {0x85, "Extended"},   {0x8e, "Linux LVM"},
        {0xa5, "FreeBSD"},        {0xa6, "OpenBSD"},    {0xa9, "NetBSD"},     {0xcd, "ISO 9660 (hybrid)"},
        {0xee, "GPT protective"}, {0xef, "EFI system"}, {0xfd, "Linux RAID"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].type == type) return names[i].name;
    return NULL;
}

static const char *gpt_type_name(const char *guid)
{
    static const struct {
        const char *guid, *name;
    } names[] = {
        {"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "EFI system"},
        {"21686148-6449-6e6f-744e-656564454649", "BIOS boot"},
        {"ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "Microsoft basic data"},
        {"e3c9e316-0b5c-4db8-817d-f92df00215ae", "Microsoft reserved"},
        {"de94bba4-06d1-4d40-a16a-bfd50179d6ac", "Windows recovery"},
        {"0fc63daf-8483-4772-8e79-3d69d8477de4", "Linux"},
        {"0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "Linux swap"},
        {"e6d6d379-f507-44c2-a23c-238f2a3df928", "Linux LVM"},
        {"a19d880f-05fc-4d3b-a006-743f0f84911e", "Linux RAID"},
        {"4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "Linux root (x86-64)"},
        {"b921b045-1df0-41c3-af44-4c6f280d3fae", "Linux root (ARM64)"},
        {"48465300-0000-11aa-aa11-00306543ecac", "Apple HFS+"},
        {"7c3457ef-0000-11aa-aa11-00306543ecac", "Apple APFS"},
        {"516e7cb4-6ecf-11d6-8ff8-00022d09712b", "FreeBSD"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].guid, guid) == 0) return names[i].name;
    return NULL;
}

void partitions_type_text(const struct inspect_partition *p, char ret[37])
{
    const uint8_t *g = p->gpt_type;
    if (!p->gpt) {
        snprintf(ret, 37, "0x%02x", p->mbr_type);
        return;
    }
    /* The first three parts are numbers, in little-endian order (UEFI, appendix A). */
    snprintf(ret, 37, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", le32(g), le16(g + 4), le16(g + 6), g[8], g[9],
             g[10], g[11], g[12], g[13], g[14], g[15]);
}

const char *partitions_type_name(const struct inspect_partition *p)
{
    char guid[37];
    if (!p->gpt) return mbr_type_name(p->mbr_type);
    partitions_type_text(p, guid);
    return gpt_type_name(guid);
}
