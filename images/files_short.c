#include <stdio.h>
#include <string.h>

#include "images/files.h"

#define BASE 8
#define ENDING 3

/* ---- what a name is without its luxuries ---- */

static char plain(char c, const struct files_short_rules *rules, bool *whole)
{
    if (c >= 'a' && c <= 'z') return (char)(c - 'a' + 'A');
    if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(rules->others, c))) return c;
    *whole = false;
    return '_';
}

static size_t fill(const char *text, size_t len, size_t max, const struct files_short_rules *rules, char *ret, bool *whole)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (((uint8_t)text[i] & 0xc0) == 0x80) continue; /* of a character that is '_' already */
        if (n == max) {
            *whole = false;
            break;
        }
        ret[n++] = plain(text[i], rules, whole);
    }
    return n;
}

/* Returns whether nothing of the name was lost but its small letters. */
static bool shorten(const struct file *file, const struct files_short_rules *rules, char ret[FILES_SHORT_BYTES])
{
    bool whole = true;
    const char *name = file->name, *dot = strrchr(name, '.');
    if (dot == name || (file->folder && !rules->folder_endings)) dot = NULL;
    size_t base = dot ? (size_t)(dot - name) : strlen(name);
    memset(ret, ' ', FILES_SHORT_BYTES);
    size_t n = fill(name, base, BASE, rules, ret, &whole);
    size_t ending = dot ? fill(dot + 1, strlen(dot + 1), ENDING, rules, ret + BASE, &whole) : 0;
    return whole && n > 0 && (!dot || ending > 0);
}

/* ---- unique within a folder ---- */

struct names {
    const struct files *files;
    char (*list)[FILES_SHORT_BYTES];
    uint32_t *table, slots; /* index + 1 */
};

static uint32_t *slot(const struct names *n, uint32_t parent, const char text[FILES_SHORT_BYTES])
{
    uint32_t h = 2166136261U ^ parent;
    for (size_t i = 0; i < FILES_SHORT_BYTES; i++) h = (h ^ (uint8_t)text[i]) * 16777619U;
    uint32_t at = (h ^ h >> 15) % n->slots;
    for (; n->table[at]; at = (at + 1) % n->slots) {
        uint32_t other = n->table[at] - 1;
        if (n->files->list[other].parent == parent && memcmp(n->list[other], text, FILES_SHORT_BYTES) == 0) break;
    }
    return &n->table[at];
}

/* The number is of the folder, not of the name, so that a thousand similar names are not tried a thousand times each. */
static void number(const struct names *n, uint32_t index, char mark, uint32_t *counter)
{
    char base[BASE], text[FILES_SHORT_BYTES], digits[16];
    uint32_t *place;
    memcpy(base, n->list[index], sizeof base);
    memcpy(text, n->list[index], sizeof text);
    do {
        size_t len = (size_t)snprintf(digits, sizeof digits, "%c%u", mark, ++*counter), keep = BASE - len;
        while (keep > 0 && base[keep - 1] == ' ') keep--;
        memset(text, ' ', BASE);
        memcpy(text, base, keep);
        memcpy(text + keep, digits, len);
        place = slot(n, n->files->list[index].parent, text);
    } while (*place);
    memcpy(n->list[index], text, sizeof text);
    *place = index + 1;
}

static int make_unique(struct names *n, const struct files_short_rules *rules, struct err *e)
{
    cleanup_free uint32_t *counters = calloc(n->files->count, sizeof *counters);
    cleanup_free bool *done = calloc(n->files->count, sizeof *done);
    if (!counters || !done) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    for (uint32_t i = 1; i < n->files->count; i++) {
        if (!shorten(&n->files->list[i], rules, n->list[i])) continue;
        uint32_t *place = slot(n, n->files->list[i].parent, n->list[i]);
        if (*place) continue;
        *place = i + 1;
        done[i] = true;
    }
    for (uint32_t i = 1; i < n->files->count; i++)
        if (!done[i]) number(n, i, rules->mark, &counters[n->files->list[i].parent]);
    return 0;
}

int files_short(const struct files *f, const struct files_short_rules *rules, char (**ret)[FILES_SHORT_BYTES],
                struct err *e)
{
    struct names n = {.files = f, .slots = 2 * f->count + 1};
    n.list = calloc(f->count, sizeof *n.list);
    n.table = calloc(n.slots, sizeof *n.table);
    int result = n.list && n.table ? make_unique(&n, rules, e) : err_set(e, ERR_UNAVAILABLE, "Out of memory");
    free(n.table);
    if (result < 0) free(n.list);
    else *ret = n.list;
    return result;
}

bool files_short_is_whole(const char *name, const char text[FILES_SHORT_BYTES])
{
    char whole[FILES_SHORT_BYTES + 2];
    size_t n = 0;
    for (size_t i = 0; i < FILES_SHORT_BYTES; i++) {
        if (text[i] == ' ') continue;
        if (i >= BASE && (n == 0 || !memchr(whole, '.', n))) whole[n++] = '.';
        whole[n++] = text[i];
    }
    return strlen(name) == n && memcmp(name, whole, n) == 0;
}
