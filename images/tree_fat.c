#include "images/tree_fat.h"

#include <string.h>

#include "base/util.h"
#include "images/inspect_text.h"

#define ENTRY 32
#define ATTRIBUTE_LABEL 8
#define ATTRIBUTE_DIRECTORY 16
#define ATTRIBUTES_LONG_NAME 15
#define CLUSTERS_MAX 64 /* followed in a directory; a chain that bites its tail ends there */

/* Microsoft's fatgen103: what must hold of the first sector. */
static bool is_sane(const uint8_t *b)
{
    uint32_t sector = le16(b + 11);
    return (b[0] == 0xeb || b[0] == 0xe9) && sector >= 512 && sector <= 4096 && is_power_of_2(sector) &&
           is_power_of_2(b[13]) && le16(b + 14) && b[16] >= 1 && b[16] <= 2 && (b[21] == 0xf0 || b[21] >= 0xf8) &&
           (le16(b + 22) || le32(b + 36)) && (le16(b + 19) || le32(b + 32));
}

/* ---- directories ---- */

/* Returns false to stop. */
typedef bool raw_visitor(void *owner, const uint8_t entry[ENTRY]);

/* The cluster behind this one; 0 at the end of the chain. */
static uint32_t next_cluster(const struct tree *t, uint32_t cluster)
{
    uint8_t data[4] = {0};
    unsigned bits = t->fat.bits;
    uint64_t at = bits == 12 ? (uint64_t)cluster + cluster / 2 : (uint64_t)cluster * (bits / 8);
    if (!source_read(t->source, source_at(t->fat.fat, at, 1), data, bits == 32 ? 4 : 2)) return 0;
    uint32_t next = bits == 32   ? le32(data) & 0x0fffffff
                    : bits == 16 ? le16(data)
                                 : (cluster & 1 ? le16(data) >> 4 : le16(data) & 0xfff);
    return next >= 2 && next < (bits == 32 ? 0x0ffffff0 : bits == 16 ? 0xfff0 : 0xff0) ? next : 0;
}

/* Visits the entries of `len` bytes at `offset`. False: the visitor stopped, or the directory ends here. */
static bool walk_piece(const struct tree *t, uint64_t offset, uint64_t len, raw_visitor *visit, void *owner)
{
    uint8_t data[4096];
    for (uint64_t at = 0; at < len; at += sizeof data) {
        size_t n = source_read_some(t->source, source_at(offset, at, 1), data, (size_t)MIN(len - at, sizeof data));
        if (n < ENTRY) return false;
        for (size_t i = 0; i + ENTRY <= n; i += ENTRY)
            if (!data[i] || !visit(owner, data + i)) return false;
    }
    return true;
}

static void walk(const struct tree *t, uint64_t cluster, raw_visitor *visit, void *owner)
{
    if (cluster < 2) { /* the root; ".." of a folder in it says 0 too */
        if (t->fat.root_bytes)
            walk_piece(t, t->fat.root_offset, MIN(t->fat.root_bytes, TREE_DIRECTORY_BYTES_MAX), visit, owner);
        return;
    }
    uint64_t left = TREE_DIRECTORY_BYTES_MAX;
    for (unsigned i = 0; i < CLUSTERS_MAX && cluster >= 2 && left; i++) {
        uint64_t len = MIN(t->fat.cluster, left);
        if (!walk_piece(t, source_at(t->fat.data, cluster - 2, t->fat.cluster), len, visit, owner)) return;
        left -= len;
        cluster = next_cluster(t, (uint32_t)cluster);
    }
}

/* "BOOTX64 EFI" is "BOOTX64.EFI". */
static void short_name(const uint8_t raw[11], char ret[TREE_NAME_MAX])
{
    char stem[32], extension[16]; /* 8 and 3 characters, each of 3 bytes at most */
    text_from_bytes(stem, sizeof stem, raw, 8);
    text_from_bytes(extension, sizeof extension, raw + 8, 3);
    strcpy(ret, stem);
    if (extension[0]) strcat(strcat(ret, "."), extension);
}

struct listing {
    tree_visitor *visit;
    void *owner;
};

static bool visit_file(void *owner, const uint8_t raw[ENTRY])
{
    const struct listing *l = owner;
    if (raw[0] == 0xe5 || raw[0] == '.' || (raw[11] & ATTRIBUTE_LABEL)) return true; /* long names have that bit too */
    struct tree_entry entry = {
        .directory = raw[11] & ATTRIBUTE_DIRECTORY,
        .place = {.at = (uint32_t)le16(raw + 20) << 16 | le16(raw + 26), .bytes = le32(raw + 28)},
    };
    short_name(raw, entry.name);
    return l->visit(l->owner, &entry);
}

static void fat_list(const struct tree *t, const struct tree_place *directory, tree_visitor *visit, void *owner)
{
    walk(t, directory->at, visit_file, &(struct listing){.visit = visit, .owner = owner});
}

/* ---- the volume ---- */

bool tree_fat_open(struct source *s, uint64_t offset, const uint8_t sector[512], struct tree *ret)
{
    if (!is_sane(sector)) return false;
    uint64_t bytes = le16(sector + 11), reserved = le16(sector + 14);
    uint64_t fat = le16(sector + 22) ? le16(sector + 22) : le32(sector + 36);
    uint64_t total = le16(sector + 19) ? le16(sector + 19) : le32(sector + 32);
    uint64_t root = ((uint64_t)le16(sector + 17) * ENTRY + bytes - 1) / bytes;
    uint64_t system = reserved + sector[16] * fat + root; /* sectors, as all of these */
    if (system >= total) return false;
    uint64_t clusters = (total - system) / sector[13];
    /* fatgen103 on the type: the number of clusters alone decides between 12 and 16 bits. FAT32 is also made smaller
     * than that rule allows, and is known by its 32-bit length of the FAT. */
    unsigned bits = !le16(sector + 22) ? 32 : clusters < 4085 ? 12 : 16;
    *ret = (struct tree){
        .source = s,
        .root.at = bits == 32 ? le32(sector + 44) & 0x0fffffff : 0,
        .list = fat_list,
        .fat = {.bits = bits,
                .cluster = (uint32_t)bytes * sector[13],
                .fat = source_at(offset, reserved, bytes),
                .root_offset = source_at(offset, reserved + sector[16] * fat, bytes),
                .root_bytes = bits == 32 ? 0 : (uint32_t)(root * bytes),
                .data = source_at(offset, system, bytes)},
    };
    return true;
}

static bool visit_label(void *owner, const uint8_t raw[ENTRY])
{
    if (raw[0] == 0xe5 || (raw[11] & ATTRIBUTES_LONG_NAME) != ATTRIBUTE_LABEL) return true;
    text_from_bytes(owner, INSPECT_LABEL_MAX, raw, 11);
    return false;
}

void tree_fat_label(const struct tree *t, const uint8_t sector[512], char ret[INSPECT_LABEL_MAX])
{
    size_t at = t->fat.bits == 32 ? 71 : 43;
    ret[0] = '\0';
    walk(t, t->root.at, visit_label, ret);
    if (!ret[0] && sector[at - 5] == 0x29) text_from_bytes(ret, INSPECT_LABEL_MAX, sector + at, 11);
    if (strcmp(ret, "NO NAME") == 0) ret[0] = '\0';
}

/* ---- EFI/BOOT/BOOT*.EFI ---- */

struct search {
    const char *directory; /* NULL: the boot program */
    struct tree_place place;
    bool found;
};

static bool is_boot_program(const char *name)
{
    size_t len = strlen(name);
    return len > 8 && strncmp(name, "BOOT", 4) == 0 && strcmp(name + len - 4, ".EFI") == 0;
}

static bool visit_search(void *owner, const struct tree_entry *entry)
{
    struct search *s = owner;
    s->found = s->directory ? entry->directory && strcmp(entry->name, s->directory) == 0
                            : !entry->directory && is_boot_program(entry->name);
    if (s->found) s->place = entry->place;
    return !s->found;
}

bool tree_fat_boots_uefi(const struct tree *t)
{
    static const char *const path[] = {"EFI", "BOOT", NULL};
    struct tree_place at = t->root;
    for (size_t i = 0; i < ARRAY_LEN(path); i++) {
        struct search s = {.directory = path[i]};
        t->list(t, &at, visit_search, &s);
        if (!s.found) return false;
        at = s.place;
    }
    return true;
}
