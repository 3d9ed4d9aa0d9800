/*
 * make_iso9660_write.c - the bytes of ISO 9660 (ECMA-119), Joliet, and Rock Ridge (SUSP 1.10, RRIP 1.09).
 */
#include <string.h>
#include <time.h>

#include "images/make_iso9660.h"

#define FLAG_FOLDER 0x02 /* ECMA-119 9.1.6 */
#define FLAG_GOES_ON 0x80
#define RECORD_HEAD 33
#define MODE_FOLDER 0040555
#define MODE_FILE 0100444
#define MODE_PROGRAM 0100555
#define NM_HEAD 5
#define NM_MAX 250 /* bytes of a name in one entry: its length is a byte */
#define CE_BYTES 28

/* ---- numbers ---- */

static uint8_t *put16_big(uint8_t *p, uint16_t n)
{
    p[0] = (uint8_t)(n >> 8), p[1] = (uint8_t)n;
    return p + 2;
}

static uint8_t *put32_big(uint8_t *p, uint32_t n)
{
    put16_big(p, (uint16_t)(n >> 16));
    return put16_big(p + 2, (uint16_t)n);
}

/* Both orders, ECMA-119 7.2.3 and 7.3.3. */
static uint8_t *put16_both(uint8_t *p, uint16_t n)
{
    return put16_big(make_put16(p, n), n);
}

static uint8_t *put32_both(uint8_t *p, uint32_t n)
{
    return put32_big(make_put32(p, n), n);
}

/* Seven bytes, in UTC; the year is one byte since 1900. */
static uint8_t *put_time(uint8_t *p, int64_t modified)
{
    struct tm tm;
    time_t t = (time_t)modified;
    memset(p, 0, 7);
    if (gmtime_r(&t, &tm) && tm.tm_year >= 0 && tm.tm_year <= UINT8_MAX) {
        p[0] = (uint8_t)tm.tm_year;
        p[1] = (uint8_t)(tm.tm_mon + 1);
        p[2] = (uint8_t)tm.tm_mday;
        p[3] = (uint8_t)tm.tm_hour;
        p[4] = (uint8_t)tm.tm_min;
        p[5] = (uint8_t)MIN(tm.tm_sec, 59);
    }
    return p + 7;
}

/* ---- Rock Ridge ---- */

static uint8_t *put_head(uint8_t *p, const char *signature, size_t len)
{
    p[0] = (uint8_t)signature[0];
    p[1] = (uint8_t)signature[1];
    p[2] = (uint8_t)len;
    p[3] = 1; /* version */
    return p + 4;
}

static uint8_t *put_attributes(uint8_t *p, const struct file *file, uint32_t links)
{
    uint32_t mode = file->folder ? MODE_FOLDER : file->program ? MODE_PROGRAM : MODE_FILE;
    p = put_head(p, "PX", 36);
    p = put32_both(put32_both(put32_both(put32_both(p, mode), links), 0), 0); /* of root */
    p = put_head(p, "TF", 12);
    *p++ = 0x02; /* the time of modification alone */
    return put_time(p, file->modified);
}

static uint8_t *put_name(uint8_t *p, const char *name, size_t len)
{
    while (len > 0) {
        size_t part = MIN(len, NM_MAX);
        p = put_head(p, "NM", NM_HEAD + part);
        *p++ = part < len; /* it goes on */
        memcpy(p, name, part);
        p += part;
        name += part;
        len -= part;
    }
    return p;
}

/* RRIP 4.3: what the extension is called, and who describes it. */
static uint8_t *put_extension(uint8_t *p)
{
    static const char id[] = "RRIP_1991A", what[] = "THE ROCK RIDGE INTERCHANGE PROTOCOL", source[] = "IEEE P1282";
    uint8_t *start = p;
    p = put_head(p, "ER", 8 + sizeof id - 1 + sizeof what - 1 + sizeof source - 1);
    *p++ = sizeof id - 1;
    *p++ = sizeof what - 1;
    *p++ = sizeof source - 1;
    *p++ = 1;
    memcpy(p, id, sizeof id - 1);
    memcpy(p + sizeof id - 1, what, sizeof what - 1);
    memcpy(p + sizeof id + sizeof what - 2, source, sizeof source - 1);
    return start + start[2];
}

static uint8_t *put_more(const struct make_layout *l, uint8_t *p, uint32_t index)
{
    p = put_head(p, "CE", CE_BYTES);
    p = put32_both(put32_both(p, l->more_at[index]), l->more_offset[index]);
    return put32_both(p, (uint32_t)iso_more_bytes(&l->files->list[index]));
}

/* The room for a name in the record of a file with the longest short name. */
#define NM_ROOM (ISO_RECORD_MAX - (RECORD_HEAD + 15) - 36 - 12 - NM_HEAD)

size_t iso_more_bytes(const struct file *file)
{
    uint8_t bytes[256];
    size_t len = strlen(file->name);
    if (file->depth == 0) return (size_t)(put_extension(bytes) - bytes);
    return len <= NM_ROOM ? 0 : len + NM_HEAD * ((len + NM_MAX - 1) / NM_MAX);
}

static uint8_t *put_rock_ridge(const struct make_layout *l, uint8_t *p, enum iso_record kind, uint32_t index)
{
    const struct file *file = &l->files->list[index];
    uint32_t links = file->folder ? 2 + l->subfolders[index] : 1;
    if (kind == ISO_SELF && index == FILES_ROOT) {
        p = put_head(p, "SP", 7);
        *p++ = 0xbe;
        *p++ = 0xef;
        *p++ = 0;
        p = put_more(l, p, index);
    }
    p = put_attributes(p, file, links);
    if (kind != ISO_CHILD) return p;
    size_t len = strlen(file->name);
    return len <= NM_ROOM ? put_name(p, file->name, len) : put_more(l, p, index);
}

/* ---- directory records ---- */

static uint8_t *put_utf16(uint8_t *p, const struct iso_name *name)
{
    for (size_t i = 0; i < name->len; i++) p = put16_big(p, name->units[i]);
    return p;
}

static uint8_t *put_short(uint8_t *p, const char text[FILES_SHORT_BYTES], bool folder)
{
    for (size_t i = 0; i < FILES_SHORT_BYTES; i++) {
        if (i == 8 && !folder) *p++ = '.'; /* ECMA-119 7.5.1: also where nothing follows */
        if (text[i] != ' ') *p++ = (uint8_t)text[i];
    }
    return p;
}

static uint8_t *put_identifier(const struct make_layout *l, const struct iso_tree *t, uint8_t *p, uint32_t index)
{
    bool folder = l->files->list[index].folder;
    p = t->joliet ? put_utf16(p, &l->joliet[index]) : put_short(p, l->shorts[index], folder);
    if (folder) return p;
    if (t->joliet) *p++ = 0;
    *p++ = ';'; /* the version, ECMA-119 7.5.1 */
    if (t->joliet) *p++ = 0;
    *p++ = '1';
    return p;
}

/* Of one extent of a file, or of a folder: sector and bytes. */
static uint8_t *put_extent(const struct make_layout *l, const struct iso_tree *t, uint8_t *p, uint32_t index,
                           uint32_t extent)
{
    const struct file *file = &l->files->list[index];
    if (file->folder) return put32_both(put32_both(p, t->at[index]), t->bytes[index]);
    uint64_t before = extent * ISO_EXTENT_MAX;
    uint32_t at = file->size ? l->data_at[index] + (uint32_t)(before / ISO_SECTOR) : 0;
    return put32_both(put32_both(p, at), (uint32_t)MIN(file->size - before, ISO_EXTENT_MAX));
}

size_t iso_record(const struct make_layout *l, const struct iso_tree *t, enum iso_record kind, uint32_t index,
                  uint32_t extent, uint8_t ret[ISO_RECORD_MAX])
{
    if (kind == ISO_ABOVE) index = l->files->list[index].parent;
    const struct file *file = &l->files->list[index];
    memset(ret, 0, RECORD_HEAD);
    put_extent(l, t, ret + 2, index, extent);
    put_time(ret + 18, file->modified);
    ret[25] = (uint8_t)((file->folder ? FLAG_FOLDER : 0) | (extent + 1 < iso_extents(file) ? FLAG_GOES_ON : 0));
    put16_both(ret + 28, 1);
    uint8_t *p = ret + RECORD_HEAD;
    if (kind == ISO_CHILD)
        p = put_identifier(l, t, p, index);
    else
        *p++ = kind == ISO_ABOVE;
    ret[32] = (uint8_t)(p - ret - RECORD_HEAD);
    if (ret[32] % 2 == 0) *p++ = 0;
    if (!t->joliet) p = put_rock_ridge(l, p, kind, index);
    if ((p - ret) % 2) *p++ = 0;
    ret[0] = (uint8_t)(p - ret);
    return ret[0];
}

static int write_folder(const struct make_layout *l, const struct iso_tree *t, uint32_t folder, struct make_out *out,
                        struct err *e)
{
    uint8_t record[ISO_RECORD_MAX];
    uint64_t end = ((uint64_t)t->at[folder] * ISO_SECTOR) + t->bytes[folder];
    size_t len = iso_record(l, t, ISO_SELF, folder, 0, record);
    if (make_put(out, record, len, e) < 0) return -1;
    len = iso_record(l, t, ISO_ABOVE, folder, 0, record);
    if (make_put(out, record, len, e) < 0) return -1;
    for (uint32_t k = 0; k < t->order.count[folder]; k++) {
        uint32_t child = t->order.list[t->order.first[folder] + k], extents = iso_extents(&l->files->list[child]);
        for (uint32_t n = 0; n < extents; n++) {
            len = iso_record(l, t, ISO_CHILD, child, n, record);
            uint64_t left = ISO_SECTOR - out->at % ISO_SECTOR;
            if (len > left && make_zeros_to(out, out->at + left, e) < 0) return -1;
            if (make_put(out, record, len, e) < 0) return -1;
        }
    }
    return make_zeros_to(out, end, e);
}

/* ---- path tables ---- */

size_t iso_table_name(const struct make_layout *l, const struct iso_tree *t, uint32_t folder, uint8_t ret[256])
{
    ret[0] = 0;
    return folder == FILES_ROOT ? 1 : (size_t)(put_identifier(l, t, ret, folder) - ret);
}

static int write_table(const struct make_layout *l, const struct iso_tree *t, bool big, struct make_out *out,
                       struct err *e)
{
    if (make_zeros_to(out, (uint64_t)(big ? t->big_at : t->little_at) * ISO_SECTOR, e) < 0) return -1;
    for (uint32_t i = 0; i < l->files->folders; i++) {
        uint8_t entry[8 + 256 + 1] = {0};
        uint32_t folder = t->folders[i];
        uint16_t above = (uint16_t)t->numbers[l->files->list[folder].parent];
        size_t len = iso_table_name(l, t, folder, entry + 8);
        entry[0] = (uint8_t)len;
        if (big) put16_big(put32_big(entry + 2, t->at[folder]), above);
        else make_put16(make_put32(entry + 2, t->at[folder]), above);
        if (len % 2) entry[8 + len++] = 0;
        if (make_put(out, entry, 8 + len, e) < 0) return -1;
    }
    return 0;
}

/* ---- descriptors ---- */

/* Blanks where nothing is said, in either alphabet; an odd byte at the end is left. */
static void put_text(uint8_t *p, size_t len, bool joliet, const char *text)
{
    for (size_t i = 0; i < len / (joliet ? 2 : 1); i++) {
        uint8_t c = *text ? (uint8_t)*text++ : ' ';
        if (joliet) put16_big(p + 2 * i, c);
        else p[i] = c;
    }
}

/* Seventeen bytes, ECMA-119 8.4.26.1. */
static void put_date(uint8_t *p, int64_t when)
{
    struct tm tm;
    char text[17] = "0000000000000000";
    time_t t = (time_t)when;
    if (when && gmtime_r(&t, &tm)) strftime(text, sizeof text, "%Y%m%d%H%M%S00", &tm);
    memcpy(p, text, 16);
}

static int write_descriptor(const struct make_layout *l, const struct iso_tree *t, struct make_out *out, struct err *e)
{
    static const struct {
        uint16_t at, len;
        const char *text;
    } texts[] = {{8, 32, ""}, {190, 128, ""}, {318, 128, ""}, {446, 128, ""}, {574, 128, "TRAYD"},
                 {702, 37, ""}, {739, 37, ""}, {776, 37, ""}};
    uint8_t d[ISO_SECTOR] = {t->joliet ? 2 : 1, 'C', 'D', '0', '0', '1', 1};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) put_text(d + texts[i].at, texts[i].len, t->joliet, texts[i].text);
    put_text(d + 40, 32, t->joliet, l->rq->label);
    put32_both(d + 80, l->sectors);
    if (t->joliet) memcpy(d + 88, "%/E", 3); /* level 3: UCS-2 */
    put16_both(put16_both(put16_both(d + 120, 1), 1), ISO_SECTOR);
    put32_both(d + 132, t->table_bytes);
    make_put32(d + 140, t->little_at);
    put32_big(d + 148, t->big_at);
    uint8_t root[ISO_RECORD_MAX];
    iso_record(l, t, ISO_SELF, FILES_ROOT, 0, root);
    root[0] = RECORD_HEAD + 1; /* without Rock Ridge, ECMA-119 8.4.18 */
    memcpy(d + 156, root, RECORD_HEAD + 1);
    put_date(d + 813, l->rq->now);
    put_date(d + 830, l->rq->now);
    put_date(d + 847, 0);
    put_date(d + 864, 0);
    d[881] = 1; /* version of the structure */
    return make_put(out, d, sizeof d, e);
}

static int write_more(const struct make_layout *l, struct make_out *out, struct err *e)
{
    for (uint32_t i = 0; i < l->files->count; i++) {
        uint8_t bytes[600];
        const struct file *file = &l->files->list[i];
        if (iso_more_bytes(file) == 0) continue;
        uint64_t at = ((uint64_t)l->more_at[i] * ISO_SECTOR) + l->more_offset[i];
        uint8_t *end = i == FILES_ROOT ? put_extension(bytes) : put_name(bytes, file->name, strlen(file->name));
        if (make_zeros_to(out, at, e) < 0 || make_put(out, bytes, (size_t)(end - bytes), e) < 0) return -1;
    }
    return make_zeros_to(out, (uint64_t)l->more_end * ISO_SECTOR, e);
}

static int write_folders(const struct make_layout *l, const struct iso_tree *t, struct make_out *out, struct err *e)
{
    for (uint32_t i = 0; i < l->files->folders; i++)
        if (write_folder(l, t, t->folders[i], out, e) < 0) return -1;
    return 0;
}

static int write_files(const struct make_layout *l, struct make_out *out, struct err *e)
{
    for (uint32_t i = 1; i < l->files->count; i++) {
        if (l->files->list[i].folder) continue;
        if (make_zeros_to(out, (uint64_t)l->data_at[i] * ISO_SECTOR, e) < 0 ||
            l->rq->content(l->rq->owner, l->files, i, out, e) < 0)
            return -1;
    }
    return make_zeros_to(out, (uint64_t)l->sectors * ISO_SECTOR, e);
}

int iso_write(struct make_layout *l, struct make_out *out, struct err *e)
{
    static const uint8_t last[ISO_SECTOR] = {255, 'C', 'D', '0', '0', '1', 1};
    const struct iso_tree *plain = &l->trees[0], *joliet = &l->trees[1];
    if (make_zeros_to(out, (uint64_t)ISO_DESCRIPTORS_AT * ISO_SECTOR, e) < 0 ||
        write_descriptor(l, plain, out, e) < 0 || write_descriptor(l, joliet, out, e) < 0 ||
        make_put(out, last, sizeof last, e) < 0)
        return -1;
    for (size_t i = 0; i < 2 * ARRAY_LEN(l->trees); i++)
        if (write_table(l, &l->trees[i / 2], i % 2, out, e) < 0) return -1;
    if (make_zeros_to(out, (uint64_t)plain->at[FILES_ROOT] * ISO_SECTOR, e) < 0 ||
        write_folders(l, plain, out, e) < 0 || write_more(l, out, e) < 0 || write_folders(l, joliet, out, e) < 0)
        return -1;
    return write_files(l, out, e);
}
