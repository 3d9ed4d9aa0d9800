/*
 * The ways in which images come and change but by upload: from URLs, made of nothing, renamed, deleted. The Nth file
 * operation of each fails, or ends the process, or loses the power, for N = 1, 2, 3 ... until none is reached. Afterwards the
 * image is absent or whole, no byte of it is left elsewhere, and what comes next works. A download that a record was made of
 * goes on in the next life.
 */
#include "tests/unit/images_faulty.h"

#include <sys/wait.h>

#include "images/blank.h"
#include "images/downloads.h"
#include "images/fetch.h"
#include "images/jobs.h"
#include "images/note.h"

#define BYTES 300000 /* more than one piece of the digest's reader */
#define BITE 12345
#define LIVENESS 60000 /* ms */

static uint8_t data[BYTES], garbage[BYTES];

/* ---- a server: fetch.c is not linked, and there is no network ---- */

static struct server {
    bool knows_size, has_versions;
    bool breaks;  /* at two thirds, once in each fetch */
    bool changes; /* at half of what it has at first, which is something else */
} server;
static bool has_changed;

static int begin_at(const struct fetch_sink *sink, int64_t at, struct err *e)
{
    const char *version = !server.has_versions ? "" : has_changed ? "\"2\"" : "\"1\"";
    return sink->begin(sink->owner, at, server.knows_size ? BYTES : -1, version, e);
}

int fetch_from(const struct fetch_source *source, attr_unused const struct fetch_config *config,
               const struct fetch_sink *sink, struct err *e)
{
    const uint8_t *content = has_changed ? data : garbage;
    bool breaks = server.breaks;
    struct err why;
    if (source->offset > 0 && has_changed && strcmp(source->validator, "\"2\"") != 0) return 1;
    if (begin_at(sink, source->offset, e) < 0) return -1;
    for (int64_t at = source->offset; at < BYTES;) {
        size_t n = (size_t)MIN(BYTES - at, BITE);
        if (sink->check(sink->owner, e) < 0 || sink->take(sink->owner, content + at, n, e) < 0) return -1;
        at += (int64_t)n;
        if (!has_changed && at > BYTES / 2) {
            has_changed = true;
            return 1;
        }
        if (!breaks || at < BYTES * 2 / 3) continue;
        breaks = false;
        err_set(&why, ERR_SOURCE_FAILED, "The connection broke");
        sink->again(sink->owner, &why, 0);
        if (begin_at(sink, at, e) < 0) return -1;
    }
    return 0;
}

/* ---- the ways ---- */

static int wait_until_done(struct fixture *f, const char *id, struct err *e)
{
    struct transfers *t = library_transfers(f->library);
    assert_int_equal(transfers_wait(t, id, LIVENESS, e), 1);
    cleanup_json json_t *transfer = transfers_get(t, id, e);
    if (strcmp(json_text(transfer, "state"), transfer_state_names[TRANSFER_DONE]) == 0) return 0;
    assert_true(json_text(transfer, "code")[0]);
    return err_set(e, ERR_INTERNAL, "%s", json_text(transfer, "detail"));
}

static int from_url(struct fixture *f, struct err *e)
{
    const struct fetch_config config = {.largest = UINT64_MAX};
    const struct download_request rq = {.url = "http://h/w.iso", .unpack = 0};
    struct jobs *jobs = jobs_new();
    struct downloads *d = downloads_new(f->library, jobs, &config);
    char id[TRANSFER_ID_MAX];
    json_t *image;
    int result = downloads_begin(d, &rq, id, &image, e);
    if (result == 0) result = wait_until_done(f, id, e);
    jobs_stop(jobs);
    downloads_free(d);
    jobs_free(jobs);
    return result;
}

static int of_nothing(struct fixture *f, struct err *e)
{
    const struct blank_request rq = {.name = "w.iso", .store = "", .size = BYTES / 512 * 512, .label = ""};
    cleanup_json json_t *image = blank_make(f->library, &rq, e);
    return image ? 0 : -1;
}

static int edited(struct fixture *f, struct err *e)
{
    const struct library_edit edit = {
        .name = "new.iso", .note = f->xattrs ? "a note" : NULL, .readonly = &(const bool){true}};
    cleanup_json json_t *image = library_edit_image(f->library, "", "w.iso", &edit, e);
    return image ? 0 : -1;
}

static int deleted(struct fixture *f, struct err *e)
{
    return library_delete(f->library, "", "w.iso", NULL, e);
}

static const struct way {
    const char *name;
    int (*run)(struct fixture *f, struct err *e);
    struct server server;
    int least;      /* operations that it has at least: it does go through the table */
    bool was_there; /* the image, before */
    const char *result; /* where it is afterwards; NULL: nowhere */
    bool zeros;
} ways[] = {
    {.name = "a URL", .run = from_url, .server = {true, true, true, false}, .least = 40, .result = "main/w.iso"},
    {.name = "a URL that changes", .run = from_url, .server = {true, true, false, true}, .least = 60, .result = "main/w.iso"},
    {.name = "a URL without versions", .run = from_url, .server = {true, false, false, true}, .least = 12,
     .result = "main/w.iso"},
    {.name = "a URL without a size", .run = from_url, .server = {false, true, false, true}, .least = 12,
     .result = "main/w.iso"},
    {.name = "nothing", .run = of_nothing, .least = 8, .result = "main/w.iso", .zeros = true},
    {.name = "an edit", .run = edited, .least = 2, .was_there = true, .result = "main/new.iso"},
    {.name = "a delete", .run = deleted, .least = 1, .was_there = true},
};

/* ---- afterwards ---- */

static void begin_round(const struct fixture *f, const struct way *w)
{
    nftw(path_in(f, HIDDEN_OF_MAIN), remove_one, 16, FTW_DEPTH | FTW_PHYS); /* records of what is finished */
    unlink(path_in(f, "main/w.iso"));
    unlink(path_in(f, "main/new.iso"));
    unlink(path_in(f, "main/next.iso"));
    if (w->was_there) put_file(f, "main/w.iso", data, BYTES);
    server = w->server;
    has_changed = !server.changes;
}

/* Whatever is there under any name is whole. */
static bool is_whole(const struct fixture *f, const struct way *w, const char *name)
{
    static const uint8_t zeros[BYTES];
    static uint8_t there[BYTES + 1];
    cleanup_close int fd = open(path_in(f, name), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t wanted = w->zeros ? BYTES / 512 * 512 : BYTES;
    assert_int_equal(fd_read_full(fd, there, sizeof there), wanted);
    assert_memory_equal(there, w->zeros ? zeros : data, wanted);
    return true;
}

/* Files of what is unfinished: what was finished leaves its record for a while. */
static int unfinished(const struct fixture *f)
{
    DIR *dir = opendir(path_in(f, HIDDEN_OF_MAIN));
    int count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && !strstr(entry->d_name, ".json")) count++;
    if (dir) closedir(dir);
    return count;
}

static void check(struct fixture *f, const struct way *w, bool success)
{
    bool first = is_whole(f, w, "main/w.iso"), second = is_whole(f, w, "main/new.iso");
    assert_false(first && second);
    if (success) assert_true(w->result ? is_whole(f, w, w->result) : !first && !second);
    if (w->was_there && w->result) assert_true(first || second);
}

static void next_upload_works(struct fixture *f, const struct way *w, int n)
{
    struct err e = {0};
    const struct library_upload_request rq = {.store = "", .name = "next.iso", .length = 4};
    fault.at = 0;
    cleanup_json json_t *image = upload(f->library, &rq, "next", 4, &e);
    if (!image) fail_msg("%s, operation %d: the next upload: %s", w->name, n, e.text);
    if (unfinished(f)) fail_msg("%s, operation %d: something is left", w->name, n);
    assert_null(f->library->slots);
    assert_int_equal(f->library->receiving, 0);
    assert_int_equal(atomic_load(&f->library->stores[0].promised), 0);
}

/* What did not work is asked for again, and works now: where something of it was kept, with that. */
static void again_works(struct fixture *f, const struct way *w, int n)
{
    struct err e = {0};
    bool is_done = w->result ? size_of_file(f, w->result) >= 0 : size_of_file(f, "main/w.iso") < 0;
    fault.at = 0;
    if (!is_done && w->run(f, &e) < 0) fail_msg("%s, operation %d: again: %s", w->name, n, e.text);
    check(f, w, true);
}

/* ---- operations that fail ---- */

static bool one_round(struct fixture *f, const struct way *w, int n)
{
    struct err e = {0};
    begin_round(f, w);
    fault.count = 0;
    fault.at = n;
    int result = w->run(f, &e);
    bool reached = fault.count >= n;
    if (result < 0) {
        assert_true(reached);
        assert_true(e.text[0]);
    }
    check(f, w, result == 0);
    const char *failed = fault.trace[MIN(n, (int)ARRAY_LEN(fault.trace) - 1)];
    bool could_remove = fault.how != FAIL_FOR_GOOD && !(reached && strcmp(failed, "unlink") == 0);
    if (could_remove && unfinished(f)) fail_msg("%s: operation %d, %s: something is left", w->name, n, failed);
    if (fault.how == WRITE_LESS) assert_int_equal(result, 0);
    again_works(f, w, n);
    next_upload_works(f, w, n);
    return reached;
}

static void sweep(struct fixture *f, enum how how, int errnum)
{
    f->library->ops = &faulty_ops;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        fault.how = how;
        fault.errnum = errnum;
        int n = 1;
        while (one_round(f, &ways[i], n)) n++;
        if (n <= ways[i].least) fail_msg("%s has only %d operations", ways[i].name, n - 1);
    }
}

static void sweep_eio(void **state) { sweep(*state, FAIL, EIO); }
static void sweep_enospc(void **state) { sweep(*state, FAIL, ENOSPC); }
static void sweep_erofs(void **state) { sweep(*state, FAIL, EROFS); }
static void sweep_not_supported(void **state) { sweep(*state, FAIL, EOPNOTSUPP); }
static void sweep_eio_for_good(void **state) { sweep(*state, FAIL_FOR_GOOD, EIO); }
static void sweep_enospc_for_good(void **state) { sweep(*state, FAIL_FOR_GOOD, ENOSPC); }
static void sweep_short_writes(void **state) { sweep(*state, WRITE_LESS, 0); }

/* ---- the process ends, or the power goes ---- */

static void die(struct fixture *f, const struct way *w, enum how how, int n)
{
    struct err e = {0};
    fixture_start(f);
    f->library->ops = &faulty_ops;
    fault.how = how;
    fault.count = 0;
    fault.at = n;
    int result = w->run(f, &e);
    if (how == LOSE_POWER) lose_all(); /* right after the answer */
    _exit(result < 0);
}

/* What the service does when it starts. Returns whether there was something to go on with, which is then done. */
static bool resume(struct fixture *f)
{
    const struct fetch_config config = {.largest = UINT64_MAX};
    struct err e = {0};
    struct jobs *jobs = jobs_new();
    struct downloads *d = downloads_new(f->library, jobs, &config);
    downloads_resume(d);
    cleanup_json json_t *all = transfers_list(library_transfers(f->library));
    const json_t *list = json_object_get(all, "transfers");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (wait_until_done(f, json_text(json_array_get(list, i), "id"), &e) < 0) fail_msg("going on: %s", e.text);
    jobs_stop(jobs);
    downloads_free(d);
    jobs_free(jobs);
    return json_array_size(list) > 0;
}

static bool one_life(struct fixture *f, const struct way *w, enum how how, int n, int *resumed)
{
    begin_round(f, w);
    library_free(f->library); /* its threads would not come along into the child */
    f->library = NULL;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) die(f, w, how, n);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    bool reached = WEXITSTATUS(status) == EXIT_STATUS;
    if (!reached) assert_int_equal(WEXITSTATUS(status), 0);
    has_changed = true;
    fixture_start(f);
    bool goes_on = resume(f);
    *resumed += goes_on;
    check(f, w, !reached || goes_on);
    again_works(f, w, n);
    next_upload_works(f, w, n);
    return reached;
}

static void lives(struct fixture *f, enum how how)
{
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        int n = 1, resumed = 0;
        while (one_life(f, &ways[i], how, n, &resumed)) n++;
        if (n <= ways[i].least) fail_msg("%s has only %d operations", ways[i].name, n - 1);
        bool can_go_on = ways[i].server.knows_size && ways[i].server.has_versions;
        if (can_go_on ? resumed < n / 3 : resumed > 0) fail_msg("%s: %d of %d went on", ways[i].name, resumed, n);
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

int main(void)
{
    fill_pattern(data, sizeof data);
    for (size_t i = 0; i < BYTES; i++) garbage[i] = (uint8_t)~data[i];
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
