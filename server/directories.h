/*
 * directories.h - making the directories that trayd needs, with the right owner, while it still may.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "server/privileges.h"

/*
 * Makes `path` and what is missing above it; the last one belongs to `owner` (NULL: to us) and has `mode`. One that is
 * there already is left as it is. Returns 0, or -1 with *e.
 */
int directories_make(const char *path, const struct identity *owner, mode_t mode, struct err *e);

/* The same for the directory that the file `path` lies in. */
int directories_make_for(const char *path, const struct identity *owner, mode_t mode, struct err *e);

/* Removes a directory and all in it, without following symbolic links or leaving the file system. */
void directories_remove(const char *path);
