/*
 * make_fat32.c - FAT32 as Microsoft's specification (1.03) has it, each file and folder in one run of clusters.
 *
 *   sector 0    boot sector, and its copy in 6; 1 and 7: how much is free
 *         32    the table of clusters, twice
 *               clusters: the folders, then the files, as they came
 */
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unicase.h>
#include <unistr.h>

#include "images/make.h"

#define SECTOR 512
#define RESERVED 32
#define TABLES 2
#define BACKUP 6
#define CLUSTER_FIRST 2
#define CLUSTERS_MIN (65525 + 16)  /* fewer are FAT16; the specification warns of those who miscount by some */
#define CLUSTERS_MAX 0x0ffffff0
#define CLUSTER_LAST 0x0fffffff    /* ends a chain */
#define ENTRY 32
#define UNITS_PER_ENTRY 13
#define FOLDER_ENTRIES_MAX 65536   /* 2 MiB, by the specification */
#define ATTRIBUTE_LABEL 0x08
#define ATTRIBUTE_FOLDER 0x10
#define ATTRIBUTE_ARCHIVE 0x20
#define ATTRIBUTE_LONG 0x0f
#define LONG_LAST 0x40

struct make_layout {
    const struct make_request *rq;
    const struct files *files;
    char (*shorts)[FILES_SHORT_BYTES];
    struct files_order order;
    uint32_t *first, *clusters;   /* by index; an empty file has none */
    uint32_t used, all, table;    /* clusters; sectors of one table */
    uint32_t cluster;             /* bytes */
};

/* ---- names ---- */

static bool is_device(const char *name)
{
    static const char *const devices[] = {"CON", "PRN", "AUX", "NUL"};
    size_t len = strcspn(name, ".");
    while (len > 0 && name[len - 1] == ' ') len--;
    for (size_t i = 0; i < ARRAY_LEN(devices); i++)
        if (len == 3 && strncasecmp(name, devices[i], 3) == 0) return true;
    return len == 4 && (strncasecmp(name, "COM", 3) == 0 || strncasecmp(name, "LPT", 3) == 0) && name[3] >= '1' &&
           name[3] <= '9';
}

static const char *bad_file(const struct file *file)
{
    size_t len = strlen(file->name);
    if (strpbrk(file->name, "\"*:<>?|")) return "has a character that FAT does not have in names: one of \"*:<>?|";
    if (file->name[len - 1] == '.' || file->name[len - 1] == ' ') return "ends with a dot or blank, which Windows cuts off";
    if (is_device(file->name)) return "is called like a device of Windows";
    if (file->size > UINT32_MAX) return "has 4 GiB or more, too much for FAT32";
    return NULL;
}

static int check_names(const struct make_layout *l, struct err *e)
{
    for (uint32_t i = 1; i < l->files->count; i++) {
        char shown[FILES_SHOWN_MAX + 1];
        const char *bad = bad_file(&l->files->list[i]);
        if (!bad) continue;
        files_path(l->files, i, shown);
        return err_set(e, ERR_FILES_UNUSABLE, "\"%s\" %s", shown, bad);
    }
    return 0;
}

/* As Windows compares them: one capital for each letter. */
static int by_name(uint32_t a, uint32_t b, void *owner)
{
    const struct make_layout *l = owner;
    const uint8_t *x = (const uint8_t *)l->files->list[a].name, *y = (const uint8_t *)l->files->list[b].name;
    ucs4_t c = 1, d = 1;
    while (c && c == d) {
        x += u8_strmbtouc(&c, x);
        y += u8_strmbtouc(&d, y);
        c = uc_toupper(c);
        d = uc_toupper(d);
    }
    return c == d ? 0 : c < d ? -1 : 1;
}

/* ---- where things lie ---- */

static uint32_t entries_of(const struct make_layout *l, uint32_t index)
{
    uint16_t units[FILES_UNITS_MAX];
    const char *name = l->files->list[index].name;
    if (files_short_is_whole(name, l->shorts[index])) return 1;
    return 1 + (uint32_t)((files_utf16(name, units) + UNITS_PER_ENTRY - 1) / UNITS_PER_ENTRY);
}

static int folder_bytes(const struct make_layout *l, uint32_t folder, uint64_t *ret, struct err *e)
{
    uint32_t entries = folder == FILES_ROOT ? 1 : 2; /* the label, or . and .. */
    for (uint32_t k = 0; k < l->order.count[folder]; k++)
        entries += entries_of(l, l->order.list[l->order.first[folder] + k]);
    *ret = (uint64_t)entries * ENTRY;
    if (entries <= FOLDER_ENTRIES_MAX) return 0;
    char shown[FILES_SHOWN_MAX + 1];
    files_path(l->files, folder, shown);
    return err_set(e, ERR_FILES_UNUSABLE, "The folder \"%s\" has more names than FAT32 has room for in one", shown);
}

static uint64_t bytes_to_clusters(uint64_t bytes, uint32_t cluster)
{
    return (bytes + cluster - 1) / cluster;
}

/* As mkfs.fat has it: small clusters waste less, large ones keep the table small. */
static uint32_t cluster_for(uint64_t bytes)
{
    static const struct {
        uint64_t bytes;
        uint32_t cluster;
    } steps[] = {{(uint64_t)260 << 20, 512}, {(uint64_t)8 << 30, 4096}, {(uint64_t)16 << 30, 8192},
                 {(uint64_t)32 << 30, 16384}};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (bytes <= steps[i].bytes) return steps[i].cluster;
    return 32768;
}

/* Folders first. Both times through, sizes are added in the order in which they will be written. */
static int place(struct make_layout *l, struct err *e)
{
    uint64_t sum = 0, at = CLUSTER_FIRST, bytes;
    for (uint32_t i = 0; i < l->files->count; i++) sum += l->files->list[i].size;
    l->cluster = cluster_for(sum);
    for (int folders = 1; folders >= 0; folders--)
        for (uint32_t i = 0; i < l->files->count; i++) {
            const struct file *file = &l->files->list[i];
            if (file->folder != folders) continue;
            bytes = file->size;
            if (folders && folder_bytes(l, i, &bytes, e) < 0) return -1;
            l->clusters[i] = (uint32_t)bytes_to_clusters(bytes, l->cluster);
            l->first[i] = l->clusters[i] ? (uint32_t)at : 0;
            at += l->clusters[i];
            if (at > CLUSTERS_MAX) return err_set(e, ERR_FILES_UNUSABLE, "There is more than FAT32 can hold");
        }
    l->used = (uint32_t)(at - CLUSTER_FIRST);
    l->all = MAX(l->used, CLUSTERS_MIN);
    l->table = (uint32_t)bytes_to_clusters((uint64_t)(l->all + CLUSTER_FIRST) * 4, SECTOR);
    return 0;
}

static uint64_t image_sectors(const struct make_layout *l)
{
    return RESERVED + TABLES * (uint64_t)l->table + (uint64_t)l->all * (l->cluster / SECTOR);
}

static void layout_free(struct make_layout *l)
{
    if (!l) return;
    files_order_done(&l->order);
    free(l->shorts);
    free(l->first);
    free(l->clusters);
    free(l);
}

static int lay_out(struct make_layout *l, struct err *e)
{
    static const struct files_short_rules rules = {.others = "!#$%&'()-@^_`{}~", .mark = '~', .folder_endings = true};
    l->first = calloc(l->files->count, sizeof *l->first);
    l->clusters = calloc(l->files->count, sizeof *l->clusters);
    if (!l->first || !l->clusters) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (check_names(l, e) < 0 || files_short(l->files, &rules, &l->shorts, e) < 0 ||
        files_sort(l->files, by_name, l, "have the same name for FAT, which knows no small letters", &l->order, e) < 0 ||
        place(l, e) < 0)
        return -1;
    if (image_sectors(l) > UINT32_MAX)
        return err_set(e, ERR_FILES_UNUSABLE, "There is more than the 2 TiB that FAT32 can hold");
    return 0;
}

static struct make_layout *plan(const struct make_request *rq, uint64_t *ret_bytes, struct err *e)
{
    struct make_layout *l = calloc(1, sizeof *l);
    if (!l) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    l->rq = rq;
    l->files = rq->files;
    if (lay_out(l, e) < 0) {
        layout_free(l);
        return NULL;
    }
    *ret_bytes = image_sectors(l) * SECTOR;
    return l;
}

/* ---- numbers ---- */

static void put16(uint8_t *p, uint32_t n)
{
    p[0] = (uint8_t)n, p[1] = (uint8_t)(n >> 8);
}

static void put32(uint8_t *p, uint32_t n)
{
    put16(p, n);
    put16(p + 2, n >> 16);
}

/* Date and time, in UTC, from 1980 to 2107, in steps of two seconds. */
static void put_time(uint8_t *time, uint8_t *date, int64_t modified)
{
    struct tm tm;
    time_t t = (time_t)modified;
    put16(date, 1 << 5 | 1);
    if (time) put16(time, 0);
    if (!gmtime_r(&t, &tm) || tm.tm_year < 80 || tm.tm_year > 207) return;
    put16(date, (uint32_t)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 | tm.tm_mday));
    if (time) put16(time, (uint32_t)(tm.tm_hour << 11 | tm.tm_min << 5 | MIN(tm.tm_sec, 59) / 2));
}

/* ---- the reserved sectors, and the table ---- */

static void fill_boot(const struct make_layout *l, uint8_t *p)
{
    static const uint8_t code[] = {0xcd, 0x18, 0xeb, 0xfe}; /* there is nothing to boot: the next device, please */
    memcpy(p, "\xeb\x58\x90MSWIN4.1", 11);
    put16(p + 11, SECTOR);
    p[13] = (uint8_t)(l->cluster / SECTOR);
    put16(p + 14, RESERVED);
    p[16] = TABLES;
    p[21] = 0xf8;
    put16(p + 24, 63);
    put16(p + 26, 255);
    put32(p + 32, (uint32_t)image_sectors(l));
    put32(p + 36, l->table);
    put32(p + 44, CLUSTER_FIRST); /* the root */
    put16(p + 48, 1);
    put16(p + 50, BACKUP);
    p[64] = 0x80;
    p[66] = 0x29;
    put32(p + 67, (uint32_t)l->rq->now); /* the serial number is a time by tradition */
    memset(p + 71, ' ', 11);
    memcpy(p + 71, l->rq->label, strlen(l->rq->label));
    memcpy(p + 82, "FAT32   ", 8);
    memcpy(p + 90, code, sizeof code);
    put16(p + 510, 0xaa55);
}

static void fill_info(const struct make_layout *l, uint8_t *p)
{
    memcpy(p, "RRaA", 4);
    memcpy(p + 484, "rrAa", 4);
    put32(p + 488, l->all - l->used);
    put32(p + 492, CLUSTER_FIRST + l->used - 1);
    put16(p + 510, 0xaa55);
}

static int write_reserved(const struct make_layout *l, struct make_out *out, struct err *e)
{
    uint8_t sectors[2 * SECTOR] = {0};
    fill_boot(l, sectors);
    fill_info(l, sectors + SECTOR);
    if (make_put(out, sectors, sizeof sectors, e) < 0 || make_zeros_to(out, BACKUP * SECTOR, e) < 0 ||
        make_put(out, sectors, sizeof sectors, e) < 0)
        return -1;
    return make_zeros_to(out, RESERVED * SECTOR, e);
}

/* Runs begin where the one before ended, so that the end of each run is all that there is to know. */
struct table {
    struct make_out *out;
    uint8_t sector[SECTOR];
    uint32_t at;
};

static int put_cluster(struct table *t, uint32_t value, struct err *e)
{
    put32(t->sector + t->at % (SECTOR / 4) * 4, value);
    if (++t->at % (SECTOR / 4)) return 0;
    int result = make_put(t->out, t->sector, SECTOR, e);
    memset(t->sector, 0, SECTOR);
    return result;
}

static int write_table(const struct make_layout *l, struct make_out *out, struct err *e)
{
    struct table t = {.out = out};
    uint64_t end = out->at + (uint64_t)l->table * SECTOR;
    if (put_cluster(&t, 0x0ffffff8, e) < 0 || put_cluster(&t, CLUSTER_LAST, e) < 0) return -1;
    for (int folders = 1; folders >= 0; folders--)
        for (uint32_t i = 0; i < l->files->count; i++) {
            if (l->files->list[i].folder != folders) continue;
            for (uint32_t n = l->clusters[i]; n > 0; n--)
                if (put_cluster(&t, n == 1 ? CLUSTER_LAST : t.at + 1, e) < 0) return -1;
        }
    if (t.at % (SECTOR / 4) && make_put(out, t.sector, SECTOR, e) < 0) return -1;
    return make_zeros_to(out, end, e);
}

/* ---- folders ---- */

static void fill_entry(const struct make_layout *l, uint8_t *p, const char *name, uint32_t index, uint32_t cluster)
{
    const struct file *file = &l->files->list[index];
    memset(p, 0, ENTRY);
    memcpy(p, name, FILES_SHORT_BYTES);
    p[11] = file->folder ? ATTRIBUTE_FOLDER : ATTRIBUTE_ARCHIVE;
    put_time(p + 14, p + 16, file->modified);
    put_time(NULL, p + 18, file->modified);
    put16(p + 20, cluster >> 16);
    put_time(p + 22, p + 24, file->modified);
    put16(p + 26, cluster);
    put32(p + 28, (uint32_t)file->size);
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
    static const uint8_t places[UNITS_PER_ENTRY] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
    uint16_t units[FILES_UNITS_MAX];
    size_t len = files_utf16(l->files->list[index].name, units);
    for (uint32_t part = parts; part > 0; part--) {
        uint8_t p[ENTRY] = {(uint8_t)(part | (part == parts ? LONG_LAST : 0)), [11] = ATTRIBUTE_LONG,
                            [13] = checksum(l->shorts[index])};
        for (size_t i = 0; i < UNITS_PER_ENTRY; i++) {
            size_t at = (part - 1) * UNITS_PER_ENTRY + i;
            put16(p + places[i], at < len ? units[at] : at == len ? 0 : 0xffff);
        }
        if (make_put(out, p, sizeof p, e) < 0) return -1;
    }
    return 0;
}

static int write_head(const struct make_layout *l, uint32_t folder, struct make_out *out, struct err *e)
{
    uint8_t p[2 * ENTRY];
    uint32_t above = l->files->list[folder].parent;
    if (folder == FILES_ROOT) {
        memset(p, 0, ENTRY);
        memset(p, ' ', FILES_SHORT_BYTES);
        memcpy(p, l->rq->label, strlen(l->rq->label));
        p[11] = ATTRIBUTE_LABEL;
        put_time(p + 22, p + 24, l->rq->now);
        return make_put(out, p, ENTRY, e);
    }
    fill_entry(l, p, ".          ", folder, l->first[folder]);
    fill_entry(l, p + ENTRY, "..         ", above, above == FILES_ROOT ? 0 : l->first[above]);
    return make_put(out, p, sizeof p, e);
}

static uint64_t cluster_at(const struct make_layout *l, uint32_t cluster)
{
    return ((uint64_t)RESERVED + (uint64_t)TABLES * l->table) * SECTOR + (uint64_t)(cluster - CLUSTER_FIRST) * l->cluster;
}

static int write_folder(const struct make_layout *l, uint32_t folder, struct make_out *out, struct err *e)
{
    if (make_zeros_to(out, cluster_at(l, l->first[folder]), e) < 0 || write_head(l, folder, out, e) < 0) return -1;
    for (uint32_t k = 0; k < l->order.count[folder]; k++) {
        uint8_t p[ENTRY];
        uint32_t child = l->order.list[l->order.first[folder] + k], entries = entries_of(l, child);
        fill_entry(l, p, l->shorts[child], child, l->first[child]);
        if (write_long(l, child, entries - 1, out, e) < 0 || make_put(out, p, ENTRY, e) < 0) return -1;
    }
    return 0;
}

static int write_file(const struct make_layout *l, uint32_t index, struct make_out *out, struct err *e)
{
    if (l->first[index] && make_zeros_to(out, cluster_at(l, l->first[index]), e) < 0) return -1;
    return l->rq->content(l->rq->owner, l->files, index, out, e);
}

static int write_all(struct make_layout *l, struct make_out *out, struct err *e)
{
    if (write_reserved(l, out, e) < 0) return -1;
    for (int i = 0; i < TABLES; i++)
        if (write_table(l, out, e) < 0) return -1;
    for (int folders = 1; folders >= 0; folders--)
        for (uint32_t i = 0; i < l->files->count; i++) {
            if (l->files->list[i].folder != folders) continue;
            if ((folders ? write_folder : write_file)(l, i, out, e) < 0) return -1;
        }
    return make_zeros_to(out, image_sectors(l) * SECTOR, e);
}

const struct make_maker make_fat32 = {.plan = plan, .write = write_all, .free = layout_free};
