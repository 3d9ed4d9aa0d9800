/*
 * files_archive.h - the files in a ZIP archive. Runs in trayd-helper.
 *
 * The archive must be there whole: what is in it stands at its end, and sizes and kinds of files only there. It is gone
 * through twice, once for the names and once for the bytes.
 *
 * Refused, with the name (files_unusable): what is neither file nor folder (a symbolic link: Joliet and FAT have none), what
 * is encrypted, what comes twice, and what files_add() refuses. A ZIP archive that is damaged or cut short, or whose files are
 * not as large as it says or have another checksum, is archive_unusable.
 */
#pragma once

#include "images/archive_io.h"
#include "images/make.h"

/* Adds all that is in it. Returns 0, or -1 with *e. */
int files_archive_list(const struct archive_io *io, struct files *f, struct err *e);

/* From its beginning once more, for a make_content. NULL with *e. */
struct files_archive;
struct files_archive *files_archive_open(const struct archive_io *io, struct err *e);
void files_archive_close(struct files_archive *a);

/* A make_content; the owner is a struct files_archive. */
int files_archive_content(void *owner, const struct files *f, uint32_t index, struct make_out *out, struct err *e);
