/*
 * checksum_file.h - the SHA-256 of one file in a list such as SHA256SUMS. Pure.
 *
 * Read are the lines of sha256sum ("DIGEST  NAME", "DIGEST *NAME", with a path before the name), those of BSD and
 * "sha256sum --tag" ("SHA256 (NAME) = DIGEST"), and a file that has nothing but one digest in it. Everything else in
 * the file, such as a signature around it, is passed over.
 */
#pragma once

#include "base/err.h"
#include "images/stored_digest.h"

#define CHECKSUM_FILE_MAX (1 << 20) /* bytes; a distribution's list of everything has some hundred KiB */

/* Returns 0 with the digest in lower case, or -1 with *e (source_failed): none for that name, or two that differ. */
int checksum_file_find(const char *text, size_t len, const char *name, char ret[SHA256_TEXT_MAX], struct err *e);
