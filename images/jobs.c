#include "images/jobs.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>

#include "images/thread.h"

struct job {
    struct jobs *jobs;
    struct job *next;
    int wake;
    void (*run)(struct job *job, void *arg);
    void *arg;
};

struct jobs {
    pthread_mutex_t lock;
    pthread_cond_t fewer;
    struct job *first;
    size_t count;
    atomic_bool stopping;
};

struct jobs *jobs_new(void)
{
    struct jobs *j = calloc(1, sizeof *j);
    if (!j) return NULL;
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->fewer, NULL);
    return j;
}

void jobs_stop(struct jobs *j)
{
    if (!j) return;
    pthread_mutex_lock(&j->lock);
    atomic_store(&j->stopping, true);
    for (struct job *job = j->first; job; job = job->next) job_wake(job);
    while (j->first) pthread_cond_wait(&j->fewer, &j->lock);
    pthread_mutex_unlock(&j->lock);
}

void jobs_free(struct jobs *j)
{
    if (!j) return;
    pthread_cond_destroy(&j->fewer);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

static int enlist(struct job *job, struct err *e)
{
    struct jobs *j = job->jobs;
    int result = 0;
    pthread_mutex_lock(&j->lock);
    if (atomic_load(&j->stopping)) {
        result = err_set(e, ERR_UNAVAILABLE, "The service is being stopped");
    } else if (j->count == JOBS_MAX) {
        result = err_set(e, ERR_TOO_MANY_REQUESTS, "%d downloads and other jobs are under way already", JOBS_MAX);
    } else {
        job->next = j->first;
        j->first = job;
        j->count++;
    }
    pthread_mutex_unlock(&j->lock);
    return result;
}

static void job_free(struct job *job)
{
    util_close_fd(&job->wake);
    free(job);
}

struct job *job_new(struct jobs *j, struct err *e)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    job->jobs = j;
    job->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (job->wake < 0) err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot begin a job");
    if (job->wake >= 0 && enlist(job, e) == 0) return job;
    job_free(job);
    return NULL;
}

void job_drop(struct job *job)
{
    if (!job) return;
    struct jobs *j = job->jobs;
    pthread_mutex_lock(&j->lock);
    struct job **link = &j->first;
    while (*link != job) link = &(*link)->next;
    *link = job->next;
    j->count--;
    job_free(job);
    pthread_cond_broadcast(&j->fewer); /* the last thing that is touched: j may go then */
    pthread_mutex_unlock(&j->lock);
}

static void *work(void *arg)
{
    struct job *job = arg;
    job->run(job, job->arg);
    job_drop(job);
    return NULL;
}

int job_start(struct job *job, void (*run)(struct job *job, void *arg), void *arg, struct err *e)
{
    pthread_t thread;
    job->run = run;
    job->arg = arg;
    int errnum = images_thread_start(&thread, work, job);
    if (errnum) return err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start a thread");
    pthread_detach(thread); /* jobs_stop() waits for the list to be empty */
    return 0;
}

int job_fd(const struct job *job)
{
    return job->wake;
}

void job_wake(struct job *job)
{
    ssize_t n = write(job->wake, &(uint64_t){1}, sizeof(uint64_t)); /* cannot fail: it is never full */
    (void)n;
}

int job_check(const struct job *job, struct err *e)
{
    if (!atomic_load(&job->jobs->stopping)) return 0;
    return err_set(e, ERR_INTERRUPTED, "The service was stopped meanwhile");
}
