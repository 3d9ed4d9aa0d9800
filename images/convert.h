/*
 * convert.h - images out of what was received in pieces: unpacked, or made of the files in a ZIP archive.
 *
 * An upload that can be continued cannot be unpacked on the way: what was acknowledged must be on the disk, and half an
 * unpacking is worth nothing after a restart. So it is received as it comes, with its `work` in its record (record.h), and
 * when the last byte is on the disk a job makes the image beside it, in a trayd-helper. That needs room for both. The
 * transfer goes on under its id, as a conversion; a kill -9 costs the time since the last byte came, and no more.
 *
 *   work            helper
 *   "unpack"        unpack (unpack_stream.h)
 *   "KIND LABEL"    make (make.h); the archive must be there whole for that
 */
#pragma once

#include "images/fetch_config.h"
#include "images/jobs.h"
#include "images/library.h"

#define CONVERT_WORK_MAX 64 /* RECORD_WORD_MAX */
#define CONVERT_UNPACK "unpack"

/* ms without a byte after which the helper is given up; a CD's worth of names is laid out in a second. */
#define CONVERT_PATIENCE 60000

struct converter {
    struct library *library;
    struct jobs *jobs;
    const struct fetch_config *limits;
};

/* Begins to make the image of an upload that is `packed`. Returns 0 (its transfer goes on), or -1 with *e; then it rests. */
int convert_begin(const struct converter *v, const char *id, struct err *e);

/* Goes on with what an earlier life left, at start. What came by PUT and is not whole is of no use, and is removed. */
#define CONVERT_METHOD_PUT "zip" /* of the transfers that PUT began */
void convert_resume(const struct converter *v);
