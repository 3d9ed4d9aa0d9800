/*
 * unclean.h - the mark of an image that was taken from a host which was writing to it, kept with the image.
 *
 * It stands in the extended attribute "user.trayd.unclean", for the reasons given in stored_digest.h, as one line of
 * JSON. It stays until somebody takes it away: that a file system in the image was closed since, or checked, says that
 * it is consistent, and nothing of the files that the host had not yet written.
 */
#pragma once

#include "base/json.h"
#include "images/fileops.h"

#define UNCLEAN_BYTES_MAX 512      /* the line; the texts below, with every byte escaped */
#define UNCLEAN_TEXT_MAX 65        /* of each; an operation's id has 20 bytes, a user's name 64 */

struct unclean {
    msec at;                       /* real time; 0: not marked */
    char operation[UNCLEAN_TEXT_MAX], by[UNCLEAN_TEXT_MAX], reason[UNCLEAN_TEXT_MAX];
};

/* at 0 where there is no mark, or none that makes sense. */
void unclean_read(int fd, struct unclean *ret);

/* Synced when this returns 0; -1 with *e: store_cannot where the file system has no attributes, ... NULL removes it. */
int unclean_write(const struct fileops *ops, int fd, const struct unclean *mark, struct err *e);

/* {"at", "by", "operation", "reason"}; NULL where there is no mark. */
json_t *unclean_json(const struct unclean *mark);

/* The same back. -1 with *e where it is none. */
int unclean_parse(const json_t *json, struct unclean *ret, struct err *e);
