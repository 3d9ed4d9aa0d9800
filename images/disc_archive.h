/*
 * disc_archive.h - the files in one folder of a disc image. Runs in trayd-helper.
 *
 * ISO 9660, with the names of Rock Ridge or else of Joliet, as libarchive reads it. It does not read UDF: of a disc that has
 * both, the ISO 9660 part is shown; one that has only UDF fails.
 *
 * libarchive goes through all of a disc in the order in which files lie on it, so each page costs a walk through all names:
 * a third of a second for 100 000. Only the page itself is kept.
 */
#pragma once

#include "base/json.h"
#include "images/archive_io.h"

#define DISC_ENTRIES_MAX 1000000   /* names looked at: more are no disc, but a trap */
#define DISC_PAGE_MAX 1000         /* names given back at once */
#define DISC_PATH_MAX 4096         /* PATH_MAX of Linux */

struct disc_query {
    const char *path;   /* of the folder: "" for the root, "a/b" */
    const char *after;  /* a name: those that stand behind it; "": from the first */
    size_t limit;       /* 1 to DISC_PAGE_MAX */
};

/*
 * Calls `found` with {"name", "type" ("file", "folder", "link", "other"), "size" (null but for files), "modified"} (taken) of
 * each, in the order of their bytes. *ret_more: there are others behind. Returns 0, or -1 with *e: files_unknown, not_found
 * (there is no such folder).
 */
int disc_archive_list(const struct archive_io *io, const struct disc_query *q, void (*found)(void *owner, json_t *file),
                      void *owner, bool *ret_more, struct err *e);
