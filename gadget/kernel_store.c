/*
 * kernel_store.c - a store is taken away: its workers let go, then a worker of its own does the step.
 *
 * The two workers of the store may still hold files there, or have closes in their queues: a fence behind all that, in each
 * of them, is over when they are done. The worker that does the step is never replaced: a second one would not wait for an
 * unmount that hangs, and undo it before it is done.
 */
#include <stdio.h>

#include "base/log.h"
#include "gadget/engine_kernel.h"

static struct worker *leaver(struct kernel_engine *k, size_t store)
{
    struct err e;
    if (!k->leavers[store]) {
        char *name = k->leaver_names[store];
        snprintf(name, sizeof k->leaver_names[0], "worker that detaches %s", k->base.config->stores.items[store].name);
        k->leavers[store] = kernel_make_worker(k, name, NULL, 0, NULL, &e);
        if (!k->leavers[store]) log_error("%s", e.text);
    }
    return k->leavers[store];
}

static void done(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)fds;
    struct task *t = task_of(job);
    struct kernel_engine *k = t->k;
    size_t store = t->store;
    struct store_result r = {0};
    if (end == WORKER_ANSWERED) r = ((const struct work_answer *)answer)->store;
    if (end == WORKER_DIED)
        err_set(&r.err, ERR_INTERNAL, "The process that should \"%s\" died", departure_step_names[t->work.step]);
    r.ticket = t->work.ticket;
    free(t);
    if (end != WORKER_CANCELLED) k->base.sink.store(k->base.sink.owner, store, &r);
}

/* A worker that died holds nothing any more. */
static void store_fenced(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)answer, (void)fds;
    struct task *t = task_of(job);
    struct worker *w = end == WORKER_CANCELLED ? NULL : leaver(t->k, t->store);
    if (!w) {
        free(t);
        return;
    }
    t->work.kind = WORK_STORE;
    t->job.done = done;
    worker_submit(w, &t->job);
}

static void fence_store(struct task *t)
{
    struct worker *w = t->k->stores[t->store];
    t->job.done = store_fenced;
    if (w)
        worker_submit(w, &t->job);
    else
        store_fenced(&t->job, WORKER_ANSWERED, NULL, NULL);
}

static void flusher_fenced(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)answer, (void)fds;
    if (end == WORKER_CANCELLED)
        free(task_of(job));
    else
        fence_store(task_of(job));
}

void kernel_store(struct engine *e, size_t store, const struct store_order *o)
{
    struct kernel_engine *k = (struct kernel_engine *)e;
    struct task *t = task_new(k, WORK_FENCE, 0, flusher_fenced);
    if (!t) {
        log_error("No memory to take a store away"); /* the step's deadline ends it */
        return;
    }
    for (size_t i = 0; i < e->config->drives_count; i++) kernel_drive_leave_store(&k->drives[i], store);
    t->store = store;
    t->work.ticket = o->ticket;
    t->work.step = o->step;
    t->work.mount = o->mount;
    snprintf(t->work.store_path, sizeof t->work.store_path, "%s", e->config->stores.items[store].path);
    if (k->flushers[store])
        worker_submit(k->flushers[store], &t->job);
    else
        fence_store(t);
}
