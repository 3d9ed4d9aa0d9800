/*
 * http_target.h - the request target, from the bytes on the request line to decoded segments and query parameters.
 *
 * The target is split first and decoded afterwards, piece by piece, so that an encoded '/' can never become a path
 * separator. What could mean one thing here and another to whoever reads it next (a proxy, the file system) is
 * refused: encoded '/', '\' and NUL, control characters, "." and ".." and empty segments, bytes that are not UTF-8,
 * absolute-form and "*". Pure.
 */
#pragma once

#include "api/http.h"

#define HTTP_TARGET_MAX 4096 /* a name of 255 bytes, each percent-encoded, in several places */
#define HTTP_SEGMENTS_MAX 16 /* the longest route has 6 */

struct http_target {
    char *raw;                              /* malloc'd; cut at '?': the path as it came */
    char *decoded;                          /* malloc'd; what the members below point into */
    const char *segments[HTTP_SEGMENTS_MAX];
    size_t segments_len;                    /* 0 for "/" */
    struct api_pair query[API_QUERY_MAX];
    size_t query_len;
};

/* Returns 0, or -1 with *e; http_target_done() is right in both cases. */
int http_target_parse(const char *raw, struct http_target *ret, struct err *e);
void http_target_done(struct http_target *t);

/* Are all query parameters among `known` (NULL-terminated; NULL: none)? An unknown one is named, with the nearest. */
int http_target_check_query(const struct http_target *t, const char *const *known, struct err *e);
