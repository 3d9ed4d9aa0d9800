#include "gadget/reattach.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "gadget/daemon.h"
#include "gadget/state_file.h"

#define DRAIN_MAX 15000  /* ms; longer than any stuck_after of the default, so that a drive is `stuck` before this ends */
#define EJECT_MAX 5000   /* ms; with no host an eject takes no time: longer means storage, and the host is not kept waiting */
#define NO_HOST_FOR 10000 /* ms of "not attached" until the host is taken to be off or away, and not in the middle of a reboot */
#define SETTLE_MAX 3000  /* ms; a host enumerates within one or two seconds, and a host that is off never does */

static void on_timer(struct loop_timer *t, msec now);

static void on_no_host(struct loop_timer *t, msec now);

void reattach_init(struct daemon *d)
{
    loop_timer_init(&d->reattach.timer, on_timer, d);
    loop_timer_init(&d->reattach.no_host, on_no_host, d);
}

bool reattach_under_way(const struct daemon *d)
{
    return d->reattach.state != REATTACH_IDLE;
}

static int check_collateral(const struct daemon *d, struct err *e)
{
    for (size_t i = 0; i < d->units_len; i++) {
        const struct unit *u = &d->units[i];
        const struct drive *m = &u->machine;
        if (i == d->reattach.for_drive || !m->medium.image || m->medium.readonly || !m->host_present) continue;
        if (m->evidence.known && m->evidence.bytes_written == 0 && m->evidence.lock == LOCK_UNLOCKED) continue;
        return err_set(e, ERR_COLLATERAL_IN_USE,
                       "Drive %s holds a writable medium that the host %s; a reattach would pull it out from under the host",
                       u->config->name, m->evidence.bytes_written ? "wrote to" : "may be using");
    }
    return 0;
}

static int check_threads(const struct daemon *d, struct err *e)
{
    for (size_t i = 0; i < d->units_len; i++) {
        const struct unit *u = &d->units[i];
        if (u->machine.stuck || u->sample.waiting_for == WAITING_STORAGE)
            return err_set(e, ERR_DRIVE_STUCK, "Drive %s waits for %s; unbinding would hang behind it", u->config->name,
                           waiting_for_names[u->sample.waiting_for]);
    }
    return 0;
}

/* "not attached" is said without power from a host's port; a host that sleeps still gives it. */
static bool nobody_is_there(const struct daemon *d)
{
    return d->link.bound && strcmp(d->link.state, "not attached") == 0;
}

static bool all_drives_are_still(const struct daemon *d)
{
    for (size_t i = 0; i < d->units_len; i++) {
        enum drive_do what = d->units[i].machine.outstanding;
        bool in_kernel = what != DO_NOTHING && what != DO_OPEN && what != DO_SYNC && what != DO_REATTACH;
        if (in_kernel && d->units[i].deferred.what == DO_NOTHING) return false;
    }
    return true;
}

/* Taking the gadget down has emptied its drives. What was in goes in again as by anybody's order. */
static void put_media_back(struct daemon *d)
{
    for (size_t i = 0; i < d->units_len; i++) {
        struct unit *u = &d->units[i];
        struct drive_medium was = u->machine.medium;
        struct drive_event look = {.kind = DRIVE_HINT_CLOSED};
        struct operation *op;
        struct err e;
        u->taken_down = was.image != 0;
        daemon_feed(u, &look);
        if (!was.image || was.image == IMAGE_FOREIGN) continue;
        const struct drive_request rq = {.action = OP_INSERT, .patience = u->config->patience, .image = was.image,
                                         .lock_policy = (enum lock_policy)u->config->lock_policy, .readonly = was.readonly};
        if (daemon_submit(d, i, &rq, d->reattach.by, &op, &e) < 0) log_warning("%s: %s", u->config->name, e.text);
    }
}

static void finish(struct daemon *d, const struct err *e)
{
    struct reattach *r = &d->reattach;
    reattach_done *done = r->done;
    bool emptied = r->taken_down && (!e->code || !d->link.bound);
    r->state = REATTACH_IDLE;
    r->taken_down = false;
    loop_timer_set(d->loop, &r->timer, MSEC_NEVER);
    if (done) done(r->owner, e);
    daemon_release_deferred(d);
    if (emptied) put_media_back(d);
    daemon_tell_system(d);
}

static void enter(struct daemon *d, enum reattach_state state, msec for_ms)
{
    d->reattach.state = state;
    loop_timer_set(d->loop, &d->reattach.timer, for_ms == MSEC_NEVER ? MSEC_NEVER : clock_boot_ms() + for_ms);
}

/* Written down before it is begun: whoever comes after us must neither leave the gadget unbound nor bind it for nothing. */
static void order_gadget(struct daemon *d, enum gadget_order order, enum attachment attachment)
{
    bool binds = order == GADGET_BIND || order == GADGET_START;
    enter(d, binds ? REATTACH_BINDING : REATTACH_UNBINDING, MSEC_NEVER);
    d->attachment = attachment;
    d->bind_ordered = binds ? clock_boot_ms() : 0;
    state_file_save(d);
    FAULT_POINT("gadget.give");
    d->engine->class->gadget(d->engine, order);
    FAULT_POINT("gadget.given");
}

/* Whether the gadget may be unbound now. */
static int check(const struct daemon *d, struct err *e)
{
    if (d->reattach.order == REATTACH_ONLY_ATTACH) return 0;
    if (check_threads(d, e) < 0) return -1;
    return d->reattach.allow_collateral ? 0 : check_collateral(d, e);
}

static void unbind_or_bind(struct daemon *d)
{
    static const enum attachment wanted[] = {[REATTACH_FULL] = ATTACHMENT_PAUSED,
                                             [REATTACH_ONLY_DETACH] = ATTACHMENT_ENDED,
                                             [REATTACH_ONLY_ATTACH] = ATTACHMENT_WANTED,
                                             [REATTACH_REBUILD] = ATTACHMENT_PAUSED};
    static const enum gadget_order orders[] = {[REATTACH_FULL] = GADGET_UNBIND, [REATTACH_ONLY_DETACH] = GADGET_UNBIND,
                                               [REATTACH_ONLY_ATTACH] = GADGET_BIND, [REATTACH_REBUILD] = GADGET_REMOVE};
    struct err e = {0};
    if (check(d, &e) < 0) {
        finish(d, &e);
        return;
    }
    d->reattach.taken_down = d->reattach.order == REATTACH_REBUILD;
    order_gadget(d, orders[d->reattach.order], wanted[d->reattach.order]);
}

void reattach_look(struct daemon *d)
{
    if (d->reattach.state == REATTACH_DRAINING && all_drives_are_still(d)) unbind_or_bind(d);
    if (d->reattach.state == REATTACH_SETTLING && d->link.configured) finish(d, &(struct err){0});
}

int reattach_begin(struct daemon *d, enum reattach_order order, size_t for_drive, bool eject, bool allow_collateral,
                   reattach_done *done, void *owner, struct err *e)
{
    if (!d->started || d->start_error.code)
        return err_set(e, ERR_UNAVAILABLE, "The gadget is not built%s%s", d->start_error.code ? ": " : " yet", d->start_error.text);
    if (reattach_under_way(d)) return err_set(e, ERR_UNAVAILABLE, "The gadget is being attached or detached already");
    bool both = order == REATTACH_FULL || order == REATTACH_REBUILD;
    if (both && d->config->reattach == REATTACH_NEVER && !nobody_is_there(d))
        return err_set(e, ERR_REATTACH_NOT_ALLOWED, "The configuration says reattach = \"never\"");
    if (both && !d->link.bound) return err_set(e, ERR_GADGET_DETACHED, "The gadget is not bound to a controller");
    d->reattach.order = order;
    d->reattach.for_drive = for_drive;
    d->reattach.allow_collateral = allow_collateral;
    if (check(d, e) < 0) return -1;
    d->reattach.eject = eject ? for_drive : NO_DRIVE;
    d->reattach.done = done;
    d->reattach.owner = owner;
    enter(d, REATTACH_DRAINING, DRAIN_MAX);
    reattach_look(d);
    return 0;
}

static msec hold_time(const struct daemon *d, bool built_anew)
{
    return built_anew ? MAX(d->config->reattach_hold, GADGET_HOLD_MIN) : d->config->reattach_hold;
}

static void hold(struct daemon *d)
{
    struct reattach *r = &d->reattach;
    msec for_ms = hold_time(d, r->order == REATTACH_REBUILD);
    struct engine_order eject = {.what = DO_ASK, .ticket = TICKET_REATTACH};
    r->ejecting = r->eject != NO_DRIVE;
    r->bind_at = clock_boot_ms() + for_ms;
    enter(d, REATTACH_HOLDING, for_ms + (r->ejecting ? EJECT_MAX : 0));
    if (!r->ejecting) return;
    FAULT_POINT("pause.give");
    d->engine->class->order(d->engine, r->eject, &eject);
    FAULT_POINT("pause.given");
}

void reattach_resume(struct daemon *d)
{
    struct reattach *r = &d->reattach;
    msec now = clock_boot_ms();
    bool built_anew = d->found == FOUND_NOTHING || d->found == FOUND_HALF_BUILT;
    *r = (struct reattach){.timer = r->timer, .no_host = r->no_host, .order = REATTACH_FULL, .eject = NO_DRIVE};
    r->bind_at = MAX(now, (d->unbound_since ? d->unbound_since : now) + hold_time(d, built_anew));
    enter(d, REATTACH_HOLDING, r->bind_at - now);
}

void reattach_ejected(struct daemon *d)
{
    d->reattach.ejecting = false;
    if (d->reattach.state == REATTACH_HOLDING) loop_timer_set(d->loop, &d->reattach.timer, d->reattach.bind_at);
}

static void on_timer(struct loop_timer *t, attr_unused msec now)
{
    struct daemon *d = t->owner;
    struct err e = {0};
    if (d->reattach.state == REATTACH_HOLDING) {
        order_gadget(d, d->reattach.order == REATTACH_REBUILD ? GADGET_START : GADGET_BIND, ATTACHMENT_PAUSED);
    } else if (d->reattach.state == REATTACH_SETTLING) {
        finish(d, &e); /* bound, and no host has come: it is off, or unplugged */
    } else if (d->reattach.state == REATTACH_DRAINING) {
        err_set(&e, ERR_DRIVE_STUCK, "A drive did not come to rest, so the gadget was not unbound");
        finish(d, &e);
    }
}

void reattach_result(struct daemon *d, const struct gadget_result *r)
{
    struct reattach *a = &d->reattach;
    bool binding = a->state == REATTACH_BINDING;
    bool ok = r->ok || d->link.bound == binding; /* what the controller shows counts, whoever died over it */
    bool paused = ok && !binding && (a->order == REATTACH_FULL || a->order == REATTACH_REBUILD);
    if (binding) d->bind_ordered = 0;
    if (!paused && (d->link.bound || a->order != REATTACH_ONLY_DETACH)) d->attachment = ATTACHMENT_WANTED;
    state_file_save(d);
    if (!ok)
        finish(d, &r->err);
    else if (paused)
        hold(d);
    else if (binding)
        enter(d, REATTACH_SETTLING, SETTLE_MAX);
    else
        finish(d, &(struct err){0});
    reattach_look(d);
}

/* ---- making it anew ---------------------------------------------------------------------------------------------- */

void reattach_consider_rebuild(struct daemon *d)
{
    bool may = d->started && !d->start_error.code && d->differences[0] && nobody_is_there(d) && !reattach_under_way(d);
    for (size_t i = 0; i < d->units_len; i++) may = may && d->units[i].machine.observed && !d->units[i].machine.queue_len;
    if (!may)
        loop_timer_set(d->loop, &d->reattach.no_host, MSEC_NEVER);
    else if (d->reattach.no_host.at == MSEC_NEVER)
        loop_timer_set(d->loop, &d->reattach.no_host, clock_boot_ms() + NO_HOST_FOR);
}

static void on_no_host(struct loop_timer *t, attr_unused msec now)
{
    struct daemon *d = t->owner;
    struct err e;
    log_info("the gadget is made anew, since no host is attached");
    snprintf(d->reattach.by, sizeof d->reattach.by, "trayd-gadget");
    if (reattach_begin(d, REATTACH_REBUILD, NO_DRIVE, false, true, NULL, NULL, &e) < 0) log_warning("%s", e.text);
}
