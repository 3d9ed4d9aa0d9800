/*
 * store_db.h - the one SQLite database of trayd: opening, migrating, and telling a broken one from a good one.
 *
 * It holds what a person would miss but nothing depends on: drives and images are known without it. So a corrupt
 * file is moved aside, with a line in the log, and the service goes on with an empty one; a file of a newer trayd is
 * refused, since going on would lose what that one wrote.
 *
 * One connection, used by one thread at a time: between store_db_lock() and store_db_unlock(). Write-ahead log,
 * bounded; synchronous=FULL, so that what was answered is on the disk; nothing is written while nothing happens.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"

struct store_db;

/* Opens or makes `path`. NULL with *e where that is not possible, or where the schema is newer than this program. */
struct store_db *store_db_open(const char *path, struct err *e);
void store_db_close(struct store_db *db); /* checkpoints; NULL is fine */

sqlite3 *store_db_lock(struct store_db *db);
void store_db_unlock(struct store_db *db);

/* Prepares `sql`. NULL with *e. */
sqlite3_stmt *store_db_prepare(sqlite3 *s, const char *sql, struct err *e);

/* `text` must live as long as the statement is used; NULL is SQL's NULL. */
void store_db_bind_text(sqlite3_stmt *st, int n, const char *text);

/* Runs `sql`, whose parameter is `kept`, where the row that was inserted last is one of each `every`. */
void store_db_trim(sqlite3 *s, const char *sql, int kept, int every);

/* All rows of a statement whose first column is JSON, as an array. NULL with *e, which begins with `failure`. */
json_t *store_db_read_bodies(sqlite3 *s, sqlite3_stmt *st, const char *failure, struct err *e);
json_t *store_db_parse(sqlite3_stmt *st, int column); /* NULL where it is no JSON */

DEFINE_CLEANUP(sqlite3_stmt *, store_db_finalize, sqlite3_finalize)
#define cleanup_statement cleanup(store_db_finalize)

int store_db_error(sqlite3 *s, struct err *e, const char *what); /* *e from what SQLite says; returns -1 */
