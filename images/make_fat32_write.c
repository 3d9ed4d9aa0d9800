/*
 * make_fat32_write.c - the bytes of FAT32.
 */
#include <string.h>
#include <time.h>

#include "images/make_fat32.h"

#define BACKUP 6
#define CLUSTER_LAST 0x0fffffff    /* ends a chain */
#define ATTRIBUTE_LABEL 0x08
#define ATTRIBUTE_FOLDER 0x10
#define ATTRIBUTE_ARCHIVE 0x20
#define ATTRIBUTE_LONG 0x0f
#define LONG_LAST 0x40

/* Date and time, in UTC, from 1980 to 2107, in steps of two seconds. */
static void put_time(uint8_t *time, uint8_t *date, int64_t modified)
{
    struct tm tm;
    time_t t = (time_t)modified;
    make_put16(date, 1 << 5 | 1);
    if (time) make_put16(time, 0);
    if (!gmtime_r(&t, &tm) || tm.tm_year < 80 || tm.tm_year > 207) return;
    make_put16(date, (uint32_t)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday));
    if (time) make_put16(time, (uint32_t)(tm.tm_hour << 11 | tm.tm_min << 5 | MIN(tm.tm_sec, 59) / 2));
}

/* ---- the reserved sectors, and the table ---- */

static void fill_boot(const struct make_layout *l, uint8_t *p)
{
    static const uint8_t code[] = {0xcd, 0x18, 0xeb, 0xfe}; /* there is nothing to boot: the next device, please */
    memcpy(p, "\xeb\x58\x90MSWIN4.1", 11);
    make_put16(p + 11, FAT_SECTOR);
    p[13] = (uint8_t)(l->cluster / FAT_SECTOR);
    make_put16(p + 14, FAT_RESERVED);
    p[16] = FAT_TABLES;
    p[21] = 0xf8;
    make_put16(p + 24, 63);
    make_put16(p + 26, 255);
    make_put32(p + 32, (uint32_t)fat_image_sectors(l));
    make_put32(p + 36, l->table);
    make_put32(p + 44, FAT_CLUSTER_FIRST); /* the root */
    make_put16(p + 48, 1);
    make_put16(p + 50, BACKUP);
    p[64] = 0x80;
    p[66] = 0x29;
    make_put32(p + 67, (uint32_t)l->rq->now); /* the serial number is a time by tradition */
    memset(p + 71, ' ', 11);
    memcpy(p + 71, l->rq->label, strlen(l->rq->label));
    memcpy(p + 82, "FAT32   ", 8);
    memcpy(p + 90, code, sizeof code);
    make_put16(p + 510, 0xaa55);
}

static void fill_info(const struct make_layout *l, uint8_t *p)
{
    memcpy(p, "RRaA", 4);
    memcpy(p + 484, "rrAa", 4);
    make_put32(p + 488, l->all - l->used);
    make_put32(p + 492, FAT_CLUSTER_FIRST + l->used - 1);
    make_put16(p + 510, 0xaa55);
}

static int write_reserved(const struct make_layout *l, struct make_out *out, struct err *e)
{
    uint8_t sectors[2 * FAT_SECTOR] = {0};
    fill_boot(l, sectors);
    fill_info(l, sectors + FAT_SECTOR);
    if (make_put(out, sectors, sizeof sectors, e) < 0 || make_zeros_to(out, BACKUP * FAT_SECTOR, e) < 0 ||
        make_put(out, sectors, sizeof sectors, e) < 0)
        return -1;
    return make_zeros_to(out, FAT_RESERVED * FAT_SECTOR, e);
}

/* Runs begin where the one before ended, so that the end of each run is all that there is to know. */
struct table {
    struct make_out *out;
    uint8_t sector[FAT_SECTOR];
    uint32_t at;
};

static int put_cluster(struct table *t, uint32_t value, struct err *e)
{
    make_put32(t->sector + t->at % (FAT_SECTOR / 4) * 4, value);
    if (++t->at % (FAT_SECTOR / 4)) return 0;
    int result = make_put(t->out, t->sector, FAT_SECTOR, e);
    memset(t->sector, 0, FAT_SECTOR);
    return result;
}

static int write_table(const struct make_layout *l, struct make_out *out, struct err *e)
{
    struct table t = {.out = out};
    uint64_t end = out->at + (uint64_t)l->table * FAT_SECTOR;
    if (put_cluster(&t, 0x0ffffff8, e) < 0 || put_cluster(&t, CLUSTER_LAST, e) < 0) return -1;
    for (int folders = 1; folders >= 0; folders--)
        for (uint32_t i = 0; i < l->files->count; i++) {
            if (l->files->list[i].folder != folders) continue;
            for (uint32_t n = l->clusters[i]; n > 0; n--)
                if (put_cluster(&t, n == 1 ? CLUSTER_LAST : t.at + 1, e) < 0) return -1;
        }
    if (t.at % (FAT_SECTOR / 4) && make_put(out, t.sector, FAT_SECTOR, e) < 0) return -1;
    return make_zeros_to(out, end, e);
}

/* ---- folders ---- */

static void fill_entry(const struct make_layout *l, uint8_t *p, const char *name, uint32_t index, uint32_t cluster)
{
    const struct file *file = &l->files->list[index];
    memset(p, 0, FAT_ENTRY);
    memcpy(p, name, FILES_SHORT_BYTES);
    p[11] = file->folder ? ATTRIBUTE_FOLDER : ATTRIBUTE_ARCHIVE;
    put_time(p + 14, p + 16, file->modified);
    put_time(NULL, p + 18, file->modified);
    make_put16(p + 20, cluster >> 16);
    put_time(p + 22, p + 24, file->modified);
    make_put16(p + 26, cluster);
    make_put32(p + 28, (uint32_t)file->size);
}

static uint8_t checksum(const char *name)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < FILES_SHORT_BYTES; i++) sum = (uint8_t)((uint8_t)(sum << 7 | sum >> 1) + (uint8_t)name[i]);
    return sum;
}

/* The long name stands before the short one, its end first. */
static int write_long(const struct make_layout *l, uint32_t index, uint32_t parts, struct make_out *out, struct err *e)
{
    static const uint8_t places[FAT_UNITS_PER_ENTRY] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    uint16_t units[FILES_UNITS_MAX];
    size_t len = files_utf16(l->files->list[index].name, units);
    for (uint32_t part = parts; part > 0; part--) {
        uint8_t p[FAT_ENTRY] = {(uint8_t)(part | (part == parts ? LONG_LAST : 0)), [11] = ATTRIBUTE_LONG,
                            [13] = checksum(l->shorts[index])};
        for (size_t i = 0; i < FAT_UNITS_PER_ENTRY; i++) {
            size_t at = (part - 1) * FAT_UNITS_PER_ENTRY + i;
            make_put16(p + places[i], at < len ? units[at] : at == len ? 0 : 0xffff);
        }
        if (make_put(out, p, sizeof p, e) < 0) return -1;
    }
    return 0;
}

static int write_head(const struct make_layout *l, uint32_t folder, struct make_out *out, struct err *e)
{
    uint8_t p[2 * FAT_ENTRY];
    uint32_t above = l->files->list[folder].parent;
    if (folder == FILES_ROOT) {
        memset(p, 0, FAT_ENTRY);
        memset(p, ' ', FILES_SHORT_BYTES);
        memcpy(p, l->rq->label, strlen(l->rq->label));
        p[11] = ATTRIBUTE_LABEL;
        put_time(p + 22, p + 24, l->rq->now);
        return make_put(out, p, FAT_ENTRY, e);
    }
    fill_entry(l, p, ".          ", folder, l->first[folder]);
    fill_entry(l, p + FAT_ENTRY, "..         ", above, above == FILES_ROOT ? 0 : l->first[above]);
    return make_put(out, p, sizeof p, e);
}

static uint64_t cluster_at(const struct make_layout *l, uint32_t cluster)
{
    return ((uint64_t)FAT_RESERVED + (uint64_t)FAT_TABLES * l->table) * FAT_SECTOR + (uint64_t)(cluster - FAT_CLUSTER_FIRST) * l->cluster;
}

static int write_folder(const struct make_layout *l, uint32_t folder, struct make_out *out, struct err *e)
{
    if (make_zeros_to(out, cluster_at(l, l->first[folder]), e) < 0 || write_head(l, folder, out, e) < 0) return -1;
    for (uint32_t k = 0; k < l->order.count[folder]; k++) {
        uint8_t p[FAT_ENTRY];
        uint32_t child = l->order.list[l->order.first[folder] + k], entries = fat_entries(l, child);
        fill_entry(l, p, l->shorts[child], child, l->first[child]);
        if (write_long(l, child, entries - 1, out, e) < 0 || make_put(out, p, FAT_ENTRY, e) < 0) return -1;
    }
    return 0;
}

static int write_file(const struct make_layout *l, uint32_t index, struct make_out *out, struct err *e)
{
    if (l->first[index] && make_zeros_to(out, cluster_at(l, l->first[index]), e) < 0) return -1;
    return l->rq->content(l->rq->owner, l->files, index, out, e);
}

int fat_write(struct make_layout *l, struct make_out *out, struct err *e)
{
    if (write_reserved(l, out, e) < 0) return -1;
    for (int i = 0; i < FAT_TABLES; i++)
        if (write_table(l, out, e) < 0) return -1;
    for (int folders = 1; folders >= 0; folders--)
        for (uint32_t i = 0; i < l->files->count; i++) {
            if (l->files->list[i].folder != folders) continue;
            if ((folders ? write_folder : write_file)(l, i, out, e) < 0) return -1;
        }
    return make_zeros_to(out, fat_image_sectors(l) * FAT_SECTOR, e);
}
