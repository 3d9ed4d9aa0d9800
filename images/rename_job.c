#include "images/rename_job.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct rename_job {
    struct store_job job;
    const struct fileops *ops;
    int from_dir, to_dir; /* duplicates: the job may outlive its caller; to_dir is -1 for an unlink */
    char from[NAME_BYTES_MAX + 1], to[NAME_BYTES_MAX + 1];
    bool replace;
    int errnum; /* of the outcome; 0: done */
};

static void rename_run(struct store_job *job)
{
    struct rename_job *j = (struct rename_job *)job;
    int result;
    if (j->to_dir < 0)
        result = j->ops->unlink(j->from_dir, j->from);
    else if (j->replace)
        result = j->ops->rename_over(j->from_dir, j->from, j->to_dir, j->to);
    else
        result = j->ops->rename_new(j->from_dir, j->from, j->to_dir, j->to);
    j->errnum = result < 0 ? errno : 0;
}

static void rename_drop(struct store_job *job)
{
    struct rename_job *j = (struct rename_job *)job;
    util_close_fd(&j->from_dir);
    util_close_fd(&j->to_dir);
    free(j);
}

static struct rename_job *rename_job_new(const struct fileops *ops, int from_dir, const char *from, struct err *e)
{
    struct rename_job *j = malloc(sizeof *j);
    if (!j) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    *j = (struct rename_job){.job = {.run = rename_run, .drop = rename_drop}, .ops = ops, .to_dir = -1};
    j->from_dir = fcntl(from_dir, F_DUPFD_CLOEXEC, 0);
    if (j->from_dir < 0) {
        err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot open one more file");
        rename_drop(&j->job);
        return NULL;
    }
    strcpy(j->from, from);
    return j;
}

static int call(struct store *s, struct rename_job *j, const char *what, bool *ret_unknown, struct err *e)
{
    *ret_unknown = false;
    if (store_thread_call(s->thread, &j->job, STORE_PATIENCE, ret_unknown, e) < 0)
        return err_prefix(e, "Store \"%s\"", s->config.name);
    int errnum = j->errnum;
    rename_drop(&j->job);
    if (!errnum) return 0;
    return err_set_errno(e, store_code_for_errno(errnum), errnum, "Cannot %s", what);
}

int store_rename(struct store *s, const struct fileops *ops, int from_dir, const char *from, int to_dir, const char *to,
                 bool replace, bool *ret_unknown, struct err *e)
{
    struct rename_job *j = rename_job_new(ops, from_dir, from, e);
    *ret_unknown = false;
    if (!j) return -1;
    j->to_dir = fcntl(to_dir, F_DUPFD_CLOEXEC, 0);
    if (j->to_dir < 0) {
        err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot open one more file");
        rename_drop(&j->job);
        return -1;
    }
    strcpy(j->to, to);
    j->replace = replace;
    return call(s, j, "give the image its name", ret_unknown, e);
}

int store_unlink(struct store *s, const struct fileops *ops, int dir_fd, const char *name, bool *ret_unknown,
                 struct err *e)
{
    *ret_unknown = false;
    struct rename_job *j = rename_job_new(ops, dir_fd, name, e);
    return j ? call(s, j, "delete the image", ret_unknown, e) : -1;
}
