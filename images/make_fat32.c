#include "images/make_fat32.h"

#include <string.h>
#include <strings.h>
#include <unicase.h>
#include <unistr.h>

#define CLUSTERS_MIN (65525 + 16)  /* fewer are FAT16; the specification warns of those who miscount by some */
#define CLUSTERS_MAX 0x0ffffff0
#define FOLDER_ENTRIES_MAX 65536   /* 2 MiB, by the specification */

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

uint32_t fat_entries(const struct make_layout *l, uint32_t index)
{
    uint16_t units[FILES_UNITS_MAX];
    const char *name = l->files->list[index].name;
    if (files_short_is_whole(name, l->shorts[index])) return 1;
    return 1 + (uint32_t)((files_utf16(name, units) + FAT_UNITS_PER_ENTRY - 1) / FAT_UNITS_PER_ENTRY);
}

static int folder_bytes(const struct make_layout *l, uint32_t folder, uint64_t *ret, struct err *e)
{
    uint32_t entries = folder == FILES_ROOT ? 1 : 2; /* the label, or . and .. */
    for (uint32_t k = 0; k < l->order.count[folder]; k++)
        entries += fat_entries(l, l->order.list[l->order.first[folder] + k]);
    *ret = (uint64_t)entries * FAT_ENTRY;
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
    uint64_t sum = 0, at = FAT_CLUSTER_FIRST, bytes;
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
    l->used = (uint32_t)(at - FAT_CLUSTER_FIRST);
    l->all = MAX(l->used, CLUSTERS_MIN);
    l->table = (uint32_t)bytes_to_clusters((uint64_t)(l->all + FAT_CLUSTER_FIRST) * 4, FAT_SECTOR);
    return 0;
}

uint64_t fat_image_sectors(const struct make_layout *l)
{
    return FAT_RESERVED + FAT_TABLES * (uint64_t)l->table + (uint64_t)l->all * (l->cluster / FAT_SECTOR);
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
    if (fat_image_sectors(l) > UINT32_MAX)
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
    *ret_bytes = fat_image_sectors(l) * FAT_SECTOR;
    return l;
}

const struct make_maker make_fat32 = {.plan = plan, .write = fat_write, .free = layout_free};
