/*
 * forecast.h - what the operation at the head of a drive's queue will do next, and when, if nothing happens meanwhile.
 *
 * "Asks again until 14:02:10, then forces": that is a forecast, and people and scripts read it while they wait. It is
 * derived from the machine as it stands and changes nothing. It says what the clock brings; what the host, the kernel
 * or a client does may come first. tests/unit/test_drive.c holds every forecast to what the machine then does.
 *
 * Pure; times are CLOCK_BOOTTIME.
 */
#pragma once

#include "gadget/drive.h"

struct forecast {
    enum next_step next;  /* NEXT_NOTHING: no operation, or only somebody else can bring it on */
    msec at;              /* MSEC_NEVER: as soon as the chance comes; no clock knows when */
    enum next_step then;  /* what ends the waiting for `next`; NEXT_NOTHING: nothing does */
    msec then_at;
};

struct forecast forecast_of(const struct drive *d, msec now);
