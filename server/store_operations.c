#include "server/store_operations.h"

#include <string.h>

#include "base/log.h"

static void log_failure(sqlite3 *s, const char *what)
{
    log_error("The history of operations: %s: %s", what, sqlite3_errmsg(s));
}

/* Returns whether a row was written. */
static bool upsert(sqlite3 *s, const char *id, const json_t *operation, const char *body)
{
    cleanup_statement sqlite3_stmt *st = store_db_prepare(
        s,
        "INSERT INTO operations (id, drive, state, body) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE "
        "SET drive = excluded.drive, state = excluded.state, body = excluded.body",
        NULL);
    if (st) {
        store_db_bind_text(st, 1, id);
        store_db_bind_text(st, 2, json_text(operation, "drive"));
        store_db_bind_text(st, 3, json_text(operation, "state"));
        store_db_bind_text(st, 4, body);
    }
    if (st && sqlite3_step(st) == SQLITE_DONE) return true;
    log_failure(s, "an operation cannot be kept");
    return false;
}

/* Asked first, since an upsert whose row does not change appends its pages to the log all the same. */
static bool is_known(sqlite3 *s, const char *id, const char *body, bool *ret_same)
{
    cleanup_statement sqlite3_stmt *st = store_db_prepare(s, "SELECT body = ? FROM operations WHERE id = ?", NULL);
    if (!st) return false;
    store_db_bind_text(st, 1, body);
    store_db_bind_text(st, 2, id);
    if (sqlite3_step(st) != SQLITE_ROW) return false;
    *ret_same = sqlite3_column_int(st, 0) != 0;
    return true;
}

static void put(void *owner, const json_t *operation)
{
    struct store_db *db = owner;
    bool same = false;
    const char *id = json_text(operation, "id");
    cleanup_free char *body = json_write(operation, true);
    if (!body || !id[0]) {
        log_error("The history of operations: an operation %s", body ? "has no id" : "found no memory");
        return;
    }
    sqlite3 *s = store_db_lock(db);
    bool known = is_known(s, id, body, &same);
    if (!same && upsert(s, id, operation, body) && !known)
        store_db_trim(s, "DELETE FROM operations WHERE position <= (SELECT max(position) FROM operations) - ?", OPERATIONS_KEPT,
                      OPERATIONS_TRIM_EVERY);
    store_db_unlock(db);
}

static json_t *get(void *owner, const char *id)
{
    struct store_db *db = owner;
    json_t *operation = NULL;
    sqlite3 *s = store_db_lock(db);
    sqlite3_stmt *st = store_db_prepare(s, "SELECT body FROM operations WHERE id = ?", NULL);
    if (st) {
        store_db_bind_text(st, 1, id);
        if (sqlite3_step(st) == SQLITE_ROW) operation = store_db_parse(st, 0);
    }
    sqlite3_finalize(st);
    store_db_unlock(db);
    return operation;
}

static int position_of(sqlite3 *s, const char *id, int64_t *ret, struct err *e)
{
    cleanup_statement sqlite3_stmt *st = store_db_prepare(s, "SELECT position FROM operations WHERE id = ?", e);
    if (!st) return -1;
    store_db_bind_text(st, 1, id);
    if (sqlite3_step(st) != SQLITE_ROW)
        return err_set(e, ERR_BAD_REQUEST, "after: there is no operation \"%.100s\"", id);
    *ret = sqlite3_column_int64(st, 0);
    return 0;
}

static json_t *read_list(sqlite3 *s, const char *drive, const char *state, int limit, int64_t before, struct err *e)
{
    cleanup_statement sqlite3_stmt *st = store_db_prepare(
        s,
        "SELECT body FROM operations WHERE position < ?1 AND (?2 IS NULL OR drive = ?2) AND (?3 IS NULL OR state = ?3) "
        "ORDER BY position DESC LIMIT ?4",
        e);
    if (!st) return NULL;
    sqlite3_bind_int64(st, 1, before);
    store_db_bind_text(st, 2, drive);
    store_db_bind_text(st, 3, state);
    sqlite3_bind_int(st, 4, limit);
    return store_db_read_bodies(s, st, "The history of operations cannot be read", e);
}

static json_t *list_operations(void *owner, const char *drive, const char *state, int limit, const char *after,
                               struct err *e)
{
    struct store_db *db = owner;
    int64_t before = INT64_MAX;
    json_t *list = NULL;
    sqlite3 *s = store_db_lock(db);
    if (!after || position_of(s, after, &before, e) == 0) list = read_list(s, drive, state, limit, before, e);
    store_db_unlock(db);
    return list;
}

struct api_history store_operations_history(struct store_db *db)
{
    return (struct api_history){.owner = db, .put = put, .get = get, .list = list_operations};
}
