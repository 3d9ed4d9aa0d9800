/*
 * look_cache.h - what was found out about images, remembered for long lists. Thread-safe.
 *
 * A list shows a page of up to a thousand images out of many thousands; inspecting each takes dozens of reads. So a
 * list shows what an earlier look at the same file found, and takes a glance at those that nobody looked at yet.
 *
 * The key is device, inode, size and time of modification: what the ETag is made of. A file that is written within
 * one tick of its file system's clock can look unchanged; then a list shows what it was, until somebody looks at the
 * image itself, which never relies on this.
 *
 * LOOKS_MAX images; a newcomer takes the place of another of the same slot. Nothing is on disk. Counted references,
 * because a store's thread that is stuck in the kernel may outlive the library.
 */
#pragma once

#include <sys/stat.h>

#include "images/inspect.h"

#define LOOKS_MAX 16384 /* at 48 bytes each; pages that are not used yet take no memory */

struct look_cache;

struct look_cache *look_cache_new(void); /* NULL: out of memory; all the others accept that */
struct look_cache *look_cache_ref(struct look_cache *c);
void look_cache_unref(struct look_cache *c);

bool look_cache_get(struct look_cache *c, const struct stat *st, struct inspect_summary *ret);

/* A glance never takes the place of a deep look at the same file. */
void look_cache_put(struct look_cache *c, const struct stat *st, const struct inspect_summary *s);
