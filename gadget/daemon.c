#include "gadget/daemon.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "gadget/client.h"
#include "gadget/profile.h"
#include "gadget/socket.h"
#include "gadget/state_file.h"
#include "gadget/view.h"

#define ACTIVE_FOR 10000      /* ms after the last byte in which evidence is sampled by the clock; then inotify wakes us */

#define POLLING_LOOK 2500     /* ms; a host that polls does so every second or two */

#define TICKET_NOBODY UINT32_MAX /* of an order whose result nobody waits for */

/* ---- telling ----------------------------------------------------------------------------------------------------- */

void daemon_tell_drive(struct unit *u)
{
    struct daemon *d = u->daemon;
    u->told_at = clock_boot_ms();
    u->untold = false;
    gadget_socket_tell(d->socket, "drive", view_drive(d, u->index, u->told_at));
}

void daemon_tell_system(struct daemon *d)
{
    gadget_socket_tell(d->socket, "system", view_system(d));
}

/* After the drive, so that whoever hears of an operation's end finds the drive as it left it. */
static void tell_operations(struct daemon *d, size_t drive)
{
    for (struct operation *op = operations_first(d->operations); op; op = op->next) {
        if (!op->untold || op->drive != drive) continue;
        op->untold = false;
        gadget_socket_tell(d->socket, "operation", view_operation(d, op));
    }
}

/* ---- what a turn of the machine leaves to be done ---------------------------------------------------------------- */

static void feed(struct unit *u, struct drive_event *ev, struct drive_output *out);

static void sample(struct unit *u, msec now)
{
    const struct engine_sample before = u->sample;
    u->daemon->engine->class->sample(u->daemon->engine, u->index, &u->sample);
    bool moved = evidence_sample(&u->evidence, &u->sample, now);
    if (moved || u->sample.known != before.known || u->sample.waiting_for != before.waiting_for) u->untold = true;
}

static void on_reattached(void *owner, const struct err *e)
{
    struct unit *u = owner;
    u->last_error = *e;
    bool known = u->reattach_seen_known;
    u->reattach_seen_known = false;
    struct drive_event ev = {.kind = DRIVE_RESULT,
                             .result = {.ticket = u->acting.ticket,
                                        .outcome = e->code ? OUTCOME_ERROR : OUTCOME_OK, .code = e->code,
                                        .medium_known = known, .medium = u->reattach_seen}};
    struct operation *op = operations_by_key(u->daemon->operations, u->acting.op);
    if (op) operation_step_end(op, e->code ? err_name(e->code) : "done", clock_boot_ms());
    daemon_feed(u, &ev);
}

static void act(struct unit *u, const struct drive_action *a)
{
    struct daemon *d = u->daemon;
    struct operation *op = operations_by_key(d->operations, a->op);
    bool in_store = a->what == DO_OPEN || a->what == DO_SYNC;
    struct err e;
    if (op) operation_step_begin(op, drive_do_names[a->what], clock_boot_ms());
    if (a->what == DO_SIGNAL) log_warning("%s: interrupting the host's I/O to eject", u->config->name);
    u->acting = *a;
    if (a->what == DO_INSERT || a->what == DO_SWAP) evidence_mark(&u->evidence);
    if (a->what == DO_REATTACH) {
        if (reattach_begin(d, REATTACH_FULL, u->index, a->eject, a->allow_collateral, on_reattached, u, &e) < 0)
            on_reattached(u, &e);
        return;
    }
    if (reattach_under_way(d) && !in_store) {
        u->deferred = *a;
        reattach_look(d);
        return;
    }
    struct engine_order o = {.what = a->what, .ticket = a->ticket, .readonly = a->readonly};
    if (a->what == DO_OPEN) {
        bool store_readonly;
        u->opened_image = a->image;
        u->opened_readonly = a->readonly;
        images_location(d->images, a->image, &o.store_path, &o.name, &store_readonly);
        if (store_readonly && !a->readonly) {
            err_set(&u->last_error, ERR_STORE_READ_ONLY, "The store of this image is read-only, so it cannot be inserted writable");
            struct drive_event ev = {.kind = DRIVE_RESULT, .result = {.ticket = a->ticket, .outcome = OUTCOME_ERROR,
                                                                      .code = ERR_STORE_READ_ONLY}};
            daemon_feed(u, &ev);
            return;
        }
    }
    d->engine->class->order(d->engine, u->index, &o);
}

void daemon_release_deferred(struct daemon *d)
{
    for (size_t i = 0; i < d->units_len; i++) {
        struct drive_action a = d->units[i].deferred;
        d->units[i].deferred = (struct drive_action){0};
        if (a.what != DO_NOTHING) {
            struct operation *op = operations_by_key(d->operations, a.op);
            if (op) operation_step_end(op, "deferred", clock_boot_ms());
            act(&d->units[i], &a);
        }
    }
}

static void finish_operations(struct unit *u, const struct drive_output *out, msec now)
{
    struct daemon *d = u->daemon;
    for (size_t i = 0; i < out->finished_len; i++) {
        const struct drive_finish *f = &out->finished[i];
        struct operation *op = operations_by_key(d->operations, f->op);
        if (!op) continue;
        op->facts = f->facts;
        op->evidence = f->evidence;
        if (f->code != ERR_NONE) {
            op->err.code = f->code;
            if (u->last_error.code == f->code)
                op->err = u->last_error;
            else
                view_explain(d, op, f->code, op->err.text, sizeof op->err.text);
        }
        operations_finish(d->operations, op, f->state, now);
        if (f->state == OP_FAILED)
            log_info("%s: %s by %s failed: %s", u->config->name, op_action_names[op->rq.action], op->by, op->err.text);
        op->untold = true;
    }
}

/* An earlier process was taking the medium out when it ended. */
static bool was_taking_medium(const struct unit *u)
{
    return u->resumed_doing == DO_ASK || u->resumed_doing == DO_FORCE || u->resumed_doing == DO_SIGNAL ||
           u->resumed_doing == DO_SYNC;
}

/* The medium is another one than before this turn. */
static void medium_changed(struct unit *u, const struct drive_output *out, msec now)
{
    struct daemon *d = u->daemon;
    const struct image_ref *left = images_ref(d->images, out->left);
    struct operation *op = operations_by_key(d->operations, u->acting.op);
    bool by_host = out->host_ejected && !was_taking_medium(u);
    bool for_nobody = out->host_ejected || !op || operation_is_finished(op); /* or for one that has given up */
    if (out->left && !for_nobody) op->emptied_real = clock_real_ms();
    if (out->left && for_nobody) {
        log_info("%s: %s %s", u->config->name, left ? left->name : "the medium", by_host ? "was ejected by the host" : "is out");
        struct engine_order sync = {.what = DO_SYNC, .ticket = TICKET_NOBODY};
        d->engine->class->order(d->engine, u->index, &sync);
    }
    if (by_host && left) {
        json_t *event = json_object();
        json_put_text(event, "drive", u->config->name);
        json_put_text(event, "image", left->name);
        json_put_text(event, "store", left->store);
        gadget_socket_announce(d->socket, "host_ejected", event);
    }
    bool marked = u->acting.what == DO_INSERT || u->acting.what == DO_SWAP;
    if (!u->machine.medium.image || !marked) evidence_mark(&u->evidence);
    evidence_restart(&u->evidence, now);
    if (u->machine.medium.image) {
        d->engine->class->arm(d->engine, u->index);
        images_hold(d->images, u->machine.medium.image);
    }
    images_release(d->images, u->held_image);
    u->held_image = u->machine.medium.image;
    if (!u->machine.medium.image) u->medium = (struct medium_info){0};
}

static void note_queue(struct unit *u, msec now)
{
    struct daemon *d = u->daemon;
    for (size_t i = 0; i < u->machine.queue_len; i++) {
        const struct drive_op *in_machine = &u->machine.queue[i];
        struct operation *op = operations_by_key(d->operations, in_machine->rq.op);
        enum op_state state = drive_op_state(in_machine);
        if (!op || (op->state == state && op->phase == in_machine->phase)) continue;
        bool asks_again = in_machine->phase == PHASE_ASKING && op->phase == PHASE_LOCKED;
        bool answered_again = in_machine->phase == PHASE_LOCKED && in_machine->asked > 1;
        op->state = state;
        op->evidence = u->machine.evidence;
        operation_note_phase(op, in_machine->phase, now);
        if (!asks_again && !answered_again) op->untold = true;
    }
}

static void set_timers(struct unit *u, msec wake, msec now)
{
    struct daemon *d = u->daemon;
    const struct drive_evidence *seen = &u->machine.evidence;
    loop_timer_set(d->loop, &u->wake, wake == MSEC_NEVER ? MSEC_NEVER : MAX(wake, now + 1));
    bool polls = evidence_polling(&u->evidence, now) == 1;
    if (u->machine.medium.image && polls != u->polls_told) {
        u->polls_told = polls;
        daemon_tell_drive(u);
    }
    bool active = u->machine.medium.image && now - MAX(seen->last_read_at, seen->last_write_at) < ACTIVE_FOR &&
                  MAX(seen->last_read_at, seen->last_write_at) > 0;
    if (active || u->untold || drive_wants_samples(&u->machine)) {
        if (u->sample_timer.at == MSEC_NEVER) loop_timer_set(d->loop, &u->sample_timer, now + d->config->sample_interval);
    } else if (u->machine.medium.image) {
        d->engine->class->arm(d->engine, u->index);
        if (evidence_polling(&u->evidence, now) < 0 && u->evidence.known && u->sample_timer.at == MSEC_NEVER)
            loop_timer_set(d->loop, &u->sample_timer, now + POLLING_LOOK);
    }
}

static void resume_operation(struct unit *u);

/* The thread may have been found, or lost, since the last turn. */
static void refresh_capabilities(struct unit *u)
{
    struct engine_capabilities can;
    u->daemon->engine->class->capabilities(u->daemon->engine, u->index, &can);
    u->machine.policy.can_force = can.forced_eject;
    u->machine.policy.can_signal = can.signal || can.break_io;
    u->machine.policy.can_break = can.signal || can.break_io;
}

static void break_io(struct unit *u)
{
    struct daemon *d = u->daemon;
    static const char *const how[] = {[BREAK_BY_ATTRIBUTE] = "break_io", [BREAK_BY_SIGNAL] = "SIGUSR1"};
    struct operation *op = u->machine.queue_len ? operations_by_key(d->operations, u->machine.queue[0].rq.op) : NULL;
    u->broke = d->engine->class->break_io(d->engine, u->index, &u->break_error);
    if (u->broke == BREAK_NOT)
        log_warning("%s: %s", u->config->name, u->break_error.text);
    else
        log_warning("%s: interrupted the host's I/O by %s", u->config->name, how[u->broke]);
    if (op) operation_step_insert(op, "break", u->broke == BREAK_NOT ? err_name(u->break_error.code) : how[u->broke], clock_boot_ms());
}

static void feed(struct unit *u, struct drive_event *ev, struct drive_output *out)
{
    struct daemon *d = u->daemon;
    msec now = clock_boot_ms();
    uint64_t generation = u->machine.generation;
    bool was_observed = u->machine.observed;

    sample(u, now);
    refresh_capabilities(u);
    ev->evidence = evidence_view(&u->evidence, &u->sample);
    drive_step(&u->machine, ev, now, out);
    if (u->machine.generation != generation) medium_changed(u, out, now);
    finish_operations(u, out, now);
    note_queue(u, now);
    if (!was_observed && u->machine.observed) {
        resume_operation(u);
        u->resumed_doing = DO_NOTHING; /* what comes now is this process's own doing */
    }
    state_file_save(d); /* before the action: whoever comes after us must know what was begun */
    if (out->changed || (u->untold && now - u->told_at >= d->config->sample_interval)) daemon_tell_drive(u);
    tell_operations(d, u->index);
    if (out->break_io) break_io(u);
    set_timers(u, out->wake, now);
    if (out->action.what != DO_NOTHING) act(u, &out->action);
}

void daemon_feed(struct unit *u, struct drive_event *ev)
{
    struct drive_output out;
    feed(u, ev, &out);
}

static void on_wake(struct loop_timer *t, attr_unused msec now)
{
    struct drive_event ev = {.kind = DRIVE_EVIDENCE};
    daemon_feed(t->owner, &ev);
}

/* ---- what an earlier process began ------------------------------------------------------------------------------- */

static void resume_operation(struct unit *u)
{
    struct daemon *d = u->daemon;
    struct operation *op = u->resumed[0] ? operations_by_id(d->operations, u->resumed) : NULL;
    const struct drive_medium *m = &u->machine.medium;
    u->resumed[0] = '\0';
    if (!op) return;
    bool done = op->rq.action == OP_EJECT ? m->image == 0 : m->image == op->rq.image && m->readonly == op->rq.readonly;
    if ((u->resumed_doing == DO_FORCE || u->resumed_doing == DO_SIGNAL) && m->image == 0) op->facts |= FACT_FORCED;
    if (u->machine.stale_host) op->facts |= FACT_STALE_HOST;
    if (!done)
        err_set(&op->err, ERR_INTERRUPTED, "trayd-gadget was restarted during this operation; the drive is %s now",
                m->image ? "loaded" : "empty");
    operations_finish(d->operations, op, done ? OP_DONE : OP_FAILED, clock_boot_ms());
    op->untold = true;
}

/* A call that may have taken a writable medium was under way: whether the host still wrote is not known. */
static void doubt_the_host(struct unit *u, bool was_writable, bool empty)
{
    if (was_taking_medium(u) && was_writable && empty) u->machine.stale_host = true;
}

/* ---- the engine's sink ------------------------------------------------------------------------------------------- */

static bool same_file(const struct medium_info *a, const struct engine_medium *b)
{
    return a->inode && a->device == b->device && a->inode == b->inode;
}

static struct medium_info info_of(const struct engine_medium *m)
{
    return (struct medium_info){.device = m->device, .inode = m->inode, .size = m->size};
}

/* Which image is it that the kernel shows? Compared by device and inode; by path only what we never opened. */
static image_key recognise(struct unit *u, const struct engine_result *r)
{
    struct daemon *d = u->daemon;
    if (!r->medium.present) return 0;
    if (u->opened_image && same_file(&u->opened, &r->medium)) {
        struct operation *op = operations_by_key(d->operations, u->acting.op);
        bool ours = r->what == DO_INSERT || r->what == DO_SWAP;
        if (ours) u->medium = u->opened;
        if (ours) u->medium.inserted_real = clock_real_ms();
        if (ours && op) snprintf(u->medium.by, sizeof u->medium.by, "%s", op->by);
        if (ours) return u->opened_image;
    }
    if (u->machine.medium.image && same_file(&u->medium, &r->medium)) return u->machine.medium.image;
    image_key key = images_intern_path(d->images, r->medium.path);
    if (key == u->machine.medium.image && (r->medium.deleted || !r->medium.inode)) return key;
    u->medium = info_of(&r->medium);
    return key;
}

/* One image is in at most one drive for writing, and then in no other. */
static const struct unit *who_has(const struct unit *u, const struct engine_medium *m)
{
    const struct daemon *d = u->daemon;
    for (size_t i = 0; i < d->units_len; i++) {
        const struct unit *other = &d->units[i];
        if (other == u) continue;
        bool in = other->machine.medium.image && same_file(&other->medium, m);
        bool coming = other->opened_image && same_file(&other->opened, m);
        if ((in && (!other->machine.medium.readonly || !u->opened_readonly)) ||
            (coming && (!other->opened_readonly || !u->opened_readonly)))
            return other;
    }
    return NULL;
}

static void on_open(struct unit *u, struct engine_result *r)
{
    if (r->outcome != OUTCOME_OK) return;
    const struct unit *other = who_has(u, &r->medium);
    u->opened = info_of(&r->medium);
    if (!other) return;
    r->outcome = OUTCOME_ERROR;
    err_set(&r->err, ERR_IMAGE_IN_USE, "The image is in drive %s, and one of the two would be writable", other->config->name);
}

static const char *outcome_name(const struct engine_result *r)
{
    return r->outcome == OUTCOME_OK ? "done" : r->outcome == OUTCOME_BUSY ? "busy" : err_name(r->err.code);
}

static void on_result(void *owner, size_t drive, const struct engine_result *result)
{
    struct daemon *d = owner;
    struct unit *u = &d->units[drive];
    struct engine_result r = *result;
    if (r.ticket == TICKET_NOBODY) return;
    if (r.ticket == TICKET_REATTACH) {
        u->reattach_seen_known = r.medium_known;
        u->reattach_seen = (struct drive_medium){.image = recognise(u, &r), .readonly = r.medium.present && r.medium.readonly};
        reattach_ejected(d);
        return;
    }
    bool current = r.ticket == u->machine.ticket;
    if (r.what == DO_OPEN && current) on_open(u, &r);
    u->last_error = r.outcome == OUTCOME_ERROR ? r.err : (struct err){0};

    struct drive_event ev = {.kind = DRIVE_RESULT, .result = {.ticket = r.ticket, .outcome = r.outcome, .code = r.err.code}};
    bool was_writable = u->machine.medium.image && !u->machine.medium.readonly;
    if (r.medium_known && r.what != DO_OPEN) {
        ev.result.medium_known = true;
        ev.result.medium = (struct drive_medium){.image = recognise(u, &r), .readonly = r.medium.present && r.medium.readonly};
    }
    struct operation *op = operations_by_key(d->operations, u->acting.op);
    if (op && current)
        operation_step_end(op, outcome_name(&r), clock_boot_ms());
    if (op && current && r.what == DO_SYNC && r.outcome == OUTCOME_OK) op->durable_real = clock_real_ms();
    if (!u->machine.observed && ev.result.medium_known) doubt_the_host(u, was_writable, !r.medium.present);
    daemon_feed(u, &ev);
    bool opening = u->machine.queue_len && u->machine.queue[0].rq.image == u->opened_image;
    if (!opening) u->opened_image = 0;
    reattach_look(d);
}

static void assume_the_worst(struct daemon *d)
{
    log_warning("there is a gadget, but no record of what was done with it: its empty drives are quarantined");
    for (size_t i = 0; i < d->units_len; i++)
        drive_restore(&d->units[i].machine, d->units[i].machine.policy.type == DRIVE_DISK,
                      clock_boot_ms() + host_profile_of((enum host_kind)d->units[i].config->host)->quarantine, 0, 0);
}

static void new_incarnation(struct daemon *d)
{
    uint8_t random[8];
    if (getrandom(random, sizeof random, 0) != sizeof random) memcpy(random, &(msec){clock_real_ms()}, sizeof random);
    parse_to_hex(random, sizeof random, d->incarnation);
}

static void on_started(struct daemon *d, const struct gadget_result *r)
{
    d->started = true;
    d->found = r->found;
    snprintf(d->differences, sizeof d->differences, "%s", r->differences);
    if (!r->ok) {
        d->start_error = r->err;
        log_error("%s", r->err.text);
        daemon_tell_system(d);
        return;
    }
    bool was_there = r->found == FOUND_AS_PLANNED || r->found == FOUND_DIFFERENT;
    if (was_there && !d->incarnation[0]) assume_the_worst(d);
    if (!was_there || !d->incarnation[0]) new_incarnation(d);
    static const char *const how[] = {"built", "adopted as it was", "completed", "adopted, but it differs", "not ours"};
    log_info("gadget %s: %s%s", d->config->name, how[r->found], r->bound ? "" : ", no controller yet");
    for (size_t i = 0; i < d->units_len; i++) {
        struct unit *u = &d->units[i];
        struct drive_event ev = {.kind = DRIVE_HINT_CLOSED};
        daemon_feed(u, &ev);
    }
    daemon_tell_system(d);
}

static void on_gadget(void *owner, const struct gadget_result *r)
{
    struct daemon *d = owner;
    if (r->order == GADGET_START)
        on_started(d, r);
    else
        reattach_result(d, r);
}

static void on_link(void *owner, const struct engine_link *l)
{
    struct daemon *d = owner;
    msec now = clock_boot_ms();
    /* Only an unbound time that was seen counts: a gadget that is bound at our start may have been so all the while. */
    bool held = l->bound && d->unbound_since && now - d->unbound_since >= d->config->reattach_hold;
    d->link = *l;
    if (l->bound)
        d->unbound_since = 0;
    else if (!d->unbound_since)
        d->unbound_since = now;
    for (size_t i = 0; i < d->units_len; i++) {
        struct drive_event ev = {.kind = DRIVE_LINK, .attached = l->bound, .host_present = l->bound && l->configured};
        daemon_feed(&d->units[i], &ev);
        struct drive_event seen = {.kind = DRIVE_REENUMERATED};
        if (held) daemon_feed(&d->units[i], &seen);
    }
    daemon_tell_system(d);
    reattach_look(d);
}

static void on_closed(void *owner, size_t drive)
{
    struct daemon *d = owner;
    struct drive_event ev = {.kind = DRIVE_HINT_CLOSED};
    daemon_feed(&d->units[drive], &ev);
}

static void on_active(void *owner, size_t drive)
{
    struct daemon *d = owner;
    struct drive_event ev = {.kind = DRIVE_EVIDENCE};
    daemon_feed(&d->units[drive], &ev);
}

static void on_held(void *owner, size_t drive)
{
    struct daemon *d = owner;
    log_warning("%s: a call of an earlier trayd-gadget is still under way in the kernel", d->units[drive].config->name);
    struct drive_event ev = {.kind = DRIVE_HELD};
    daemon_feed(&d->units[drive], &ev);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

int daemon_find_drive(const struct daemon *d, const char *name)
{
    for (size_t i = 0; i < d->units_len; i++)
        if (strcmp(d->units[i].config->name, name) == 0) return (int)i;
    return -1;
}

static int refuse(struct daemon *d, const struct operation *op, enum err_code code, struct err *e)
{
    char text[ERR_TEXT_MAX];
    view_explain(d, op, code, text, sizeof text);
    return err_set(e, code, "%s", text);
}

int daemon_submit(struct daemon *d, size_t drive, const struct drive_request *rq, const char *by, struct operation **ret,
                  struct err *e)
{
    struct unit *u = &d->units[drive];
    struct drive_output out;
    if (d->start_error.code) {
        *e = d->start_error;
        return -1;
    }
    if (!d->started) return err_set(e, ERR_UNAVAILABLE, "The gadget is not built yet");
    struct operation *op = operations_add(d->operations, drive, rq, by);
    if (!op) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    struct drive_event ev = {.kind = DRIVE_REQUEST, .request = op->rq};
    feed(u, &ev, &out);
    if (out.refused != ERR_NONE) {
        refuse(d, op, out.refused, e);
        operations_drop(d->operations, op);
        return -1;
    }
    if (out.joined) {
        operations_drop(d->operations, op);
        op = operations_by_key(d->operations, out.joined);
    }
    *ret = op;
    return 0;
}

static int change(struct daemon *d, struct operation *op, enum drive_event_kind kind, struct err *e)
{
    struct drive_output out;
    if (operation_is_finished(op)) return err_set(e, ERR_TOO_LATE, "The operation is finished: %s", op_state_names[op->state]);
    struct drive_event ev = {.kind = kind, .op = op->key};
    feed(&d->units[op->drive], &ev, &out);
    return out.refused == ERR_NONE ? 0 : refuse(d, op, out.refused, e);
}

void daemon_break(struct daemon *d, size_t drive, enum waiting_for *ret_found, enum engine_break *ret_did, struct err *e)
{
    struct drive_output out;
    struct drive_event ev = {.kind = DRIVE_BREAK};
    feed(&d->units[drive], &ev, &out);
    *ret_found = out.found;
    *ret_did = out.break_io ? d->units[drive].broke : BREAK_NOT;
    *e = out.break_io ? d->units[drive].break_error : (struct err){0};
}

int daemon_cancel(struct daemon *d, struct operation *op, struct err *e)
{
    return change(d, op, DRIVE_CANCEL, e);
}

int daemon_hurry(struct daemon *d, struct operation *op, struct err *e)
{
    return change(d, op, DRIVE_HURRY, e);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void init_unit(struct daemon *d, size_t i)
{
    struct unit *u = &d->units[i];
    const struct drive_config *c = &d->config->drives[i];
    const struct host_profile *host = host_profile_of((enum host_kind)c->host);
    const struct drive_policy policy = {
        .type = (enum drive_type)c->type, .lock_policy = (enum lock_policy)c->lock_policy,
        .reattach = (enum reattach_policy)d->config->reattach, .quiet = c->quiet, .release_quiet = c->release_quiet,
        .dwell = c->dwell, .stuck_after = c->stuck_after,
        .break_after = c->break_after ? c->break_after : host->break_after,
        .quarantine_for = c->quarantine ? c->quarantine : host->quarantine,
    };
    u->daemon = d;
    u->index = i;
    u->config = c;
    drive_init(&u->machine, &policy);
    loop_timer_init(&u->wake, on_wake, u);
    loop_timer_init(&u->sample_timer, on_wake, u);
}

struct daemon *daemon_new(const struct gadget_config *c, struct loop *l, const char *simulation, struct err *e)
{
    struct daemon *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    d->config = c;
    d->loop = l;
    d->units_len = c->drives_count;
    d->images = images_new(&c->stores);
    d->operations = d->images ? operations_new(d->images, GADGET_OPERATIONS_KEPT) : NULL;
    if (!d->operations) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        daemon_free(d);
        return NULL;
    }
    if (fd_read_line("/proc/sys/kernel/random/boot_id", d->boot_id, sizeof d->boot_id) < 0) d->boot_id[0] = '\0';
    for (size_t i = 0; i < d->units_len; i++) init_unit(d, i);
    reattach_init(d);
    state_file_load(d);

    const struct engine_sink sink = {.owner = d, .result = on_result, .gadget = on_gadget, .link = on_link,
                                     .closed = on_closed, .active = on_active, .held = on_held};
    d->engine = simulation ? engine_sim_new(c, l, &sink, simulation, e) : engine_kernel_new(c, l, &sink, e);
    if (d->engine) d->socket = gadget_socket_new(d, e);
    if (!d->engine || !d->socket) {
        daemon_free(d);
        return NULL;
    }
    d->engine->class->gadget(d->engine, GADGET_START);
    return d;
}

void daemon_free(struct daemon *d)
{
    if (!d) return;
    gadget_socket_free(d->socket);
    if (d->engine) d->engine->class->free(d->engine);
    operations_free(d->operations);
    images_free(d->images);
    free(d->saved_state);
    free(d);
}
