#include "gadget/reattach.h"

#include "base/fault.h"
#include "gadget/daemon.h"
#include "gadget/state_file.h"

#define DRAIN_MAX 15000  /* ms; longer than any stuck_after of the default, so that a drive is `stuck` before this ends */
#define EJECT_MAX 5000   /* ms; with no host an eject takes no time: longer means storage, and the host is not kept waiting */
#define SETTLE_MAX 3000  /* ms; a host enumerates within one or two seconds, and a host that is off never does */

static void on_timer(struct loop_timer *t, msec now);

void reattach_init(struct daemon *d)
{
    loop_timer_init(&d->reattach.timer, on_timer, d);
}

bool reattach_under_way(const struct daemon *d)
{
    return d->reattach.state != REATTACH_IDLE;
}

static int check_collateral(const struct daemon *d, size_t for_drive, struct err *e)
{
    for (size_t i = 0; i < d->units_len; i++) {
        const struct unit *u = &d->units[i];
        const struct drive *m = &u->machine;
        if (i == for_drive || !m->medium.image || m->medium.readonly || !m->host_present) continue;
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

static bool all_drives_are_still(const struct daemon *d)
{
    for (size_t i = 0; i < d->units_len; i++) {
        enum drive_do what = d->units[i].machine.outstanding;
        bool in_kernel = what != DO_NOTHING && what != DO_OPEN && what != DO_SYNC && what != DO_REATTACH;
        if (in_kernel && d->units[i].deferred.what == DO_NOTHING) return false;
    }
    return true;
}

static void finish(struct daemon *d, const struct err *e)
{
    struct reattach *r = &d->reattach;
    reattach_done *done = r->done;
    r->state = REATTACH_IDLE;
    loop_timer_set(d->loop, &r->timer, MSEC_NEVER);
    if (done) done(r->owner, e);
    daemon_release_deferred(d);
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
    enter(d, order == GADGET_BIND ? REATTACH_BINDING : REATTACH_UNBINDING, MSEC_NEVER);
    d->attachment = attachment;
    d->bind_ordered = order == GADGET_BIND ? clock_boot_ms() : 0;
    state_file_save(d);
    FAULT_POINT("gadget.give");
    d->engine->class->gadget(d->engine, order);
    FAULT_POINT("gadget.given");
}

static void unbind_or_bind(struct daemon *d)
{
    static const enum attachment wanted[] = {[REATTACH_FULL] = ATTACHMENT_PAUSED,
                                             [REATTACH_ONLY_DETACH] = ATTACHMENT_ENDED,
                                             [REATTACH_ONLY_ATTACH] = ATTACHMENT_WANTED};
    bool bind = d->reattach.order == REATTACH_ONLY_ATTACH;
    order_gadget(d, bind ? GADGET_BIND : GADGET_UNBIND, wanted[d->reattach.order]);
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
    if (order == REATTACH_FULL && d->config->reattach == REATTACH_NEVER)
        return err_set(e, ERR_REATTACH_NOT_ALLOWED, "The configuration says reattach = \"never\"");
    if (order == REATTACH_FULL && !d->link.bound) return err_set(e, ERR_GADGET_DETACHED, "The gadget is not bound to a controller");
    if (order != REATTACH_ONLY_ATTACH) {
        if (check_threads(d, e) < 0) return -1;
        if (!allow_collateral && check_collateral(d, for_drive, e) < 0) return -1;
    }
    d->reattach.order = order;
    d->reattach.eject = eject ? for_drive : NO_DRIVE;
    d->reattach.done = done;
    d->reattach.owner = owner;
    enter(d, REATTACH_DRAINING, DRAIN_MAX);
    reattach_look(d);
    return 0;
}

static void hold(struct daemon *d)
{
    struct reattach *r = &d->reattach;
    struct engine_order eject = {.what = DO_ASK, .ticket = TICKET_REATTACH};
    r->ejecting = r->eject != NO_DRIVE;
    r->bind_at = clock_boot_ms() + d->config->reattach_hold;
    enter(d, REATTACH_HOLDING, d->config->reattach_hold + (r->ejecting ? EJECT_MAX : 0));
    if (!r->ejecting) return;
    FAULT_POINT("pause.give");
    d->engine->class->order(d->engine, r->eject, &eject);
    FAULT_POINT("pause.given");
}

void reattach_resume(struct daemon *d)
{
    struct reattach *r = &d->reattach;
    msec now = clock_boot_ms();
    *r = (struct reattach){.timer = r->timer, .order = REATTACH_FULL, .eject = NO_DRIVE};
    r->bind_at = MAX(now, (d->unbound_since ? d->unbound_since : now) + d->config->reattach_hold);
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
        order_gadget(d, GADGET_BIND, ATTACHMENT_PAUSED);
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
    bool paused = ok && !binding && a->order == REATTACH_FULL;
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
