/*
 * blank.h - images made of nothing: empty, or with an empty file system.
 *
 * The file is sparse: it takes room as the host writes to it. Nothing is reserved, so a store can become too full for what
 * was promised; the host then sees a write error. The file system is made by mkfs.fat (dosfstools) or mkfs.exfat
 * (exfatprogs), without a partition table, as on most sticks.
 */
#pragma once

#include "images/library.h"

#define BLANK_SIZE_MIN 512
#define BLANK_FAT32_MIN ((int64_t)34 << 20) /* FAT32 begins at 65525 clusters; of 512 bytes, with both tables */
#define BLANK_FAT32_MAX ((int64_t)2 << 40)  /* 2^32 sectors */
#define BLANK_EXFAT_MIN ((int64_t)1 << 20)
#define BLANK_LABEL_MAX 11                  /* of both, without a NUL */
#define BLANK_PATIENCE 60000                /* ms for mkfs: it writes some MiB */

/*       enum              on the wire */
#define BLANK_TABLE(X)                                                                                             \
    X(BLANK_NONE,          "none")                                                                                 \
    X(BLANK_FAT32,         "fat32")                                                                                \
    X(BLANK_EXFAT,         "exfat")

enum blank_filesystem {
#define X(sym, name) sym,
    BLANK_TABLE(X)
#undef X
    BLANK_COUNT
};

extern const char *const blank_names[]; /* ends with NULL */

struct blank_request {
    const char *name, *store, *user, *peer; /* as of a struct library_upload_request */
    int64_t size;                           /* bytes; a multiple of 512 */
    enum blank_filesystem filesystem;
    const char *label;                      /* "": none */
};

/* Makes it, in the caller's thread: a second or so. The image's JSON, or NULL with *e. */
json_t *blank_make(struct library *l, const struct blank_request *rq, struct err *e);

/* Pure: what of the request cannot be. `ret_label` is the label as the file system will have it: FAT has capitals. */
int blank_check(const struct blank_request *rq, char ret_label[BLANK_LABEL_MAX + 1], struct err *e);
