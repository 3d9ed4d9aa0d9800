#include "images/make_iso9660.h"

#include <stdio.h>
#include <string.h>

#define TABLE_ENTRY 8 /* bytes before the name, ECMA-119 9.4 */

static uint64_t sectors(uint64_t bytes)
{
    return (bytes + ISO_SECTOR - 1) / ISO_SECTOR;
}

static int out_of_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "Out of memory");
}

uint32_t iso_extents(const struct file *file)
{
    return file->size <= ISO_EXTENT_MAX ? 1 : (uint32_t)((file->size + ISO_EXTENT_MAX - 1) / ISO_EXTENT_MAX);
}

/* ---- names ---- */

/* What Joliet forbids; Unix names may have it. */
static uint16_t joliet_unit(uint16_t unit)
{
    return unit < 0x80 && strchr("*:;?", unit) ? '_' : unit;
}

static void set_joliet(struct iso_name *ret, const char *name, uint32_t index)
{
    uint16_t units[FILES_UNITS_MAX];
    char digits[16];
    size_t len = files_utf16(name, units), ending = 0, keep = len, n = 0;
    if (len > ISO_JOLIET_MAX) {
        size_t dot = len;
        while (dot > 0 && units[dot - 1] != '.') dot--;
        if (dot > 1 && len - dot < 16) ending = len - dot + 1;
        n = (size_t)snprintf(digits, sizeof digits, "~%u", index);
        keep = ISO_JOLIET_MAX - n - ending;
        if (units[keep - 1] >= 0xd800 && units[keep - 1] < 0xdc00) keep--; /* half of a pair */
    }
    ret->len = 0;
    for (size_t i = 0; i < keep; i++) ret->units[ret->len++] = joliet_unit(units[i]);
    for (size_t i = 0; i < n; i++) ret->units[ret->len++] = (uint16_t)digits[i];
    for (size_t i = len - ending; i < len; i++) ret->units[ret->len++] = joliet_unit(units[i]);
}

static int make_names_of(struct make_layout *l, struct err *e)
{
    static const struct files_short_rules rules = {.others = "_", .mark = '_'}; /* d-characters, ECMA-119 7.4.1 */
    l->joliet = calloc(l->files->count, sizeof *l->joliet);
    if (!l->joliet) return out_of_memory(e);
    for (uint32_t i = 1; i < l->files->count; i++) set_joliet(&l->joliet[i], l->files->list[i].name, i);
    return files_short(l->files, &rules, &l->shorts, e);
}

/* ---- order ---- */

static int by_short(uint32_t a, uint32_t b, void *owner)
{
    const struct make_layout *l = owner;
    return memcmp(l->shorts[a], l->shorts[b], FILES_SHORT_BYTES);
}

static int by_joliet(uint32_t a, uint32_t b, void *owner)
{
    const struct make_layout *l = owner;
    const struct iso_name *x = &l->joliet[a], *y = &l->joliet[b];
    for (size_t i = 0; i < MIN(x->len, y->len); i++)
        if (x->units[i] != y->units[i]) return x->units[i] < y->units[i] ? -1 : 1;
    return (int)x->len - (int)y->len;
}

/* Folders in the order of the path table: by level, then by what is above, then by name. */
static int number_folders(struct make_layout *l, struct iso_tree *t, struct err *e)
{
    uint32_t count = l->files->count, known = 1;
    t->folders = calloc(l->files->folders, sizeof *t->folders);
    t->numbers = calloc(count, sizeof *t->numbers);
    t->at = calloc(count, sizeof *t->at);
    t->bytes = calloc(count, sizeof *t->bytes);
    if (!t->folders || !t->numbers || !t->at || !t->bytes) return out_of_memory(e);
    t->numbers[FILES_ROOT] = 1;
    for (uint32_t i = 0; i < known; i++) {
        uint32_t folder = t->folders[i];
        for (uint32_t k = 0; k < t->order.count[folder]; k++) {
            uint32_t child = t->order.list[t->order.first[folder] + k];
            if (!l->files->list[child].folder) continue;
            t->folders[known++] = child;
            t->numbers[child] = known;
        }
    }
    return 0;
}

/* ---- where things lie ---- */

static uint32_t table_bytes(const struct make_layout *l, const struct iso_tree *t)
{
    uint8_t name[256];
    size_t bytes = 0;
    for (uint32_t i = 0; i < l->files->folders; i++) {
        size_t len = iso_table_name(l, t, t->folders[i], name);
        bytes += TABLE_ENTRY + len + len % 2;
    }
    return (uint32_t)bytes; /* at most 65535 of some 220 */
}

/* A record does not reach into the next sector. */
static uint64_t after_record(uint64_t at, size_t len)
{
    return at / ISO_SECTOR == (at + len - 1) / ISO_SECTOR ? at + len : sectors(at) * ISO_SECTOR + len;
}

static uint64_t folder_bytes(const struct make_layout *l, const struct iso_tree *t, uint32_t folder)
{
    uint8_t record[ISO_RECORD_MAX];
    uint64_t at = iso_record(l, t, ISO_SELF, folder, 0, record);
    at = after_record(at, iso_record(l, t, ISO_ABOVE, folder, 0, record));
    for (uint32_t k = 0; k < t->order.count[folder]; k++) {
        uint32_t child = t->order.list[t->order.first[folder] + k];
        size_t len = iso_record(l, t, ISO_CHILD, child, 0, record);
        for (uint32_t n = iso_extents(&l->files->list[child]); n > 0; n--) at = after_record(at, len);
    }
    return sectors(at) * ISO_SECTOR;
}

static uint64_t place_tables(struct make_layout *l)
{
    uint64_t at = ISO_TABLES_AT;
    for (size_t i = 0; i < ARRAY_LEN(l->trees); i++) {
        struct iso_tree *t = &l->trees[i];
        t->table_bytes = table_bytes(l, t);
        t->little_at = (uint32_t)at;
        t->big_at = (uint32_t)(at + sectors(t->table_bytes));
        at += 2 * sectors(t->table_bytes);
    }
    return at;
}

static int place_folders(struct make_layout *l, struct iso_tree *t, uint64_t *at, struct err *e)
{
    for (uint32_t i = 0; i < l->files->folders; i++) {
        uint32_t folder = t->folders[i];
        uint64_t bytes = folder_bytes(l, t, folder);
        if (bytes > UINT32_MAX || *at > UINT32_MAX)
            return err_set(e, ERR_FILES_UNUSABLE, "There are too many names for a CD");
        t->at[folder] = (uint32_t)*at;
        t->bytes[folder] = (uint32_t)bytes;
        *at += bytes / ISO_SECTOR;
    }
    return 0;
}

/* Continuation areas do not reach into the next sector either: Linux reads one block for each. The first is the root's. */
static void place_more(struct make_layout *l, uint64_t *at)
{
    uint64_t byte = *at * ISO_SECTOR;
    l->more_first = (uint32_t)*at;
    for (uint32_t i = 0; i < l->files->count; i++) {
        size_t len = iso_more_bytes(&l->files->list[i]);
        if (len == 0) continue;
        uint64_t end = after_record(byte, len);
        l->more_at[i] = (uint32_t)((end - len) / ISO_SECTOR);
        l->more_offset[i] = (uint16_t)((end - len) % ISO_SECTOR);
        byte = end;
    }
    *at = sectors(byte);
    l->more_end = (uint32_t)*at;
}

static int place_files(struct make_layout *l, uint64_t *at, struct err *e)
{
    for (uint32_t i = 1; i < l->files->count; i++) {
        const struct file *file = &l->files->list[i];
        if (file->folder) {
            l->subfolders[file->parent]++;
            continue;
        }
        if (file->size > (uint64_t)UINT32_MAX * ISO_SECTOR || *at + sectors(file->size) > UINT32_MAX)
            return err_set(e, ERR_FILES_UNUSABLE, "There is more than the 8 TiB that a CD's numbers can count");
        l->data_at[i] = (uint32_t)*at;
        *at += sectors(file->size);
    }
    return 0;
}

static int place(struct make_layout *l, struct err *e)
{
    uint64_t at = place_tables(l);
    if (place_folders(l, &l->trees[0], &at, e) < 0) return -1;
    place_more(l, &at);
    if (place_folders(l, &l->trees[1], &at, e) < 0 || place_files(l, &at, e) < 0) return -1;
    l->sectors = (uint32_t)MAX(at, ISO_SECTORS_MIN);
    return 0;
}

static void layout_free(struct make_layout *l)
{
    if (!l) return;
    for (size_t i = 0; i < ARRAY_LEN(l->trees); i++) {
        struct iso_tree *t = &l->trees[i];
        files_order_done(&t->order);
        free(t->folders);
        free(t->numbers);
        free(t->at);
        free(t->bytes);
    }
    free(l->shorts);
    free(l->joliet);
    free(l->data_at);
    free(l->more_at);
    free(l->more_offset);
    free(l->subfolders);
    free(l);
}

static int lay_out(struct make_layout *l, struct err *e)
{
    uint32_t count = l->files->count;
    l->data_at = calloc(count, sizeof *l->data_at);
    l->more_at = calloc(count, sizeof *l->more_at);
    l->more_offset = calloc(count, sizeof *l->more_offset);
    l->subfolders = calloc(count, sizeof *l->subfolders);
    l->trees[1].joliet = true;
    if (!l->data_at || !l->more_at || !l->more_offset || !l->subfolders) return out_of_memory(e);
    if (make_names_of(l, e) < 0 ||
        files_sort(l->files, by_short, l, "have the same short name", &l->trees[0].order, e) < 0 ||
        files_sort(l->files, by_joliet, l, "have the same name in Joliet, which knows neither of *:;?",
                   &l->trees[1].order, e) < 0 ||
        number_folders(l, &l->trees[0], e) < 0 || number_folders(l, &l->trees[1], e) < 0)
        return -1;
    return place(l, e);
}

static struct make_layout *plan(const struct make_request *rq, uint64_t *ret_bytes, struct err *e)
{
    struct make_layout *l = calloc(1, sizeof *l);
    if (!l) {
        out_of_memory(e);
        return NULL;
    }
    l->rq = rq;
    l->files = rq->files;
    if (lay_out(l, e) < 0) {
        layout_free(l);
        return NULL;
    }
    *ret_bytes = (uint64_t)l->sectors * ISO_SECTOR;
    return l;
}

const struct make_maker make_iso9660 = {.plan = plan, .write = iso_write, .free = layout_free};
