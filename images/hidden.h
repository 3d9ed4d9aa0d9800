/*
 * hidden.h - the directory ".trayd" of a store, where images live under temporary names until they are complete.
 *
 * Whoever receives into such a file holds an flock on it, so that a file without one is the leftover of a process
 * that is gone. The lock also keeps two services that share a store (or one that restarts) out of each other's way.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "images/fileops.h"

#define HIDDEN_DIR ".trayd" /* begins with a dot, so that no image or folder can have this name */
#define HIDDEN_NAME_MAX 32

/* Opens the directory, making it where it is missing. Returns its descriptor, or -1 with *e. */
int hidden_open(const struct fileops *ops, int root_fd, struct err *e);

/* Makes a new empty file, 0600, locked and open for reading and writing. Returns its descriptor, or -1 with *e. */
int hidden_create(const struct fileops *ops, int hidden_fd, char ret_name[HIDDEN_NAME_MAX], struct err *e);

/* Removes what nobody holds. Returns how many files it removed, or -1 where one could not be removed. */
int hidden_collect(const struct fileops *ops, int hidden_fd);
