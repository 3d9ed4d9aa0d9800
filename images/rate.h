/*
 * rate.h - how fast something moves, from the newest few seconds. Pure: the time is an argument.
 *
 * An average since the start says nothing after a pause, and the newest piece alone jumps about. So there are samples,
 * RATE_INTERVAL apart, of which the newest RATE_SAMPLES count; the rate is that from the oldest of them until now, which
 * lets it fall to zero while nothing comes.
 */
#pragma once

#include "base/clock.h"

#define RATE_SAMPLES 8
#define RATE_INTERVAL 1000 /* ms */

struct rate {
    msec at[RATE_SAMPLES];
    int64_t bytes[RATE_SAMPLES];
    size_t next, count;
};

void rate_start(struct rate *r, msec now, int64_t bytes); /* also after a pause */
void rate_add(struct rate *r, msec now, int64_t bytes);   /* the sum of all so far; as often as one likes */

/* Bytes per second; 0 where nothing is known yet. */
int64_t rate_per_second(const struct rate *r, msec now, int64_t bytes);
