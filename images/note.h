/*
 * note.h - what people write about an image, kept with the image.
 *
 * It stands in the extended attribute "user.trayd.note", for the reasons given in stored_digest.h: it moves with the file
 * when that is renamed by anybody, goes with it, and cannot be mistaken for another file's. A note cannot be computed
 * again, so where a file system has no attributes it is refused rather than kept in a place that may be lost.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "images/fileops.h"

#define NOTE_BYTES_MAX 1000 /* some lines; ext4 has a little less than one block for all attributes of a file */

/* UTF-8 without control characters but for newline and tab. Returns 0, or -1 with *e. */
int note_check(const char *text, struct err *e);

/* "" where there is none, or none that can be shown. */
void note_read(int fd, char ret[NOTE_BYTES_MAX + 1]);
void note_read_at(int folder_fd, const char *name, char ret[NOTE_BYTES_MAX + 1]);

/* "" removes it. Synced when this returns 0; -1 with *e: store_cannot, ... */
int note_write(const struct fileops *ops, int fd, const char *text, struct err *e);
