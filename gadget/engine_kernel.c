#include "gadget/engine_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/log.h"
#include "gadget/build.h"

#define BIND_RETRY 100  /* ms: "add" is said before the controller can be bound (usb_add_gadget() in udc/core.c) */
#define DEATHS_MAX 3    /* of workers over one order for the gadget; each is found as far as the one before it has come */
#define BIND_TRIES 6    /* each waits twice as long: 6 s in all */

struct task *task_new(struct kernel_engine *k, enum work_kind kind, size_t drive, worker_done_fn *done)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->job = (struct worker_job){.request = &t->work, .fds = {-1, -1}, .done = done};
    t->k = k;
    t->drive = drive;
    t->work.kind = kind;
    t->work.drive = drive;
    return t;
}

/* ---- workers ----------------------------------------------------------------------------------------------------- */

struct kernel_function *kernel_function_of(struct kernel_engine *k, size_t drive)
{
    return &k->functions[build_function_index(k->base.config, drive)];
}

static void on_held(void *owner, pid_t by)
{
    (void)by; /* the worker has logged it */
    const struct kernel_function *f = owner;
    struct kernel_engine *k = f->k;
    for (size_t i = 0; i < k->base.config->drives_count; i++)
        if (kernel_function_of(k, i) == f) k->base.sink.held(k->base.sink.owner, i);
}

static void on_released(void *owner)
{
    const struct kernel_function *f = owner;
    for (size_t i = 0; i < f->k->base.config->drives_count; i++)
        if (kernel_function_of(f->k, i) == f) kernel_drive_observe(&f->k->drives[i]);
}

struct worker *kernel_make_worker(struct kernel_engine *k, const char *name, const char *lock_path, msec replace_after,
                                  struct kernel_function *f, struct err *e)
{
    struct worker_spec spec = {.name = name,
                               .lock_path = lock_path,
                               .request_size = sizeof(struct work),
                               .answer_size = sizeof(struct work_answer),
                               .serve = work_serve,
                               .context = k->base.config,
                               .first = f != NULL,
                               .replace_after = replace_after,
                               .owner = f,
                               .held = f ? on_held : NULL,
                               .released = f ? on_released : NULL};
    return worker_new(k->base.loop, &spec, e);
}

msec kernel_shortest_patience(const struct gadget_config *c)
{
    msec shortest = c->drives_count ? c->drives[0].stuck_after : 1;
    for (size_t i = 1; i < c->drives_count; i++) shortest = MIN(shortest, c->drives[i].stuck_after);
    return MAX(shortest, 1);
}

struct worker *kernel_store_worker(struct kernel_engine *k, size_t store)
{
    struct err e;
    if (!k->stores[store]) {
        char *name = k->store_names[store];
        snprintf(name, sizeof k->store_names[0], "worker of %s%s", store < ELSEWHERE ? "store " : "other images",
                 store < ELSEWHERE ? k->base.config->stores.items[store].name : "");
        /* Replaced when its first customer has given up: the next one's image may lie on a part that still answers. */
        k->stores[store] = kernel_make_worker(k, name, NULL, kernel_shortest_patience(k->base.config), NULL, &e);
        if (!k->stores[store]) log_error("%s", e.text);
    }
    return k->stores[store];
}

static int make_function(struct kernel_engine *k, size_t drive, struct err *e)
{
    struct kernel_function *f = kernel_function_of(k, drive);
    const char *name = gadget_config_function(k->base.config, drive);
    if (f->worker) return 0;
    f->k = k;
    snprintf(f->name, sizeof f->name, "worker of %s", name);
    snprintf(f->lock_path, sizeof f->lock_path, "%s/function-%s.lock", k->base.config->runtime_dir, name);
    f->worker = kernel_make_worker(k, f->name, f->lock_path, 0, f, e);
    return f->worker ? worker_start(f->worker, e) : -1;
}

/* ---- breaking I/O ------------------------------------------------------------------------------------------------ */

/*
 * A question of a sibling's that still waits in the worker would be answered "yes" behind the signal, whoever has that
 * medium mounted. One that the kernel has begun has met the lock already (fsg_store_file() looks at it first).
 */
static void withdraw_question(struct worker_job *job)
{
    struct task *t = task_of(job);
    enum drive_do what = t->work.lun.what;
    bool asks = what == DO_ASK || what == DO_SWAP || what == DO_ANNOUNCE;
    if (t->work.kind == WORK_LUN && asks) t->work.lun.withdrawn = true;
}

static enum engine_break send_signal(struct kernel_engine *k, size_t drive, const struct probe_counters *since, struct err *err)
{
    FAULT_POINT("signal.send");
    int sent = probe_interrupt(k->probe, build_function_index(k->base.config, drive), since, err);
    FAULT_POINT("signal.sent");
    return sent == 0 ? BREAK_BY_SIGNAL : BREAK_NOT;
}

/* The attribute ends the command under way with a status. With none under way the host would get one that it did not ask
 * for, and a lock would stay; there the signal does what is meant, and no harm. */
static bool breaks_by_attribute(const struct kernel_engine *k, size_t drive)
{
    struct probe_counters now;
    if (!k->drives[drive].has_break_io) return false;
    return !probe_sample(k->probe, build_function_index(k->base.config, drive), &now) || now.waiting_for == WAITING_HOST;
}

enum engine_break kernel_interrupt(struct kernel_engine *k, size_t drive, bool breaks, struct err *err)
{
    worker_each_queued(kernel_function_of(k, drive)->worker, withdraw_question);
    if (!breaks) return send_signal(k, drive, &k->drives[drive].looked, err);
    if (!breaks_by_attribute(k, drive)) return send_signal(k, drive, NULL, err);
    if (!k->breaker)
        k->breaker = kernel_make_worker(k, "worker that breaks I/O", NULL, kernel_shortest_patience(k->base.config), NULL, err);
    struct task *t = k->breaker ? task_new(k, WORK_BREAK, drive, kernel_ignore_answer) : NULL;
    if (!t) return BREAK_NOT;
    t->quiet = true;
    worker_submit(k->breaker, &t->job);
    return BREAK_BY_ATTRIBUTE;
}

static enum engine_break kernel_break(struct engine *e, size_t drive, struct err *err)
{
    return kernel_interrupt((struct kernel_engine *)e, drive, true, err);
}

/* ---- the link ---------------------------------------------------------------------------------------------------- */

static void tell_link(struct kernel_engine *k)
{
    struct engine_link now;
    udc_read(k->udc, &now);
    if (k->link_told && memcmp(&now, &k->link, sizeof now) == 0) return;
    k->link = now;
    k->link_told = true;
    k->base.sink.link(k->base.sink.owner, &now);
}

static void bind_by_itself(struct kernel_engine *k);

static void on_udc(void *owner, bool appeared)
{
    struct kernel_engine *k = owner;
    tell_link(k);
    if (!appeared) return;
    k->appeared = true;
    k->bind_tries = 0;
    if (k->want_bound) bind_by_itself(k);
}

static void on_timer(struct loop_timer *t, msec now)
{
    (void)now;
    struct kernel_engine *k = t->owner;
    tell_link(k);
    if (k->want_bound && k->bind_tries) bind_by_itself(k);
}

/* ---- the gadget -------------------------------------------------------------------------------------------------- */

static void take_capabilities(struct kernel_engine *k, const struct work_answer *a)
{
    for (size_t i = 0; i < k->base.config->drives_count; i++) {
        k->drives[i].has_forced_eject = a->has_forced_eject[i];
        k->drives[i].has_break_io = a->has_break_io[i];
    }
    probe_forget(k->probe);
}

static void bound_by_itself(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)fds;
    struct task *t = task_of(job);
    struct kernel_engine *k = t->k;
    const struct work_answer *a = answer;
    free(t);
    k->binding = false;
    if (end == WORKER_CANCELLED) return;
    if (end == WORKER_ANSWERED) take_capabilities(k, a);
    tell_link(k);
    if ((end == WORKER_ANSWERED && a->gadget.ok && a->gadget.bound) || !k->want_bound || !k->link.udc[0]) {
        k->bind_tries = 0;
    } else if (++k->bind_tries < BIND_TRIES) {
        loop_timer_set(k->base.loop, &k->timer, clock_boot_ms() + (BIND_RETRY << k->bind_tries));
    } else {
        log_error("Cannot bind to %s: %s", k->link.udc,
                  end == WORKER_ANSWERED ? a->gadget.err.text : "the worker died");
        k->bind_tries = 0;
    }
}

static void bind_by_itself(struct kernel_engine *k)
{
    bool needed = !k->binding && !k->link.bound && k->link.udc[0];
    struct task *t = needed ? task_new(k, WORK_GADGET, 0, bound_by_itself) : NULL;
    if (!t) return;
    t->work.order = GADGET_BIND;
    k->binding = true;
    worker_submit(k->gadget, &t->job);
}

static void gadget_done(struct worker_job *job, enum worker_end end, const void *answer, int fds[PACKET_FDS_MAX])
{
    (void)fds;
    struct task *t = task_of(job);
    struct kernel_engine *k = t->k;
    struct gadget_result result = {.order = t->work.order};
    if (end == WORKER_DIED && ++t->deaths < DEATHS_MAX) {
        worker_submit(k->gadget, &t->job);
        return;
    }
    free(t);
    if (end == WORKER_CANCELLED) return;
    if (end == WORKER_ANSWERED) {
        const struct work_answer *a = answer;
        result = a->gadget;
        take_capabilities(k, a);
    } else {
        err_set(&result.err, ERR_INTERNAL, "The process that works on the gadget died");
    }
    if (result.order == GADGET_START) k->want_bound = result.ok;
    tell_link(k);
    k->base.sink.gadget(k->base.sink.owner, &result);
    if (k->want_bound && k->appeared) bind_by_itself(k);
}

static void kernel_gadget(struct engine *e, enum gadget_order order)
{
    struct kernel_engine *k = (struct kernel_engine *)e;
    struct task *t = task_new(k, WORK_GADGET, 0, gadget_done);
    if (!t) {
        log_error("No memory to work on the gadget");
        return;
    }
    k->want_bound = order == GADGET_BIND;
    k->appeared = false;
    t->work.order = order;
    worker_submit(k->gadget, &t->job);
}

/* ---- evidence ---------------------------------------------------------------------------------------------------- */

static void kernel_sample(struct engine *e, size_t drive, struct engine_sample *ret)
{
    struct kernel_engine *k = (struct kernel_engine *)e;
    struct probe_counters now;
    *ret = (struct engine_sample){.waiting_for = WAITING_UNKNOWN};
    for (size_t i = 0; i < e->config->drives_count; i++)
        if (i != drive && kernel_function_of(k, i) == kernel_function_of(k, drive)) ret->shared = true;
    if (!probe_sample(k->probe, build_function_index(e->config, drive), &now)) return;
    k->drives[drive].looked = now;
    ret->known = true;
    ret->bytes_read = now.read;
    ret->bytes_written = now.written;
    ret->commands = now.commands;
    ret->waiting_for = now.waiting_for;
    ret->flushing = now.flushing;
}

static void kernel_capabilities(const struct engine *e, size_t drive, struct engine_capabilities *ret)
{
    const struct kernel_engine *k = (const struct kernel_engine *)e;
    *ret = (struct engine_capabilities){
        .forced_eject = k->drives[drive].has_forced_eject && e->config->forced_eject == FORCED_EJECT_AUTO,
        .break_io = k->drives[drive].has_break_io,
        .signal = probe_known(k->probe, build_function_index(e->config, drive)),
        .max_cdrom_bytes = IMAGE_CDROM_BYTES_MAX,
    };
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void kernel_free(struct engine *e)
{
    struct kernel_engine *k = (struct kernel_engine *)e;
    loop_timer_set(e->loop, &k->timer, MSEC_NEVER);
    worker_free(k->gadget);
    worker_free(k->breaker);
    worker_free(k->cutter);
    for (size_t i = 0; i < DRIVES_MAX; i++) worker_free(k->functions[i].worker);
    for (size_t i = 0; i <= STORES_MAX; i++) {
        worker_free(k->stores[i]);
        worker_free(k->flushers[i]);
        if (i < STORES_MAX) worker_free(k->leavers[i]);
    }
    for (size_t i = 0; i < e->config->drives_count; i++) kernel_drive_done(&k->drives[i]);
    udc_free(k->udc);
    probe_free(k->probe);
    dirty_limits_free(k->limits);
    free(k);
}

static const struct engine_class kernel_class = {
    .name = "kernel",
    .gadget = kernel_gadget,
    .order = kernel_drive_order,
    .sample = kernel_sample,
    .arm = kernel_drive_arm,
    .capabilities = kernel_capabilities,
    .break_io = kernel_break,
    .cut = kernel_cut,
    .flush = kernel_flush,
    .store = kernel_store,
    .free = kernel_free,
};

static int make_parts(struct kernel_engine *k, struct err *e)
{
    const struct gadget_config *c = k->base.config;
    if (mkdir(c->runtime_dir, 0755) < 0 && errno != EEXIST)
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot make %s", c->runtime_dir);
    for (size_t i = 0; i < c->drives_count; i++)
        if (kernel_drive_init(k, i, e) < 0) return -1;
    k->probe = probe_new("/proc", build_function_count(c));
    k->limits = dirty_limits_new("/sys", "/proc/sys", c->runtime_dir, c->dirty_limit == DIRTY_LIMIT_SYSTEM);
    if (!k->probe || !k->limits) return err_set(e, ERR_UNAVAILABLE, "No memory");
    k->udc = udc_new(k->base.loop, "/sys/class/udc", c->udc, c->name, on_udc, k, e);
    if (!k->udc) return -1;
    snprintf(k->gadget_lock_path, sizeof k->gadget_lock_path, "%s/gadget.lock", c->runtime_dir);
    k->gadget = kernel_make_worker(k, "worker of the gadget", k->gadget_lock_path, 0, NULL, e);
    if (!k->gadget || worker_start(k->gadget, e) < 0) return -1;
    for (size_t i = 0; i < c->drives_count; i++)
        if (make_function(k, i, e) < 0) return -1;
    return 0;
}

struct engine *engine_kernel_new(const struct gadget_config *c, struct loop *l, const struct engine_sink *s,
                                 struct err *e)
{
    struct kernel_engine *k = calloc(1, sizeof *k);
    if (!k) {
        err_set(e, ERR_UNAVAILABLE, "No memory");
        return NULL;
    }
    k->base = (struct engine){.class = &kernel_class, .config = c, .sink = *s, .loop = l};
    loop_timer_init(&k->timer, on_timer, k);
    if (make_parts(k, e) < 0) {
        kernel_free(&k->base);
        return NULL;
    }
    loop_timer_set(l, &k->timer, 0); /* the first look at the link */
    return &k->base;
}
