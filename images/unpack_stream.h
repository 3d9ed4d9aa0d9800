/*
 * unpack_stream.h - the image out of a stream that is compressed, or a ZIP archive. Runs in trayd-helper.
 *
 * What it is, is told by its first bytes and not by its name. libarchive reads all but gzip: its gzip filter (3.6, and
 * those before) does not compare the checksum, so that a damaged file would become an image. zlib does.
 *
 *   unpack_stream.c   the first bytes, and who reads on     unpack_archive.c  xz, zstd, bzip2, zip by libarchive
 *   unpack_gzip.c     gzip by zlib                          unpack_child.c    as a role of trayd-helper
 *
 * A ZIP archive must hold one file that is called like an image; others (a README, checksums) are passed over. What is
 * packed twice is refused. Everything that comes out is counted against `largest`, and everything must be read to its
 * end with the format's own checksums before this returns 0.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "images/containers.h"

#define UNPACK_READ_BYTES (64 * 1024)

struct unpack_io {
    void *owner;
    ssize_t (*read)(void *owner, void *data, size_t max);                        /* 0: the end; -1 with errno */
    int (*write)(void *owner, const void *data, size_t len, struct err *e);
    uint64_t largest;                                                            /* bytes that may come out */
};

/* Returns 0 with *ret_format ("xz", "gzip", ...), or -1 with *e: archive_unusable, too_large. */
int unpack_stream(const struct unpack_io *io, const char **ret_format, struct err *e);

/* ---- between the files ---- */

struct unpack {
    const struct unpack_io *io;
    uint8_t data[UNPACK_READ_BYTES];
    size_t len;       /* of what was read and not used yet: the first bytes */
    uint64_t written;
};

ssize_t unpack_read(struct unpack *u);                                           /* into u->data; 0: the end */
int unpack_write(struct unpack *u, const void *data, size_t len, struct err *e); /* counted */
int unpack_too_large(const struct unpack *u, struct err *e);                     /* sets *e; -1 */
int unpack_gzip(struct unpack *u, struct err *e);
int unpack_archive(struct unpack *u, const char *format, struct err *e);
