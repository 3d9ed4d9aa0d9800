#include "images/rename_job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "images/image.h"

struct rename_job {
    struct store_job job;
    const struct fileops *ops;
    int from_dir, to_dir; /* duplicates: the job may outlive its caller; to_dir is -1 for an unlink */
    char from[NAME_BYTES_MAX + 1], to[NAME_BYTES_MAX + 1];
    bool replace;
    char if_match[IMAGE_ETAG_MAX]; /* "": any */
    int result;
    struct err err;
};

static int check_etag(const struct rename_job *j, int dir_fd, const char *name, struct err *e)
{
    if (!j->if_match[0]) return 0;
    struct stat st;
    char etag[IMAGE_ETAG_MAX] = "";
    int exists = image_stat_at(dir_fd, name, &st, e);
    if (exists < 0) return -1;
    if (exists) image_etag(&st, etag);
    if (etag[0] && strcmp(etag, j->if_match) == 0) return 0;
    return err_set(e, ERR_PRECONDITION, "The image \"%s\" has changed meanwhile", name);
}

static int failed(const struct rename_job *j, int errnum, struct err *e)
{
    if (j->to_dir < 0 && errnum == ENOENT) return err_set(e, ERR_IMAGE_MISSING, "There is no image \"%s\"", j->from);
    if (j->to_dir < 0) return err_set_errno(e, store_code_for_errno(errnum), errnum, "Cannot delete \"%s\"", j->from);
    if (errnum == EEXIST) return err_set(e, ERR_EXISTS, "There is an image \"%s\" now", j->to);
    return err_set_errno(e, store_code_for_errno(errnum), errnum, "Cannot give the image the name \"%s\"", j->to);
}

static int unlink_it(const struct rename_job *j, struct err *e)
{
    if (check_etag(j, j->from_dir, j->from, e) < 0) return -1;
    return j->ops->unlink(j->from_dir, j->from) < 0 ? failed(j, errno, e) : 0;
}

static int rename_it(const struct rename_job *j, struct err *e)
{
    if (j->replace && check_etag(j, j->to_dir, j->to, e) < 0) return -1;
    int result = j->replace ? j->ops->rename_over(j->from_dir, j->from, j->to_dir, j->to)
                            : j->ops->rename_new(j->from_dir, j->from, j->to_dir, j->to);
    return result < 0 ? failed(j, errno, e) : 0;
}

static void rename_run(struct store_job *job)
{
    struct rename_job *j = (struct rename_job *)job;
    j->result = j->to_dir < 0 ? unlink_it(j, &j->err) : rename_it(j, &j->err);
}

static void rename_drop(struct store_job *job)
{
    struct rename_job *j = (struct rename_job *)job;
    util_close_fd(&j->from_dir);
    util_close_fd(&j->to_dir);
    free(j);
}

static int duplicate(int fd, int *ret, struct err *e)
{
    *ret = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return *ret < 0 ? err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot open one more file") : 0;
}

/* rq->to is NULL for an unlink. */
static struct rename_job *rename_job_new(const struct fileops *ops, const struct rename_request *rq, struct err *e)
{
    struct rename_job *j = malloc(sizeof *j);
    if (!j) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    *j = (struct rename_job){
        .job = {.run = rename_run, .drop = rename_drop}, .ops = ops, .from_dir = -1, .to_dir = -1,
        .replace = rq->replace,
    };
    if (duplicate(rq->from_dir, &j->from_dir, e) < 0 || (rq->to && duplicate(rq->to_dir, &j->to_dir, e) < 0)) {
        rename_drop(&j->job);
        return NULL;
    }
    snprintf(j->from, sizeof j->from, "%s", rq->from);
    snprintf(j->to, sizeof j->to, "%s", rq->to ? rq->to : "");
    snprintf(j->if_match, sizeof j->if_match, "%s", rq->if_match ? rq->if_match : "");
    return j;
}

static int call(struct store *s, struct rename_job *j, bool *ret_unknown, struct err *e)
{
    if (!j) return -1;
    if (store_thread_call(s->thread, &j->job, STORE_PATIENCE, ret_unknown, e) < 0)
        return err_prefix(e, "Store \"%s\"", s->config.name);
    int result = j->result;
    if (result < 0 && e) *e = j->err;
    rename_drop(&j->job);
    return result;
}

int store_rename(struct store *s, const struct fileops *ops, const struct rename_request *rq, bool *ret_unknown,
                 struct err *e)
{
    *ret_unknown = false;
    return call(s, rename_job_new(ops, rq, e), ret_unknown, e);
}

int store_unlink(struct store *s, const struct fileops *ops, int dir_fd, const char *name, const char *if_match,
                 bool *ret_unknown, struct err *e)
{
    *ret_unknown = false;
    struct rename_request rq = {.from_dir = dir_fd, .from = name, .to_dir = -1, .if_match = if_match};
    return call(s, rename_job_new(ops, &rq, e), ret_unknown, e);
}
