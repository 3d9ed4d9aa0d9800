#include "images/filesystems.h"

#include <string.h>

#include "base/util.h"
#include "images/disc.h"
#include "images/inspect_text.h"
#include "images/tree_fat.h"

struct place {
    struct source *source;
    uint64_t offset;
    uint8_t head[FILESYSTEM_HEAD_BYTES]; /* zeros behind the end */
};

static bool has(const struct place *p, size_t at, const char *magic, size_t len)
{
    return memcmp(p->head + at, magic, len) == 0;
}

static void label(struct filesystem *fs, const uint8_t *data, size_t len)
{
    text_from_bytes(fs->label, sizeof fs->label, data, len);
}

static enum inspect_dirty dirty_if(bool dirty)
{
    return dirty ? INSPECT_DIRTY : INSPECT_CLEAN;
}

/* ---- those whose first sector is a boot sector ---- */

/*
 * Two marks. Linux sets bit 0 of a reserved byte (fs/fat/inode.c, fat_set_state). Windows and others clear the highest
 * bit of the second entry of the FAT while the volume is in use (fatgen103: ClnShutBitMask), which FAT12 has not; the
 * first entry ends in the media byte, or it is no FAT.
 */
static enum inspect_dirty fat_dirty(const struct place *p, const struct tree *t)
{
    enum { STATE_DIRTY = 1 };
    uint8_t first[8];
    bool wide = t->fat.bits == 32;
    bool dirty = p->head[wide ? 65 : 37] & STATE_DIRTY;
    if (t->fat.bits != 12 && source_read(p->source, t->fat.fat, first, sizeof first) && first[0] == p->head[21])
        dirty |= wide ? !(le32(first + 4) & 0x08000000) : !(le16(first + 2) & 0x8000);
    return dirty_if(dirty);
}

static bool probe_fat(const struct place *p, struct filesystem *fs)
{
    if (!tree_fat_open(p->source, p->offset, p->head, &fs->tree)) return false;
    unsigned bits = fs->tree.fat.bits;
    fs->name = bits == 12 ? "fat12" : bits == 16 ? "fat16" : "fat32";
    fs->bytes = (uint64_t)le16(p->head + 11) * (le16(p->head + 19) ? le16(p->head + 19) : le32(p->head + 32));
    tree_fat_label(&fs->tree, p->head, fs->label);
    fs->boots_uefi = tree_fat_boots_uefi(&fs->tree);
    fs->dirty = fat_dirty(p, &fs->tree);
    fs->has_tree = true;
    return true;
}

/* The file $Volume, the fourth in the master file table, has the label in its attribute $VOLUME_NAME (0x60) and the
 * mark that the volume is in use in $VOLUME_INFORMATION (0x70). */
static void ntfs_volume(const struct place *p, uint64_t cluster, struct filesystem *fs)
{
    uint8_t record[512]; /* enough: it stands near the beginning, before the words that guard each sector */
    int8_t shift = (int8_t)p->head[64];
    uint64_t size = shift > 0 ? (uint64_t)shift * cluster : shift > -32 ? (uint64_t)1 << -shift : 0;
    uint64_t at = source_at(source_at(p->offset, le64(p->head + 48), cluster), 3, size);
    if (!size || !source_read(p->source, at, record, sizeof record) || memcmp(record, "FILE", 4) != 0) return;
    for (size_t pos = le16(record + 20), i = 0; i < 16 && pos + 24 <= sizeof record; i++) {
        const uint8_t *attribute = record + pos;
        uint32_t len = le32(attribute + 4), value_len = le32(attribute + 16), value = le16(attribute + 20);
        if (len < 24 || len > sizeof record - pos) return;
        bool here = !attribute[8] && value <= len && value_len <= len - value;
        if (here && le32(attribute) == 0x60)
            text_from_utf16(fs->label, sizeof fs->label, attribute + value, value_len / 2, false);
        if (here && le32(attribute) == 0x70 && value_len >= 12) fs->dirty = dirty_if(attribute[value + 10] & 1);
        pos += len;
    }
}

static bool probe_ntfs(const struct place *p, struct filesystem *fs)
{
    if (!has(p, 3, "NTFS    ", 8)) return false;
    uint64_t sector = le16(p->head + 11), cluster = p->head[13] <= 128 ? sector * p->head[13] : 0;
    if (!is_power_of_2(sector) || !cluster) return false;
    fs->name = "ntfs";
    fs->bytes = source_at(0, le64(p->head + 40), sector);
    ntfs_volume(p, cluster, fs);
    return true;
}

/* The label is an entry of type 0x83 among the first of the root directory. */
static bool probe_exfat(const struct place *p, struct filesystem *fs)
{
    uint8_t root[4096];
    const uint8_t *b = p->head;
    unsigned sector = b[108], cluster = b[109];
    if (!has(p, 3, "EXFAT   ", 8) || sector < 9 || sector > 12 || cluster > 25 - sector) return false;
    fs->name = "exfat";
    fs->dirty = dirty_if(le16(b + 106) & 2); /* VolumeDirty of the VolumeFlags */
    fs->bytes = source_at(0, le64(b + 72), (uint64_t)1 << sector);
    uint64_t at = source_at(p->offset, le32(b + 88), (uint64_t)1 << sector);
    uint32_t first = le32(b + 96);
    if (first < 2) return true;
    size_t len = source_read_some(p->source, source_at(at, first - 2, (uint64_t)1 << (sector + cluster)), root,
                                  sizeof root);
    for (size_t i = 0; i + 32 <= len && root[i]; i += 32)
        if (root[i] == 0x83 && root[i + 1] <= 11) {
            text_from_utf16(fs->label, sizeof fs->label, root + i + 2, root[i + 1], false);
            break;
        }
    return true;
}

/* ---- those of Linux and others ---- */

static bool probe_xfs(const struct place *p, struct filesystem *fs)
{
    if (!has(p, 0, "XFSB", 4)) return false;
    fs->name = "xfs";
    fs->bytes = source_at(0, (uint64_t)be32(p->head + 8) << 32 | be32(p->head + 12), be32(p->head + 4));
    label(fs, p->head + 108, 12);
    return true;
}

static bool probe_squashfs(const struct place *p, struct filesystem *fs)
{
    if (!has(p, 0, "hsqs", 4)) return false;
    fs->name = "squashfs";
    fs->bytes = le64(p->head + 40);
    return true;
}

static bool probe_luks(const struct place *p, struct filesystem *fs)
{
    if (!has(p, 0, "LUKS\xba\xbe", 6)) return false;
    fs->name = "luks";
    if (p->head[7] == 2) label(fs, p->head + 24, 48);
    return true;
}

static bool probe_ext(const struct place *p, struct filesystem *fs)
{
    enum { STATE_VALID = 1, STATE_ERRORS = 2, INCOMPAT_RECOVER = 4 };
    enum { COMPAT_JOURNAL = 4, INCOMPAT_64BIT = 0x80, INCOMPAT_EXT4 = 0x40 | 0x80 | 0x200, RO_COMPAT_EXT4 = 0x78 };
    const uint8_t *sb = p->head + 1024;
    uint32_t incompat = le32(sb + 96), shift = le32(sb + 24);
    if (le16(sb + 56) != 0xef53 || shift > 6) return false;
    fs->name = (incompat & INCOMPAT_EXT4) || (le32(sb + 100) & RO_COMPAT_EXT4) ? "ext4"
               : le32(sb + 92) & COMPAT_JOURNAL                                ? "ext3"
                                                                               : "ext2";
    uint64_t blocks = le32(sb + 4) | (incompat & INCOMPAT_64BIT ? (uint64_t)le32(sb + 336) << 32 : 0);
    fs->bytes = source_at(0, blocks, (uint64_t)1024 << shift);
    label(fs, sb + 120, 16);
    /* The journal is to be replayed; or, without one, it was not unmounted. */
    fs->dirty = dirty_if((incompat & INCOMPAT_RECOVER) || (le16(sb + 58) & (STATE_VALID | STATE_ERRORS)) != STATE_VALID);
    return true;
}

static bool probe_erofs(const struct place *p, struct filesystem *fs)
{
    if (le32(p->head + 1024) != 0xe0f5e1e2) return false;
    fs->name = "erofs";
    label(fs, p->head + 1024 + 64, 16);
    return true;
}

static bool probe_hfsplus(const struct place *p, struct filesystem *fs)
{
    if (!has(p, 1024, "H+\0\4", 4) && !has(p, 1024, "HX\0\5", 4)) return false;
    fs->name = "hfsplus";
    /* Unmounted in order (bit 8), and not inconsistent (bit 11). */
    fs->dirty = dirty_if((be32(p->head + 1024 + 4) & 0x900) != 0x100);
    return true;
}

static bool probe_swap(const struct place *p, struct filesystem *fs)
{
    if (!has(p, 4086, "SWAPSPACE2", 10)) return false;
    fs->name = "swap";
    label(fs, p->head + 1052, 16);
    return true;
}

static bool probe_btrfs(const struct place *p, struct filesystem *fs)
{
    uint8_t sb[1024];
    if (!source_read(p->source, source_at(p->offset, 65536, 1), sb, sizeof sb)) return false;
    if (memcmp(sb + 64, "_BHRfS_M", 8) != 0) return false;
    fs->name = "btrfs";
    fs->bytes = le64(sb + 112);
    label(fs, sb + 299, 256);
    return true;
}

/* A disc's file system within a partition. */
static bool probe_iso9660(const struct place *p, struct filesystem *fs)
{
    uint8_t sector[72];
    if (!source_read(p->source, source_at(p->offset, DISC_DESCRIPTORS_AT, 1), sector, sizeof sector)) return false;
    if (memcmp(sector, "\1CD001", 6) != 0) return false;
    fs->name = "iso9660";
    label(fs, sector + 40, 32);
    return true;
}

bool filesystem_read(struct source *s, uint64_t offset, struct filesystem *ret)
{
    static const struct {
        bool (*probe)(const struct place *p, struct filesystem *fs);
        bool owns_first_sector;
    } probes[] = {
        {probe_ntfs, true},   {probe_exfat, true},    {probe_fat, true},   {probe_xfs, true},
        {probe_squashfs, true}, {probe_luks, true},   {probe_ext, false},  {probe_erofs, false},
        {probe_hfsplus, false}, {probe_swap, false},  {probe_btrfs, false}, {probe_iso9660, false},
    };
    struct place p = {.source = s, .offset = offset};
    if (!source_read_some(s, offset, p.head, sizeof p.head)) return false;
    for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
        *ret = (struct filesystem){.owns_first_sector = probes[i].owns_first_sector};
        if (probes[i].probe(&p, ret)) return true;
    }
    *ret = (struct filesystem){0};
    return false;
}
