/* The GUID partition table (UEFI 2.10, section 5.3). */
#include <string.h>

#include "base/util.h"
#include "images/inspect_text.h"
#include "images/partitions.h"

#define HEADER_MIN 92
#define HEADER_MAX 512    /* of its sector; nobody makes a longer one */
#define ENTRY_MIN 128
#define ENTRY_MAX 4096
#define ARRAY_MAX 16384   /* bytes of entries looked at: the 128 that every tool makes; a longer array goes unchecked */

struct header {
    uint64_t sector_size, other, entries;
    uint32_t count, entry_size, entries_sum;
};

static uint32_t crc32_add(uint32_t crc, const uint8_t *data, size_t len)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return crc;
}

/* The sum over a header counts its own field as 0. */
static bool sum_is_right(const uint8_t *sector, uint32_t size)
{
    static const uint8_t zero[4];
    uint32_t crc = crc32_add(UINT32_MAX, sector, 16);
    crc = crc32_add(crc, zero, 4);
    return ~crc32_add(crc, sector + 20, size - 20) == le32(sector + 16) || !source_sums_count();
}

static bool read_header(struct source *s, uint64_t at, uint64_t sector_size, struct header *ret)
{
    uint8_t sector[HEADER_MAX];
    if (!source_read(s, at, sector, sizeof sector) || memcmp(sector, "EFI PART", 8) != 0) return false;
    uint32_t size = le32(sector + 12);
    if (size < HEADER_MIN || size > HEADER_MAX || !sum_is_right(sector, size)) return false;
    *ret = (struct header){
        .sector_size = sector_size,
        .other = le64(sector + 32),
        .entries = source_at(0, le64(sector + 72), sector_size),
        .count = le32(sector + 80),
        .entry_size = le32(sector + 84),
        .entries_sum = le32(sector + 88),
    };
    return source_at(0, le64(sector + 24), sector_size) == at && ret->entry_size >= ENTRY_MIN &&
           ret->entry_size <= ENTRY_MAX && is_power_of_2(ret->entry_size);
}

static void add_entry(const uint8_t *entry, unsigned number, uint64_t sector_size, struct partitions *r)
{
    static const uint8_t bios_boot[16] = "Hah!IdontNeedEFI";
    static const uint8_t esp[16] = "\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
    static const uint8_t unused[16];
    if (memcmp(entry, unused, 16) == 0) return;
    uint64_t first = le64(entry + 32), last = le64(entry + 40);
    if (last < first) return;
    struct inspect_partition p = {
        .number = number,
        .gpt = true,
        .active = entry[48] & 4, /* attribute 2: legacy BIOS bootable */
        .start = source_at(0, first, sector_size),
        .size = source_at(0, last - first + 1 ? last - first + 1 : UINT64_MAX, sector_size),
    };
    memcpy(p.gpt_type, entry, 16);
    text_from_utf16(p.label, sizeof p.label, entry + 56, 36, false);
    r->bios_boot |= memcmp(entry, bios_boot, 16) == 0;
    r->esp |= memcmp(entry, esp, 16) == 0;
    partitions_add(r, &p);
}

/* False: the entries are not those that the header was made for. */
static bool read_entries(struct source *s, const struct header *h, struct partitions *r)
{
    uint8_t data[ARRAY_MAX];
    uint64_t len = (uint64_t)h->count * h->entry_size; /* of two 32-bit numbers: fits */
    bool whole = len <= ARRAY_MAX;
    if (!whole) len = ARRAY_MAX / h->entry_size * h->entry_size;
    if (!source_read(s, h->entries, data, (size_t)len)) return false;
    bool right = ~crc32_add(UINT32_MAX, data, (size_t)len) == h->entries_sum;
    if (whole && !right && source_sums_count()) return false;
    for (size_t at = 0; at < len; at += h->entry_size)
        add_entry(data + at, (unsigned)(at / h->entry_size) + 1, h->sector_size, r);
    r->more |= !whole;
    return true;
}

bool gpt_read(struct source *s, struct partitions *r)
{
    static const uint64_t sizes[] = {512, 4096, 2048};
    struct header h = {0}, backup;
    bool primary = false;
    for (size_t i = 0; i < ARRAY_LEN(sizes) && !primary; i++) primary = read_header(s, sizes[i], sizes[i], &h);
    if (primary) {
        r->backup_bad = !read_header(s, source_at(0, h.other, h.sector_size), h.sector_size, &backup);
        if (read_entries(s, &h, r)) return true;
    }
    bool found = primary;
    r->backup_bad = true;
    for (size_t i = 0; i < ARRAY_LEN(sizes) && r->backup_bad; i++) {
        uint64_t end = s->size / sizes[i];
        if (end < 2 || !read_header(s, (end - 1) * sizes[i], sizes[i], &backup)) continue;
        found = true;
        r->backup_bad = !read_entries(s, &backup, r);
    }
    r->primary_bad = found;
    r->backup_bad &= found;
    return found;
}
