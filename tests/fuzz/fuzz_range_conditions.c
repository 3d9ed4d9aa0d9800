/*
 * The values of header fields: Range, If-Match and its relatives, dates, Prefer, Repr-Digest. The first byte says which
 * parser gets the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "api/conditions.h"
#include "api/digest.h"
#include "api/prefer.h"
#include "api/range.h"

static void fuzz_range(const char *value)
{
    static const uint64_t sizes[] = {0, 1, 1000, 5100000000, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct range r = range_parse(value, sizes[i]);
        if (r.kind == RANGE_UNSATISFIABLE) continue;
        if (r.first > sizes[i] || r.length > sizes[i] - r.first) abort();
        if (r.kind == RANGE_PART && r.length == 0) abort();
    }
}

static void fuzz_etags(const char *value)
{
    static const char *const tags[] = {"\"a\"", "\"\"", "W/\"a\"", ""};
    struct etag_list list;
    struct err e;
    if (etag_list_parse("If-Match", value, &list, &e) < 0) return;
    if (strlen(list.only) >= ETAG_MAX) abort();
    if (list.only[0] && !etag_list_has(value, list.only, false)) abort();
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        bool strong = etag_list_has(value, tags[i], false), weak = etag_list_has(value, tags[i], true);
        if (strong && !weak) abort();
    }
}

static void fuzz_conditions(char *value)
{
    const char *fields[4] = {0};
    struct err e;
    char *rest = value;
    for (size_t i = 0; i < 4 && rest; i++) fields[i] = strsep(&rest, "\n");
    struct conditions c = {fields[0], fields[1], fields[2], fields[3]};
    conditions_check(&c, "\"a\"", 1700000000000, &e);
    conditions_check(&c, "", 0, &e);
}

static void fuzz_date(const char *value)
{
    msec when, again;
    char text[HTTP_DATE_MAX];
    if (http_date_parse(value, &when) < 0) return;
    if (http_date_parse(http_date_format(when, text), &again) < 0 || again != when) abort();
}

static void fuzz_prefer(const char *value)
{
    struct prefer p = prefer_parse(value);
    if (p.wait < 0 || p.wait > PREFER_WAIT_MAX) abort();
}

static void fuzz_digest(const char *value)
{
    char hex[SHA256_HEX_SIZE];
    struct err e;
    if (digest_parse("Repr-Digest", value, hex, &e) == 1 && strlen(hex) != SHA256_HEX_SIZE - 1) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!len) return 0;
    char *value = strndup((const char *)data + 1, len - 1);
    switch (data[0]) {
    case 'r': fuzz_range(value); break;
    case 'e': fuzz_etags(value); break;
    case 'c': fuzz_conditions(value); break;
    case 'd': fuzz_date(value); break;
    case 'p': fuzz_prefer(value); break;
    case 'g': fuzz_digest(value); break;
    default: break;
    }
    free(value);
    return 0;
}
