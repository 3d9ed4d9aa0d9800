/*
 * digests.h - the SHA-256 of images that came without trayd: copied by ssh, over a share. Computed in the background.
 *
 *   DIGESTS_NEW     of files that appear, or change, while this runs
 *   DIGESTS_ALL     of all that have none besides: each store is walked at the start, and when it comes back
 *
 * A thread of its own, asleep while there is nothing to do, takes one image after another and has it verified
 * (verify.h, background): the lowest priority, and not while something is received. Nothing is written but the digest's
 * attribute, and so images are left alone where that could not be kept: where the store is read-only or has no
 * attributes, or the file belongs to somebody else or is marked read-only. So are those that are mostly holes: blank
 * ones, for a host to fill. An image that is writable in a drive is left alone until the host has let go of it.
 */
#pragma once

#include "images/jobs.h"
#include "images/library.h"

#define DIGESTS_WAITING_MAX 256 /* files; each is a name. More at once are a collection's copy: "all" finds them */

/* A file must have rested for so long: its digest is remembered with its time, which must be past (SETTLED_AFTER in
 * stored_digest.c), and who copies with pauses is not read in between. ms */
#define DIGESTS_SETTLE 3000

enum digests_mode { DIGESTS_NEVER, DIGESTS_NEW, DIGESTS_ALL };
extern const char *const digests_mode_names[]; /* in the configuration; ends with NULL */

struct digests;

/* Hears the library's news (library_set_news). `l` and `j` must live longer; DIGESTS_NEVER is not for it. NULL with *e. */
struct digests *digests_new(struct library *l, struct jobs *j, enum digests_mode mode, struct err *e);
/* After library_observe() has ended, so that no news is on its way; and after jobs_stop(), or it waits for the image
 * that is being read. NULL is fine. */
void digests_free(struct digests *d);
