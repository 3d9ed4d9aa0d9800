/*
 * fetch.h - trayd's side of fetching one file from a URL: a trayd-helper (fetch_curl.c) does it, here its bytes and
 * events are handed on, in the caller's thread, which waits.
 */
#pragma once

#include "base/json.h"
#include "images/fetch_config.h"

struct fetch_source {
    const char *url;
    const char *username, *password; /* "" where there are none */
    int64_t offset, total;           /* of what is there already; 0 and -1 */
    const char *validator;           /* of that; "" */
    uint64_t largest;
    int wake;                        /* a descriptor that becomes readable when check() has something to say */
};

struct fetch_sink {
    void *owner;
    /* The bytes begin at `offset`, which is the source's or 0; total is -1 where nobody knows it. */
    int (*begin)(void *owner, int64_t offset, int64_t total, const char *validator, struct err *e);
    int (*take)(void *owner, const void *data, size_t len, struct err *e);
    void (*again)(void *owner, const struct err *why, msec pause); /* it broke off, and will be tried again */
    int (*check)(void *owner, struct err *e);                      /* -1 with *e: enough */
};

/*
 * Returns 0 when all bytes came, 1 where the file on the server changed after some had come (all must be fetched again),
 * or -1 with *e: source_failed, source_forbidden, too_large, what the sink said, ...
 */
int fetch_from(const struct fetch_source *source, const struct fetch_config *config, const struct fetch_sink *sink,
               struct err *e);
