/*
 * tree.h - the names in a directory of a file system inside an image. Pure.
 *
 * Enough to look for files whose presence says what an image is. Each kind lists one directory at a time and stops by
 * itself at TREE_DIRECTORY_BYTES_MAX; who wants to see folders in folders lists those, to a depth that he chooses.
 */
#pragma once

#include "images/inspect_source.h"

#define TREE_DIRECTORY_BYTES_MAX (96 * 1024) /* a thousand long names */
#define TREE_NAME_MAX 128                    /* bytes of UTF-8 with NUL; longer names are cut */

/* Where a file's bytes begin, in the terms of its file system: a sector, a cluster, the block of a file entry. */
struct tree_place {
    uint64_t at, bytes;
};

struct tree_entry {
    char name[TREE_NAME_MAX];
    bool directory;
    struct tree_place place;
};

/* Returns false to stop the listing. */
typedef bool tree_visitor(void *owner, const struct tree_entry *entry);

struct tree {
    struct source *source;
    struct tree_place root;
    void (*list)(const struct tree *t, const struct tree_place *directory, tree_visitor *visit, void *owner);
    /* The first bytes of a file; NULL where that is not needed. */
    size_t (*read)(const struct tree *t, const struct tree_place *file, void *data, size_t len);
    /* What list() needs to know of the volume; each kind uses its own. */
    union {
        struct {
            uint32_t block;         /* bytes */
            bool joliet;
        } iso;
        struct {
            uint64_t partition;     /* where it begins, bytes */
            uint32_t block;
        } udf;
        struct {
            uint64_t fat, data;     /* where they begin, bytes */
            uint32_t cluster;       /* bytes */
            uint32_t root_bytes;    /* of FAT12 and FAT16, whose root directory is not made of clusters; else 0 */
            uint64_t root_offset;
            unsigned bits;          /* 12, 16, 32 */
        } fat;
    };
};

bool tree_name_is(const char *name, const char *wanted); /* letters are compared as in ASCII, without case */
