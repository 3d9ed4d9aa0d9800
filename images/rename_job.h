/*
 * rename_job.h - the two changes of a store's names that are made while the library's use lock is held: an image
 * appears, or is deleted. They run in the store's thread, so that a store which stops answering just then keeps the
 * lock for a bounded time.
 */
#pragma once

#include <stdbool.h>

#include "images/fileops.h"
#include "images/store.h"

/*
 * Each returns 0, or -1 with *e. *ret_unknown: the store did not answer, and the change may still happen.
 * The descriptors stay the caller's.
 */
int store_rename(struct store *s, const struct fileops *ops, int from_dir, const char *from, int to_dir, const char *to,
                 bool replace, bool *ret_unknown, struct err *e);
int store_unlink(struct store *s, const struct fileops *ops, int dir_fd, const char *name, bool *ret_unknown,
                 struct err *e);
