/*
 * prefer.h - the Prefer header (RFC 7240): how long a client wants to wait for work to be done. Pure.
 *
 * A preference that is not understood or malformed is no preference: that is the point of this header.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"

#define PREFER_WAIT_DEFAULT 50000 /* ms; common proxies give up after 60 s */
#define PREFER_WAIT_MAX 600000    /* ms; a connection is a thread, so nobody keeps one for a day */

struct prefer {
    bool async;     /* respond-async was given: 202 at once, if the work is not done */
    bool wait_given;
    msec wait;      /* how long to wait until then: 0 with respond-async alone */
};

/* header: NULL where there was none. */
struct prefer prefer_parse(const char *header);
