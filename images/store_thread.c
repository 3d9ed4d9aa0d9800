#include "images/store_thread.h"

#include <pthread.h>

#include "base/cond.h"
#include "images/thread.h"

/* ms; a job that runs for longer than this makes the store "stuck" for those that come after it. */
#define STUCK_AFTER STORE_PATIENCE

struct store_thread {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t posted, done;
    struct store_job *first, **last; /* waiting */
    struct store_job *running;
    size_t waiting;
    bool stop, left_alone; /* left_alone: it frees *t itself, should it ever come back */
};

static void destroy(struct store_thread *t)
{
    pthread_cond_destroy(&t->posted);
    pthread_cond_destroy(&t->done);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static struct store_job *take_first(struct store_thread *t)
{
    struct store_job *job = t->first;
    t->first = job->next;
    if (!t->first) t->last = &t->first;
    t->waiting--;
    return job;
}

static void *work(void *arg)
{
    struct store_thread *t = arg;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (!t->first && !t->stop) pthread_cond_wait(&t->posted, &t->lock);
        if (!t->first) break;
        struct store_job *job = t->running = take_first(t);
        job->state = STORE_JOB_RUNS;
        job->started_at = clock_boot_ms();
        pthread_mutex_unlock(&t->lock);
        job->run(job);
        pthread_mutex_lock(&t->lock);
        t->running = NULL;
        if (job->state == STORE_JOB_ABANDONED) {
            pthread_mutex_unlock(&t->lock);
            job->drop(job);
            pthread_mutex_lock(&t->lock);
        } else {
            job->state = STORE_JOB_DONE;
            pthread_cond_broadcast(&t->done);
        }
    }
    bool left_alone = t->left_alone;
    pthread_mutex_unlock(&t->lock);
    if (left_alone) destroy(t);
    return NULL;
}

struct store_thread *store_thread_new(struct err *e)
{
    struct store_thread *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    t->last = &t->first;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->posted, NULL);
    cond_init(&t->done);
    int errnum = images_thread_start(&t->thread, work, t);
    if (errnum) {
        err_set_errno(e, ERR_UNAVAILABLE, errnum, "Cannot start a thread");
        destroy(t);
        return NULL;
    }
    return t;
}

void store_thread_free(struct store_thread *t)
{
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    bool stuck = t->left_alone = t->running != NULL; /* a job that nobody waits for any more: it was abandoned */
    pthread_t thread = t->thread;
    pthread_cond_signal(&t->posted);
    pthread_mutex_unlock(&t->lock);
    if (stuck) {
        pthread_detach(thread);
        return;
    }
    pthread_join(thread, NULL);
    destroy(t);
}

void store_thread_post(struct store_thread *t, struct store_job *job)
{
    pthread_mutex_lock(&t->lock);
    job->state = STORE_JOB_WAITS;
    job->next = NULL;
    bool stuck = t->running && clock_boot_ms() - t->running->started_at >= STUCK_AFTER;
    if (stuck || t->waiting >= STORE_JOBS_MAX) {
        job->state = STORE_JOB_ABANDONED;
    } else {
        *t->last = job;
        t->last = &job->next;
        t->waiting++;
        pthread_cond_signal(&t->posted);
    }
    pthread_mutex_unlock(&t->lock);
}

static void take_out(struct store_thread *t, struct store_job *job)
{
    struct store_job **link = &t->first;
    while (*link != job) link = &(*link)->next;
    *link = job->next;
    if (!*link) t->last = link;
    t->waiting--;
}

int store_thread_wait(struct store_thread *t, struct store_job *job, msec deadline, bool *ret_started, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    while ((job->state == STORE_JOB_WAITS || job->state == STORE_JOB_RUNS) && clock_boot_ms() < deadline)
        cond_wait_ms(&t->done, &t->lock, deadline - clock_boot_ms());
    if (job->state == STORE_JOB_DONE) {
        pthread_mutex_unlock(&t->lock);
        return 0;
    }
    bool started = job->state == STORE_JOB_RUNS;
    msec since = t->running ? clock_boot_ms() - t->running->started_at : 0;
    if (job->state == STORE_JOB_WAITS) take_out(t, job);
    if (started) job->state = STORE_JOB_ABANDONED;
    pthread_mutex_unlock(&t->lock);
    if (!started) job->drop(job);
    if (ret_started) *ret_started = started;
    if (since > 0)
        return err_set(e, ERR_UNAVAILABLE, "The store has not answered for %lld ms", (long long)since);
    return err_set(e, ERR_UNAVAILABLE, "Too many requests wait for the store");
}

int store_thread_call(struct store_thread *t, struct store_job *job, msec patience, bool *ret_started, struct err *e)
{
    store_thread_post(t, job);
    return store_thread_wait(t, job, clock_boot_ms() + patience, ret_started, e);
}
