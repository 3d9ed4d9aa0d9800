#include "images/disc.h"

#include <string.h>

#include "images/inspect_text.h"
#include "images/tree_iso9660.h"

_Static_assert(DISC_DESCRIPTORS_MAX * DISC_SECTOR <= INSPECT_READ_BYTES_MAX, "read at once");

enum { BOOT_RECORD = 0, PRIMARY = 1, SUPPLEMENTARY = 2 }; /* ECMA-119 8.1.1 */

/* A directory record within a descriptor: where the root directory lies. */
static struct tree_place place_of_record(const uint8_t *record)
{
    return (struct tree_place){.at = (uint64_t)le32(record + 2) + record[1], .bytes = le32(record + 10)};
}

static void read_primary(const uint8_t *sector, struct disc *d)
{
    uint32_t block = le16(sector + 128);
    d->iso = true;
    d->block = block == 512 || block == 1024 ? block : DISC_SECTOR;
    d->volume_bytes = (uint64_t)le32(sector + 80) * d->block;
    d->root = place_of_record(sector + 156);
    text_from_bytes(d->label, sizeof d->label, sector + 40, 32);
}

/* Joliet: a supplementary descriptor whose escape sequence says UCS-2 (%/@, %/C, %/E). Its label has room for 16
 * characters only, but for all characters: the longer of the two is the better one. */
static void read_supplementary(const uint8_t *sector, struct disc *d)
{
    if (memcmp(sector + 88, "%/", 2) != 0 || !memchr("@CE", sector[90], 3)) return;
    char label[INSPECT_LABEL_MAX];
    d->joliet = true;
    d->joliet_root = place_of_record(sector + 156);
    text_from_utf16(label, sizeof label, sector + 40, 16, true);
    if (strlen(label) >= strlen(d->label)) strcpy(d->label, label);
}

static void read_boot_record(const uint8_t *sector, struct disc *d)
{
    static const char el_torito[32] = "EL TORITO SPECIFICATION";
    if (d->has_boot_catalog || memcmp(sector + 7, el_torito, sizeof el_torito) != 0) return;
    d->has_boot_catalog = true;
    d->boot_catalog = le32(sector + 71);
}

static void read_iso_descriptor(const uint8_t *sector, struct disc *d)
{
    if (sector[0] == PRIMARY && !d->iso) read_primary(sector, d);
    else if (sector[0] == SUPPLEMENTARY && !d->joliet) read_supplementary(sector, d);
    else if (sector[0] == BOOT_RECORD) read_boot_record(sector, d);
}

void disc_read(struct source *s, struct disc *ret)
{
    static const char known[][6] = {"CD001", "BEA01", "NSR02", "NSR03", "TEA01", "BOOT2", "CDW02"};
    uint8_t data[DISC_DESCRIPTORS_MAX * DISC_SECTOR];
    size_t len = source_read_some(s, DISC_DESCRIPTORS_AT, data, sizeof data);
    *ret = (struct disc){0};
    for (size_t i = 0; (i + 1) * DISC_SECTOR <= len; i++) {
        const uint8_t *sector = data + i * DISC_SECTOR;
        size_t k = 0;
        while (k < sizeof known / sizeof known[0] && memcmp(sector + 1, known[k], 5) != 0) k++;
        if (k == sizeof known / sizeof known[0]) break;
        if (k == 0) read_iso_descriptor(sector, ret);
        if (k == 2 || k == 3) ret->udf = true;
    }
}

bool disc_tree_iso(const struct disc *d, struct source *s, struct tree *ret)
{
    if (!d->iso) return false;
    *ret = (struct tree){.source = s,
                         .root = d->joliet ? d->joliet_root : d->root,
                         .list = tree_iso9660_list,
                         .read = tree_iso9660_read,
                         .iso = {.block = d->block, .joliet = d->joliet}};
    return true;
}
