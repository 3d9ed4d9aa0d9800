/*
 * thread.h - starting a thread of the image library.
 *
 * Such a thread has a small stack, since some exist for each store and each upload, and gets no signal: those belong
 * to the main thread.
 */
#pragma once

#include <pthread.h>

#define IMAGES_THREAD_STACK (256 * 1024) /* a listing's recursion is on the heap; the rest is for libc and sanitizers */

/* Returns 0, or an errno. */
int images_thread_start(pthread_t *ret, void *(*run)(void *arg), void *arg);
