#include "images/tree_iso9660.h"

#include <string.h>

#include "base/util.h"
#include "images/disc.h"
#include "images/inspect_text.h"

#define RECORD_MIN 34  /* ECMA-119 9.1: 33 bytes and a name of one */
#define FLAG_DIRECTORY 2

/* The alternate name (NM) in Rock Ridge's system use area (IEEE P1282, 4.1.4). Areas that go on elsewhere (CE) are not
 * followed: names which need that are longer than any that is looked for. */
static bool rock_ridge_name(const uint8_t *area, size_t len, char *ret, size_t room)
{
    while (len >= 5) {
        size_t field = area[2];
        if (field < 4 || field > len) return false;
        if (memcmp(area, "NM", 2) == 0 && field > 5 && !(area[4] & 7)) { /* not continued, not "." or ".." */
            text_from_bytes(ret, room, area + 5, field - 5);
            return true;
        }
        area += field;
        len -= field;
    }
    return false;
}

/* "BOOTMGR.;1" is "BOOTMGR". */
static void drop_version(char *name)
{
    char *semicolon = strchr(name, ';');
    if (semicolon) *semicolon = '\0';
    size_t len = strlen(name);
    if (len > 1 && name[len - 1] == '.') name[len - 1] = '\0';
}

static void name_of(const struct tree *t, const uint8_t *record, size_t len, char ret[TREE_NAME_MAX])
{
    size_t name_len = record[32], area = 33 + name_len + !(name_len & 1);
    if (t->iso.joliet) {
        text_from_utf16(ret, TREE_NAME_MAX, record + 33, name_len / 2, true);
    } else {
        if (area < len && rock_ridge_name(record + area, len - area, ret, TREE_NAME_MAX)) return;
        text_from_bytes(ret, TREE_NAME_MAX, record + 33, name_len);
    }
    drop_version(ret);
}

/* Records do not cross sectors; a length of 0 says that the rest of the sector is empty (ECMA-119 6.8.1.1). */
static bool list_sector(const struct tree *t, const uint8_t *sector, tree_visitor *visit, void *owner)
{
    for (size_t at = 0; at + RECORD_MIN <= DISC_SECTOR;) {
        const uint8_t *record = sector + at;
        size_t len = record[0];
        if (len < RECORD_MIN || len > DISC_SECTOR - at || 33u + record[32] > len) break;
        struct tree_entry entry = {
            .directory = record[25] & FLAG_DIRECTORY,
            .place = {.at = (uint64_t)le32(record + 2) + record[1], .bytes = le32(record + 10)},
        };
        bool self_or_parent = record[32] == 1 && record[33] <= 1;
        name_of(t, record, len, entry.name);
        if (!self_or_parent && !visit(owner, &entry)) return false;
        at += len;
    }
    return true;
}

void tree_iso9660_list(const struct tree *t, const struct tree_place *directory, tree_visitor *visit, void *owner)
{
    uint8_t sector[DISC_SECTOR];
    uint64_t start = source_at(0, directory->at, t->iso.block);
    uint64_t len = MIN(directory->bytes, TREE_DIRECTORY_BYTES_MAX);
    for (uint64_t at = 0; at < len; at += sizeof sector)
        if (!source_read(t->source, source_at(start, at, 1), sector, sizeof sector) ||
            !list_sector(t, sector, visit, owner))
            return;
}

size_t tree_iso9660_read(const struct tree *t, const struct tree_place *file, void *data, size_t len)
{
    return source_read_some(t->source, source_at(0, file->at, t->iso.block), data, MIN(file->bytes, len));
}
