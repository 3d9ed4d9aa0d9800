/*
 * UDF (ECMA-167 with OSTA UDF 1.02 to 2.01), as far as installers use it: one partition, read directly.
 *
 *   anchor (sector 256, or the last) -> volume descriptor sequence -> logical volume, partition
 *     -> file set descriptor -> file entry of the root -> its extents -> file identifiers -> their file entries
 *
 * A place is the block of a file entry within the partition. Windows discs need this: their ISO 9660 half holds
 * nothing but a file that says so.
 */
#include <string.h>

#include "base/util.h"
#include "images/disc.h"
#include "images/inspect_text.h"

enum { TAG_PRIMARY = 1, TAG_ANCHOR = 2, TAG_PARTITION = 5, TAG_LOGICAL = 6, TAG_TERMINATOR = 8, TAG_FILE_SET = 256,
       TAG_FILE_ID = 257, TAG_FILE = 261, TAG_EXTENDED_FILE = 266 };

#define SEQUENCE_MAX 16 /* sectors of volume descriptors looked at; that is what the standard's extents have */
#define EXTENTS_MAX 8   /* of a directory */
#define FID_MIN 38      /* bytes of a file identifier without its name (ECMA-167 4/14.4) */
#define FID_DIRECTORY 2
#define FID_DELETED 4
#define FID_PARENT 8

static bool is_tag(const uint8_t *data, unsigned id)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < 16; i++)
        if (i != 4) sum = (uint8_t)(sum + data[i]);
    return le16(data) == id && (sum == data[4] || !source_sums_count());
}

static bool read_block(const struct tree *t, uint64_t block, uint8_t data[DISC_SECTOR])
{
    uint64_t offset = source_at(t->udf.partition, block, t->udf.block);
    return source_read(t->source, offset, data, DISC_SECTOR);
}

/* ---- a file's content ---- */

struct file {
    bool directory;
    uint64_t bytes;
    struct { uint64_t offset, len; } extents[EXTENTS_MAX]; /* in the image */
    size_t extents_count;
};

static void add_extent(struct file *f, uint64_t offset, uint64_t len)
{
    f->extents[f->extents_count].offset = offset;
    f->extents[f->extents_count++].len = len;
}

static bool open_file(const struct tree *t, uint64_t block, struct file *ret)
{
    uint8_t data[DISC_SECTOR];
    if (!read_block(t, block, data)) return false;
    bool extended = is_tag(data, TAG_EXTENDED_FILE);
    if (!extended && !is_tag(data, TAG_FILE)) return false;
    size_t head = extended ? 216 : 176;
    uint32_t attributes = le32(data + head - 8), len = le32(data + head - 4);
    if (attributes > DISC_SECTOR - head || len > DISC_SECTOR - head - attributes) return false;
    *ret = (struct file){.directory = data[27] == 4, .bytes = le64(data + 56)};
    size_t at = head + attributes, kind = le16(data + 34) & 7, step = kind == 0 ? 8 : 16;
    if (kind == 3) { /* the content stands in the entry itself */
        add_extent(ret, source_at(source_at(t->udf.partition, block, t->udf.block), at, 1), len);
        return true;
    }
    for (size_t stop = at + len; kind <= 1 && stop - at >= step && ret->extents_count < EXTENTS_MAX; at += step) {
        uint32_t extent = le32(data + at);
        if (!(extent & 0x3fffffff)) break;
        if (extent >> 30) continue; /* allocated, but not written */
        add_extent(ret, source_at(t->udf.partition, le32(data + at + 4), t->udf.block), extent & 0x3fffffff);
    }
    return true;
}

/* Reads up to len bytes at `at` of the file, over the borders of extents. */
static size_t read_file(const struct tree *t, const struct file *f, uint64_t at, uint8_t *data, size_t len)
{
    size_t done = 0;
    if (at >= f->bytes) return 0;
    len = (size_t)MIN(f->bytes - at, len);
    for (size_t i = 0; i < f->extents_count && done < len; i++) {
        if (at >= f->extents[i].len) {
            at -= f->extents[i].len;
            continue;
        }
        size_t piece = (size_t)MIN(f->extents[i].len - at, len - done);
        size_t n = source_read_some(t->source, source_at(f->extents[i].offset, at, 1), data + done, piece);
        done += n;
        if (n < piece) break;
        at = 0;
    }
    return done;
}

/* ---- directories ---- */

static bool visit_identifier(const uint8_t *fid, tree_visitor *visit, void *owner)
{
    struct tree_entry entry = {
        .directory = fid[18] & FID_DIRECTORY,
        .place = {.at = le32(fid + 24), .bytes = le32(fid + 20)},
    };
    if (fid[18] & (FID_DELETED | FID_PARENT)) return true;
    text_from_osta(entry.name, sizeof entry.name, fid + FID_MIN + le16(fid + 36), fid[19]);
    return visit(owner, &entry);
}

static void udf_list(const struct tree *t, const struct tree_place *directory, tree_visitor *visit, void *owner)
{
    uint8_t window[4096];
    struct file f;
    if (!open_file(t, directory->at, &f) || !f.directory) return;
    uint64_t base = 0, total = MIN(f.bytes, TREE_DIRECTORY_BYTES_MAX);
    while (base < total) {
        size_t len = read_file(t, &f, base, window, sizeof window), at = 0;
        while (len - at >= FID_MIN) {
            const uint8_t *fid = window + at;
            if (!is_tag(fid, TAG_FILE_ID)) return;
            size_t size = (FID_MIN + (size_t)le16(fid + 36) + fid[19] + 3) & ~(size_t)3;
            if (size > len - at) break;
            if (!visit_identifier(fid, visit, owner)) return;
            at += size;
        }
        if (!at) return; /* not even one: the end, or an identifier that no window holds */
        base += at;
    }
}

static size_t udf_read(const struct tree *t, const struct tree_place *place, void *data, size_t len)
{
    struct file f;
    return open_file(t, place->at, &f) ? read_file(t, &f, 0, data, len) : 0;
}

/* ---- the volume ---- */

struct volume {
    bool partition_found, logical_found;
    uint16_t partition_number, map_number;
    uint32_t partition_start, block, file_set;
};

static void read_logical(const uint8_t *data, struct volume *v, char label[INSPECT_LABEL_MAX])
{
    char found[INSPECT_LABEL_MAX];
    text_from_dstring(found, sizeof found, data + 84, 128);
    if (found[0]) strcpy(label, found);
    const uint8_t *map = data + 440;
    if (le32(data + 268) < 1 || map[0] != 1 || map[1] != 6) return; /* virtual, sparable, metadata: not read here */
    v->logical_found = true;
    v->block = le32(data + 212);
    v->file_set = le32(data + 252);
    v->map_number = le16(map + 4);
}

static bool read_sequence(struct source *s, uint64_t first, uint64_t len, struct volume *v,
                          char label[INSPECT_LABEL_MAX])
{
    for (uint64_t i = 0; i < MIN(len / DISC_SECTOR, SEQUENCE_MAX); i++) {
        uint8_t data[DISC_SECTOR];
        if (!source_read(s, source_at(0, first + i, DISC_SECTOR), data, sizeof data)) break;
        if (is_tag(data, TAG_TERMINATOR)) break;
        if (is_tag(data, TAG_LOGICAL)) read_logical(data, v, label);
        if (is_tag(data, TAG_PARTITION) && !v->partition_found) {
            v->partition_found = true;
            v->partition_number = le16(data + 22);
            v->partition_start = le32(data + 188);
        }
    }
    return v->partition_found && v->logical_found && v->partition_number == v->map_number && v->block == DISC_SECTOR;
}

bool disc_tree_udf(struct source *s, struct tree *ret, char label[INSPECT_LABEL_MAX])
{
    uint8_t data[DISC_SECTOR];
    struct volume v = {0};
    uint64_t anchor = 256 * DISC_SECTOR, last = s->size / DISC_SECTOR;
    if ((!source_read(s, anchor, data, sizeof data) || !is_tag(data, TAG_ANCHOR)) &&
        (last == 0 || !source_read(s, (last - 1) * DISC_SECTOR, data, sizeof data) || !is_tag(data, TAG_ANCHOR)))
        return false;
    if (!read_sequence(s, le32(data + 20), le32(data + 16), &v, label)) return false;
    *ret = (struct tree){.source = s, .list = udf_list, .read = udf_read,
                         .udf = {.partition = (uint64_t)v.partition_start * DISC_SECTOR, .block = v.block}};
    if (!read_block(ret, v.file_set, data) || !is_tag(data, TAG_FILE_SET)) return false;
    ret->root = (struct tree_place){.at = le32(data + 404), .bytes = le32(data + 400)};
    return true;
}
