/*
 * http_fields.h - the header fields of a request, and what they say about its body.
 *
 * libmicrohttpd takes the first of two Content-Length fields, prefers Transfer-Encoding where both are there, and
 * takes "Content-Length : 5" for a field of another name. Whoever stands in front of us may read such a message in
 * another way, so everything that can be read in two ways is refused. Pure.
 */
#pragma once

#include "api/http.h"

#define HTTP_FIELDS_MAX 64               /* browsers send some 20 */
#define HTTP_HEAD_BYTES_MAX (16 * 1024)  /* request line and all fields */

struct http_fields {
    struct api_pair items[HTTP_FIELDS_MAX]; /* borrowed from whoever read them */
    size_t len, bytes;
    bool overflow;                          /* there were more than fit */
};

void http_fields_add(struct http_fields *f, const char *name, const char *value);

/* The first field of that name (case-insensitive), or NULL. */
const char *http_fields_get(const struct http_fields *f, const char *name);
size_t http_fields_count(const struct http_fields *f, const char *name);

/* What the fields say about the body. */
struct http_body {
    bool present;      /* chunked, or a Content-Length above 0 */
    bool declared;     /* chunked, or any Content-Length */
    int64_t length;    /* -1: chunked or not declared */
};

/* Checks the fields' grammar, number and size, and reads the framing. Returns 0, or -1 with *e; after that the
 * connection cannot be used any more, since it is not known where the next request begins. */
int http_fields_check(const struct http_fields *f, bool http_1_1, struct http_body *ret, struct err *e);

/* Is the Content-Type application/json? Parameters may follow. */
bool http_fields_is_json(const struct http_fields *f);

bool http_is_token(const char *text, size_t len); /* RFC 9110: a method or a field's name */
