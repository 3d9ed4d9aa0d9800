/*
 * archive_io.h - the bytes that libarchive reads, where it wants them at any place.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct archive_io {
    void *owner;
    ssize_t (*read)(void *owner, void *data, size_t max);     /* 0: the end; -1 with errno */
    int64_t (*seek)(void *owner, int64_t offset, int whence); /* as lseek() */
};
