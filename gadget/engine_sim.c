/*
 * engine_sim.c - the simulation as an engine: orders come back by timer, images are opened for real, and a control
 * socket plays the host (docs/simulation.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/fault.h"
#include "gadget/build.h"
#include "gadget/image.h"
#include "gadget/sim.h"
#include "gadget/sim_store.h"

#define ORDER_TAKES 2     /* ms; so that nothing comes back from inside the call that gave it */
#define LINE_MAX_BYTES 256
#define KERNEL_SUFFIX ".kernel"

/* What outlives the process where a file was made for it: the simulated kernel, and the host. */
struct sim_kernel {
    bool built;                     /* there is a gadget, with these drives: */
    char names[DRIVES_MAX][DRIVE_NAME_MAX];
    bool bound, configured;
    unsigned enumerations;          /* by the host */
    struct sim_lun luns[DRIVES_MAX];
};

struct sim_drive {
    struct engine_sim *sim;
    size_t index;
    struct sim_lun *lun;            /* in the kernel */
    struct engine_order order;      /* outstanding; what == DO_NOTHING: none */
    bool performed;                 /* it is done, */
    struct engine_result result;    /* ... and this is to be told */
    char store_path[STORE_PATH_MAX], name[1024]; /* of an OPEN */
    struct engine_medium opened;
    int opened_fd;
    bool withdrawn;                 /* a question that a signal has overtaken */
    bool armed;
    struct loop_timer done, cut_done;
};

struct engine_sim {
    struct engine engine;
    struct sim_drive drives[DRIVES_MAX];
    struct sim_kernel *kernel;
    struct sim_store stores[STORES_MAX];
    struct loop_timer stores_done;
    struct engine_link link;
    struct gadget_result gadget;    /* to be reported */
    struct loop_timer gadget_done;
    int fd;
    char path[108];
    struct loop_watch watch;
};

static struct engine_sim *sim_of(struct engine *e)
{
    return (struct engine_sim *)e;
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

/* The lock and the thread are per function: what hangs in one drive stops its siblings. */
static bool function_hangs(const struct engine_sim *s, size_t drive)
{
    for (size_t i = 0; i < s->engine.config->drives_count; i++)
        if (build_function_index(s->engine.config, i) == build_function_index(s->engine.config, drive) &&
            s->drives[i].lun->hang != SIM_HANG_NOT)
            return true;
    return false;
}

static void open_image(struct engine_sim *s, size_t drive, struct engine_result *r)
{
    struct sim_drive *d = &s->drives[drive];
    const struct image_wish wish = {.type = (enum drive_type)s->engine.config->drives[drive].type,
                                    .readonly = d->order.readonly, .store_path = d->store_path, .name = d->name};
    int fd = image_open(&wish, &d->opened, &r->err);
    if (d->opened_fd >= 0) close(d->opened_fd);
    d->opened_fd = fd;
    r->outcome = fd < 0 ? OUTCOME_ERROR : OUTCOME_OK;
    if (fd >= 0) image_path(fd, d->opened.path, sizeof d->opened.path);
    size_t store = store_list_of_path(&s->engine.config->stores, d->opened.path);
    if (fd >= 0 && store < s->engine.config->stores.count)
        d->opened.backing = (struct backing){.how = s->engine.config->stores.items[store].cut, .number = store};
    r->medium = d->opened;
}

static bool is_in_store(const struct engine_order *o)
{
    return o->what == DO_OPEN || o->what == DO_SYNC;
}

static void perform(struct sim_drive *d, msec now)
{
    struct engine_sim *s = d->sim;
    const struct drive_config *c = &s->engine.config->drives[d->index];
    struct engine_result *r = &d->result;
    *r = (struct engine_result){.what = d->order.what, .ticket = d->order.ticket};
    d->performed = true;
    sim_run(d->lun, now);
    FAULT_POINT("sim.order");
    if (r->what == DO_OPEN) {
        open_image(s, d->index, r);
    } else if (!is_in_store(&d->order) && strcmp(s->kernel->names[d->index], c->name) != 0) {
        r->outcome = OUTCOME_ERROR;
        err_set(&r->err, ERR_GADGET_DIFFERS, "The simulated gadget has no drive %s yet", c->name);
    } else if (d->withdrawn) {
        r->outcome = OUTCOME_BUSY;
        r->medium_known = true;
        r->medium = d->lun->medium;
    } else if (r->what != DO_SYNC) {
        sim_order(d->lun, &d->order, &d->opened, s->engine.config->forced_eject == FORCED_EJECT_AUTO, r);
    }
    FAULT_POINT("sim.ordered");
}

static void on_order_done(struct loop_timer *t, msec now)
{
    struct sim_drive *d = t->owner;
    struct engine_sim *s = d->sim;
    if (!d->performed) {
        if (!is_in_store(&d->order) && function_hangs(s, d->index)) return; /* until the host command "hang off" */
        perform(d, now);
    }
    const struct engine_result r = d->result;
    d->order.what = DO_NOTHING;
    s->engine.sink.result(s->engine.sink.owner, d->index, &r);
}

/* As the kernel does: all drives of the function are hit, and what was asked there is not answered any more. */
static void signal_function(struct engine_sim *s, size_t drive)
{
    for (size_t i = 0; i < s->engine.config->drives_count; i++) {
        struct sim_drive *d = &s->drives[i];
        enum drive_do what = d->order.what;
        if (build_function_index(s->engine.config, i) != build_function_index(s->engine.config, drive)) continue;
        sim_clear(d->lun);
        if (d->lun->hang == SIM_HANG_HOST) d->lun->hang = SIM_HANG_NOT;
        d->withdrawn = i != drive && (what == DO_ASK || what == DO_SWAP || what == DO_ANNOUNCE);
    }
}

static void give_order(struct engine *e, size_t drive, const struct engine_order *o)
{
    struct engine_sim *s = sim_of(e);
    struct sim_drive *d = &s->drives[drive];
    d->order = *o;
    d->withdrawn = false;
    if (o->what == DO_SIGNAL) signal_function(s, drive);
    if (o->what == DO_OPEN) {
        snprintf(d->store_path, sizeof d->store_path, "%s", o->store_path);
        snprintf(d->name, sizeof d->name, "%s", o->name);
    }
    d->performed = false;
    /* As in a kernel it may be done before anybody hears of it, and before the one that ordered it does another thing. */
    if (!is_in_store(o) && !function_hangs(s, drive)) perform(d, clock_boot_ms());
    loop_timer_set(e->loop, &d->done, clock_boot_ms() + ORDER_TAKES);
}

static void tell_link(struct engine_sim *s)
{
    s->engine.sink.link(s->engine.sink.owner, &s->link);
}

static void set_link(struct engine_sim *s, bool bound, bool configured)
{
    s->link = (struct engine_link){.bound = bound, .configured = configured};
    if (configured && !s->kernel->configured) s->kernel->enumerations++;
    s->kernel->bound = bound;
    s->kernel->configured = configured;
    strcpy(s->link.udc, "simulated_udc.0");
    strcpy(s->link.state, configured ? "configured" : "not attached");
    strcpy(s->link.speed, configured ? "high-speed" : "UNKNOWN");
    for (size_t i = 0; !configured && i < s->engine.config->drives_count; i++) sim_disconnect(s->drives[i].lun);
}

static void take_down(struct engine_sim *s)
{
    s->kernel->built = false;
    for (size_t i = 0; i < DRIVES_MAX; i++) s->kernel->luns[i] = (struct sim_lun){.sector = s->kernel->luns[i].sector};
}

static void find_or_build(struct engine_sim *s)
{
    const struct gadget_config *c = s->engine.config;
    struct gadget_result *r = &s->gadget;
    r->found = s->kernel->built ? FOUND_AS_PLANNED : FOUND_NOTHING;
    for (size_t i = 0; i < DRIVES_MAX; i++) {
        const char *name = i < c->drives_count ? c->drives[i].name : "";
        if (!s->kernel->built) snprintf(s->kernel->names[i], sizeof s->kernel->names[i], "%s", name);
        if (strcmp(s->kernel->names[i], name) == 0) continue;
        r->found = FOUND_DIFFERENT;
        size_t n = strlen(r->differences);
        snprintf(r->differences + n, sizeof r->differences - n, "drive %s, where %s is configured\n",
                 s->kernel->names[i][0] ? s->kernel->names[i] : "none", name[0] ? name : "none");
    }
    s->kernel->built = true;
}

static void on_gadget_done(struct loop_timer *t, attr_unused msec now)
{
    struct engine_sim *s = t->owner;
    enum gadget_order order = s->gadget.order;
    bool was = s->kernel->bound, bind = order == GADGET_START || order == GADGET_BIND || (order == GADGET_START_UNBOUND && was);
    FAULT_POINT("sim.gadget");
    if (order == GADGET_REMOVE) take_down(s);
    if (order == GADGET_START || order == GADGET_START_UNBOUND) find_or_build(s);
    set_link(s, bind, bind && (!was || s->kernel->configured));
    if (bind && !was) { /* as the kernel has it until the host's answer, which comes whether we live or not */
        const struct engine_link answered = s->link;
        s->link.configured = false;
        strcpy(s->link.state, "default");
        tell_link(s);
        s->link = answered;
    }
    FAULT_POINT("sim.gadgeted");
    s->gadget.ok = true;
    s->gadget.bound = bind;
    tell_link(s);
    s->engine.sink.gadget(s->engine.sink.owner, &s->gadget);
}

static void order_gadget(struct engine *e, enum gadget_order order)
{
    struct engine_sim *s = sim_of(e);
    s->gadget = (struct gadget_result){.order = order};
    loop_timer_set(e->loop, &s->gadget_done, clock_boot_ms() + ORDER_TAKES);
}

static void take_sample(struct engine *e, size_t drive, struct engine_sample *ret)
{
    struct engine_sim *s = sim_of(e);
    *ret = (struct engine_sample){.known = true, .waiting_for = WAITING_NOTHING};
    for (size_t i = 0; i < e->config->drives_count; i++) {
        struct sim_lun *l = s->drives[i].lun;
        if (build_function_index(e->config, i) != build_function_index(e->config, drive)) continue;
        if (i != drive) ret->shared = true;
        sim_run(l, clock_boot_ms());
        ret->bytes_read += l->bytes_read;
        ret->bytes_written += l->bytes_written;
        ret->commands += l->commands;
        if (l->hang != SIM_HANG_NOT) ret->waiting_for = l->hang == SIM_HANG_HOST ? WAITING_HOST : WAITING_STORAGE;
    }
}

static void arm(struct engine *e, size_t drive)
{
    sim_of(e)->drives[drive].armed = true;
}

static void capabilities(const struct engine *e, attr_unused size_t drive, struct engine_capabilities *ret)
{
    *ret = (struct engine_capabilities){.forced_eject = e->config->forced_eject == FORCED_EJECT_AUTO, .signal = true,
                                        .max_cdrom_bytes = IMAGE_CDROM_BYTES_MAX};
}

static void kick(struct engine_sim *s)
{
    for (size_t i = 0; i < s->engine.config->drives_count; i++)
        if (s->drives[i].order.what != DO_NOTHING) loop_timer_set(s->engine.loop, &s->drives[i].done, clock_boot_ms());
}

/* What waits for the host goes on; what waits for storage does not. */
static enum engine_break break_io(struct engine *e, size_t drive, struct err *err)
{
    struct engine_sim *s = sim_of(e);
    struct engine_sample sample;
    take_sample(e, drive, &sample);
    if (sample.waiting_for == WAITING_STORAGE) {
        err_set(err, ERR_DRIVE_STUCK, "The simulated storage hangs");
        return BREAK_NOT;
    }
    signal_function(s, drive);
    kick(s);
    return BREAK_BY_SIGNAL;
}

static void on_cut_done(struct loop_timer *t, attr_unused msec now)
{
    struct sim_drive *d = t->owner;
    const struct err none = {0};
    d->sim->engine.sink.cut(d->sim->engine.sink.owner, d->index, &none);
}

/* What hangs in that storage ends with an I/O error, and goes on with the next command. */
static void cut(struct engine *e, size_t drive, const struct backing *b)
{
    struct engine_sim *s = sim_of(e);
    for (size_t i = 0; i < e->config->drives_count; i++)
        if (s->drives[i].lun->hang == SIM_HANG_STORAGE && backing_equal(&s->drives[i].lun->medium.backing, b))
            s->drives[i].lun->hang = SIM_HANG_NOT;
    kick(s);
    loop_timer_set(e->loop, &s->drives[drive].cut_done, clock_boot_ms() + ORDER_TAKES);
}

static void flush(attr_unused struct engine *e, attr_unused size_t drive) {} /* no byte of an image is ever written here */

/* ---- stores ------------------------------------------------------------------------------------------------------ */

static void on_stores_done(struct loop_timer *t, attr_unused msec now)
{
    struct engine_sim *s = t->owner;
    struct store_result r;
    for (size_t i = 0; i < s->engine.config->stores.count; i++)
        if (sim_store_perform(&s->stores[i], s->engine.config->stores.items[i].path, &r))
            s->engine.sink.store(s->engine.sink.owner, i, &r);
}

/* What was opened there and is in no drive is let go of, as the kernel engine does. */
static void order_store(struct engine *e, size_t store, const struct store_order *o)
{
    struct engine_sim *s = sim_of(e);
    for (size_t i = 0; i < e->config->drives_count; i++)
        if (s->drives[i].opened_fd >= 0 && store_list_of_path(&e->config->stores, s->drives[i].opened.path) == store)
            close(take_fd(&s->drives[i].opened_fd));
    s->stores[store].order = *o;
    loop_timer_set(e->loop, &s->stores_done, clock_boot_ms() + ORDER_TAKES);
}

static int control_store(struct engine_sim *s, const char *name, const char *word, struct err *e)
{
    const struct store_config *store = store_list_find(&s->engine.config->stores, name);
    if (!store) return err_set(e, ERR_NOT_FOUND, "no such store");
    if (sim_store_tell(&s->stores[store - s->engine.config->stores.items], word, e) < 0) return -1;
    loop_timer_set(s->engine.loop, &s->stores_done, clock_boot_ms());
    return 0;
}

/* ---- the control socket ------------------------------------------------------------------------------------------ */

/* The kernel forgets what it has yet to tell; the host locks again what it had locked. */
static void reset_link(struct engine_sim *s)
{
    for (size_t i = 0; i < s->engine.config->drives_count; i++) s->drives[i].lun->changed = false;
    s->link.configured = false;
    strcpy(s->link.state, "default");
    tell_link(s);
    set_link(s, s->link.bound, true);
    tell_link(s);
}

static int control_link(struct engine_sim *s, const char *argument, struct err *e)
{
    bool reset = strcmp(argument, "reset") == 0;
    if (!reset && strcmp(argument, "configured") != 0 && strcmp(argument, "unplugged") != 0)
        return err_set(e, ERR_BAD_REQUEST, "configured, unplugged or reset?");
    if (reset && !s->link.configured) return err_set(e, ERR_GADGET_DETACHED, "no host is there");
    if (reset) {
        reset_link(s);
        return 0;
    }
    set_link(s, s->link.bound, strcmp(argument, "configured") == 0);
    tell_link(s);
    return 0;
}

static void describe(const struct engine_sim *s, const struct sim_lun *l, char *ret, size_t size)
{
    if (!s->link.configured)
        snprintf(ret, size, "ok gone\n");
    else if (!l->medium.present)
        snprintf(ret, size, "ok empty\n");
    else
        snprintf(ret, size, "ok present %llu %s %s\n", (unsigned long long)sim_host_bytes(l),
                 l->medium.readonly ? "ro" : "rw", l->medium.path);
}

/* A program can end, and the storage hang, also where the host has no such drive any more. */
static bool needs_link(const char *verb, const char *argument)
{
    return strcmp(verb, "unlock") != 0 && strcmp(verb, "hang") != 0 && strcmp(argument, "off") != 0;
}

static int control_drive(struct engine_sim *s, struct sim_drive *d, const char *verb, const char *argument, struct err *e)
{
    const struct engine_sink *sink = &s->engine.sink;
    bool left;
    msec now = clock_boot_ms();
    if (!s->link.configured && needs_link(verb, argument)) return err_set(e, ERR_GADGET_DETACHED, "the host has no such drive");
    if (sim_host(d->lun, verb, argument, now, &left, e) < 0) return -1;
    if (left) sink->closed(sink->owner, d->index);
    if (d->armed && (strstr(verb, "read") || strstr(verb, "writ"))) {
        d->armed = false;
        sink->active(sink->owner, d->index);
    }
    for (size_t i = 0; strcmp(verb, "hang") == 0 && i < s->engine.config->drives_count; i++)
        if (s->drives[i].order.what != DO_NOTHING) loop_timer_set(s->engine.loop, &s->drives[i].done, now);
    return 0;
}

/* "enumerations", "link configured", "store NAME WORD", "state DRIVE", or "VERB DRIVE [ARGUMENT]". */
static void control(struct engine_sim *s, char *line, char *answer, size_t size)
{
    char *save, *verb = strtok_r(line, " \n", &save);
    char *subject = verb ? strtok_r(NULL, " \n", &save) : NULL, *argument = subject ? strtok_r(NULL, " \n", &save) : NULL;
    struct err e = {0};
    int result = -1;
    struct sim_drive *d = NULL;
    for (size_t i = 0; subject && i < s->engine.config->drives_count; i++)
        if (strcmp(s->engine.config->drives[i].name, subject) == 0) d = &s->drives[i];
    if (verb && strcmp(verb, "enumerations") == 0) {
        snprintf(answer, size, "ok %u\n", s->kernel->enumerations);
        return;
    }
    if (d && strcmp(verb, "state") == 0) {
        describe(s, d->lun, answer, size);
        return;
    }
    if (d && s->link.configured && strcmp(verb, "look") == 0) {
        snprintf(answer, size, "ok %llu\n", (unsigned long long)sim_host_look(d->lun));
        return;
    }
    if (subject && strcmp(verb, "link") == 0)
        result = control_link(s, subject, &e);
    else if (argument && strcmp(verb, "store") == 0)
        result = control_store(s, subject, argument, &e);
    else if (d)
        result = control_drive(s, d, verb, argument ? argument : "", &e);
    else
        err_set(&e, ERR_NOT_FOUND, "no such drive");
    snprintf(answer, size, "%s%s\n", result < 0 ? "error " : "ok", result < 0 ? e.text : "");
}

/* One command a connection: this is a tool of tests, and of nobody else. */
static void on_control(struct loop_watch *w, attr_unused uint32_t events)
{
    struct engine_sim *s = w->owner;
    cleanup_close int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
    char line[LINE_MAX_BYTES], answer[MEDIUM_PATH_MAX + 64];
    if (fd < 0) return;
    ssize_t n = recv(fd, line, sizeof line - 1, 0);
    if (n <= 0) return;
    line[n] = '\0';
    control(s, line, answer, sizeof answer);
    send(fd, answer, strlen(answer), MSG_NOSIGNAL);
}

static int listen_on(struct engine_sim *s, const char *path, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if ((size_t)snprintf(s->path, sizeof s->path, "%s", path) >= sizeof s->path)
        return err_set(e, ERR_BAD_REQUEST, "%s is too long for a socket's path", path);
    memcpy(a.sun_path, s->path, sizeof a.sun_path);
    unlink(s->path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(s->fd, 8) < 0 ||
        loop_add(s->engine.loop, &s->watch, s->fd, EPOLLIN, on_control, s) < 0)
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot listen on %s", path);
    return 0;
}

/* ---- a kernel that outlives us ----------------------------------------------------------------------------------- */

/* Memory, or the file CONTROL.kernel where somebody has made one, be it empty. */
static int map_kernel(struct engine_sim *s, const char *control_path, struct err *e)
{
    char path[sizeof s->path + sizeof KERNEL_SUFFIX];
    int flags = MAP_SHARED | MAP_ANONYMOUS;
    snprintf(path, sizeof path, "%s" KERNEL_SUFFIX, control_path);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot open %s", path);
    if (fd >= 0) flags = MAP_SHARED;
    if (fd >= 0 && ftruncate(fd, sizeof *s->kernel) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot write %s", path);
    void *kernel = mmap(NULL, sizeof *s->kernel, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (kernel == MAP_FAILED) return err_set_errno(e, ERR_INTERNAL, errno, "No memory for the simulated kernel");
    s->kernel = kernel;
    return 0;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void free_engine(struct engine *e)
{
    struct engine_sim *s = sim_of(e);
    for (size_t i = 0; i < DRIVES_MAX; i++)
        if (s->drives[i].opened_fd >= 0) close(s->drives[i].opened_fd);
    if (s->fd >= 0) {
        loop_remove(e->loop, &s->watch);
        close(s->fd);
        unlink(s->path);
    }
    if (s->kernel) munmap(s->kernel, sizeof *s->kernel);
    free(s);
}

static const struct engine_class class = {
    .name = "simulation", .gadget = order_gadget, .order = give_order, .sample = take_sample, .arm = arm,
    .capabilities = capabilities, .break_io = break_io, .cut = cut, .flush = flush, .store = order_store,
    .free = free_engine,
};

struct engine *engine_sim_new(const struct gadget_config *c, struct loop *l, const struct engine_sink *sink,
                              const char *control_path, struct err *e)
{
    struct engine_sim *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    s->engine = (struct engine){.class = &class, .config = c, .sink = *sink, .loop = l};
    s->fd = -1;
    for (size_t i = 0; i < DRIVES_MAX; i++) s->drives[i].opened_fd = -1;
    if (map_kernel(s, control_path, e) < 0) {
        free_engine(&s->engine);
        return NULL;
    }
    for (size_t i = 0; i < DRIVES_MAX; i++) {
        s->drives[i].sim = s;
        s->drives[i].index = i;
        s->drives[i].lun = &s->kernel->luns[i];
        s->drives[i].lun->sector = c->drives[i].type == DRIVE_CDROM ? 2048 : 512;
        loop_timer_init(&s->drives[i].done, on_order_done, &s->drives[i]);
        loop_timer_init(&s->drives[i].cut_done, on_cut_done, &s->drives[i]);
    }
    loop_timer_init(&s->gadget_done, on_gadget_done, s);
    loop_timer_init(&s->stores_done, on_stores_done, s);
    if (listen_on(s, control_path, e) < 0) {
        free_engine(&s->engine);
        return NULL;
    }
    return &s->engine;
}
