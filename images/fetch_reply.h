/*
 * fetch_reply.h - what a server's answer means for a file that is fetched in one or several pieces. Pure.
 *
 * A piece may only be joined to what is there where the server proves that both are of the same version: by a strong
 * ETag, or by a Last-Modified that was a minute old when it was told (RFC 9110, 8.8.2.2 and 13.1.5). Without such a
 * validator a broken transfer begins anew.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

#define FETCH_VALIDATOR_MAX 256  /* longer ETags are not used */
#define FETCH_AGAIN_AFTER_MAX 60 /* seconds of a Retry-After that are honoured; longer ones are the user's decision */

struct fetch_reply {
    int status;
    int64_t length;                       /* of this answer's body; -1: unknown */
    int64_t range_first, range_total;     /* of Content-Range; -1: absent, or "*" */
    char etag[FETCH_VALIDATOR_MAX];       /* "" where there is none that can be used */
    int64_t modified, date;               /* seconds since 1970; -1: absent */
    int again_after;                      /* seconds; 0: absent */
};

void fetch_reply_init(struct fetch_reply *r, int status);

/* One header line, without the line's end; unknown and malformed ones are ignored. `date` reads an HTTP date, -1 where
 * it is none. */
void fetch_reply_header(struct fetch_reply *r, const char *line, size_t len, int64_t (*date)(const char *text));

/* The ETag, or "@" and the seconds of Last-Modified, or "". */
void fetch_reply_validator(const struct fetch_reply *r, char ret[FETCH_VALIDATOR_MAX]);

struct fetch_have { /* what is there already */
    int64_t offset;
    int64_t total;                        /* -1: unknown */
    char validator[FETCH_VALIDATOR_MAX];  /* "": nothing can be joined */
};

enum fetch_verdict {
    FETCH_FROM_START, /* the body is the whole file */
    FETCH_GO_ON,      /* the body begins at have->offset */
    FETCH_SKIP,       /* the body is the whole file, the same as before: have->offset bytes of it are there */
    FETCH_WHOLE,      /* nothing is missing */
    FETCH_CHANGED,    /* what is there is of another version */
    FETCH_AGAIN,      /* later, perhaps; *e says why */
    FETCH_FAILED,     /* *e says why */
};

enum fetch_verdict fetch_judge(const struct fetch_have *have, const struct fetch_reply *r, struct err *e);

/* ms to wait before try number `tries` + 1: `first` doubled each time, up to a minute. */
msec fetch_pause(msec first, unsigned tries);
