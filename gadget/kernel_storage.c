/*
 * kernel_storage.c - what the kernel engine does about the storage under the media: bring to it what hosts write, bound
 * what is unwritten, and cut it.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/log.h"
#include "gadget/engine_kernel.h"
#include "gadget/profile.h"

/* ---- cutting ----------------------------------------------------------------------------------------------------- */

static void cut_done(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)fds;
    struct task *t = task_of(job);
    struct kernel_engine *k = t->k;
    size_t drive = t->drive;
    struct err e = {0};
    if (end == WORKER_ANSWERED && ((const struct work_answer *)answer)->result.outcome != OUTCOME_OK)
        e = ((const struct work_answer *)answer)->result.err;
    if (end == WORKER_DIED) err_set(&e, ERR_INTERNAL, "The process that should cut the storage died");
    free(t);
    if (end != WORKER_CANCELLED) k->base.sink.cut(k->base.sink.owner, drive, &e);
}

void kernel_cut(struct engine *e, size_t drive, const struct backing *b)
{
    struct kernel_engine *k = (struct kernel_engine *)e;
    struct err err;
    if (!k->cutter)
        k->cutter = kernel_make_worker(k, "worker that cuts storage", NULL, kernel_shortest_patience(e->config), NULL, &err);
    struct task *t = k->cutter ? task_new(k, WORK_CUT, drive, cut_done) : NULL;
    if (!t) {
        log_error("%s: no memory to cut its storage", e->config->drives[drive].name);
        return;
    }
    t->work.backing = *b;
    worker_submit(k->cutter, &t->job);
}

/* ---- what hosts write -------------------------------------------------------------------------------------------- */

static const struct store_config *store_config(const struct kernel_engine *k, size_t store)
{
    return store < k->base.config->stores.count ? &k->base.config->stores.items[store] : &store_defaults;
}

static bool is_flushed(const struct kernel_drive *d)
{
    return d->current.fd >= 0 && !d->current.readonly && store_config(d->k, d->current.store)->flush;
}

static struct worker *flusher(struct kernel_engine *k, size_t store)
{
    struct err e;
    if (!k->flushers[store]) {
        const char *of = store < ELSEWHERE ? k->base.config->stores.items[store].name : "other images";
        snprintf(k->flusher_names[store], sizeof k->flusher_names[0], "flusher of %s", of);
        /* Never replaced: a second one would wait for the same storage. */
        k->flushers[store] = kernel_make_worker(k, k->flusher_names[store], NULL, 0, NULL, &e);
        if (!k->flushers[store]) log_error("%s", e.text);
    }
    return k->flushers[store];
}

struct worker *kernel_sync_worker(struct kernel_engine *k, size_t store)
{
    return k->flushers[store] ? k->flushers[store] : kernel_store_worker(k, store);
}

static void flushed(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)fds;
    struct task *t = task_of(job);
    struct kernel_drive *d = &t->k->drives[t->drive];
    bool current = t->serial == d->serial;
    free(t);
    if (end == WORKER_CANCELLED) return;
    d->flushing = false;
    if (end != WORKER_ANSWERED || !current) return;
    const struct engine_result *r = &((const struct work_answer *)answer)->result;
    if (r->outcome != OUTCOME_OK && !d->flush_failed)
        log_warning("%s: %s", d->k->base.config->drives[d->index].name, r->err.text);
    d->flush_failed = r->outcome != OUTCOME_OK;
}

void kernel_flush(struct engine *e, size_t drive)
{
    struct kernel_engine *k = (struct kernel_engine *)e;
    struct kernel_drive *d = &k->drives[drive];
    if (d->flushing || !is_flushed(d)) return;
    struct worker *w = flusher(k, d->current.store);
    struct task *t = w ? task_new(k, WORK_FLUSH, drive, flushed) : NULL;
    if (!t) return; /* told, and asked again with the next bytes */
    t->serial = d->serial;
    t->job.fds[0] = fcntl(d->current.fd, F_DUPFD_CLOEXEC, 0);
    d->flushing = true;
    worker_submit(w, &t->job);
}

void kernel_limit_dirty(struct kernel_engine *k)
{
    struct dirty_limit limits[DRIVES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < k->base.config->drives_count; i++) {
        const struct kernel_drive *d = &k->drives[i];
        const struct drive_config *c = &k->base.config->drives[i];
        if (!is_flushed(d)) continue;
        const struct host_profile clock = host_profile_for((enum host_kind)c->host, &c->clock);
        limits[count++] = (struct dirty_limit){
            .device = d->current.storage,
            .bytes = host_dirty_bytes(&clock, store_config(k, d->current.store)->write_speed)};
    }
    dirty_limits_apply(k->limits, limits, count);
}
