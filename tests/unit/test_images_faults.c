/*
 * The Nth file operation of an upload fails, or the process ends or the power goes there, for N = 1, 2, 3 ... until none is
 * reached.
 * Afterwards the image is absent (or as it was) or complete, no byte of the upload is left, and the next one works.
 */
#include "tests/unit/images_faulty.h"

#include <sys/wait.h>

#define BYTES 1200000 /* two full pieces and a part */
#define OLD "old"

static uint8_t data[BYTES];

/* ---- three kinds of upload ---- */

static const struct library_upload_request kinds[] = {
    {.store = "", .name = "a.iso", .length = BYTES},
    {.store = "", .name = "a.iso", .length = -1},
    {.store = "", .name = "a.iso", .length = BYTES, .if_match = "*"}, /* replaces */
};

static void begin_round(const struct fixture *f, const struct library_upload_request *rq)
{
    unlink(path_in(f, "main/a.iso"));
    unlink(path_in(f, "main/next.iso"));
    rmdir(path_in(f, HIDDEN_OF_MAIN)); /* so that making it is among the operations */
    if (rq->if_match) put_file(f, "main/a.iso", OLD, sizeof OLD - 1);
}

enum outcome { ABSENT, AS_IT_WAS, COMPLETE };

static enum outcome look(const struct fixture *f)
{
    int64_t size = size_of_file(f, "main/a.iso");
    if (size < 0) return ABSENT;
    if (size == sizeof OLD - 1) return AS_IT_WAS;
    assert_int_equal(size, BYTES);
    static uint8_t there[BYTES];
    cleanup_close int fd = open(path_in(f, "main/a.iso"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(fd_read_full(fd, there, BYTES), BYTES);
    assert_memory_equal(there, data, BYTES);
    return COMPLETE;
}

static void next_upload_works(struct fixture *f)
{
    struct err e = {0};
    struct library_upload_request rq = {.store = "", .name = "next.iso", .length = 4};
    fault.at = 0;
    cleanup_json json_t *image = upload(f->library, &rq, "next", 4, &e);
    if (!image) fail_msg("the next upload: %s", e.text);
    assert_int_equal(size_of_file(f, "main/next.iso"), 4);
    assert_nothing_left(f);
}

/* Returns whether the Nth operation existed. */
static bool one_round(struct fixture *f, const struct library_upload_request *rq, int n)
{
    struct err e = {0};
    begin_round(f, rq);
    fault.at = n;
    fault.count = 0;
    cleanup_json json_t *image = upload(f->library, rq, data, BYTES, &e);
    bool reached = fault.count >= n;
    enum outcome outcome = look(f);
    if (image) {
        assert_int_equal(outcome, COMPLETE);
    } else {
        assert_int_not_equal(e.code, ERR_NONE);
        assert_true(e.text[0]);
        assert_true(reached);
        if (outcome != COMPLETE) assert_int_equal(outcome, rq->if_match ? AS_IT_WAS : ABSENT);
    }
    if (fault.how != FAIL_FOR_GOOD) assert_nothing_left(f); /* for good: removing it failed as well */
    if (fault.how == WRITE_LESS) assert_non_null(image);
    next_upload_works(f);
    assert_null(f->library->slots);
    assert_int_equal(atomic_load(&f->library->stores[0].promised), 0);
    return reached;
}

static void sweep(struct fixture *f, enum how how, int errnum)
{
    f->library->ops = &faulty_ops;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        fault.how = how;
        fault.errnum = errnum;
        int n = 1;
        while (one_round(f, &kinds[k], n)) n++;
        assert_true(n > 12); /* the upload does go through the table */
    }
}

static void sweep_eio(void **state)
{
    sweep(*state, FAIL, EIO);
}

static void sweep_enospc(void **state)
{
    sweep(*state, FAIL, ENOSPC);
}

static void sweep_erofs(void **state)
{
    sweep(*state, FAIL, EROFS);
}

static void sweep_not_supported(void **state)
{
    sweep(*state, FAIL, EOPNOTSUPP);
}

static void sweep_eio_for_good(void **state)
{
    sweep(*state, FAIL_FOR_GOOD, EIO);
}

static void sweep_enospc_for_good(void **state)
{
    sweep(*state, FAIL_FOR_GOOD, ENOSPC);
}

static void sweep_short_writes(void **state)
{
    sweep(*state, WRITE_LESS, 0);
}

/* The number of the next operation of that name after number n. */
static int find_op(int n, const char *name)
{
    while (++n <= fault.count && n < (int)ARRAY_LEN(fault.trace))
        if (strcmp(fault.trace[n], name) == 0) return n;
    fail_msg("no operation %s", name);
    return 0;
}

/* The bytes are on the disk before the name is there, and the name before the client is told. */
static void order_of_syncs(void **state)
{
    struct fixture *f = *state;
    f->library->ops = &faulty_ops;
    fault.how = FAIL;
    fault.errnum = EIO;
    fault.at = 0;
    begin_round(f, &kinds[0]);
    fault.count = 0;
    struct err e = {0};
    json_decref(upload(f->library, &kinds[0], data, BYTES, &e));
    int written = find_op(0, "write"), sync = find_op(written, "sync"), renamed = find_op(written, "rename_new");
    assert_true(sync < renamed);
    int hidden = find_op(renamed, "sync"), file = find_op(hidden, "sync"), folder = find_op(file, "sync");

    begin_round(f, &kinds[0]);
    fault.at = sync;
    fault.count = 0;
    assert_null(upload(f->library, &kinds[0], data, BYTES, &e));
    assert_int_equal(look(f), ABSENT);

    begin_round(f, &kinds[0]);
    fault.at = folder;
    fault.count = 0;
    assert_null(upload(f->library, &kinds[0], data, BYTES, &e));
    assert_int_equal(look(f), COMPLETE);
    assert_true(json_flag(f->last_change, "complete")); /* those who listen know that it is there */
    assert_nothing_left(f);
}

/* ---- the process ends, or the power goes ---- */

static void die_in_upload(struct fixture *f, const struct library_upload_request *rq, enum how how, int n)
{
    struct err e = {0};
    fixture_start(f);
    f->library->ops = &faulty_ops;
    fault.how = how;
    fault.at = n;
    fault.count = 0;
    json_t *image = upload(f->library, rq, data, BYTES, &e);
    if (how == LOSE_POWER) lose_all(); /* right after the answer */
    _exit(image ? 0 : 1);
}

static void lives(struct fixture *f, enum how how)
{
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        int n = 1;
        for (bool reached = true; reached; n++) {
            begin_round(f, &kinds[k]);
            library_free(f->library); /* its threads would not come along into the child */
            f->library = NULL;
            pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) die_in_upload(f, &kinds[k], how, n);
            int status;
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFEXITED(status));
            reached = WEXITSTATUS(status) == EXIT_STATUS;
            if (!reached) assert_int_equal(WEXITSTATUS(status), 0);
            fixture_start(f);
            assert_nothing_left(f);
            enum outcome outcome = look(f);
            if (outcome != COMPLETE) assert_int_equal(outcome, kinds[k].if_match ? AS_IT_WAS : ABSENT);
            if (!reached) assert_int_equal(outcome, COMPLETE);
            f->library->ops = &faulty_ops;
            next_upload_works(f);
        }
        assert_true(n > 12);
    }
}

static void sweep_process_ends(void **state)
{
    lives(*state, END_PROCESS);
}

static void sweep_power_goes(void **state)
{
    lives(*state, LOSE_POWER);
}

/* A second service that starts on the same store takes nothing away from one that is receiving. */
static void leftovers_that_are_held(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, replaced;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = BYTES};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_int_equal(library_upload_write(u, data, BYTES, &e), 0);
    put_file(f, HIDDEN_OF_MAIN "/upload-0123456789abcdef", "x", 1);
    put_file(f, HIDDEN_OF_MAIN "/something-else", "x", 1);
    struct library *second = library_new(&f->stores, &e);
    assert_non_null(second);
    assert_int_equal(count_names(f, HIDDEN_OF_MAIN), 2);
    json_t *image = library_upload_finish(u, &replaced, &e);
    assert_non_null(image);
    json_decref(image);
    assert_int_equal(look(f), COMPLETE);
    assert_int_equal(count_names(f, HIDDEN_OF_MAIN), 1);
    library_free(second);
}

/* ---- file systems that lack something ---- */

static int cannot_reserve(attr_unused int fd, attr_unused off_t offset, attr_unused off_t len)
{
    errno = EOPNOTSUPP;
    return -1;
}

static int64_t free_bytes;

static int little_room(attr_unused int fd, struct statvfs *ret)
{
    *ret = (struct statvfs){.f_frsize = 1, .f_bavail = (fsblkcnt_t)free_bytes};
    return 0;
}

/* Without fallocate, what was promised to one upload is not promised to another. */
static void promises(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    bool exists, replaced;
    struct fileops ops = fileops_kernel;
    ops.reserve = cannot_reserve;
    ops.room = little_room;
    f->library->ops = &ops;
    free_bytes = BYTES + 100;
    struct library_upload_request rq = {.store = "", .name = "a.iso", .length = BYTES};
    struct library_upload *u = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(u);
    rq.name = "b.iso";
    rq.length = 101;
    assert_null(library_upload_begin(f->library, &rq, &exists, &e));
    assert_code(e, ERR_NO_SPACE);
    rq.length = 100;
    struct library_upload *second = library_upload_begin(f->library, &rq, &exists, &e);
    assert_non_null(second);
    library_upload_abort(second);
    assert_int_equal(library_upload_write(u, data, BYTES, &e), 0);
    json_t *image = library_upload_finish(u, &replaced, &e);
    assert_non_null(image);
    json_decref(image);
    assert_int_equal(atomic_load(&f->library->stores[0].promised), 0);
    f->library->ops = &fileops_kernel;
}

int main(void)
{
    fill_pattern(data, sizeof data);
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(sweep_eio),
        FIXTURE_TEST(sweep_enospc),
        FIXTURE_TEST(sweep_erofs),
        FIXTURE_TEST(sweep_not_supported),
        FIXTURE_TEST(sweep_eio_for_good),
        FIXTURE_TEST(sweep_enospc_for_good),
        FIXTURE_TEST(sweep_short_writes),
        FIXTURE_TEST(order_of_syncs),
        FIXTURE_TEST(sweep_process_ends),
        FIXTURE_TEST(sweep_power_goes),
        FIXTURE_TEST(leftovers_that_are_held),
        FIXTURE_TEST(promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
