#include "images/verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/parse.h"
#include "images/stored_digest.h"

#define LOOK_EVERY 1000 /* ms; at whether to go on, while something is received */

struct verification {
    struct library *library;
    struct job *job;
    struct transfer *transfer;
    int fd;
    char name[NAME_BYTES_MAX + 1], store[STORE_REF_MAX];
    char expected[SHA256_TEXT_MAX]; /* "": nothing */
    void (*ended)(void *owner);     /* NULL: not in the background */
    void *owner;
    struct timespec modified;       /* at the beginning */
};

/* Whether it is worth while to go on. Of what was deleted nobody reads the digest, and its room is taken until it is closed. */
static int check(const struct verification *v, struct err *e)
{
    struct stat st;
    const struct timespec *then = &v->modified;
    if (transfer_check(v->transfer, e) < 0 || job_check(v->job, e) < 0) return -1;
    if (fstat(v->fd, &st) < 0) return 0;
    if (st.st_nlink == 0) return err_set(e, ERR_IMAGE_MISSING, "The image was deleted while it was read");
    if (v->ended && (st.st_mtim.tv_sec != then->tv_sec || st.st_mtim.tv_nsec != then->tv_nsec))
        return err_set(e, ERR_UNAVAILABLE, "The image changed while it was read");
    return 0;
}

/* ---- in the background ---- */

/* This thread has no other job after this one. */
static void step_back(void)
{
    enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_IDLE = 3 << 13 }; /* linux/ioprio.h */
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), 19) < 0 ||
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE) < 0)
        log_debug("A checksum run at normal priority: %s", strerror(errno));
}

static int give_way(const struct verification *v, struct err *e)
{
    if (library_wait_quiet(v->library, 0)) return 0;
    transfer_pause(v->transfer, NULL);
    int result;
    while ((result = check(v, e)) == 0 && !library_wait_quiet(v->library, LOOK_EVERY)) continue;
    transfer_resume(v->transfer);
    return result;
}

static int told(void *owner, int64_t bytes, struct err *e)
{
    const struct verification *v = owner;
    transfer_progress(v->transfer, bytes);
    if (check(v, e) < 0) return -1;
    return v->ended ? give_way(v, e) : 0;
}

static json_t *result_json(const struct verification *v, const char *sha256)
{
    json_t *json = json_object();
    bool match = strcmp(v->expected, sha256) == 0;
    json_put_text(json, "name", v->name);
    json_put_text(json, "store", v->store);
    json_put_text(json, "sha256", sha256);
    json_put_text(json, "expected", v->expected[0] ? v->expected : NULL);
    json_put_text(json, "verdict", !v->expected[0] ? "computed" : match ? "match" : "mismatch");
    return json;
}

static void verification_free(struct verification *v)
{
    util_close_fd(&v->fd);
    free(v);
}

static void run(attr_unused struct job *job, void *arg)
{
    struct verification *v = arg;
    struct err e = {0};
    char sha256[SHA256_TEXT_MAX];
    const struct digest_progress progress = {v, told};
    if (v->ended) step_back();
    int result = stored_digest_compute(v->fd, &progress, sha256, &e);
    cleanup_json json_t *json = result == 0 ? result_json(v, sha256) : NULL;
    transfer_end(v->transfer, result < 0 ? &e : NULL, json);
    if (v->ended) v->ended(v->owner);
    verification_free(v);
}

static int open_image(struct verification *v, struct library *l, const struct verify_request *rq, int64_t *ret_size,
                      struct err *e)
{
    struct library_content content;
    struct stat st;
    uint8_t bytes[SHA256_BYTES];
    if (rq->sha256 && parse_hex(rq->sha256, bytes, sizeof bytes) < 0)
        return err_set(e, ERR_BAD_REQUEST, "sha256 must be 64 hexadecimal digits");
    if (library_store_ref(l, rq->store, v->store, e) < 0 ||
        library_content_open(l, rq->store, rq->name, &content, e) < 0)
        return -1;
    v->fd = content.fd;
    if (fstat(v->fd, &st) == 0) v->modified = st.st_mtim;
    *ret_size = (int64_t)content.size;
    snprintf(v->name, sizeof v->name, "%s", rq->name);
    if (rq->sha256)
        parse_to_hex(bytes, sizeof bytes, v->expected);
    else if (fstat(v->fd, &st) < 0 || !stored_digest_read(v->fd, &st, v->expected))
        v->expected[0] = '\0';
    return 0;
}

static int start(struct verification *v, struct library *l, const struct verify_request *rq, char id[TRANSFER_ID_MAX],
                 struct err *e)
{
    struct err why;
    struct transfer_request transfer = {
        .kind = TRANSFER_VERIFY, .method = "sha256", .user = rq->user, .peer = rq->peer, .store = v->store,
        .name = v->name,
    };
    if (open_image(v, l, rq, &transfer.size, e) < 0) return -1;
    v->transfer = transfer_begin(library_transfers(l), &transfer, e);
    if (!v->transfer) return -1;
    snprintf(id, TRANSFER_ID_MAX, "%s", transfer_id(v->transfer));
    if (job_start(v->job, run, v, &why) == 0) return 0;
    transfer_end(v->transfer, &why, NULL);
    *e = why;
    return -1;
}

int verify_begin(struct library *l, struct jobs *j, const struct verify_request *rq, char ret_id[TRANSFER_ID_MAX],
                 struct err *e)
{
    struct verification *v = calloc(1, sizeof *v);
    if (!v) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    v->fd = -1;
    v->library = l;
    v->ended = rq->ended;
    v->owner = rq->owner;
    v->job = job_new(j, e);
    if (v->job && start(v, l, rq, ret_id, e) == 0) return 0;
    job_drop(v->job);
    verification_free(v);
    return -1;
}
