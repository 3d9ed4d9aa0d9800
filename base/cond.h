/*
 * cond.h - waiting on a condition variable for so many milliseconds, whatever happens to the wall clock.
 */
#pragma once

#include <pthread.h>

#include "base/clock.h"

/* On CLOCK_MONOTONIC: condition variables cannot wait on CLOCK_BOOTTIME. A box that sleeps meanwhile waits longer. */
void cond_init(pthread_cond_t *cond);

/* Waits until somebody signals or `ms` are over, not at all where ms <= 0. May wake for no reason, as all such do. */
void cond_wait_ms(pthread_cond_t *cond, pthread_mutex_t *locked, msec ms);
