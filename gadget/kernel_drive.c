#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/log.h"
#include "gadget/engine_kernel.h"

static const struct kernel_image no_image = {.fd = -1};

static int duplicate(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void deliver(struct kernel_drive *d, const struct engine_result *r)
{
    d->k->base.sink.result(d->k->base.sink.owner, d->index, r);
}

/* ---- images ------------------------------------------------------------------------------------------------------ */

static size_t store_of(const struct gadget_config *c, const char *path)
{
    size_t store = store_list_of_path(&c->stores, path);
    return store < c->stores.count ? store : ELSEWHERE;
}

void kernel_ignore_answer(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)fds;
    const struct work_answer *a = answer;
    struct task *t = task_of(job);
    if (end == WORKER_ANSWERED && t->quiet && a->result.outcome != OUTCOME_OK)
        log_warning("%s: %s", t->k->base.config->drives[t->drive].name, a->result.err.text);
    free(t);
}

/*
 * Lets go of an image. Where its file has no name any more, the last one to close it waits for the storage: so that is
 * a worker, which has it by the time that ours is closed. `sync`: to the disk with it first.
 */
static void release(struct kernel_drive *d, struct kernel_image *image, bool sync)
{
    if (image->fd < 0) return;
    int fd = take_fd(&image->fd);
    struct worker *w = sync ? kernel_sync_worker(d->k, image->store) : kernel_store_worker(d->k, image->store);
    struct task *t = w ? task_new(d->k, sync ? WORK_SYNC : WORK_CLOSE, d->index, kernel_ignore_answer) : NULL;
    *image = no_image;
    if (!t) {
        close(fd);
        return;
    }
    t->quiet = sync;
    t->job.fds[0] = fd;
    worker_submit(w, &t->job);
}

/* ---- watching them ----------------------------------------------------------------------------------------------- */

static void add_watch(struct kernel_drive *d, enum watch_sort sort);

static void not_watched(struct kernel_drive *d, enum watch_sort sort, const char *why)
{
    log_warning("%s: %s", d->k->base.config->drives[d->index].name, why);
    if (sort != WATCH_ACTIVITY || !d->armed) return;
    d->armed = false;
    d->k->base.sink.active(d->k->base.sink.owner, d->index); /* nobody will tell: better look */
}

static void watched(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)fds;
    struct task *t = task_of(job);
    struct kernel_drive *d = &t->k->drives[t->drive];
    enum watch_sort sort = t->sort;
    bool newest = --d->adding[sort] == 0, is_current = t->serial == d->serial && d->current.fd >= 0;
    const struct work_answer *a = answer;
    free(t);
    if (end == WORKER_CANCELLED) return;
    if (end == WORKER_DIED || a->wd < 0) {
        const char *why = end == WORKER_DIED ? "the process that watches images died" : a->result.err.text;
        if (is_current) not_watched(d, sort, why);
        return;
    }
    /* The same file has the same wd, so an old answer's must not be removed while a newer one is on its way. */
    if (is_current || !newest)
        watch_added(&d->watch, sort, a->wd);
    else if (a->wd != d->watch.wds[sort])
        inotify_rm_watch(watch_fd(&d->watch, sort), a->wd);
    /* It may have left before we watched. */
    if (is_current && sort == WATCH_CLOSES) d->k->base.sink.closed(d->k->base.sink.owner, d->index);
}

static void add_watch(struct kernel_drive *d, enum watch_sort sort)
{
    struct worker *w = kernel_store_worker(d->k, d->current.store);
    struct task *t = w ? task_new(d->k, WORK_WATCH, d->index, watched) : NULL;
    if (!t) {
        not_watched(d, sort, "no memory to watch the image");
        return;
    }
    t->sort = sort;
    t->serial = d->serial;
    t->work.mask = watch_mask(sort);
    t->job.fds[0] = duplicate(watch_fd(&d->watch, sort));
    t->job.fds[1] = duplicate(d->current.fd);
    d->adding[sort]++;
    worker_submit(w, &t->job);
}

static void on_seen(void *owner, enum watch_sort sort)
{
    struct kernel_drive *d = owner;
    const struct engine_sink *sink = &d->k->base.sink;
    if (sort == WATCH_CLOSES) {
        sink->closed(sink->owner, d->index);
    } else if (d->armed) {
        d->armed = false;
        sink->active(sink->owner, d->index);
    }
}

static void on_ended(void *owner, enum watch_sort sort)
{
    struct kernel_drive *d = owner;
    if (sort == WATCH_ACTIVITY && d->armed && d->current.fd >= 0) add_watch(d, WATCH_ACTIVITY);
}

void kernel_drive_arm(struct engine *e, size_t drive)
{
    struct kernel_drive *d = &((struct kernel_engine *)e)->drives[drive];
    if (d->armed) return;
    d->armed = true;
    if (d->current.fd >= 0) add_watch(d, WATCH_ACTIVITY);
}

/* ---- what is in the drive ---------------------------------------------------------------------------------------- */

static void current_is(struct kernel_drive *d, struct kernel_image image)
{
    d->current = image;
    d->serial++;
    d->flush_failed = false;
    kernel_limit_dirty(d->k);
    add_watch(d, WATCH_CLOSES);
    if (d->armed) add_watch(d, WATCH_ACTIVITY);
}

/* What the host took out is brought to the disk by us: the kernel does not do that, and nobody will ask for it. */
static void current_left(struct kernel_drive *d, enum drive_do what)
{
    struct kernel_image left = d->current;
    if (left.fd < 0) return;
    d->current = no_image;
    d->serial++;
    kernel_limit_dirty(d->k);
    watch_clear(&d->watch);
    release(d, &d->removed, false);
    if (!left.readonly && (what == DO_ASK || what == DO_FORCE))
        d->removed = left;
    else
        release(d, &left, !left.readonly);
}

static void take_note(struct kernel_drive *d, enum drive_do what, const struct engine_result *r,
                      int fds[PACKET_FDS_MAX])
{
    if (!r->medium_known) return;
    if (r->medium.present && (what == DO_INSERT || what == DO_SWAP) && r->outcome == OUTCOME_OK) {
        struct kernel_image in = d->next;
        d->next = no_image;
        in.readonly = r->medium.readonly;
        current_left(d, what);
        release(d, &d->removed, false); /* whoever wanted it synced has said so */
        current_is(d, in);
    } else if (!r->medium.present || r->medium.device != d->current.device || r->medium.inode != d->current.inode) {
        current_left(d, what);
    }
    if (fds[0] < 0) return;
    /* One that was in before we started, or that somebody else put in. */
    current_left(d, what);
    current_is(d, (struct kernel_image){.fd = take_fd(&fds[0]),
                                        .readonly = r->medium.readonly,
                                        .device = r->medium.device,
                                        .inode = r->medium.inode,
                                        .size = r->medium.size,
                                        .storage = r->medium.storage,
                                        .store = store_of(d->k->base.config, r->medium.path)});
}

void kernel_drive_leave_store(struct kernel_drive *d, size_t store)
{
    if (d->next.fd >= 0 && d->next.store == store) release(d, &d->next, false);
    if (d->removed.fd >= 0 && d->removed.store == store) release(d, &d->removed, true);
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

static struct engine_result died(const struct task *t)
{
    struct engine_result r = {.what = t->work.lun.what, .ticket = t->work.ticket, .outcome = OUTCOME_ERROR};
    err_set(&r.err, ERR_INTERNAL, "The process that should \"%s\" died", drive_do_names[r.what]);
    return r;
}

static struct lun_image lun_image_of(const struct kernel_image *image)
{
    return (struct lun_image){.fd = -1, .device = image->device, .inode = image->inode, .size = image->size};
}

/* How far a worker had come when it died is not known, but for what the kernel shows: another one looks. */
static void look_after_death(struct kernel_drive *d, struct task *t)
{
    t->died_doing = t->work.lun.what;
    t->work.lun.what = DO_OBSERVE;
    t->work.lun.known = lun_image_of(&d->current);
    t->work.lun.image = lun_image_of(&d->next);
    t->job.fds[0] = duplicate(d->next.fd);
    t->job.fds[1] = duplicate(d->current.fd);
    worker_submit(kernel_function_of(d->k, d->index)->worker, &t->job);
}

/* The answer to the order that the dead worker had: an error, unless the image is in. */
static void came_to_light(const struct kernel_drive *d, enum drive_do what, struct engine_result *r)
{
    bool puts_in = what == DO_INSERT || what == DO_SWAP;
    r->what = what;
    if (puts_in && r->medium_known && r->medium.present && d->next.fd >= 0 && r->medium.device == d->next.device &&
        r->medium.inode == d->next.inode)
        return;
    if (what == DO_OBSERVE) return;
    r->outcome = OUTCOME_ERROR;
    err_set(&r->err, ERR_INTERNAL, "The process that should \"%s\" died", drive_do_names[what]);
}

static void lun_done(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    struct task *t = task_of(job);
    struct kernel_drive *d = &t->k->drives[t->drive];
    if (end == WORKER_DIED && t->deaths++ == 0) {
        look_after_death(d, t);
        return;
    }
    struct engine_result r = end == WORKER_ANSWERED ? ((const struct work_answer *)answer)->result : died(t);
    if (t->died_doing != DO_NOTHING) came_to_light(d, t->died_doing, &r);
    free(t);
    if (end == WORKER_CANCELLED) return;
    take_note(d, r.what, &r, fds);
    deliver(d, &r);
}

static void opened(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    struct task *t = task_of(job);
    struct kernel_drive *d = &t->k->drives[t->drive];
    struct engine_result r = end == WORKER_ANSWERED ? ((const struct work_answer *)answer)->result : died(t);
    size_t store = store_of(d->k->base.config, t->work.store_path);
    free(t);
    if (end == WORKER_CANCELLED) return;
    if (fds[0] >= 0 && r.ticket == d->open_ticket) {
        release(d, &d->next, false);
        d->next = (struct kernel_image){.fd = take_fd(&fds[0]),
                                        .device = r.medium.device,
                                        .inode = r.medium.inode,
                                        .size = r.medium.size,
                                        .storage = r.medium.storage,
                                        .store = store};
    }
    deliver(d, &r);
}

static void synced(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)fds;
    struct task *t = task_of(job);
    struct kernel_drive *d = &t->k->drives[t->drive];
    struct engine_result r = end == WORKER_ANSWERED ? ((const struct work_answer *)answer)->result : died(t);
    free(t);
    if (end != WORKER_CANCELLED) deliver(d, &r);
}

static struct worker *prepare_lun(struct kernel_drive *d, struct task *t, const struct engine_order *o)
{
    const struct gadget_config *c = d->k->base.config;
    bool puts_in = o->what == DO_INSERT || o->what == DO_SWAP;
    struct err e;
    t->work.lun.signalled = o->what == DO_SIGNAL && kernel_interrupt(d->k, d->index, o->breaks, &e) != BREAK_NOT;
    t->work.lun.can_force = c->forced_eject == FORCED_EJECT_AUTO;
    t->work.lun.expires_at = clock_boot_ms() + c->drives[d->index].stuck_after;
    t->work.lun.known = lun_image_of(&d->current);
    const struct kernel_image *image = puts_in ? &d->next : o->what == DO_ANNOUNCE ? &d->current : &no_image;
    t->work.lun.image = lun_image_of(image);
    t->job.fds[0] = duplicate(image->fd);
    t->job.fds[1] = duplicate(d->current.fd);
    return kernel_function_of(d->k, d->index)->worker;
}

static bool is_older_open(const struct worker_job *job, const void *drive)
{
    const struct task *t = (const struct task *)job;
    return t->work.kind == WORK_OPEN && t->drive == ((const struct kernel_drive *)drive)->index;
}

/* A store that is not in the configuration has no directory here, and opening below it fails. */
static struct worker *prepare_open(struct kernel_drive *d, struct task *t, const struct engine_order *o)
{
    const struct store_list *stores = &d->k->base.config->stores;
    size_t store = 0;
    while (store < stores->count && strcmp(stores->items[store].path, o->store_path) != 0) store++;
    if (store < stores->count) {
        snprintf(t->work.store_path, sizeof t->work.store_path, "%s", o->store_path);
        t->work.store_readonly = stores->items[store].readonly;
        t->work.store_mount = stores->items[store].mount;
        t->work.store_cut = (enum store_cut)stores->items[store].cut;
    } else {
        store = ELSEWHERE;
    }
    if (strlen(o->name) < sizeof t->work.name) snprintf(t->work.name, sizeof t->work.name, "%s", o->name);
    d->open_ticket = o->ticket;
    struct worker *w = kernel_store_worker(d->k, store);
    if (w) worker_cancel(w, is_older_open, d); /* given up by whoever asks again */
    return w;
}

static struct worker *prepare_sync(struct kernel_drive *d, struct task *t)
{
    struct kernel_image *image = d->removed.fd >= 0 ? &d->removed : &d->current;
    size_t store = image->fd >= 0 ? image->store : ELSEWHERE;
    t->job.fds[0] = image == &d->removed ? take_fd(&image->fd) : duplicate(image->fd);
    return kernel_sync_worker(d->k, store);
}

void kernel_drive_order(struct engine *e, size_t drive, const struct engine_order *o)
{
    struct kernel_engine *k = (struct kernel_engine *)e;
    struct kernel_drive *d = &k->drives[drive];
    enum work_kind kind = o->what == DO_OPEN ? WORK_OPEN : o->what == DO_SYNC ? WORK_SYNC : WORK_LUN;
    static worker_done_fn *const done[] = {[WORK_OPEN] = opened, [WORK_SYNC] = synced, [WORK_LUN] = lun_done};
    struct task *t = task_new(k, kind, drive, done[kind]);
    if (!t) {
        log_error("%s: no memory for an order", e->config->drives[drive].name);
        return; /* stays outstanding: the drive will be `stuck` */
    }
    t->work.ticket = o->ticket;
    t->work.lun = (struct lun_order){.what = o->what,
                                     .type = (enum drive_type)e->config->drives[drive].type,
                                     .readonly = o->readonly || e->config->drives[drive].type == DRIVE_CDROM,
                                     .expires_at = MSEC_NEVER};
    struct worker *w = kind == WORK_OPEN   ? prepare_open(d, t, o)
                       : kind == WORK_SYNC ? prepare_sync(d, t)
                                           : prepare_lun(d, t, o);
    if (w) {
        worker_submit(w, &t->job);
        return;
    }
    packet_close(t->job.fds); /* no memory: logged, and as above */
    free(t);
}

void kernel_drive_observe(struct kernel_drive *d)
{
    struct engine_order o = {.what = DO_OBSERVE, .ticket = 0};
    kernel_drive_order(&d->k->base, d->index, &o);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int kernel_drive_init(struct kernel_engine *k, size_t index, struct err *e)
{
    struct kernel_drive *d = &k->drives[index];
    *d = (struct kernel_drive){.k = k, .index = index, .next = no_image, .current = no_image, .removed = no_image};
    if (watch_init(&d->watch, k->base.loop, on_seen, d, e) < 0) return -1;
    d->watch.ended = on_ended;
    return 0;
}

void kernel_drive_done(struct kernel_drive *d)
{
    if (!d->k) return; /* half built */
    watch_done(&d->watch);
    struct kernel_image *images[] = {&d->next, &d->current, &d->removed};
    for (size_t i = 0; i < ARRAY_LEN(images); i++)
        if (images[i]->fd >= 0) close(images[i]->fd);
}
