#include "base/cond.h"

#include <time.h>

#define WAIT_MOST_MS 3600000 /* so that MSEC_NEVER cannot overflow a timespec; callers loop anyway */

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *locked, msec ms)
{
    if (ms <= 0) return;
    if (ms > WAIT_MOST_MS) ms = WAIT_MOST_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(cond, locked, &until);
}
