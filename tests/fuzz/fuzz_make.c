/*
 * A ZIP archive that becomes a disc: whatever the bytes are, it ends with an image as large as was said before, or with a
 * reason. The first byte of the input says which kind of disc.
 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "images/files_archive.h"

#define LARGEST (64 << 20)

struct memory {
    const uint8_t *data;
    int64_t len, at;
};

static ssize_t read_memory(void *owner, void *data, size_t max)
{
    struct memory *m = owner;
    int64_t n = m->len - m->at < (int64_t)max ? m->len - m->at : (int64_t)max;
    if (n > 0) memcpy(data, m->data + m->at, (size_t)n);
    m->at += n > 0 ? n : 0;
    return n > 0 ? (ssize_t)n : 0;
}

static int64_t seek_memory(void *owner, int64_t offset, int whence)
{
    struct memory *m = owner;
    int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? m->at : m->len, at;
    if (__builtin_add_overflow(base, offset, &at) || at < 0) return -1;
    return m->at = at;
}

static int write_nothing(void *owner, const void *data, size_t len, struct err *e)
{
    static volatile uint8_t seen;
    (void)owner, (void)e;
    for (size_t i = 0; i < len; i += i < 4096 ? 1 : 4096) seen ^= ((const uint8_t *)data)[i]; /* it can be read */
    return 0;
}

static int make(const struct make_maker *maker, struct files *files, const struct archive_io *io, struct err *e)
{
    uint64_t bytes = 0;
    struct make_request rq = {.files = files, .label = "FUZZ", .now = 1000000000, .content = files_archive_content};
    struct make_layout *layout = maker->plan(&rq, &bytes, e);
    if (!layout) return -1;
    int result = 0;
    struct files_archive *archive = bytes <= LARGEST ? files_archive_open(io, e) : NULL;
    if (archive) {
        struct make_out out = {.write = write_nothing};
        rq.owner = archive;
        result = maker->write(layout, &out, e);
        if (out.at > bytes || (result == 0 && out.at != bytes)) abort();
        files_archive_close(archive);
    }
    maker->free(layout);
    return result;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    setlocale(LC_CTYPE, "C.UTF-8"); /* as the helper */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) return 0;
    struct memory m = {.data = data + 1, .len = (int64_t)len - 1};
    const struct archive_io io = {.owner = &m, .read = read_memory, .seek = seek_memory};
    struct files files;
    struct err e = {0};
    if (files_init(&files, &e) < 0) return 0;
    int result = files_archive_list(&io, &files, &e);
    if (result == 0) result = make(data[0] % 2 ? &make_fat32 : &make_iso9660, &files, &io, &e);
    if (result < 0 && (e.code == ERR_NONE || !e.text[0])) abort();
    files_done(&files);
    return 0;
}
