/*
 * images_inspect.h - an image in memory for the tests of the inspection, with zeros where nothing was put.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "images/inspect.h"

struct buffer {
    uint8_t *data; /* exactly len bytes, so that the sanitizer sees whoever reads behind them */
    size_t len;
    unsigned reads;
    uint64_t bytes;
    bool fails;
};

static inline ssize_t buffer_read(void *owner, void *data, size_t len, uint64_t offset)
{
    struct buffer *b = owner;
    b->reads++;
    b->bytes += len;
    assert_true(len <= INSPECT_READ_BYTES_MAX);
    if (b->fails) return -1;
    if (offset >= b->len) return 0;
    len = MIN(len, b->len - (size_t)offset);
    memcpy(data, b->data + offset, len);
    return (ssize_t)len;
}

static inline struct buffer buffer_new(size_t len)
{
    struct buffer b = {.data = calloc(1, MAX(len, 1)), .len = len};
    assert_non_null(b.data);
    return b;
}

/* Inspects it as an image of `size` bytes, which may be more than there are. */
static inline const struct inspect_result *buffer_inspect(struct buffer *b, uint64_t size)
{
    static struct inspect_result r;
    b->reads = 0;
    b->bytes = 0;
    inspect(&(struct inspect_reader){.owner = b, .read = buffer_read}, size, &r);
    assert_true(b->reads <= INSPECT_READS_MAX);
    assert_true(b->bytes <= INSPECT_BYTES_MAX);
    assert_true(r.partitions_count <= INSPECT_PARTITIONS_MAX && r.warnings_count <= INSPECT_WARNINGS_MAX);
    return &r;
}

static inline bool warns(const struct inspect_result *r, enum inspect_warning_code code)
{
    for (size_t i = 0; i < r->warnings_count; i++)
        if (r->warnings[i].code == code) return true;
    return false;
}

static inline void put_text(struct buffer *b, size_t at, const char *text)
{
    memcpy(b->data + at, text, strlen(text));
}

static inline void put_le(struct buffer *b, size_t at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) b->data[at + i] = (uint8_t)(value >> 8 * i);
}

static inline void put_boot_sector(struct buffer *b)
{
    put_le(b, 510, 0xaa55, 2);
}

/* A partition of an MBR that stands in the sector at `at`. */
static inline void put_partition(struct buffer *b, size_t at, unsigned index, uint8_t status, uint8_t type,
                                 uint32_t start, uint32_t sectors)
{
    size_t entry = at + 446 + 16 * index;
    put_le(b, entry, status, 1);
    put_le(b, entry + 4, type, 1);
    put_le(b, entry + 8, start, 4);
    put_le(b, entry + 12, sectors, 4);
    put_le(b, at + 510, 0xaa55, 2);
}
