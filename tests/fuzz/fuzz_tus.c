/*
 * The header fields of an upload by tus, and the record that is kept of one. The first byte says which parser gets the
 * rest.
 */
#include <stdlib.h>
#include <string.h>

#include "api/tus.h"
#include "images/record.h"

static void fuzz_metadata(const char *value)
{
    struct tus_metadata m;
    struct err e = {0};
    if (tus_metadata_parse(value, &m, &e) < 0) {
        if (e.code != ERR_BAD_REQUEST || !e.text[0]) abort();
        return;
    }
    const char *const texts[] = {m.name, m.store, m.sha256};
    const size_t sizes[] = {sizeof m.name, sizeof m.store, sizeof m.sha256};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        size_t len = strnlen(texts[i], sizes[i]);
        if (len == sizes[i] || !parse_is_utf8(texts[i], len)) abort();
    }
}

static void fuzz_checksum(const char *value)
{
    struct tus_checksum c;
    if (tus_checksum_parse(value, &c, NULL) == 0 && (c.algorithm == TUS_NO_CHECKSUM || c.len > TUS_CHECKSUM_MAX)) abort();
}

static void fuzz_number(const char *value)
{
    int64_t n;
    if (tus_number("Upload-Offset", value, &n, NULL) == 0 && n < 0) abort();
}

static void fuzz_base64(const char *value, size_t len)
{
    uint8_t bytes[64];
    ssize_t n = parse_base64(value, len, bytes, sizeof bytes), all = parse_base64(value, len, NULL, SIZE_MAX);
    if (n > (ssize_t)sizeof bytes || (n >= 0 && n != all) || all > (ssize_t)(len / 4 * 3)) abort();
}

/* What is taken in gives the same again when it is written out. */
static void fuzz_record(const char *text, size_t len)
{
    struct record *r = calloc(2, sizeof *r);
    if (record_parse(text, len, &r[0], NULL) == 0) {
        char *again = record_format(&r[0]);
        if (record_parse(again, strlen(again), &r[1], NULL) < 0 || memcmp(&r[0], &r[1], sizeof *r) != 0) abort();
        free(again);
    }
    free(r);
}

static void fuzz_mark(const char *text, size_t len)
{
    struct record_mark m;
    char copy[RECORD_MARK_BYTES] = {0};
    memcpy(copy, text, MIN(len, sizeof copy));
    if (record_mark_parse(copy, &m) && m.offset < 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (!len) return 0;
    char *value = strndup((const char *)data + 1, len - 1);
    size_t value_len = strlen(value);
    switch (data[0]) {
    case 'm': fuzz_metadata(value); break;
    case 'c': fuzz_checksum(value); break;
    case 'n': fuzz_number(value); break;
    case 'b': fuzz_base64(value, value_len); break;
    case 'r': fuzz_record(value, value_len); break;
    case 'k': fuzz_mark(value, value_len); break;
    default: break;
    }
    free(value);
    return 0;
}
