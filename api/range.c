#include "api/range.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Digits at *p; a number beyond 64 bits is as good as the largest one. False where there are none. */
static bool number(const char **p, uint64_t *ret)
{
    uint64_t value = 0;
    const char *begin = *p;
    for (; **p >= '0' && **p <= '9'; (*p)++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(**p - '0'), &value))
            value = UINT64_MAX / 10 * 10; /* overflows again with the next digit, and stays beyond any file */
    *ret = value;
    return *p != begin;
}

struct range range_parse(const char *header, uint64_t size)
{
    const struct range whole = {RANGE_WHOLE, 0, size}, unsatisfiable = {RANGE_UNSATISFIABLE, 0, 0};
    if (!header || strncasecmp(header, "bytes=", 6) != 0) return whole;
    const char *p = header + 6;
    uint64_t first, last;
    p += strspn(p, " \t");
    bool has_first = number(&p, &first);
    if (*p++ != '-') return whole;
    bool has_last = number(&p, &last);
    p += strspn(p, " \t");
    if (*p || (!has_first && !has_last) || (has_first && has_last && last < first)) return whole;

    if (!has_first) { /* the last N bytes */
        if (last == 0) return unsatisfiable;
        if (size == 0) return whole; /* satisfiable by the standard, but no Content-Range could say it */
        uint64_t length = last < size ? last : size;
        return (struct range){RANGE_PART, size - length, length};
    }
    if (first >= size) return unsatisfiable;
    if (!has_last || last >= size) last = size - 1;
    return (struct range){RANGE_PART, first, last - first + 1};
}
