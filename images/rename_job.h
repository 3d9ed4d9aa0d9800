/*
 * rename_job.h - the two changes of a store's names that are made while the library's use lock is held: an image
 * appears, or is deleted. They run in the store's thread, so that a store which stops answering just then keeps the
 * lock for a bounded time.
 */
#pragma once

#include <stdbool.h>

#include "images/fileops.h"
#include "images/store.h"

struct rename_request {  /* all borrowed */
    int from_dir, to_dir;
    const char *from, *to;
    bool replace;         /* `to` may exist */
    const char *if_match; /* ETag that the file must have which is replaced or deleted; NULL: any */
};

/*
 * Each returns 0, or -1 with *e: exists, precondition_failed, image_missing, ... *ret_unknown: the store did not
 * answer (unavailable), and the change may still happen.
 */
int store_rename(struct store *s, const struct fileops *ops, const struct rename_request *rq, bool *ret_unknown,
                 struct err *e);
int store_unlink(struct store *s, const struct fileops *ops, int dir_fd, const char *name, const char *if_match,
                 bool *ret_unknown, struct err *e);
