/*
 * disc_files.h - what is on a disc: the files in one folder of an image, page by page.
 *
 * A trayd-helper reads it (disc_archive.h), in the caller's thread, which waits. An image that is being received has none.
 */
#pragma once

#include "images/library.h"

#define DISC_FILES_LIMIT_MAX 1000   /* DISC_PAGE_MAX */
#define DISC_FILES_PATH_MAX 4096    /* with NUL */
#define DISC_FILES_PATIENCE 20000   /* ms for all of it; a disc with a million names takes some seconds */
#define DISC_FILES_AT_ONCE 4        /* each is a process that may take a core and much memory */

struct disc_files_query {
    const char *store, *name;
    const char *path;       /* of the folder: "" for the root, "a/b", with or without slashes around it */
    const char *after;      /* the name that the last page ended with; "" for the first */
    int limit;              /* 1 to DISC_FILES_LIMIT_MAX */
};

/* {"path", "files": [{"name", "type", "size", "modified"}], "next": a name or null}, or NULL with *e: files_unknown, not_found,
 * image_missing, too_many_requests, ... */
json_t *disc_files_list(struct library *l, const struct disc_files_query *q, struct err *e);
