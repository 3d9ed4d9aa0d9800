#include "images/files.h"

#include <stdio.h>
#include <string.h>
#include <unistr.h>

#include "base/parse.h"

#define ROOM_FIRST 256
#define SLOTS_PER_FILE 2 /* so that the table is never more than half full */

/* ---- a table of names ---- */

static uint32_t hash(uint32_t parent, const char *name, size_t len)
{
    uint32_t h = 2166136261U ^ parent; /* FNV-1a */
    for (size_t i = 0; i < len; i++) h = (h ^ (uint8_t)name[i]) * 16777619U;
    return h ^ h >> 15;
}

static uint32_t *slot(const struct files *f, uint32_t parent, const char *name, size_t len)
{
    uint32_t i = hash(parent, name, len) % f->slots;
    for (; f->table[i]; i = (i + 1) % f->slots) {
        const struct file *other = &f->list[f->table[i] - 1];
        if (other->parent == parent && strlen(other->name) == len && memcmp(other->name, name, len) == 0) break;
    }
    return &f->table[i];
}

static int out_of_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "Out of memory");
}

static int grow(struct files *f, struct err *e)
{
    uint32_t room = f->room ? 2 * f->room : ROOM_FIRST;
    struct file *list = realloc(f->list, room * sizeof *list);
    if (list) f->list = list;
    uint32_t *table = calloc((size_t)room * SLOTS_PER_FILE, sizeof *table);
    if (!list || !table) {
        free(table);
        return out_of_memory(e);
    }
    free(f->table);
    f->table = table;
    f->room = room;
    f->slots = room * SLOTS_PER_FILE;
    for (uint32_t i = 1; i < f->count; i++)
        *slot(f, f->list[i].parent, f->list[i].name, strlen(f->list[i].name)) = i + 1;
    return 0;
}

int files_init(struct files *f, struct err *e)
{
    *f = (struct files){0};
    if (grow(f, e) < 0) {
        files_done(f);
        return -1;
    }
    f->list[FILES_ROOT] = (struct file){.name = "", .folder = true};
    f->count = f->folders = 1;
    return 0;
}

void files_done(struct files *f)
{
    for (uint32_t i = 1; i < f->count; i++) free((char *)(uintptr_t)f->list[i].name);
    free(f->list);
    free(f->table);
    *f = (struct files){0};
}

/* ---- messages ---- */

static void printable(char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text < ' ' || *text == 0x7f) *text = '?';
}

void files_shown(const char *path, char ret[FILES_SHOWN_MAX + 1])
{
    snprintf(ret, FILES_SHOWN_MAX + 1, "%s", path);
    printable(ret);
}

void files_path(const struct files *f, uint32_t index, char ret[FILES_SHOWN_MAX + 1])
{
    char *at = ret + FILES_SHOWN_MAX;
    *at = '\0';
    for (uint32_t i = index; i != FILES_ROOT; i = f->list[i].parent) {
        size_t len = strlen(f->list[i].name);
        bool slash = i != index;
        if (len + slash > (size_t)(at - ret)) break;
        if (slash) *--at = '/';
        at -= len;
        memcpy(at, f->list[i].name, len);
    }
    memmove(ret, at, strlen(at) + 1);
    printable(ret);
}

/* ---- adding ---- */

static int refuse(const char *path, const char *why, struct err *e)
{
    char shown[FILES_SHOWN_MAX + 1];
    files_shown(path, shown);
    return err_set(e, ERR_FILES_UNUSABLE, "\"%s\" %s", shown, why);
}

static int append(struct files *f, uint32_t parent, const char *name, size_t len, const struct file *what, struct err *e)
{
    if (f->count > FILES_MAX)
        return err_set(e, ERR_FILES_UNUSABLE, "There are more than %d files and folders", FILES_MAX);
    if (what->folder && f->folders == FILES_FOLDERS_MAX)
        return err_set(e, ERR_FILES_UNUSABLE, "There are more than %d folders", FILES_FOLDERS_MAX);
    if (f->count == f->room && grow(f, e) < 0) return -1;
    char *copy = strndup(name, len);
    if (!copy) return out_of_memory(e);
    struct file *file = &f->list[f->count];
    *file = *what;
    file->name = copy;
    file->parent = parent;
    file->depth = f->list[parent].depth + 1;
    if (file->folder) file->size = 0;
    *slot(f, parent, name, len) = ++f->count;
    f->folders += file->folder;
    return 0;
}

static const char *bad_name(const char *name, size_t len)
{
    if (len == 0) return "has an empty name in it";
    if (len == 2 && memcmp(name, "..", 2) == 0) return "leads out of the archive";
    if (len > FILES_NAME_MAX) return "has a name of more than 255 bytes";
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)name[i] < ' ' || name[i] == 0x7f || name[i] == '\\')
            return "has a control character or a backslash in its name";
    return NULL;
}

/* The folder for what comes next; made where it is missing, as old as what is in it. */
static int enter(struct files *f, uint32_t *at, const char *path, const char *name, size_t len, const struct file *what,
                 struct err *e)
{
    uint32_t found = *slot(f, *at, name, len);
    const struct file folder = {.folder = true, .modified = what->modified};
    if (found && !f->list[found - 1].folder) return refuse(path, "lies in what is a file itself", e);
    if (!found && append(f, *at, name, len, &folder, e) < 0) return -1;
    *at = found ? found - 1 : f->count - 1;
    return 0;
}

int files_add(struct files *f, const char *path, const struct file *what, struct err *e)
{
    uint32_t at = FILES_ROOT;
    if (!parse_is_utf8(path, strlen(path))) return refuse(path, "is not named in UTF-8", e);
    if (path[0] == '/') return refuse(path, "has an absolute name", e);
    for (const char *name = path;;) {
        size_t len = strcspn(name, "/");
        bool last = name[len] == '\0' || (name[len + 1] == '\0' && what->folder);
        bool here = len == 1 && name[0] == '.';
        const char *bad = here ? NULL : bad_name(name, len);
        if (bad) return refuse(path, bad, e);
        if (f->list[at].depth == FILES_DEPTH_MAX) return refuse(path, "lies too deep: there may be 64 folders above it", e);
        if (last && here && !what->folder) return refuse(path, "has no name", e);
        if (last && !what->folder) {
            uint32_t found = *slot(f, at, name, len);
            return found ? refuse(path, "is there twice", e) : append(f, at, name, len, what, e);
        }
        if (!here && enter(f, &at, path, name, len, what, e) < 0) return -1;
        if (last) break;
        name += len + 1;
    }
    if (at != FILES_ROOT) f->list[at].modified = what->modified;
    return 0;
}

/* ---- order ---- */

struct sorting {
    const struct files *files;
    int (*compare)(uint32_t a, uint32_t b, void *owner);
    void *owner;
};

static int by_folder(const void *a, const void *b, void *owner)
{
    const struct sorting *s = owner;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint32_t above_x = s->files->list[x].parent, above_y = s->files->list[y].parent;
    if (above_x != above_y) return above_x < above_y ? -1 : 1;
    return x == y ? 0 : s->compare(x, y, s->owner);
}

static int look_for_twins(const struct sorting *s, const struct files_order *o, const char *why, struct err *e)
{
    for (uint32_t i = 1; i + 1 < s->files->count; i++) {
        char a[FILES_SHOWN_MAX + 1], b[FILES_SHOWN_MAX + 1];
        if (by_folder(&o->list[i - 1], &o->list[i], (void *)(uintptr_t)s) != 0) continue;
        files_path(s->files, o->list[i - 1], a);
        files_path(s->files, o->list[i], b);
        return err_set(e, ERR_FILES_UNUSABLE, "\"%s\" and \"%s\" %s", a, b, why);
    }
    return 0;
}

int files_sort(const struct files *f, int (*compare)(uint32_t a, uint32_t b, void *owner), void *owner,
               const char *why, struct files_order *ret, struct err *e)
{
    struct sorting s = {f, compare, owner};
    *ret = (struct files_order){calloc(f->count, sizeof(uint32_t)), calloc(f->count, sizeof(uint32_t)),
                                calloc(f->count, sizeof(uint32_t))};
    if (!ret->list || !ret->first || !ret->count) {
        files_order_done(ret);
        return out_of_memory(e);
    }
    for (uint32_t i = 1; i < f->count; i++) ret->list[i - 1] = i;
    qsort_r(ret->list, f->count - 1, sizeof *ret->list, by_folder, &s);
    for (uint32_t i = 0; i + 1 < f->count; i++) {
        uint32_t above = f->list[ret->list[i]].parent;
        if (ret->count[above]++ == 0) ret->first[above] = i;
    }
    if (look_for_twins(&s, ret, why, e) == 0) return 0;
    files_order_done(ret);
    return -1;
}

void files_order_done(struct files_order *o)
{
    free(o->list);
    free(o->first);
    free(o->count);
    *o = (struct files_order){0};
}

/* ---- UTF-16 ---- */

size_t files_utf16(const char *name, uint16_t ret[FILES_UNITS_MAX])
{
    size_t len = FILES_UNITS_MAX;
    uint16_t *result = u8_to_u16((const uint8_t *)name, strlen(name), ret, &len);
    if (result == ret) return len;
    free(result); /* cannot be: a name of 255 bytes has no more units */
    return 0;
}
