#include "images/inspect_source.h"

#include "base/util.h"

size_t source_read_some(struct source *s, uint64_t offset, void *data, size_t len)
{
    if (offset >= s->size || len > INSPECT_READ_BYTES_MAX) return 0;
    len = (size_t)MIN(s->size - offset, len);
    if (s->reads >= INSPECT_READS_MAX || INSPECT_BYTES_MAX - s->bytes < len) return 0;
    s->reads++;
    s->bytes += len;
    ssize_t n = s->reader->read(s->reader->owner, data, len, offset);
    return n > 0 ? MIN((size_t)n, len) : 0;
}

bool source_read(struct source *s, uint64_t offset, void *data, size_t len)
{
    if (len > s->size || offset > s->size - len) return false;
    return source_read_some(s, offset, data, len) == len;
}

uint64_t source_at(uint64_t base, uint64_t count, uint64_t unit)
{
    uint64_t product, sum;
    if (__builtin_mul_overflow(count, unit, &product) || __builtin_add_overflow(base, product, &sum)) return UINT64_MAX;
    return sum;
}
