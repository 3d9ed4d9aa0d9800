#include "server/store_marks.h"

#include "base/log.h"

static bool done(sqlite3 *s, sqlite3_stmt *st)
{
    if (st && sqlite3_step(st) == SQLITE_DONE) return true;
    log_error("The marks of unclean images: %s", sqlite3_errmsg(s));
    return false;
}

/* Asked first, since a statement that changes nothing writes to the log all the same. */
static bool is_known(sqlite3 *s, const char *operation)
{
    cleanup_statement sqlite3_stmt *st = store_db_prepare(s, "SELECT 1 FROM marks WHERE operation = ?", NULL);
    if (st) store_db_bind_text(st, 1, operation);
    return st && sqlite3_step(st) == SQLITE_ROW;
}

static int insert(sqlite3 *s, const char *operation, const char *store, const char *image, const char *body)
{
    cleanup_statement sqlite3_stmt *st =
        store_db_prepare(s, "INSERT INTO marks (operation, store, image, body) VALUES (?1, ?2, ?3, ?4)", NULL);
    const char *const texts[] = {operation, store, image, body};
    for (int i = 0; st && i < (int)ARRAY_LEN(texts); i++) store_db_bind_text(st, i + 1, texts[i]);
    if (!done(s, st)) return -1;
    store_db_trim(s, "DELETE FROM marks WHERE position <= (SELECT max(position) FROM marks) - ?", MARKS_KEPT,
                  MARKS_TRIM_EVERY);
    return 1;
}

static int add(void *owner, const char *operation, const char *store, const char *image, const json_t *mark)
{
    struct store_db *db = owner;
    cleanup_free char *body = json_write(mark, true);
    if (!body) {
        log_error("The marks of unclean images: out of memory");
        return -1;
    }
    sqlite3 *s = store_db_lock(db);
    int result = is_known(s, operation) ? 0 : insert(s, operation, store, image, body);
    store_db_unlock(db);
    return result;
}

static json_t *waiting(void *owner)
{
    struct store_db *db = owner;
    struct err e;
    json_t *list = NULL;
    sqlite3 *s = store_db_lock(db);
    cleanup_statement sqlite3_stmt *st = store_db_prepare(
        s,
        "SELECT json_object('operation', operation, 'store', store, 'image', image, 'mark', json(body)) FROM marks "
        "WHERE waits ORDER BY position",
        &e);
    if (st) list = store_db_read_bodies(s, st, "The marks of unclean images cannot be read", &e);
    store_db_unlock(db);
    if (!list) log_error("%s", e.text);
    return list;
}

static void change(struct store_db *db, const char *sql, const char *operation, const char *image)
{
    sqlite3 *s = store_db_lock(db);
    cleanup_statement sqlite3_stmt *st = store_db_prepare(s, sql, NULL);
    if (st) store_db_bind_text(st, 1, operation);
    if (st && image) store_db_bind_text(st, 2, image);
    done(s, st);
    store_db_unlock(db);
}

static void settle(void *owner, const char *operation)
{
    change(owner, "UPDATE marks SET waits = 0 WHERE operation = ?1", operation, NULL);
}

static void rename_image(void *owner, const char *operation, const char *image)
{
    change(owner, "UPDATE marks SET image = ?2 WHERE operation = ?1", operation, image);
}

struct api_marks store_marks(struct store_db *db)
{
    return (struct api_marks){.owner = db, .add = add, .waiting = waiting, .settle = settle, .rename = rename_image};
}
