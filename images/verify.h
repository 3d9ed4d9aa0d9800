/*
 * verify.h - does an image still have the SHA-256 that it should have? A transfer that reads it, in a job's thread.
 *
 * The transfer's result is {"name", "store", "sha256", "expected", "verdict"}: `expected` is what the request says, or
 * else what was remembered with the image (stored_digest.h), or null; the verdict is "match", "mismatch", or "computed"
 * where nothing was expected. A digest that was not known is remembered then; one that differs never takes the place of
 * the remembered one. It ends where the image is deleted meanwhile, whose room is free only when nobody has it open.
 */
#pragma once

#include "images/jobs.h"
#include "images/library.h"

struct verify_request {
    const char *store, *name;
    const char *sha256;      /* NULL: what was remembered */
    const char *user, *peer; /* who asks */

    /* In the background: at the lowest priority, paused while something is received, and given up when the file
     * changes. Called on the job's thread when it has ended, however; not where verify_begin() failed. NULL: somebody
     * waits for it. */
    void (*ended)(void *owner);
    void *owner;
};

/* Returns 0 with the transfer's id, or -1 with *e. */
int verify_begin(struct library *l, struct jobs *j, const struct verify_request *rq, char ret_id[TRANSFER_ID_MAX],
                 struct err *e);
