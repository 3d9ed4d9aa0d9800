/*
 * Uploads that can be continued, and the Nth file operation of one that fails, or ends the process, or loses the power,
 * for N = 1, 2, 3 ... until none is reached. What was acknowledged is there afterwards; the upload can be finished, and is
 * then what was sent, or it was never promised, and nothing is left of it.
 */
#include "tests/unit/images_faulty.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include "images/partial.h"
#include "images/record.h"

#define BYTES 700000 /* more than one piece of the digest's reader */
#define NAME "main/p.iso"

static uint8_t data[BYTES];
static const struct library_interrupt no_interrupt;

/* What a client remembers; shared with a process that ends. */
static struct client {
    char id[TRANSFER_ID_MAX]; /* "" until it was told */
    int64_t acknowledged;
    bool finished;
} *client;

static const struct library_upload_request request = {.store = "", .name = "p.iso", .length = BYTES, .user = "local"};

/* ---- one upload, as a client makes it ---- */

static int begin(struct library *l, struct err *e)
{
    struct library_partial_status status;
    *client = (struct client){0};
    if (library_partial_create(l, &request, "tus", "filename cA==", &status, e) < 0) return -1;
    strcpy(client->id, status.id);
    return 0;
}

enum ending { GOOD, DAMAGED, BROKEN };

/* A piece in bites of an odd size. */
static int send_piece(struct library *l, int64_t offset, size_t len, enum ending how, struct err *e)
{
    struct library_partial_status status;
    json_t *image = NULL;
    struct library_piece *piece = library_piece_begin(l, client->id, offset, how == DAMAGED, &no_interrupt, e);
    if (!piece) return -1;
    for (size_t at = 0; at < len; at += 12345) {
        if (library_piece_write(piece, data + offset + at, MIN(len - at, 12345), e) < 0) {
            library_piece_abort(piece);
            return -1;
        }
    }
    if (how == BROKEN) {
        library_piece_abort(piece);
        return 0;
    }
    if (library_piece_end(piece, how == GOOD, &status, &image, e) < 0) return -1;
    json_decref(image);
    assert_true(status.offset >= client->acknowledged);
    client->acknowledged = status.offset;
    client->finished = status.finished;
    return 0;
}

static int ask(struct library *l, struct library_partial_status *status, struct err *e)
{
    if (library_partial_status(l, client->id, status, e) < 0) return -1;
    if (status->offset < client->acknowledged)
        fail_msg("%lld bytes of %lld that were acknowledged", (long long)status->offset,
                 (long long)client->acknowledged);
    assert_true(status->finished == (status->offset == BYTES)); /* a client takes the full size for the end */
    client->acknowledged = status->offset;
    client->finished = status->finished;
    return 0;
}

/* All that there is in one upload: a piece, one that is damaged, one that breaks off, a question, and the rest. */
static int whole(struct library *l, struct err *e)
{
    struct library_partial_status status;
    if (begin(l, e) < 0 || send_piece(l, 0, 300000, GOOD, e) < 0 || send_piece(l, 300000, 50000, DAMAGED, e) < 0 ||
        send_piece(l, 300000, 100001, BROKEN, e) < 0 || ask(l, &status, e) < 0)
        return -1;
    return send_piece(l, status.offset, (size_t)(BYTES - status.offset), GOOD, e);
}

/* ---- afterwards ---- */

static void assert_content(const struct fixture *f)
{
    static uint8_t there[BYTES + 1];
    char sha256[SHA256_TEXT_MAX];
    struct stat st;
    cleanup_close int fd = open(path_in(f, NAME), O_RDONLY | O_CLOEXEC);
    assert_int_equal(fd_read_full(fd, there, sizeof there), BYTES);
    assert_memory_equal(there, data, BYTES);
    assert_int_equal(fstat(fd, &st), 0);
    if (st.st_nlink != 1) fail_msg("%d names", (int)st.st_nlink);
    stored_digest_read(fd, &st, sha256);
}

/* Goes on from wherever it stands, as a client does that had an error. */
static void finish_it(struct fixture *f)
{
    struct library_partial_status status;
    struct err e = {0};
    if (ask(f->library, &status, &e) < 0) fail_msg("where does it stand? %s", e.text);
    if (!client->finished &&
        send_piece(f->library, status.offset, (size_t)(BYTES - status.offset), GOOD, &e) < 0)
        fail_msg("going on at %lld: %s", (long long)status.offset, e.text);
    assert_true(client->finished);
    assert_content(f);
    assert_int_equal(library_partial_status(f->library, client->id, &status, &e), 0);
    assert_true(status.finished);
    assert_int_equal(library_partial_delete(f->library, client->id, &e), 0);
}

static void clean_up(struct fixture *f)
{
    struct err e;
    if (size_of_file(f, NAME) >= 0 && library_delete(f->library, "", "p.iso", NULL, &e) < 0) fail_msg("%s", e.text);
    assert_nothing_left(f);
    assert_null(f->library->slots);
    assert_int_equal(f->library->receiving, 0);
    assert_int_equal(atomic_load(&f->library->stores[0].promised), 0);
}

/* One whose client was never told, but which is there: it can only be asked for anew. */
static void begin_anew(struct fixture *f)
{
    struct err e = {0};
    cleanup_json json_t *transfers = transfers_list(library_transfers(f->library));
    const json_t *list = json_object_get(transfers, "transfers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *transfer = json_array_get(list, i);
        if (strcmp(json_text(transfer, "state"), "paused") == 0)
            assert_int_equal(json_int(transfer, "bytes", -1), 0);
    }
    if (begin(f->library, &e) < 0) fail_msg("a new one: %s", e.text);
}

static void afterwards(struct fixture *f)
{
    if (!client->id[0]) begin_anew(f);
    finish_it(f);
    clean_up(f);
}

/* ---- operations that fail ---- */

static bool one_round(struct fixture *f, int n)
{
    struct err e = {0};
    rmdir(path_in(f, HIDDEN_OF_MAIN));
    fault.at = n;
    fault.count = 0;
    int result = whole(f->library, &e);
    bool reached = fault.count >= n;
    fault.at = 0;
    if (result < 0) {
        assert_true(reached);
        assert_int_not_equal(e.code, ERR_NONE);
        assert_true(e.text[0]);
    }
    if (fault.how == WRITE_LESS) assert_int_equal(result, 0);
    afterwards(f);
    return reached;
}

static void sweep(struct fixture *f, enum how how, int errnum)
{
    f->library->ops = &faulty_ops;
    fault.how = how;
    fault.errnum = errnum;
    int n = 1;
    while (one_round(f, n)) n++;
    assert_true(n > 40); /* the upload does go through the table */
}

static void sweep_eio(void **state) { sweep(*state, FAIL, EIO); }
static void sweep_enospc(void **state) { sweep(*state, FAIL, ENOSPC); }
static void sweep_erofs(void **state) { sweep(*state, FAIL, EROFS); }
static void sweep_not_supported(void **state) { sweep(*state, FAIL, EOPNOTSUPP); }
static void sweep_eio_for_good(void **state) { sweep(*state, FAIL_FOR_GOOD, EIO); }
static void sweep_enospc_for_good(void **state) { sweep(*state, FAIL_FOR_GOOD, ENOSPC); }
static void sweep_short_writes(void **state) { sweep(*state, WRITE_LESS, 0); }

/* ---- the process ends, or the power goes ---- */

static bool one_life(struct fixture *f, enum how how, int n)
{
    struct err e;
    rmdir(path_in(f, HIDDEN_OF_MAIN));
    library_free(f->library); /* its threads would not come along into the child */
    f->library = NULL;
    *client = (struct client){0};
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_start(f);
        f->library->ops = &faulty_ops;
        fault.how = how;
        fault.at = n;
        fault.count = 0;
        int result = whole(f->library, &e);
        if (how == LOSE_POWER) lose_all(); /* right after the last answer */
        _exit(result < 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    bool reached = WEXITSTATUS(status) == EXIT_STATUS;
    if (!reached) assert_int_equal(WEXITSTATUS(status), 0);
    fixture_start(f);
    afterwards(f);
    return reached;
}

static void lives(struct fixture *f, enum how how)
{
    int n = 1;
    fault.at = 0;
    while (one_life(f, how, n)) n++;
    assert_true(n > 40);
}

static void sweep_process_ends(void **state)
{
    lives(*state, END_PROCESS);
}

static void sweep_power_goes(void **state)
{
    lives(*state, LOSE_POWER);
}

/* ---- others ---- */

/* A store that cannot reserve: what an upload was promised stays promised while it rests, and after a restart. */
static int cannot_reserve(attr_unused int fd, attr_unused off_t offset, attr_unused off_t len)
{
    errno = EOPNOTSUPP;
    return -1;
}

static void promises(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct fileops ops = fileops_kernel;
    ops.reserve = cannot_reserve;
    f->library->ops = &ops;
    fault.at = 0;
    assert_int_equal(begin(f->library, &e), 0);
    assert_int_equal(atomic_load(&f->library->stores[0].promised), BYTES);
    assert_int_equal(send_piece(f->library, 0, 300000, GOOD, &e), 0);
    assert_int_equal(atomic_load(&f->library->stores[0].promised), BYTES - 300000);
    assert_int_equal(send_piece(f->library, 7, 300000, GOOD, &e), -1);
    assert_code(e, ERR_OFFSET_DIFFERS);
    assert_int_equal(atomic_load(&f->library->stores[0].promised), BYTES - 300000);
    finish_it(f);
    clean_up(f);
}

/* Room that an upload has is its own, however little the others leave. */
static uint64_t bytes_free;

static int small_room(int fd, struct statvfs *ret)
{
    if (fstatvfs(fd, ret) < 0) return -1;
    ret->f_frsize = 1;
    ret->f_bavail = bytes_free;
    return 0;
}

static void reserve_of_the_store(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct fileops ops = fileops_kernel;
    ops.room = small_room;
    f->library->ops = &ops;
    f->library->stores[0].config.reserve = 5000;
    fault.at = 0;
    bytes_free = BYTES + 4999;
    assert_int_equal(begin(f->library, &e), -1);
    assert_code(e, ERR_NO_SPACE);
    bytes_free = BYTES + 5000;
    assert_int_equal(begin(f->library, &e), 0);
    bytes_free = 100;
    assert_int_equal(send_piece(f->library, 0, 300000, GOOD, &e), 0);
    finish_it(f);
    f->library->ops = &fileops_kernel;
    clean_up(f);
}

/* Two services on one store: what one receives the other leaves alone, and continues when it rests. */
static void two_services(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    fault.at = 0;
    assert_int_equal(begin(f->library, &e), 0);
    assert_int_equal(send_piece(f->library, 0, 1000, GOOD, &e), 0);
    struct library *second = library_new(&f->stores, &e);
    struct library_piece *piece = library_piece_begin(f->library, client->id, 1000, false, &no_interrupt, &e);
    assert_non_null(piece);
    assert_null(library_piece_begin(second, client->id, 1000, false, &no_interrupt, &e));
    assert_code(e, ERR_UPLOAD_BUSY);
    library_piece_abort(piece);
    assert_int_equal(send_piece(second, 1000, 5000, GOOD, &e), 0);
    assert_int_equal(send_piece(f->library, 1000, 5000, GOOD, &e), -1);
    assert_code(e, ERR_OFFSET_DIFFERS);
    finish_it(f);
    library_free(second);
    clean_up(f);
}

static void marks(attr_unused void **state)
{
    char text[RECORD_MARK_BYTES + 1];
    struct record_mark m = {.offset = INT64_MAX, .number = UINT64_MAX}, again;
    record_mark_format(&m, text);
    assert_int_equal(strlen(text), RECORD_MARK_BYTES);
    assert_true(record_mark_parse(text, &again));
    assert_int_equal(again.offset, m.offset);
    assert_int_equal(again.number, m.number);
    for (int i = 0; i < RECORD_MARK_BYTES; i++) { /* any damage is noticed */
        char spoilt[RECORD_MARK_BYTES + 1];
        memcpy(spoilt, text, sizeof spoilt);
        spoilt[i] ^= 4;
        assert_false(record_mark_parse(spoilt, &again));
    }
    memset(text, 0, sizeof text);
    assert_false(record_mark_parse(text, &again));
}

static void records(attr_unused void **state)
{
    static struct record r = {.name = "\xc3\xa4 \"b\".iso", .folder = "x/y", .size = INT64_MAX, .started = 1, .inode = UINT64_MAX,
                              .method = "tus", .note = "filename YQ=="}, again;
    struct err e;
    cleanup_free char *text = record_format(&r);
    assert_int_equal(record_parse(text, strlen(text), &again, &e), 0);
    assert_string_equal(again.name, r.name);
    assert_string_equal(again.folder, r.folder);
    assert_string_equal(again.note, r.note);
    assert_int_equal(again.size, r.size);
    assert_true(again.inode == r.inode);
    static const char *const bad[] = {
        "", "{}", "{\"version\":2,\"name\":\"a\",\"folder\":\"\",\"size\":1}",
        "{\"version\":1,\"name\":\"../a\",\"folder\":\"\",\"size\":1}",
        "{\"version\":1,\"name\":\"a\",\"folder\":\"..\",\"size\":1}",
        "{\"version\":1,\"name\":\"a\",\"folder\":\"\",\"size\":-1}",
        "{\"version\":1,\"name\":\"a\",\"folder\":\"\",\"size\":1,\"sha256\":\"xyz\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (record_parse(bad[i], strlen(bad[i]), &again, &e) == 0) fail_msg("%s", bad[i]);
}

int main(void)
{
    fill_pattern(data, sizeof data);
    client = mmap(NULL, sizeof *client, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(sweep_eio),
        FIXTURE_TEST(sweep_enospc),
        FIXTURE_TEST(sweep_erofs),
        FIXTURE_TEST(sweep_not_supported),
        FIXTURE_TEST(sweep_eio_for_good),
        FIXTURE_TEST(sweep_enospc_for_good),
        FIXTURE_TEST(sweep_short_writes),
        FIXTURE_TEST(sweep_process_ends),
        FIXTURE_TEST(sweep_power_goes),
        FIXTURE_TEST(promises),
        FIXTURE_TEST(reserve_of_the_store),
        FIXTURE_TEST(two_services),
        cmocka_unit_test(marks),
        cmocka_unit_test(records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
