#include "images/files_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"

/* Bytes read at once: each file begins with a seek, which throws away what was read ahead. */
#define READ_BYTES (16 * 1024)

struct files_archive {
    const struct archive_io *io;
    struct archive *archive;
    uint8_t data[READ_BYTES];
};

static la_ssize_t take_input(struct archive *a, void *owner, const void **ret)
{
    struct files_archive *f = owner;
    ssize_t n = f->io->read(f->io->owner, f->data, sizeof f->data);
    *ret = f->data;
    if (n >= 0) return n;
    archive_set_error(a, errno, "The data cannot be read");
    return -1;
}

static la_int64_t seek_input(struct archive *a, void *owner, la_int64_t offset, int whence)
{
    struct files_archive *f = owner;
    int64_t at = f->io->seek(f->io->owner, offset, whence);
    if (at >= 0) return at;
    archive_set_error(a, errno, "The data lie outside");
    return ARCHIVE_FATAL;
}

static int damaged(struct archive *a, const char *name, struct err *e)
{
    char shown[FILES_SHOWN_MAX + 1];
    const char *text = archive_error_string(a);
    if (archive_errno(a) == ENOMEM) return err_set(e, ERR_FILES_UNUSABLE, "There is too much in the ZIP archive");
    if (!name) return err_set(e, ERR_ARCHIVE_UNUSABLE, "The ZIP archive is damaged: %s", text ? text : "it is cut short");
    files_shown(name, shown);
    return err_set(e, ERR_ARCHIVE_UNUSABLE, "\"%s\" in the ZIP archive is damaged: %s", shown,
                   text ? text : "it is cut short");
}

struct files_archive *files_archive_open(const struct archive_io *io, struct err *e)
{
    struct files_archive *f = calloc(1, sizeof *f);
    if (f) f->archive = archive_read_new();
    if (!f || !f->archive) {
        free(f);
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    f->io = io;
    struct archive *a = f->archive;
    if (io->seek(io->owner, 0, SEEK_SET) == 0 && archive_read_support_format_zip_seekable(a) == ARCHIVE_OK &&
        archive_read_set_callback_data(a, f) == ARCHIVE_OK && archive_read_set_read_callback(a, take_input) == ARCHIVE_OK &&
        archive_read_set_seek_callback(a, seek_input) == ARCHIVE_OK && archive_read_open1(a) == ARCHIVE_OK)
        return f;
    err_set(e, ERR_ARCHIVE_UNUSABLE, "It is no ZIP archive, or one that is cut short");
    files_archive_close(f);
    return NULL;
}

void files_archive_close(struct files_archive *f)
{
    if (!f) return;
    archive_read_free(f->archive);
    free(f);
}

/* The next file or folder: 1 with *ret_path, 0 at the end, -1 with *e. A warning is about a name, or about two places of
 * the archive that contradict each other. */
static int next(struct files_archive *f, struct archive_entry **ret, const char **ret_path, struct err *e)
{
    int result = archive_read_next_header(f->archive, ret);
    if (result == ARCHIVE_EOF) return 0;
    *ret_path = NULL;
    if (result == ARCHIVE_OK || result == ARCHIVE_WARN) {
        *ret_path = archive_entry_pathname(*ret);
        if (!*ret_path) return err_set(e, ERR_FILES_UNUSABLE, "A file in the ZIP archive has no name in UTF-8");
        if (result == ARCHIVE_OK || !parse_is_utf8(*ret_path, strlen(*ret_path))) return 1;
    }
    return damaged(f->archive, *ret_path, e);
}

static int refuse(const char *path, const char *why, struct err *e)
{
    char shown[FILES_SHOWN_MAX + 1];
    files_shown(path, shown);
    return err_set(e, ERR_FILES_UNUSABLE, "\"%s\" %s", shown, why);
}

static int add(struct files *f, struct archive_entry *entry, const char *path, struct err *e)
{
    unsigned kind = archive_entry_filetype(entry);
    const struct file what = {
        .folder = kind == AE_IFDIR, .program = kind == AE_IFREG && (archive_entry_mode(entry) & 0100),
        .size = kind == AE_IFREG ? (uint64_t)archive_entry_size(entry) : 0, .modified = archive_entry_mtime(entry),
    };
    if (kind == AE_IFLNK) return refuse(path, "is a symbolic link", e);
    if (kind != AE_IFREG && kind != AE_IFDIR) return refuse(path, "is neither a file nor a folder", e);
    if (archive_entry_is_encrypted(entry)) return refuse(path, "needs a password", e);
    if (kind == AE_IFREG && (!archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0))
        return refuse(path, "has no size", e);
    return files_add(f, path, &what, e);
}

int files_archive_list(const struct archive_io *io, struct files *f, struct err *e)
{
    struct archive_entry *entry;
    const char *path;
    int result;
    struct files_archive *a = files_archive_open(io, e);
    if (!a) return -1;
    while ((result = next(a, &entry, &path, e)) > 0)
        if (add(f, entry, path, e) < 0) {
            result = -1;
            break;
        }
    files_archive_close(a);
    if (result == 0 && f->count == 1) return err_set(e, ERR_FILES_UNUSABLE, "There is nothing in the ZIP archive");
    return result;
}

/* ---- bytes ---- */

static int changed(const char *path, struct err *e)
{
    char shown[FILES_SHOWN_MAX + 1];
    files_shown(path, shown);
    return err_set(e, ERR_ARCHIVE_UNUSABLE, "\"%s\" in the ZIP archive is not as large as its directory says", shown);
}

static int copy(struct files_archive *f, const char *path, uint64_t size, struct make_out *out, struct err *e)
{
    uint64_t begin = out->at;
    for (;;) {
        const void *data;
        size_t len;
        la_int64_t offset;
        int result = archive_read_data_block(f->archive, &data, &len, &offset);
        if (result == ARCHIVE_EOF) break;
        if (result != ARCHIVE_OK) return damaged(f->archive, path, e);
        if (offset < 0 || (uint64_t)offset != out->at - begin || len > size - (out->at - begin)) return changed(path, e);
        if (make_put(out, data, len, e) < 0) return -1;
    }
    return out->at - begin == size ? 0 : changed(path, e);
}

int files_archive_content(void *owner, const struct files *f, uint32_t index, struct make_out *out, struct err *e)
{
    struct files_archive *a = owner;
    struct archive_entry *entry;
    const char *path;
    int result;
    while ((result = next(a, &entry, &path, e)) > 0)
        if (archive_entry_filetype(entry) == AE_IFREG) return copy(a, path, f->list[index].size, out, e);
    return result < 0 ? -1 : err_set(e, ERR_ARCHIVE_UNUSABLE, "The ZIP archive ends too early");
}
