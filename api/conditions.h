/*
 * conditions.h - conditional requests (RFC 9110, section 13). Pure.
 *
 * An entity tag here is the whole field value with its quotes: "\"abc\"". Lists that are not well-formed are an
 * error: a condition that cannot be read must not be taken for one that holds.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

#define ETAG_MAX 80
#define HTTP_DATE_MAX 40

struct etag_list {          /* a field value: If-Match or If-None-Match */
    bool any;               /* "*" */
    size_t count;           /* of tags, weak ones too */
    char only[ETAG_MAX];    /* the tag, where there is exactly one and it is strong and short enough; else "" */
};

/* Returns 0, or -1 with *e, which names the header. */
int etag_list_parse(const char *name, const char *value, struct etag_list *ret, struct err *e);

/* Does `value` (well-formed) have `etag` in it? `weak`: W/"a" equals "a"; otherwise weak tags equal nothing. */
bool etag_list_has(const char *value, const char *etag, bool weak);

struct conditions {         /* the request's field values, NULL where absent */
    const char *if_match, *if_none_match, *if_modified_since, *if_unmodified_since;
};

enum conditions_verdict {
    CONDITIONS_HOLD,
    CONDITIONS_UNCHANGED,   /* 304: of GET and HEAD only */
    CONDITIONS_FAIL,        /* 412 */
};

/* In the order of section 13.2.2, for GET and HEAD on something that exists. etag: "" where it has none at the
 * moment; modified: 0 where unknown. -1 with *e where a list is malformed; otherwise a verdict. */
int conditions_check(const struct conditions *c, const char *etag, msec modified, struct err *e);

/* "Sat, 21 Nov 2026 02:10:00 GMT" */
const char *http_date_format(msec real, char text[HTTP_DATE_MAX]);
int http_date_parse(const char *text, msec *ret_real); /* that form only; the obsolete ones count as no date */
