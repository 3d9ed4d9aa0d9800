/*
 * fetch_config.h - what the section `fetch` of trayd.conf says about images from elsewhere.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"

struct fetch_config {
    bool private_addresses, link_local, loopback; /* may be contacted (fetch_address.h) */
    msec stall_timeout;    /* less than FETCH_SLOWEST for so long is a failure */
    int64_t retries;       /* failures in a row */
    msec retry_pause;      /* after the first; doubled each time, up to a minute */
    uint64_t rate;         /* bytes per second of each download; 0: as fast as it comes */
    uint64_t largest;      /* bytes of an image that is fetched or unpacked */
    char ca_file[256];     /* certificates to trust instead of the system's; "": those */
};

#define FETCH_SLOWEST 1024 /* bytes per second: slower than an analogue modem is nobody's image server */
