/*
 * range.h - the Range header (RFC 9110, section 14). Pure.
 *
 * One range of bytes is served as 206. Several ranges, another unit or a value that is malformed are ignored, as the
 * standard allows: the answer is then the whole.
 */
#pragma once

#include <stdint.h>

enum range_kind { RANGE_WHOLE, RANGE_PART, RANGE_UNSATISFIABLE };

struct range {
    enum range_kind kind;
    uint64_t first, length; /* of the whole too */
};

/* header: NULL where absent. */
struct range range_parse(const char *header, uint64_t size);
