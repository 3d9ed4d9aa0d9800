#include "images/unpack_stream.h"

#include <errno.h>
#include <string.h>

static ssize_t read_some(const struct unpack *u, uint8_t *data, size_t max)
{
    ssize_t n;
    do {
        n = u->io->read(u->io->owner, data, max);
    } while (n < 0 && errno == EINTR);
    return n;
}

ssize_t unpack_read(struct unpack *u)
{
    size_t len = u->len;
    u->len = 0;
    return len ? (ssize_t)len : read_some(u, u->data, sizeof u->data);
}

int unpack_too_large(const struct unpack *u, struct err *e)
{
    return err_set(e, ERR_TOO_LARGE, "More comes out than the %llu bytes that are allowed (fetch.largest)",
                   (unsigned long long)u->io->largest);
}

int unpack_write(struct unpack *u, const void *data, size_t len, struct err *e)
{
    if (len == 0) return 0; /* libarchive then has no bytes either */
    if (len > u->io->largest - u->written) return unpack_too_large(u, e);
    u->written += len;
    return u->io->write(u->io->owner, data, len, e);
}

static void read_head(struct unpack *u)
{
    while (u->len < CONTAINER_HEAD_BYTES) {
        ssize_t n = read_some(u, u->data + u->len, sizeof u->data - u->len);
        if (n <= 0) break; /* a failure comes again at the next read */
        u->len += (size_t)n;
    }
}

int unpack_stream(const struct unpack_io *io, const char **ret_format, struct err *e)
{
    static const char *const known[] = {"xz", "gzip", "zstd", "bzip2", "zip"};
    struct unpack *u = calloc(1, sizeof *u);
    if (!u) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    u->io = io;
    read_head(u);
    const struct container *c = container_of_head(u->data);
    size_t i = 0;
    while (c && i < ARRAY_LEN(known) && strcmp(known[i], c->name) != 0) i++;
    int result;
    if (!c || i == ARRAY_LEN(known))
        result = err_set(e, ERR_ARCHIVE_UNUSABLE, "It is not packed as xz, gzip, zstd, bzip2 or zip%s%s",
                         c ? ", but as " : "", c ? c->name : "");
    else
        result = strcmp(c->name, "gzip") == 0 ? unpack_gzip(u, e) : unpack_archive(u, c->name, e);
    if (result == 0) *ret_format = known[i];
    free(u);
    return result;
}
