/*
 * privileges.h - giving up root, for good.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct identity {
    uid_t uid;
    gid_t gid;
    char name[64];
};

/* Looks `user` up. Returns 0, or -1 with *e saying how to make that user. */
int privileges_find(const char *user, struct identity *ret, struct err *e);

/* The one that this process has; its name is "" where the uid has none. */
void privileges_current(struct identity *ret);

/*
 * Becomes `who` where that is not NULL: groups, bounding set, gid, uid, and a check that there is no way back. Then, in
 * any case: no capability left, no_new_privs, umask 0027. Returns 0, or -1 with *e: then the process must end.
 */
int privileges_drop(const struct identity *who, struct err *e);
