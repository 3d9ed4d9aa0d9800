/*
 * stored_digest.h - the SHA-256 of an image, kept with the image.
 *
 * It stands in the extended attribute "user.trayd.sha256" together with the size and the time of modification that
 * the file had when it was computed; when either differs the digest is of something else, and unknown. An attribute
 * moves with the file when it is renamed, goes when it is deleted, and needs no database. Where the file system has
 * none (FAT, exFAT, older NFS) the digest is unknown until it is computed again; a file beside the image would have
 * to be kept in step with it by everybody who renames, copies or deletes images.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"
#include "images/fileops.h"

#define STORED_DIGEST_ATTRIBUTE "user.trayd.sha256"
#define SHA256_BYTES 32
#define SHA256_TEXT_MAX (2 * SHA256_BYTES + 1) /* lower-case hexadecimal */

/* True where the digest of the file as *st describes it is known. */
bool stored_digest_read(int fd, const struct stat *st, char ret_text[SHA256_TEXT_MAX]);

/* Remembers it, for the file as it is now. Returns 0, or -1 with errno; a caller may ignore that. */
int stored_digest_write(const struct fileops *ops, int fd, const char *text);

struct digest_progress {
    void *owner;
    int (*told)(void *owner, int64_t bytes, struct err *e); /* read so far; -1 with *e ends it */
};

/* Computes it by reading the whole file, and remembers it, unless another is remembered for the file as it is. `progress`
 * may be NULL. Returns 0, or -1 with *e: also when the file changed meanwhile. */
int stored_digest_compute(int fd, const struct digest_progress *progress, char ret_text[SHA256_TEXT_MAX],
                          struct err *e);
