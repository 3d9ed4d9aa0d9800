#include "images/disc_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define READ_BYTES (64 * 1024)

struct item {
    char *name;
    json_t *json;
};

struct walk {
    const struct archive_io *io;
    const struct disc_query *query;
    struct item *items; /* the first ones so far, in order: one more than the limit */
    size_t count;
    bool folder_seen;   /* the folder itself, or something in it */
    uint8_t data[READ_BYTES];
};

static la_ssize_t take_input(struct archive *a, void *owner, const void **ret)
{
    struct walk *w = owner;
    ssize_t n = w->io->read(w->io->owner, w->data, sizeof w->data);
    *ret = w->data;
    if (n >= 0) return n;
    archive_set_error(a, errno, "The image cannot be read");
    return -1;
}

static la_int64_t skip_input(attr_unused struct archive *a, void *owner, la_int64_t bytes)
{
    struct walk *w = owner;
    int64_t before = w->io->seek(w->io->owner, 0, SEEK_CUR), end = w->io->seek(w->io->owner, 0, SEEK_END);
    int64_t to = bytes > end - before ? end : before + bytes; /* a place behind the end says nothing to libarchive */
    return w->io->seek(w->io->owner, to, SEEK_SET) < 0 ? -1 : to - before;
}

static la_int64_t seek_input(attr_unused struct archive *a, void *owner, la_int64_t offset, int whence)
{
    struct walk *w = owner;
    int64_t at = w->io->seek(w->io->owner, offset, whence);
    return at < 0 ? ARCHIVE_FATAL : at;
}

/* ---- the page ---- */

static json_t *describe(struct archive_entry *entry, const char *name)
{
    unsigned kind = archive_entry_filetype(entry);
    json_t *json = json_object();
    if (!json) return NULL;
    json_put_text(json, "name", name);
    json_put_text(json, "type", kind == AE_IFDIR ? "folder" : kind == AE_IFREG ? "file" : kind == AE_IFLNK ? "link" : "other");
    json_put(json, "size", kind == AE_IFREG ? json_integer(archive_entry_size(entry)) : NULL);
    json_put_time(json, "modified", archive_entry_mtime_is_set(entry) ? (msec)archive_entry_mtime(entry) * 1000 : 0);
    return json;
}

static int keep(struct walk *w, struct archive_entry *entry, const char *name, struct err *e)
{
    size_t at = w->count, room = w->query->limit + 1;
    if (strcmp(name, w->query->after) <= 0) return 0;
    while (at > 0 && strcmp(w->items[at - 1].name, name) > 0) at--;
    if (at == room || (at > 0 && strcmp(w->items[at - 1].name, name) == 0)) return 0; /* of two equal ones the first counts */
    struct item item = {strdup(name), describe(entry, name)};
    if (!item.name || !item.json) {
        free(item.name);
        json_decref(item.json);
        return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    }
    if (w->count == room) {
        free(w->items[--w->count].name);
        json_decref(w->items[w->count].json);
    }
    memmove(&w->items[at + 1], &w->items[at], (w->count - at) * sizeof item);
    w->items[at] = item;
    w->count++;
    return 0;
}

/* What of the path lies in the folder that is asked for, as far as the next slash; NULL where nothing does. */
static const char *name_inside(struct walk *w, const char *path, char name[NAME_BYTES_MAX + 1])
{
    size_t len = strlen(w->query->path);
    if (strcmp(path, ".") == 0) path = "";
    if (strncmp(path, w->query->path, len) != 0) return NULL;
    path += len;
    if (len > 0 && *path == '/') path++;
    else if (len > 0 && *path) return NULL;
    w->folder_seen = true;
    size_t n = strcspn(path, "/");
    if (n == 0 || path[n] || n > NAME_BYTES_MAX) return NULL; /* what lies deeper has a folder of its own */
    memcpy(name, path, n);
    name[n] = '\0';
    return name;
}

static int take(struct walk *w, struct archive_entry *entry, struct err *e)
{
    char name[NAME_BYTES_MAX + 1];
    const char *path = archive_entry_pathname(entry);
    if (!path) path = archive_entry_pathname_utf8(entry);
    if (!path || !name_inside(w, path, name)) return 0;
    return keep(w, entry, name, e);
}

/* ---- the walk ---- */

static int unreadable(struct archive *a, struct err *e)
{
    const char *text = archive_error_string(a);
    if (archive_errno(a) == ENOMEM) return err_set(e, ERR_FILES_UNKNOWN, "There are too many names on the disc");
    return err_set(e, ERR_FILES_UNKNOWN, "The disc's directories cannot be read: %s", text ? text : "they end too early");
}

static int walk(struct archive *a, struct walk *w, struct err *e)
{
    struct archive_entry *entry;
    for (int n = 0; n < DISC_ENTRIES_MAX; n++) {
        int result = archive_read_next_header(a, &entry);
        if (result == ARCHIVE_EOF) return 0;
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return unreadable(a, e); /* a warning is about a name */
        if (take(w, entry, e) < 0) return -1;
    }
    return err_set(e, ERR_FILES_UNKNOWN, "There are more than %d names on the disc", DISC_ENTRIES_MAX);
}

static int list(struct walk *w, struct err *e)
{
    struct archive *a = archive_read_new();
    if (!a) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    int result = -1;
    if (w->io->seek(w->io->owner, 0, SEEK_SET) == 0 && archive_read_support_format_iso9660(a) == ARCHIVE_OK &&
        archive_read_set_callback_data(a, w) == ARCHIVE_OK && archive_read_set_read_callback(a, take_input) == ARCHIVE_OK &&
        archive_read_set_skip_callback(a, skip_input) == ARCHIVE_OK &&
        archive_read_set_seek_callback(a, seek_input) == ARCHIVE_OK && archive_read_open1(a) == ARCHIVE_OK)
        result = walk(a, w, e);
    else
        err_set(e, ERR_FILES_UNKNOWN, "It is no disc with ISO 9660 on it");
    archive_read_free(a);
    return result;
}

int disc_archive_list(const struct archive_io *io, const struct disc_query *q, void (*found)(void *owner, json_t *file),
                      void *owner, bool *ret_more, struct err *e)
{
    struct walk *w = calloc(1, sizeof *w);
    if (w) w->items = calloc(q->limit + 2, sizeof *w->items);
    if (!w || !w->items) {
        free(w);
        return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    }
    w->io = io;
    w->query = q;
    int result = list(w, e);
    if (result == 0 && q->path[0] && !w->folder_seen)
        result = err_set(e, ERR_NOT_FOUND, "There is no folder \"%.200s\" on the disc", q->path);
    *ret_more = w->count > q->limit;
    for (size_t i = 0; i < w->count; i++) {
        if (result == 0 && i < q->limit) found(owner, json_incref(w->items[i].json));
        json_decref(w->items[i].json);
        free(w->items[i].name);
    }
    free(w->items);
    free(w);
    return result;
}
