/*
 * util.h - the handful of macros that every file may use.
 *
 * Scope cleanup: declare a local with one of the `cleanup_*` attributes and it is released on every way out of
 * the scope. The released object is NULL (or -1) safe. To hand an object on to the caller use `take_ptr()` or
 * `take_fd()`, which leave the local empty.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define attr_printf(fmt, first) __attribute__((format(printf, fmt, first)))
#define attr_must_use __attribute__((warn_unused_result))
#define attr_unused __attribute__((unused))

/* Defines the function that `cleanup(type)` calls; `undo` must accept the empty value. */
#define DEFINE_CLEANUP(type, name, undo)                                                                          \
    static inline void name(type *p)                                                                              \
    {                                                                                                             \
        undo(*p);                                                                                                 \
    }

static inline void util_free_ptr(void *p)
{
    free(*(void **)p);
}

static inline void util_close_fd(const int *fd)
{
    if (*fd >= 0) close(*fd);
}

#define cleanup(fn) __attribute__((cleanup(fn)))
#define cleanup_free cleanup(util_free_ptr)
#define cleanup_close cleanup(util_close_fd)

static inline void *util_take_ptr(void *p)
{
    void **slot = p, *value = *slot;
    *slot = NULL;
    return value;
}

static inline int take_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

#define take_ptr(p) ((__typeof__(p))util_take_ptr(&(p)))
