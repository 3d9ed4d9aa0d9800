/*
 * sparse.h - an image as a fuzzer sees it: mostly zeros, with some sectors that are not.
 *
 * What an inspection reads of a DVD is spread over gigabytes, but it is only some dozen sectors. So an input is
 *
 *   8 bytes   size of the image, little-endian
 *   then, for each sector: 4 bytes its number, little-endian, and its 512 bytes (the last may have fewer)
 *
 * and everything else is zeros. Where a sector is there twice the first counts.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "images/inspect_source.h"

#define SPARSE_SECTOR 512
#define SPARSE_CHUNK (4 + SPARSE_SECTOR)

struct sparse {
    const uint8_t *data;
    size_t len;
};

static inline void sparse_sector(const struct sparse *s, uint64_t number, uint8_t ret[SPARSE_SECTOR])
{
    memset(ret, 0, SPARSE_SECTOR);
    for (size_t at = 8; at + 4 < s->len; at += SPARSE_CHUNK) {
        if (le32(s->data + at) != number) continue;
        size_t len = s->len - at - 4;
        memcpy(ret, s->data + at + 4, len < SPARSE_SECTOR ? len : SPARSE_SECTOR);
        return;
    }
}

static inline ssize_t sparse_read(void *owner, void *data, size_t len, uint64_t offset)
{
    const struct sparse *s = owner;
    size_t done = 0;
    while (done < len) {
        uint8_t sector[SPARSE_SECTOR];
        size_t skip = (size_t)((offset + done) % SPARSE_SECTOR), n = SPARSE_SECTOR - skip;
        if (n > len - done) n = len - done;
        sparse_sector(s, (offset + done) / SPARSE_SECTOR, sector);
        memcpy((uint8_t *)data + done, sector + skip, n);
        done += n;
    }
    return (ssize_t)len;
}
