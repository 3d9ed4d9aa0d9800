#include "tests/random/random.h"

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t next(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

struct dice dice_new(uint64_t seed, unsigned stream)
{
    struct dice d = {.state = seed};
    for (unsigned i = 0; i <= stream; i++) d.state = next(&d) + stream;
    return d;
}

unsigned dice_below(struct dice *d, unsigned n)
{
    return (unsigned)(next(d) % n);
}

bool dice_percent(struct dice *d, unsigned percent)
{
    return dice_below(d, 100) < percent;
}

const struct weighted *dice_choose(struct dice *d, const struct weighted *table, size_t count)
{
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) sum += (unsigned)table[i].weight;
    int at = (int)dice_below(d, sum);
    size_t i = 0;
    while ((at -= table[i].weight) >= 0) i++;
    return &table[i];
}
