/*
 * make.h - a disc out of a pile of files (files.h): the bytes of an image, from the first to the last. In trayd-helper.
 *
 *   iso9660   ISO 9660 with Rock Ridge and Joliet: a CD or DVD for every host. Unix sees the names as they are, Windows
 *             those of Joliet, what is older eight and three letters.
 *   fat32     a USB stick without a partition table, as full as it gets: the host can change what is on it, not add much.
 *
 * libarchive has a writer for ISO 9660, but that keeps every byte in a temporary file first, and the helper may write no
 * file. Since all names and sizes are known before the first byte, everything can be laid out beforehand, and nothing is
 * written twice.
 *
 *   make.c                the kinds, and bytes on their way out; trayd has this part too, to judge requests
 *   make_iso9660.c        what lies where on a CD        make_iso9660_write.c   its descriptors and directories, as bytes
 *   make_fat32.c          the same of FAT32              make_fat32_write.c
 *   make_child.c          as a role of trayd-helper
 */
#pragma once

#include <sys/types.h>

#include "images/files.h"

/*       enum             on the wire */
#define MAKE_TABLE(X)                                                                                                  \
    X(MAKE_ISO9660,       "iso9660")                                                                                   \
    X(MAKE_FAT32,         "fat32")

enum make_kind {
#define X(sym, name) sym,
    MAKE_TABLE(X)
#undef X
    MAKE_COUNT
};

extern const char *const make_names[]; /* ends with NULL */

/* Returns 0, or -1 with *e (bad_request): there is no such kind. */
int make_kind(const char *name, int *ret, struct err *e);

#define MAKE_LABEL_MAX 16 /* characters: Joliet's; FAT has 11 */

/* Pure: can the disc be called so? `ret` is the label as the disc will have it; "" becomes "FILES". */
int make_label(enum make_kind kind, const char *label, char ret[MAKE_LABEL_MAX + 1], struct err *e);

struct make_out {
    void *owner;
    int (*write)(void *owner, const void *data, size_t len, struct err *e);
    uint64_t at;      /* bytes so far */
};

int make_put(struct make_out *out, const void *data, size_t len, struct err *e);
int make_zeros_to(struct make_out *out, uint64_t at, struct err *e); /* until so many bytes are out */

/* Numbers in small-endian order, as both kinds have them. Each returns what comes behind. */
static inline uint8_t *make_put16(uint8_t *p, uint32_t n)
{
    p[0] = (uint8_t)n, p[1] = (uint8_t)(n >> 8);
    return p + 2;
}

static inline uint8_t *make_put32(uint8_t *p, uint32_t n)
{
    return make_put16(make_put16(p, n), n >> 16);
}

/* The bytes of a file: all of file->size, by make_put(). Called once for each file, in their order in the list. */
typedef int make_content(void *owner, const struct files *f, uint32_t index, struct make_out *out, struct err *e);

struct make_request {
    const struct files *files; /* FILES_ROOT too has a time */
    const char *label;     /* as make_label() gives it */
    int64_t now;           /* s since 1970: when the disc was made */
    make_content *content;
    void *owner;
};

struct make_layout; /* of one kind */

struct make_maker {
    /* Lays it out. NULL with *e: what this kind of disc cannot hold. *ret_bytes: the image's size. */
    struct make_layout *(*plan)(const struct make_request *rq, uint64_t *ret_bytes, struct err *e);
    int (*write)(struct make_layout *l, struct make_out *out, struct err *e);
    void (*free)(struct make_layout *l);
};

extern const struct make_maker make_iso9660, make_fat32;
