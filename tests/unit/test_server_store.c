/* The database: opening, migrating, surviving damage; and the history of operations in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "server/directories.h"
#include "server/store_audit.h"
#include "server/store_marks.h"
#include "server/store_operations.h"
#include "server/store_schema.h"

struct place {
    char directory[64], path[96];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    if (!p) return -1;
    strcpy(p->directory, "/tmp/test_server_store-XXXXXX");
    if (!mkdtemp(p->directory)) return -1;
    snprintf(p->path, sizeof p->path, "%s/trayd.db", p->directory);
    log_init("test", LOG_LEVEL_ERROR);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    directories_remove(p->directory);
    assert_true(access(p->directory, F_OK) < 0);
    free(p);
    return 0;
}

static size_t count_files(const struct place *p, const char *pattern)
{
    char text[128];
    glob_t found;
    snprintf(text, sizeof text, "%s/%s", p->directory, pattern);
    size_t count = glob(text, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

static struct store_db *open_db(const struct place *p)
{
    struct err e;
    struct store_db *db = store_db_open(p->path, &e);
    if (!db) fail_msg("%s", e.text);
    return db;
}

/* For complaints that are expected. */
static void quiet(bool on)
{
    static int before = -1;
    if (on) before = dup(STDERR_FILENO);
    int to = on ? open("/dev/null", O_WRONLY | O_CLOEXEC) : before;
    dup2(to, STDERR_FILENO);
    close(to);
}

static struct store_db *open_quietly(const struct place *p)
{
    struct err e = {0};
    quiet(true);
    struct store_db *db = store_db_open(p->path, &e);
    quiet(false);
    if (!db) fail_msg("%s", e.text);
    return db;
}

static int64_t query(struct store_db *db, const char *sql)
{
    struct err e;
    sqlite3 *s = store_db_lock(db);
    sqlite3_stmt *st = store_db_prepare(s, sql, &e);
    assert_non_null(st);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    store_db_unlock(db);
    return value;
}

static void put(const struct api_history *h, const char *id, const char *drive, const char *state, int revision)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:i}", "id", id, "drive", drive, "state", state, "revision", revision);
    h->put(h->owner, o);
    json_decref(o);
}

static void ids(const struct api_history *h, const char *drive, const char *state, int limit, const char *after,
                char *ret_joined)
{
    struct err e = {0};
    json_t *list = h->list(h->owner, drive, state, limit, after, &e);
    if (!list) fail_msg("%s", e.text);
    ret_joined[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) strcat(ret_joined, json_text(json_array_get(list, i), "id"));
    json_decref(list);
}

static void makes_a_database(void **state)
{
    struct store_db *db = open_db(*state);
    assert_int_equal(query(db, "PRAGMA user_version"), store_schema_version);
    assert_int_equal(query(db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(query(db, "PRAGMA trusted_schema"), 0);
    assert_int_equal(query(db, "PRAGMA synchronous"), 2);
    assert_int_equal(query(db, "SELECT count(*) FROM pragma_table_list WHERE name = 'operations' AND strict"), 1);
    store_db_close(db);
    assert_int_equal(count_files(*state, "*"), 1); /* no log is left behind */
    store_db_close(NULL);
}

static void keeps_what_was_put(void **state)
{
    struct store_db *db = open_db(*state);
    struct api_history h = store_operations_history(db);
    put(&h, "a", "cd0", "queued", 1);
    put(&h, "a", "cd0", "done", 2);
    store_db_close(db);
    db = open_db(*state);
    h = store_operations_history(db);
    json_t *o = h.get(h.owner, "a");
    assert_string_equal(json_text(o, "state"), "done");
    assert_int_equal(json_int(o, "revision", 0), 2);
    json_decref(o);
    assert_null(h.get(h.owner, "b"));
    store_db_close(db);
}

static void lists_newest_first(void **state)
{
    struct store_db *db = open_db(*state);
    struct api_history h = store_operations_history(db);
    char joined[64];
    struct err e;
    put(&h, "1", "cd0", "done", 1);
    put(&h, "2", "usb0", "failed", 1);
    put(&h, "3", "cd0", "failed", 1);
    put(&h, "4", "cd0", "queued", 1);
    put(&h, "1", "cd0", "done", 2); /* a change does not make it newer */
    ids(&h, NULL, NULL, 10, NULL, joined);
    assert_string_equal(joined, "4321");
    ids(&h, "cd0", NULL, 10, NULL, joined);
    assert_string_equal(joined, "431");
    ids(&h, "cd0", "failed", 10, NULL, joined);
    assert_string_equal(joined, "3");
    ids(&h, NULL, "failed", 10, "3", joined);
    assert_string_equal(joined, "2");
    ids(&h, NULL, NULL, 2, "4", joined);
    assert_string_equal(joined, "32");
    ids(&h, "nothing", NULL, 2, NULL, joined);
    assert_string_equal(joined, "");
    assert_null(h.list(h.owner, NULL, NULL, 2, "unknown", &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    store_db_close(db);
}

static json_t *a_mark(const char *by)
{
    return json_pack("{s:s, s:s}", "by", by, "reason", "forced");
}

static void assert_waiting(const struct api_marks *m, const char *expected)
{
    char joined[256] = "";
    size_t i;
    json_t *item, *list = m->waiting(m->owner);
    assert_non_null(list);
    json_array_foreach(list, i, item)
        snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s:%s/%s by %s;", json_text(item, "operation"),
                 json_text(item, "store"), json_text(item, "image"), json_text(json_object_get(item, "mark"), "by"));
    assert_string_equal(joined, expected);
    json_decref(list);
}

static void a_mark_is_taken_once(void **state)
{
    struct store_db *db = open_db(*state);
    struct api_marks m = store_marks(db);
    json_t *ann = a_mark("ann"), *bob = a_mark("b\"ob");
    assert_int_equal(m.add(m.owner, "1", "main", "a.img", ann), 1);
    assert_int_equal(m.add(m.owner, "2", "main/sub", "b ü.img", bob), 1);
    assert_int_equal(m.add(m.owner, "1", "main", "a.img", bob), 0);
    store_db_close(db);
    db = open_db(*state);
    m = store_marks(db);
    assert_waiting(&m, "1:main/a.img by ann;2:main/sub/b ü.img by b\"ob;");
    m.rename(m.owner, "1", "c.img");
    m.settle(m.owner, "2");
    assert_waiting(&m, "1:main/c.img by ann;");
    m.settle(m.owner, "1");
    m.settle(m.owner, "nothing");
    assert_waiting(&m, "");
    assert_int_equal(m.add(m.owner, "1", "main", "a.img", ann), 0); /* known for good */
    json_decref(ann);
    json_decref(bob);
    store_db_close(db);
}

static void marks_are_bounded(void **state)
{
    struct store_db *db = open_db(*state);
    struct api_marks m = store_marks(db);
    json_t *mark = a_mark("ann");
    char id[16];
    for (int i = 0; i < MARKS_KEPT + 2 * MARKS_TRIM_EVERY; i++) {
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(m.add(m.owner, id, "main", "a.img", mark), 1);
    }
    json_decref(mark);
    int64_t kept = query(db, "SELECT count(*) FROM marks");
    assert_in_range(kept, MARKS_KEPT, MARKS_KEPT + MARKS_TRIM_EVERY);
    store_db_close(db);
}

static void the_audit_log_is_kept_and_paged(void **state)
{
    struct err e = {0};
    struct store_db *db = open_db(*state);
    struct api_audit log = store_audit_log(db);
    for (int i = 1; i <= 5; i++) {
        json_t *entry = json_pack("{s:i}", "n", i);
        log.add(log.owner, i % 2 ? "ann" : NULL, entry);
        json_decref(entry);
    }
    store_db_close(db);
    db = open_db(*state);
    log = store_audit_log(db);
    cleanup_json json_t *page = log.list(log.owner, NULL, 2, NULL, &e);
    assert_int_equal(json_array_size(page), 2);
    assert_int_equal(json_int(json_array_get(page, 0), "n", 0), 5);
    const char *last = json_text(json_array_get(page, 1), "id");
    cleanup_json json_t *rest = log.list(log.owner, NULL, 10, last, &e);
    assert_int_equal(json_array_size(rest), 3);
    assert_int_equal(json_int(json_array_get(rest, 0), "n", 0), 3);
    cleanup_json json_t *anns = log.list(log.owner, "ann", 10, NULL, &e);
    assert_int_equal(json_array_size(anns), 3);
    static const char *const nonsense[] = {"x", "-1", "99999999999999999999", "9223372036854775808"};
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        assert_null(log.list(log.owner, NULL, 1, nonsense[i], &e));
        assert_int_equal(e.code, ERR_BAD_REQUEST);
    }
    store_db_close(db);
}

static void the_audit_log_is_bounded(void **state)
{
    struct store_db *db = open_db(*state);
    struct api_audit log = store_audit_log(db);
    sqlite3 *s = store_db_lock(db);
    assert_int_equal(sqlite3_exec(s, "INSERT INTO audit (position, body) VALUES (1, '{}'), (10000000, '{}')", NULL, NULL, NULL), SQLITE_OK);
    store_db_unlock(db);
    cleanup_json json_t *entry = json_object();
    for (int i = 0; i < AUDIT_TRIM_EVERY; i++) log.add(log.owner, NULL, entry);
    assert_int_equal(query(db, "SELECT count(*) FROM audit WHERE position = 1"), 0);
    assert_int_equal(query(db, "SELECT count(*) FROM audit"), AUDIT_TRIM_EVERY + 1);
    store_db_close(db);
}

static void writes_nothing_when_nothing_changes(void **state)
{
    const struct place *p = *state;
    char wal[128];
    struct stat before, after;
    struct store_db *db = open_db(p);
    struct api_history h = store_operations_history(db);
    snprintf(wal, sizeof wal, "%s-wal", p->path);
    put(&h, "a", "cd0", "done", 1);
    assert_int_equal(stat(wal, &before), 0);
    for (int i = 0; i < 100; i++) put(&h, "a", "cd0", "done", 1);
    assert_int_equal(stat(wal, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    put(&h, "a", "cd0", "done", 2);
    assert_int_equal(stat(wal, &after), 0);
    assert_true(before.st_size < after.st_size);
    store_db_close(db);
}

static void is_bounded(void **state)
{
    struct store_db *db = open_db(*state);
    struct api_history h = store_operations_history(db);
    struct err e;
    sqlite3 *s = store_db_lock(db);
    sqlite3_stmt *st =
        store_db_prepare(s,
                         "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                         "INSERT INTO operations (id, drive, state, body) SELECT i, 'cd0', 'done', '{}' FROM n",
                         &e);
    assert_non_null(st);
    sqlite3_bind_int(st, 1, OPERATIONS_KEPT + 500);
    assert_int_equal(sqlite3_step(st), SQLITE_DONE);
    sqlite3_finalize(st);
    store_db_unlock(db);
    for (int i = 0; i < OPERATIONS_TRIM_EVERY; i++) {
        char id[16];
        snprintf(id, sizeof id, "x%d", i);
        put(&h, id, "cd0", "done", i);
    }
    int64_t count = query(db, "SELECT count(*) FROM operations");
    assert_in_range(count, OPERATIONS_KEPT, OPERATIONS_KEPT + OPERATIONS_TRIM_EVERY);
    assert_int_equal(query(db, "SELECT count(*) FROM operations WHERE id = '1'"), 0);
    assert_int_equal(query(db, "SELECT count(*) FROM operations WHERE id = 'x0'"), 1);
    store_db_close(db);
}

static void moves_a_damaged_one_aside(void **state)
{
    const struct place *p = *state;
    static const char garbage[8192] = "this is no database";
    struct err e;
    assert_int_equal(fd_replace_file(p->path, garbage, sizeof garbage, false, &e), 0);
    struct store_db *db = open_quietly(p);
    struct api_history h = store_operations_history(db);
    put(&h, "a", "cd0", "done", 1);
    store_db_close(db);
    assert_int_equal(count_files(p, "trayd.db.broken-*"), 1);
}

/* A page in the middle is overwritten: the header is fine, the content is not. */
static void notices_damage_inside(void **state)
{
    const struct place *p = *state;
    struct store_db *db = open_db(p);
    struct api_history h = store_operations_history(db);
    for (int i = 0; i < 200; i++) {
        char id[64];
        snprintf(id, sizeof id, "a rather long identifier, to fill pages: %d", i);
        put(&h, id, "cd0", "done", i);
    }
    store_db_close(db);
    int fd = open(p->path, O_WRONLY | O_CLOEXEC);
    char junk[4096];
    memset(junk, 0xa5, sizeof junk);
    for (int page = 1; page < 6; page++) assert_int_equal(pwrite(fd, junk, sizeof junk, page * 4096), sizeof junk);
    close(fd);
    db = open_quietly(p);
    assert_int_equal(query(db, "SELECT count(*) FROM operations"), 0);
    store_db_close(db);
    assert_int_equal(count_files(p, "trayd.db.broken-*"), 1);
}

static void refuses_a_newer_schema(void **state)
{
    const struct place *p = *state;
    struct err e;
    struct store_db *db = open_db(p);
    sqlite3 *s = store_db_lock(db);
    assert_int_equal(sqlite3_exec(s, "PRAGMA user_version = 1000", NULL, NULL, NULL), SQLITE_OK);
    store_db_unlock(db);
    store_db_close(db);
    assert_null(store_db_open(p->path, &e));
    assert_non_null(strstr(e.text, "newer"));
    assert_int_equal(count_files(p, "trayd.db"), 1); /* and leaves it where it is */
    assert_int_equal(count_files(p, "*broken*"), 0);
}

static void says_where_it_cannot(void **state)
{
    const struct place *p = *state;
    char path[128];
    struct err e;
    snprintf(path, sizeof path, "%s/missing/trayd.db", p->directory);
    assert_null(store_db_open(path, &e));
    assert_non_null(strstr(e.text, path));
}

/* The Nth allocation fails, for every N until all succeed: no crash, and the database stays whole. */
static int allocations_left = -1;
static sqlite3_mem_methods real_memory;

static void *failing_malloc(int n)
{
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    return real_memory.xMalloc(n);
}

static void *failing_realloc(void *p, int n)
{
    if (allocations_left == 0) return NULL;
    if (allocations_left > 0) allocations_left--;
    return real_memory.xRealloc(p, n);
}

static void survives_without_memory(void **state)
{
    struct store_db *db = open_db(*state);
    struct api_history h = store_operations_history(db);
    quiet(true);
    for (int n = 0; n < 400; n++) {
        char id[16];
        struct err e;
        snprintf(id, sizeof id, "%d", n);
        allocations_left = n;
        put(&h, id, "cd0", "done", n);
        json_decref(h.get(h.owner, id));
        json_decref(h.list(h.owner, NULL, NULL, 5, NULL, &e));
        allocations_left = -1;
    }
    quiet(false);
    put(&h, "last", "cd0", "done", 1);
    json_t *o = h.get(h.owner, "last");
    assert_non_null(o);
    json_decref(o);
    store_db_close(db);
    db = open_db(*state);
    assert_int_equal(count_files(*state, "*broken*"), 0);
    store_db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_a_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_what_was_put, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_newest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_nothing_when_nothing_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_audit_log_is_kept_and_paged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_audit_log_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mark_is_taken_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(marks_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moves_a_damaged_one_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notices_damage_inside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_newer_schema, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_where_it_cannot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_without_memory, set_up, tear_down),
    };
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
    sqlite3_mem_methods memory = real_memory;
    memory.xMalloc = failing_malloc;
    memory.xRealloc = failing_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
