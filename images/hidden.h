/*
 * hidden.h - the directory ".trayd" of a store, where images live under temporary names until they are complete.
 *
 * Whoever receives into such a file holds an flock on it, so that a file without one is the leftover of a process
 * that is gone. The lock also keeps two services that share a store (or one that restarts) out of each other's way.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "images/fileops.h"

#define HIDDEN_DIR ".trayd" /* begins with a dot, so that no image or folder can have this name */
#define HIDDEN_NAME_MAX 32

/* Opens the directory, making it where it is missing. Returns its descriptor, or -1 with *e. */
int hidden_open(const struct fileops *ops, int root_fd, struct err *e);

/* Makes a new empty file, 0600, locked and open for reading and writing. Returns its descriptor, or -1 with *e. */
int hidden_create(const struct fileops *ops, int hidden_fd, char ret_name[HIDDEN_NAME_MAX], struct err *e);

/*
 * A file that outlives its process, because the upload into it can be continued: "partial-ID", with its record (record.h)
 * in "partial-ID.json" beside it. The record is made last and removed first, so a file without one means nothing.
 */
#define HIDDEN_ID_MAX 17 /* 16 hexadecimal digits */
void hidden_partial_name(const char *id, bool record, char ret_name[HIDDEN_NAME_MAX]);
bool hidden_id_check(const char *id);
int hidden_make_id(char ret_id[HIDDEN_ID_MAX]); /* -1 with errno */

/* Opens a file that is there, locked where `lock`. -1 with *e: not_found, upload_busy (somebody holds it), ... */
int hidden_open_file(const struct fileops *ops, int hidden_fd, const char *name, bool lock, struct err *e);

/* Makes a file of that name, locked. -1 with *e. */
int hidden_make_file(const struct fileops *ops, int hidden_fd, const char *name, struct err *e);

/* Calls `found` with the id of each record, until that returns false. Returns 0, or -1 with errno. */
int hidden_each_record(int hidden_fd, bool (*found)(void *owner, const char *id), void *owner);

/* Removes what nobody holds: uploads in one piece, and files without a record. Returns how many files it removed, or -1
 * where one could not be removed. */
int hidden_collect(const struct fileops *ops, int hidden_fd);
