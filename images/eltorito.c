#include "images/eltorito.h"

#include "base/util.h"
#include "images/disc.h"

#define ENTRY 32

enum { PLATFORM_X86 = 0, PLATFORM_EFI = 0xef };
enum { VALIDATION = 1, EXTENSION = 0x44, BOOTABLE = 0x88, SECTION = 0x90, LAST_SECTION = 0x91 };

static bool is_validation(const uint8_t *entry)
{
    uint16_t sum = 0;
    for (size_t i = 0; i < ENTRY; i += 2) sum = (uint16_t)(sum + le16(entry + i));
    return entry[0] == VALIDATION && entry[30] == 0x55 && entry[31] == 0xaa && (sum == 0 || !source_sums_count());
}

static void add_entry(const uint8_t *entry, uint8_t platform, struct eltorito *r)
{
    if (entry[0] != BOOTABLE) return;
    if (platform == PLATFORM_X86) r->boot.bios = true;
    if (platform == PLATFORM_EFI) r->boot.uefi = true;
    uint64_t start = (uint64_t)le32(entry + 8) * DISC_SECTOR, bytes = (uint64_t)le16(entry + 6) * 512;
    r->end = MAX(r->end, start + bytes);
}

void eltorito_read(struct source *s, uint32_t sector, struct eltorito *ret)
{
    uint8_t data[DISC_SECTOR];
    *ret = (struct eltorito){0};
    if (!source_read(s, source_at(0, sector, DISC_SECTOR), data, sizeof data) || !is_validation(data)) return;
    ret->valid = true;
    uint8_t platform = data[1];
    add_entry(data + ENTRY, platform, ret);
    unsigned left = 0; /* entries of this section */
    for (size_t at = 2 * ENTRY; at < sizeof data; at += ENTRY) {
        const uint8_t *entry = data + at;
        if (left > 0) {
            if (entry[0] == EXTENSION) continue; /* belongs to the entry before it, and does not count */
            add_entry(entry, platform, ret);
            left--;
        } else if (entry[0] == SECTION || entry[0] == LAST_SECTION) {
            platform = entry[1];
            left = le16(entry + 2);
        } else if (entry[0] != EXTENSION) {
            break;
        }
    }
}
