#include "server/store_db.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/store_schema.h"

#define BUSY_TIMEOUT_MS 5000          /* nobody else should have it open; a person with the sqlite3 shell might */
#define WAL_PAGES 256                 /* checkpoint at 1 MiB of 4 KiB pages */
#define WAL_BYTES_KEPT (4 * 1024 * 1024)
#define DB_PATH_MAX 512

struct store_db {
    sqlite3 *s;
    pthread_mutex_t lock;
};

int store_db_error(sqlite3 *s, struct err *e, const char *what)
{
    int code = s ? sqlite3_errcode(s) & 0xff : SQLITE_NOMEM;
    enum err_code as = code == SQLITE_FULL                           ? ERR_NO_SPACE
                       : code == SQLITE_NOMEM || code == SQLITE_BUSY ? ERR_UNAVAILABLE
                                                                     : ERR_INTERNAL;
    return err_set(e, as, "%s: %s", what, s ? sqlite3_errmsg(s) : "out of memory");
}

sqlite3_stmt *store_db_prepare(sqlite3 *s, const char *sql, struct err *e)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(s, sql, -1, &st, NULL) != SQLITE_OK)
        store_db_error(s, e, "The database refused a statement");
    return st;
}

static int query_int(sqlite3 *s, const char *sql, int *ret, struct err *e)
{
    cleanup_statement sqlite3_stmt *st = store_db_prepare(s, sql, e);
    if (!st) return -1;
    if (sqlite3_step(st) != SQLITE_ROW) return store_db_error(s, e, "The database cannot be read");
    *ret = sqlite3_column_int(st, 0);
    return 0;
}

static int run(sqlite3 *s, const char *sql, struct err *e)
{
    return sqlite3_exec(s, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                               : store_db_error(s, e, "The database cannot be written");
}

static int configure(sqlite3 *s, struct err *e)
{
    char sql[400];
    sqlite3_busy_timeout(s, BUSY_TIMEOUT_MS);
    sqlite3_db_config(s, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
             "PRAGMA trusted_schema = OFF; PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %d;",
             WAL_PAGES, WAL_BYTES_KEPT);
    return run(s, sql, e);
}

static int migrate_step(sqlite3 *s, int step, struct err *e)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d; COMMIT;", step + 1);
    if (run(s, "BEGIN IMMEDIATE", e) < 0) return -1;
    if (run(s, store_schema_steps[step], e) == 0 && run(s, sql, e) == 0) return 0;
    sqlite3_exec(s, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

static int migrate(sqlite3 *s, const char *path, struct err *e)
{
    int version = 0;
    if (query_int(s, "PRAGMA user_version", &version, e) < 0) return -1;
    if (version > store_schema_version)
        return err_set(e, ERR_EXISTS,
                       "%s is of a newer trayd (schema %d; this one knows %d): install that, or move the file away",
                       path, version, store_schema_version);
    for (; version < store_schema_version; version++)
        if (migrate_step(s, version, e) < 0) return -1;
    return 0;
}

/* quick_check reads all pages; the database is bounded, a few MiB. */
static int check(sqlite3 *s, struct err *e)
{
    cleanup_statement sqlite3_stmt *st = store_db_prepare(s, "PRAGMA quick_check(1)", e);
    if (!st) return -1;
    if (sqlite3_step(st) != SQLITE_ROW) return store_db_error(s, e, "The database cannot be read");
    const char *verdict = (const char *)sqlite3_column_text(st, 0);
    if (verdict && strcmp(verdict, "ok") == 0) return 0;
    return err_set(e, ERR_INTERNAL, "The database is damaged: %s", verdict ? verdict : "no verdict");
}

/* *ret_broken: the file is no database, or a damaged one (and not merely out of reach). */
static sqlite3 *open_once(const char *path, bool *ret_broken, struct err *e)
{
    sqlite3 *s = NULL;
    bool damaged = false;
    *ret_broken = false;
    if (sqlite3_open_v2(path, &s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        char what[DB_PATH_MAX + 40];
        snprintf(what, sizeof what, "Cannot open the database %s", path);
        store_db_error(s, e, what);
    } else if (configure(s, e) == 0) {
        damaged = check(s, e) < 0;
        if (!damaged && migrate(s, path, e) == 0) return s;
    }
    int code = s ? sqlite3_errcode(s) & 0xff : SQLITE_OK;
    *ret_broken = code == SQLITE_CORRUPT || code == SQLITE_NOTADB || (damaged && code == SQLITE_OK);
    sqlite3_close(s);
    return NULL;
}

/* The write-ahead log belongs to the file: with another one it would be played into the wrong database. */
static int move_aside(const char *path, const struct err *why, struct err *e)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char from[DB_PATH_MAX + 8], to[DB_PATH_MAX + 40];
    long long when = clock_real_ms() / 1000;
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        snprintf(from, sizeof from, "%.*s%s", DB_PATH_MAX, path, suffixes[i]);
        snprintf(to, sizeof to, "%.*s.broken-%lld%s", DB_PATH_MAX, path, when, suffixes[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return err_set_errno(e, err_code_for_errno(errno), errno, "Cannot move the damaged database %s aside",
                                 from);
    }
    log_error("%s. It was moved to %s.broken-%lld; the history of operations begins anew. Drives and images do not "
              "depend on it.",
              why->text, path, when);
    return 0;
}

struct store_db *store_db_open(const char *path, struct err *e)
{
    bool broken;
    struct err why;
    struct store_db *db = calloc(1, sizeof *db);
    if (!db || strlen(path) > DB_PATH_MAX) {
        err_set(e, ERR_UNAVAILABLE, db ? "The database's path is too long" : "Out of memory");
        free(db);
        return NULL;
    }
    db->s = open_once(path, &broken, e);
    if (!db->s && broken) {
        why = *e;
        if (move_aside(path, &why, e) == 0) db->s = open_once(path, &broken, e);
    }
    if (!db->s) {
        free(db);
        return NULL;
    }
    pthread_mutex_init(&db->lock, NULL);
    return db;
}

void store_db_close(struct store_db *db)
{
    if (!db) return;
    sqlite3_wal_checkpoint_v2(db->s, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close(db->s);
    pthread_mutex_destroy(&db->lock);
    free(db);
}

sqlite3 *store_db_lock(struct store_db *db)
{
    pthread_mutex_lock(&db->lock);
    return db->s;
}

void store_db_unlock(struct store_db *db)
{
    pthread_mutex_unlock(&db->lock);
}

void store_db_bind_text(sqlite3_stmt *st, int n, const char *text)
{
    sqlite3_bind_text(st, n, text, -1, SQLITE_STATIC);
}

void store_db_trim(sqlite3 *s, const char *sql, int kept, int every)
{
    if (sqlite3_last_insert_rowid(s) % every) return;
    cleanup_statement sqlite3_stmt *st = store_db_prepare(s, sql, NULL);
    if (!st) return;
    sqlite3_bind_int(st, 1, kept);
    if (sqlite3_step(st) != SQLITE_DONE) log_error("Old rows cannot be removed from the database: %s", sqlite3_errmsg(s));
}

json_t *store_db_parse(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return text ? json_loads(text, 0, NULL) : NULL;
}

json_t *store_db_read_bodies(sqlite3 *s, sqlite3_stmt *st, const char *failure, struct err *e)
{
    cleanup_json json_t *list = json_array();
    int step;
    while ((step = sqlite3_step(st)) == SQLITE_ROW) {
        json_t *body = store_db_parse(st, 0);
        if (body) json_array_append_new(list, body);
    }
    if (step == SQLITE_DONE && list) return take_ptr(list);
    store_db_error(s, e, failure);
    return NULL;
}
