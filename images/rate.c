#include "images/rate.h"

void rate_start(struct rate *r, msec now, int64_t bytes)
{
    *r = (struct rate){.at = {now}, .bytes = {bytes}, .next = 1, .count = 1};
}

void rate_add(struct rate *r, msec now, int64_t bytes)
{
    size_t newest = (r->next + RATE_SAMPLES - 1) % RATE_SAMPLES;
    if (r->count > 0 && now - r->at[newest] < RATE_INTERVAL) return;
    r->at[r->next] = now;
    r->bytes[r->next] = bytes;
    r->next = (r->next + 1) % RATE_SAMPLES;
    if (r->count < RATE_SAMPLES) r->count++;
}

int64_t rate_per_second(const struct rate *r, msec now, int64_t bytes)
{
    size_t oldest = r->count < RATE_SAMPLES ? 0 : r->next;
    if (r->count == 0 || now <= r->at[oldest] || bytes < r->bytes[oldest]) return 0;
    return (int64_t)((double)(bytes - r->bytes[oldest]) * 1000 / (double)(now - r->at[oldest]));
}
