/*
 * inspect_source.h - bounded reads from an image, and numbers out of what was read. Pure.
 *
 * Numbers from the image are added and multiplied with source_at(), which stops at the largest number instead of
 * starting again at 0; nothing can be read there.
 */
#pragma once

#include "images/inspect.h"

struct source {
    const struct inspect_reader *reader;
    uint64_t size;   /* of the image */
    unsigned reads;  /* done so far */
    uint64_t bytes;
};

/* All of len bytes, or false: they are not there, cannot be read, or the budget is used up. */
bool source_read(struct source *s, uint64_t offset, void *data, size_t len);

/* As much as there is of len bytes. */
size_t source_read_some(struct source *s, uint64_t offset, void *data, size_t len);

/* base + count * unit, UINT64_MAX where that is too large. */
uint64_t source_at(uint64_t base, uint64_t count, uint64_t unit);

/* False in a fuzzer, which would never guess a checksum: there whatever has one is right. (The macro is the one
 * that fuzzers define by convention.) */
static inline bool source_sums_count(void)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return false;
#else
    return true;
#endif
}

static inline uint16_t le16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t le32(const uint8_t *p)
{
    return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

static inline uint64_t le64(const uint8_t *p)
{
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

static inline uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline bool is_power_of_2(uint64_t n)
{
    return n && !(n & (n - 1));
}
