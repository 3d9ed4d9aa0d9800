#include "server/store_audit.h"

#include "base/log.h"
#include "base/parse.h"

static void add(void *owner, const char *by, const json_t *entry)
{
    struct store_db *db = owner;
    cleanup_free char *body = json_write(entry, true);
    sqlite3 *s = store_db_lock(db);
    cleanup_statement sqlite3_stmt *st = store_db_prepare(s, "INSERT INTO audit (by, body) VALUES (?1, ?2)", NULL);
    if (st && body) {
        store_db_bind_text(st, 1, by);
        store_db_bind_text(st, 2, body);
    }
    if (!st || !body || sqlite3_step(st) != SQLITE_DONE)
        log_error("An entry of the audit log cannot be kept (%s): %s", body ? sqlite3_errmsg(s) : "out of memory", body ? body : "");
    else
        store_db_trim(s, "DELETE FROM audit WHERE position <= (SELECT max(position) FROM audit) - ?", AUDIT_KEPT, AUDIT_TRIM_EVERY);
    store_db_unlock(db);
}

static json_t *read_list(sqlite3 *s, const char *by, int limit, int64_t before, struct err *e)
{
    cleanup_statement sqlite3_stmt *st = store_db_prepare(
        s,
        "SELECT json_insert(body, '$.id', CAST(position AS TEXT)) FROM audit "
        "WHERE position < ?1 AND (?2 IS NULL OR by = ?2) ORDER BY position DESC LIMIT ?3",
        e);
    if (!st) return NULL;
    sqlite3_bind_int64(st, 1, before);
    store_db_bind_text(st, 2, by);
    sqlite3_bind_int(st, 3, limit);
    return store_db_read_bodies(s, st, "The audit log cannot be read", e);
}

static json_t *list(void *owner, const char *by, int limit, const char *after, struct err *e)
{
    struct store_db *db = owner;
    uint64_t before = INT64_MAX;
    if (after && (parse_u64(after, &before) < 0 || before > INT64_MAX)) {
        err_set(e, ERR_BAD_REQUEST, "after: there is no entry \"%.100s\"", after);
        return NULL;
    }
    sqlite3 *s = store_db_lock(db);
    json_t *entries = read_list(s, by, limit, (int64_t)before, e);
    store_db_unlock(db);
    return entries;
}

struct api_audit store_audit_log(struct store_db *db)
{
    return (struct api_audit){.owner = db, .add = add, .list = list};
}
