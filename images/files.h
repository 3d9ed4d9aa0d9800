/*
 * files.h - a pile of files and folders that is to become a disc: names, sizes, times; not their bytes.
 *
 * They come from a ZIP archive (files_archive.c), so from anywhere: a name that leaves the disc, that comes twice or that
 * says nothing is refused here, with the name in the message, whatever kind of disc is made. What a kind of disc cannot
 * hold is up to its maker (make.h). Nothing is ever left out. One thread.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define FILES_MAX 100000          /* some 30 MiB of memory, and seconds of work; a large driver collection has 20 000 */
#define FILES_FOLDERS_MAX 65535   /* a folder's number has 16 bits (ECMA-119 9.4.4, path table) */
#define FILES_DEPTH_MAX 64        /* folders in folders; Windows stops at paths of 260 characters */
#define FILES_NAME_MAX 255        /* bytes of a name, NAME_MAX of every host with a limit in bytes */
#define FILES_SHOWN_MAX 200       /* bytes of a name in a message */
#define FILES_ROOT 0

struct file {
    const char *name;    /* UTF-8; of the root "" */
    uint32_t parent;     /* of the root: itself */
    uint32_t depth;      /* of the root: 0 */
    bool folder, program; /* program: may be executed */
    uint64_t size;       /* bytes; of a folder 0 */
    int64_t modified;    /* s since 1970 */
};

struct files {
    struct file *list;   /* [FILES_ROOT] is there from the beginning; in the order in which they came */
    uint32_t count, room, folders;
    uint32_t *table;     /* hashes of parent and name to index + 1 */
    uint32_t slots;
};

int files_init(struct files *f, struct err *e);
void files_done(struct files *f);

/*
 * Adds what is called `path` ("folder/file"), with the folders above it where they are missing. `what` is copied, but for
 * its name, parent and depth. A folder may come more than once. Returns 0, or -1 with *e (files_unusable, unavailable).
 */
int files_add(struct files *f, const char *path, const struct file *what, struct err *e);

/* A path as it can be shown: what is not printable is '?'. */
void files_shown(const char *path, char ret[FILES_SHOWN_MAX + 1]);

/* The path of a file, cut at its beginning where it is too long; for messages. */
void files_path(const struct files *f, uint32_t index, char ret[FILES_SHOWN_MAX + 1]);

/*
 * The children of all folders, by an order: a sorted list in which those of one folder stand together. `compare` gets two
 * indexes of the same folder. Two that are equal to it fail with files_unusable and `why` ("%s and %s ...").
 */
struct files_order {
    uint32_t *list, *first, *count; /* first and count by the folder's index */
};
int files_sort(const struct files *f, int (*compare)(uint32_t a, uint32_t b, void *owner), void *owner,
               const char *why, struct files_order *ret, struct err *e);
void files_order_done(struct files_order *o);

/*
 * Names of eight and three characters, padded with blanks, and unique within their folder: those that fit as they are
 * keep their letters (as capitals), others get `mark` and a number. A disc of 1988 needs them, as FAT does.
 */
#define FILES_SHORT_BYTES 11
struct files_short_rules {
    const char *others;   /* characters besides A-Z and 0-9 */
    char mark;            /* before the number */
    bool folder_endings;  /* may a folder's name have an ending? */
};
int files_short(const struct files *f, const struct files_short_rules *rules, char (**ret)[FILES_SHORT_BYTES],
                struct err *e);

/* Is the name what its short one says, letter by letter? */
bool files_short_is_whole(const char *name, const char text[FILES_SHORT_BYTES]);

/* UTF-8 to UTF-16 in the processor's order. Returns how many units (at most 255 for a checked name). */
#define FILES_UNITS_MAX 256
size_t files_utf16(const char *name, uint16_t ret[FILES_UNITS_MAX]);
