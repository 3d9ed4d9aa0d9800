#include "images/inspect.h"

#include <string.h>

#define SECTOR 2048
#define DESCRIPTORS_AT (16 * SECTOR) /* ECMA-119, 6.2.1: the volume descriptors begin at sector 16 */

/* An identifier of the volume recognition sequence (ECMA-167, 2/9.1) stands at byte 1 of a sector. */
static bool sector_says(const uint8_t *data, size_t len, size_t sector, const char *identifier)
{
    return len >= (sector + 1) * SECTOR && memcmp(data + sector * SECTOR + 1, identifier, 5) == 0;
}

static enum inspect_format disc_format(const struct inspect_reader *reader)
{
    uint8_t data[INSPECT_READ_BYTES_MAX];
    ssize_t n = reader->read(reader->owner, data, sizeof data, DESCRIPTORS_AT);
    size_t len = n > 0 ? (size_t)n : 0;
    if (sector_says(data, len, 0, "CD001")) return INSPECT_ISO9660;
    for (size_t i = 0; i < sizeof data / SECTOR; i++)
        if (sector_says(data, len, i, "NSR02") || sector_says(data, len, i, "NSR03")) return INSPECT_UDF;
    return INSPECT_UNKNOWN;
}

static bool has_boot_sector(const struct inspect_reader *reader)
{
    uint8_t data[512];
    ssize_t n = reader->read(reader->owner, data, sizeof data, 0);
    return n == (ssize_t)sizeof data && data[510] == 0x55 && data[511] == 0xaa;
}

static void suggest(uint64_t size, struct inspect_result *r)
{
    r->cdrom = false;
    if (r->format == INSPECT_UNKNOWN)
        r->reason = r->boot_sector ? "It begins with a boot sector, as a disk does."
                                   : "It holds no CD or DVD file system.";
    else if (size < INSPECT_CDROM_BYTES_MIN)
        r->reason = "It holds a CD file system, but is smaller than the smallest CD that the kernel accepts.";
    else if (size > INSPECT_CDROM_BYTES_MAX)
        r->reason = r->boot_sector ? "It is a hybrid ISO, larger than the kernel's limit for a CD."
                                   : "It holds a CD file system, but is larger than the kernel's limit for a CD.";
    else {
        r->cdrom = true;
        r->reason = r->format == INSPECT_UDF ? "It holds a UDF file system, as a DVD does."
                                             : "It holds an ISO 9660 file system, as a CD does.";
    }
}

void inspect(const struct inspect_reader *reader, uint64_t size, struct inspect_result *ret)
{
    *ret = (struct inspect_result){.format = disc_format(reader), .boot_sector = has_boot_sector(reader)};
    suggest(size, ret);
}
