#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "images/unpack_name.h"
#include "images/unpack_stream.h"

#define ENTRIES_MAX 10000 /* looked at in a ZIP archive that should hold one image */

struct reading {
    struct unpack *u;
    bool failed; /* the input could not be read */
};

static la_ssize_t take_input(struct archive *a, void *owner, const void **ret)
{
    struct reading *r = owner;
    ssize_t n = unpack_read(r->u);
    *ret = r->u->data;
    if (n >= 0) return n;
    r->failed = true;
    archive_set_error(a, EIO, "The data cannot be read");
    return -1;
}

static int fail(struct archive *a, const char *format, struct err *e)
{
    const char *text = archive_error_string(a);
    return err_set(e, ERR_ARCHIVE_UNUSABLE, "The %s data are damaged: %s", format, text ? text : "they end too early");
}

static const struct {
    const char *format;
    int (*filter)(struct archive *);
    int (*reader)(struct archive *);
} kinds[] = {
    {"xz", archive_read_support_filter_xz, archive_read_support_format_raw},
    {"zstd", archive_read_support_filter_zstd, archive_read_support_format_raw},
    {"bzip2", archive_read_support_filter_bzip2, archive_read_support_format_raw},
    {"zip", archive_read_support_filter_none, archive_read_support_format_zip_streamable},
};

/* Warnings count: a checksum that differs is one to libarchive. Holes are written as zeros. */
static int copy_entry(struct archive *a, struct unpack *u, const char *format, struct err *e)
{
    static const uint8_t zeros[4096];
    for (;;) {
        const void *data;
        size_t len;
        la_int64_t offset;
        int result = archive_read_data_block(a, &data, &len, &offset);
        if (result == ARCHIVE_EOF) return 0;
        if (result != ARCHIVE_OK) return fail(a, format, e);
        if (offset < 0 || (uint64_t)offset < u->written)
            return err_set(e, ERR_ARCHIVE_UNUSABLE, "The %s data are out of order", format);
        while (u->written < (uint64_t)offset)
            if (unpack_write(u, zeros, MIN(sizeof zeros, (uint64_t)offset - u->written), e) < 0) return -1;
        if (unpack_write(u, data, len, e) < 0) return -1;
    }
}

/* One stream. More than one filter: somebody packed it twice, and what comes out might go on and on. */
static int copy_stream(struct archive *a, struct unpack *u, const char *format, struct err *e)
{
    struct archive_entry *entry;
    if (archive_read_next_header(a, &entry) != ARCHIVE_OK) return fail(a, format, e);
    if (archive_filter_count(a) != 2)
        return err_set(e, ERR_ARCHIVE_UNUSABLE, "The %s data are packed more than once", format);
    if (copy_entry(a, u, format, e) < 0) return -1;
    int result = archive_read_next_header(a, &entry);
    return result == ARCHIVE_EOF ? 0 : fail(a, format, e);
}

static bool is_image(struct archive_entry *entry)
{
    const char *path = archive_entry_pathname(entry);
    if (!path || archive_entry_filetype(entry) != AE_IFREG || strncmp(path, "__MACOSX/", 9) == 0) return false;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return name[0] != '.' && unpack_name_is_image(name);
}

static int copy_image(struct archive *a, struct unpack *u, struct err *e)
{
    bool found = false;
    struct archive_entry *entry;
    for (int entries = 0; entries < ENTRIES_MAX; entries++) {
        int result = archive_read_next_header(a, &entry);
        if (result == ARCHIVE_EOF)
            return found ? 0 : err_set(e, ERR_ARCHIVE_UNUSABLE, "There is no image in the ZIP archive (*.iso, *.img)");
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return fail(a, "zip", e); /* a warning is about a name */
        if (!is_image(entry)) continue;
        if (found) return err_set(e, ERR_ARCHIVE_UNUSABLE, "There is more than one image in the ZIP archive");
        found = true;
        if (archive_entry_is_encrypted(entry))
            return err_set(e, ERR_ARCHIVE_UNUSABLE, "The ZIP archive needs a password");
        if (archive_entry_size_is_set(entry) && (uint64_t)archive_entry_size(entry) > u->io->largest)
            return unpack_too_large(u, e);
        if (copy_entry(a, u, "zip", e) < 0) return -1;
    }
    return err_set(e, ERR_ARCHIVE_UNUSABLE, "There are more than %d files in the ZIP archive", ENTRIES_MAX);
}

int unpack_archive(struct unpack *u, const char *format, struct err *e)
{
    struct reading r = {.u = u};
    struct archive *a = archive_read_new();
    size_t kind = 0;
    while (strcmp(kinds[kind].format, format) != 0) kind++; /* unpack_stream() knows them all */
    if (!a) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    int result = -1;
    /* ARCHIVE_WARN from a filter means that a program would be started for it: this build of libarchive lacks it. */
    if (kinds[kind].filter(a) != ARCHIVE_OK || kinds[kind].reader(a) != ARCHIVE_OK)
        err_set(e, ERR_ARCHIVE_UNUSABLE, "This system's libarchive cannot read %s", format);
    else if (archive_read_open(a, &r, NULL, take_input, NULL) != ARCHIVE_OK)
        fail(a, format, e);
    else
        result = strcmp(format, "zip") == 0 ? copy_image(a, u, e) : copy_stream(a, u, format, e);
    archive_read_free(a);
    if (r.failed && result == 0) result = err_set(e, ERR_ARCHIVE_UNUSABLE, "The %s data cannot be read", format);
    return result;
}
