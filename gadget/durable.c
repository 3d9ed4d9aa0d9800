#include "gadget/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "gadget/worker.h"

#define PATH_MAX_BYTES (STORE_PATH_MAX + 64)

enum durable_work { DURABLE_READ, DURABLE_WRITE, DURABLE_ASIDE };

struct durable_request {
    enum durable_work work;
    char dir[STORE_PATH_MAX], path[PATH_MAX_BYTES];
};

struct durable_answer {
    struct err err;
    bool missing;                /* READ: there is no file */
    char aside[PATH_MAX_BYTES + 16];
};

struct durable {
    struct loop *loop;
    struct durable_owner owner;
    struct worker *worker;
    struct durable_request base; /* dir and path */
    bool loaded, busy, hangs;
    uint64_t version, writing, saved;
    struct loop_timer retry, limit;
};

struct task {
    struct worker_job job; /* first: the worker's pointer is ours */
    struct durable_request request;
    struct durable *d;
};

/* ---- in the worker ----------------------------------------------------------------------------------------------- */

/* A descriptor of memory with the same bytes: reading the file itself may wait for its storage. */
static int copy_to_memory(const char *text, size_t len)
{
    cleanup_close int fd = memfd_create("state", MFD_CLOEXEC);
    if (fd < 0 || fd_write_full(fd, text, len) < 0 || lseek(fd, 0, SEEK_SET) < 0) return -1;
    return take_fd(&fd);
}

static void serve_read(const struct durable_request *r, struct durable_answer *a, int *ret_fd)
{
    cleanup_free char *text = malloc(DURABLE_FILE_MAX);
    if (!text) {
        err_set(&a->err, ERR_UNAVAILABLE, "Out of memory while reading %s", r->path);
        return;
    }
    ssize_t len = fd_read_text(r->path, text, DURABLE_FILE_MAX);
    if (len >= 0) *ret_fd = copy_to_memory(text, (size_t)len);
    a->missing = len < 0 && errno == ENOENT;
    if (*ret_fd < 0 && !a->missing) err_set_errno(&a->err, err_code_for_errno(errno), errno, "Cannot read %s", r->path);
}

static void serve_write(const struct durable_request *r, int from, struct durable_answer *a)
{
    cleanup_free char *text = malloc(DURABLE_FILE_MAX);
    ssize_t len = text && lseek(from, 0, SEEK_SET) == 0 ? fd_read_full(from, text, DURABLE_FILE_MAX) : -1;
    if (len < 0) {
        err_set(&a->err, ERR_UNAVAILABLE, "Out of memory while writing %s", r->path);
        return;
    }
    if (mkdir(r->dir, 0700) < 0 && errno != EEXIST) {
        err_set_errno(&a->err, err_code_for_errno(errno), errno, "Cannot make %s", r->dir);
        return;
    }
    FAULT_POINT("kept.write");
    fd_replace_file(r->path, text, (size_t)len, true, &a->err);
    FAULT_POINT("kept.written");
}

static void serve_aside(const struct durable_request *r, struct durable_answer *a)
{
    for (int i = 1; i <= DURABLE_ASIDE_MAX; i++) {
        char number[8] = "";
        if (i > 1) snprintf(number, sizeof number, ".%d", i);
        snprintf(a->aside, sizeof a->aside, "%s.broken%s", r->path, number);
        unsigned flags = i < DURABLE_ASIDE_MAX ? RENAME_NOREPLACE : 0;
        if (renameat2(AT_FDCWD, r->path, AT_FDCWD, a->aside, flags) == 0) return;
        if (errno != EEXIST) break;
    }
    err_set_errno(&a->err, err_code_for_errno(errno), errno, "Cannot rename %s", r->path);
}

static void serve(attr_unused const void *context, const void *request, int fds[PACKET_FDS_MAX], void *answer,
                  int ret_fds[PACKET_FDS_MAX])
{
    const struct durable_request *r = request;
    switch (r->work) {
    case DURABLE_READ: serve_read(r, answer, &ret_fds[0]); break;
    case DURABLE_WRITE: serve_write(r, fds[0], answer); break;
    case DURABLE_ASIDE: serve_aside(r, answer); break;
    }
}

/* ---- in the loop ------------------------------------------------------------------------------------------------- */

static int submit(struct durable *d, enum durable_work work, int fd, worker_done_fn *done)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t) {
        if (fd >= 0) close(fd);
        return -1;
    }
    t->d = d;
    t->request = d->base;
    t->request.work = work;
    t->job = (struct worker_job){.request = &t->request, .fds = {fd, -1}, .done = done};
    worker_submit(d->worker, &t->job);
    return 0;
}

static void begin(struct durable *d);

static void not_saved(struct durable *d, const struct err *e)
{
    loop_timer_set(d->loop, &d->retry, clock_boot_ms() + DURABLE_RETRY);
    d->owner.saved(d->owner.owner, d->writing, e);
}

static void on_written(struct worker_job *job, enum worker_end end, const void *answer, attr_unused int fds[PACKET_FDS_MAX])
{
    struct task *t = (struct task *)job;
    struct durable *d = t->d;
    struct err e = {0};
    free(t);
    if (end == WORKER_CANCELLED) return;
    if (end == WORKER_ANSWERED)
        e = ((const struct durable_answer *)answer)->err;
    else
        err_set(&e, ERR_UNAVAILABLE, "The process that writes %s died", d->base.path);
    bool late = d->hangs;
    d->busy = d->hangs = false;
    loop_timer_set(d->loop, &d->limit, MSEC_NEVER);
    if (late) { /* told as failed already: what it has written is not what is wanted now */
        log_warning("%s can be written again", d->base.path);
        d->version++;
    } else if (e.code) {
        bool others = d->version != d->writing; /* what came meanwhile has not been tried yet, and somebody waits for it */
        not_saved(d, &e);
        if (others) begin(d);
        return;
    } else {
        d->saved = d->writing;
        d->owner.saved(d->owner.owner, d->saved, NULL);
    }
    if (d->saved != d->version) begin(d);
}

static void on_limit(struct loop_timer *timer, attr_unused msec now)
{
    struct durable *d = timer->owner;
    struct err e;
    d->hangs = true;
    err_set(&e, ERR_UNAVAILABLE, "%s was not written within %d s", d->base.path, DURABLE_WITHIN / 1000);
    log_error("%s", e.text);
    d->owner.saved(d->owner.owner, d->writing, &e);
}

static int text_as_fd(struct durable *d)
{
    cleanup_free char *text = d->owner.text(d->owner.owner);
    return text ? copy_to_memory(text, strlen(text)) : -1;
}

/* From the loop, so that nobody is called back from inside his own call. */
static void begin(struct durable *d)
{
    if (d->busy || !d->loaded) return;
    struct err e;
    int fd = text_as_fd(d);
    d->writing = d->version;
    if (fd >= 0 && submit(d, DURABLE_WRITE, fd, on_written) == 0) {
        d->busy = true;
        loop_timer_set(d->loop, &d->retry, MSEC_NEVER);
        loop_timer_set(d->loop, &d->limit, clock_boot_ms() + DURABLE_WITHIN);
        return;
    }
    err_set(&e, ERR_UNAVAILABLE, "Out of memory while writing %s", d->base.path);
    not_saved(d, &e);
}

static void read_file(struct durable *d);

static void on_read(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    struct task *t = (struct task *)job;
    struct durable *d = t->d;
    const struct durable_answer *a = answer;
    struct err e = {0};
    free(t);
    if (end == WORKER_CANCELLED) return;
    cleanup_free char *text = NULL;
    ssize_t len = 0;
    if (end != WORKER_ANSWERED) {
        err_set(&e, ERR_UNAVAILABLE, "The process that reads %s died", d->base.path);
    } else if (a->err.code) {
        e = a->err;
    } else if (!a->missing) {
        text = malloc(DURABLE_FILE_MAX);
        len = text ? fd_read_full(fds[0], text, DURABLE_FILE_MAX - 1) : -1;
        if (len < 0) err_set(&e, ERR_UNAVAILABLE, "Out of memory while reading %s", d->base.path);
    }
    if (e.code) {
        loop_timer_set(d->loop, &d->retry, clock_boot_ms() + DURABLE_RETRY);
        d->owner.failing(d->owner.owner, &e);
        return;
    }
    if (text) text[len] = '\0';
    d->loaded = true;
    d->owner.loaded(d->owner.owner, text, (size_t)len);
    if (d->saved != d->version) begin(d);
}

static void read_file(struct durable *d)
{
    if (submit(d, DURABLE_READ, -1, on_read) < 0) loop_timer_set(d->loop, &d->retry, clock_boot_ms() + DURABLE_RETRY);
}

static void on_retry(struct loop_timer *timer, attr_unused msec now)
{
    struct durable *d = timer->owner;
    if (!d->loaded)
        read_file(d);
    else if (d->saved != d->version)
        begin(d);
}

static void on_aside(struct worker_job *job, enum worker_end end, const void *answer, attr_unused int fds[PACKET_FDS_MAX])
{
    struct task *t = (struct task *)job;
    const struct durable_answer *a = answer;
    free(t);
    if (end != WORKER_ANSWERED) return;
    if (a->err.code)
        log_error("%s", a->err.text);
    else
        log_error("The broken file is kept as %s", a->aside);
}

void durable_put_aside(struct durable *d)
{
    submit(d, DURABLE_ASIDE, -1, on_aside);
}

uint64_t durable_changed(struct durable *d)
{
    d->version++;
    /* What else changes in this turn goes into the same write. */
    if (d->loaded && !d->busy) loop_timer_set(d->loop, &d->retry, clock_boot_ms());
    return d->version;
}

bool durable_is_saved(const struct durable *d)
{
    return !d->busy && d->saved == d->version;
}

bool durable_hangs(const struct durable *d)
{
    return d->hangs;
}

struct durable *durable_new(struct loop *l, const char *dir, const char *name, const struct durable_owner *o, struct err *e)
{
    static const struct worker_spec spec = {.name = "worker of the state directory", .request_size = sizeof(struct durable_request),
                                            .answer_size = sizeof(struct durable_answer), .serve = serve};
    struct durable *d = calloc(1, sizeof *d);
    if (d) d->worker = worker_new(l, &spec, e);
    if (!d || !d->worker) {
        if (!d) err_set(e, ERR_UNAVAILABLE, "Out of memory");
        free(d);
        return NULL;
    }
    d->loop = l;
    d->owner = *o;
    snprintf(d->base.dir, sizeof d->base.dir, "%s", dir);
    snprintf(d->base.path, sizeof d->base.path, "%s/%s", dir, name);
    loop_timer_init(&d->retry, on_retry, d);
    loop_timer_init(&d->limit, on_limit, d);
    read_file(d);
    return d;
}

void durable_free(struct durable *d)
{
    if (!d) return;
    loop_timer_set(d->loop, &d->retry, MSEC_NEVER);
    loop_timer_set(d->loop, &d->limit, MSEC_NEVER);
    worker_free(d->worker);
    free(d);
}
