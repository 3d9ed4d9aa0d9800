/* The request target: what is accepted has no separators, control characters or bad UTF-8 in its pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "server/http_target.h"

static void check_piece(const char *piece)
{
    if (!parse_is_utf8(piece, strlen(piece))) abort();
    for (const char *p = piece; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) abort();
}

static void check_segment(const char *segment)
{
    check_piece(segment);
    if (!segment[0] || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0 || strpbrk(segment, "/\\")) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const known[] = {"store", "sha256", "limit", NULL};
    struct http_target target;
    struct err e;
    char *raw = strndup((const char *)data, len);
    if (http_target_parse(raw, &target, &e) == 0) {
        for (size_t i = 0; i < target.segments_len; i++) check_segment(target.segments[i]);
        for (size_t i = 0; i < target.query_len; i++) {
            check_piece(target.query[i].name);
            check_piece(target.query[i].value);
        }
        http_target_check_query(&target, known, &e);
    }
    http_target_done(&target);
    free(raw);
    return 0;
}
