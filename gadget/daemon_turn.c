/*
 * daemon_turn.c - one turn of a drive's machine: what it is told, and what is done about what it decides.
 */
#include "gadget/daemon_parts.h"

#include "base/fault.h"
#include "base/log.h"
#include "gadget/build.h"
#include "gadget/restore.h"
#include "gadget/scheduling.h"
#include "gadget/socket.h"
#include "gadget/state_file.h"
#include "gadget/view.h"

#define ACTIVE_FOR 10000      /* ms after the last byte in which evidence is sampled by the clock; then inotify wakes us */
#define POLLING_LOOK 2500     /* ms; a host that polls does so every second or two */

/* ---- telling ----------------------------------------------------------------------------------------------------- */

/* It asks once more: a moment that is not told for its own sake. */
static bool asks_again(const struct unit *u)
{
    const struct drive *m = &u->machine;
    return m->queue_len && m->queue[0].phase == PHASE_ASKING && m->queue[0].asked > 1;
}

void daemon_tell_drive(struct unit *u)
{
    struct daemon *d = u->daemon;
    u->told_at = clock_boot_ms();
    u->untold = false;
    u->told_asking = asks_again(u);
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
        FAULT_POINT("operation.tell");
        bool heard = gadget_socket_tell(d->socket, "operation", view_operation(d, op));
        if (heard) op->unheard = false;
        FAULT_POINT("operation.told");
    }
}

/* ---- what a turn of the machine leaves to be done ---------------------------------------------------------------- */

static void sample(struct unit *u, msec now)
{
    const struct engine_sample before = u->sample;
    u->daemon->engine->class->sample(u->daemon->engine, u->index, &u->sample);
    bool moved = evidence_sample(&u->evidence, &u->sample, now);
    daemon_note_stall(u, now);
    daemon_note_dropped(u->daemon, now);
    daemon_note_gone(u);
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
    u->seen_real = known ? u->reattach_seen_real : 0;
    daemon_feed(u, &ev);
    u->seen_real = 0;
}

/* SIGUSR1 clears the locks and the pending news of all drives of the function; a reattach disconnects everything. */
static enum collateral collateral_of(enum drive_do what)
{
    return what == DO_REATTACH ? COLLATERAL_GADGET : what == DO_SIGNAL ? COLLATERAL_FUNCTION : COLLATERAL_NONE;
}

/* A signal hits every drive of the function: each must know before it is sent, and the state file too (reannounce.h). */
static void before_signal(struct unit *u, enum drive_clearing how)
{
    struct daemon *d = u->daemon;
    size_t function = build_function_index(d->config, u->index);
    host_dropped_disturb(&d->dropped);
    for (size_t i = 0; i < d->units_len; i++) {
        if (i == u->index || build_function_index(d->config, i) != function) continue;
        struct drive_event ev = {.kind = DRIVE_CLEARED, .cleared = how};
        daemon_feed(&d->units[i], &ev);
    }
}

static void act(struct unit *u, const struct drive_action *a)
{
    struct daemon *d = u->daemon;
    struct operation *op = operations_by_key(d->operations, a->op);
    bool in_store = a->what == DO_OPEN || a->what == DO_SYNC;
    struct err e;
    if (op) operation_step_begin(op, drive_do_names[a->what], clock_boot_ms());
    if (op) operation_step_note(op, &u->machine.evidence, collateral_of(a->what));
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
    struct engine_order o = {.what = a->what, .ticket = a->ticket, .readonly = a->readonly, .breaks = a->breaks};
    if (a->what == DO_OPEN) {
        u->opened_image = a->image;
        u->opened = (struct medium_info){0}; /* not yet known; what was opened before it is another one */
        u->opened_readonly = a->readonly;
        const struct store_config *store = images_location(d->images, a->image, &o.name);
        o.store_path = store->path;
        if (store->readonly && !a->readonly) {
            err_set(&u->last_error, ERR_STORE_READ_ONLY, "The store of this image is read-only, so it cannot be inserted writable");
            struct drive_event ev = {.kind = DRIVE_RESULT, .result = {.ticket = a->ticket, .outcome = OUTCOME_ERROR,
                                                                      .code = ERR_STORE_READ_ONLY}};
            daemon_feed(u, &ev);
            return;
        }
    }
    if (a->what == DO_SIGNAL && a->breaks) FAULT_POINT("signal.breaks");
    if (a->what == DO_SIGNAL) before_signal(u, a->breaks ? CLEARED_BY_BREAK : CLEARED_BY_SIGNAL);
    if (a->what == DO_ANNOUNCE) log_info("%s: announcing the medium again", u->config->name);
    FAULT_POINT("order.give");
    d->engine->class->order(d->engine, u->index, &o);
    FAULT_POINT("order.given");
}

void daemon_release_deferred(struct daemon *d)
{
    for (size_t i = 0; i < d->units_len; i++) {
        struct drive_action a = d->units[i].deferred;
        d->units[i].deferred = (struct drive_action){0};
        if (a.what != DO_NOTHING) {
            struct operation *op = operations_by_key(d->operations, a.op);
            if (op) operation_step_end(op, "deferred", clock_boot_ms());
            if (drive_gave_up(&d->units[i].machine, &a)) {
                struct drive_event ev = {.kind = DRIVE_RESULT, .result = {.ticket = a.ticket, .outcome = OUTCOME_ERROR,
                                                                          .code = ERR_DRIVE_STUCK}};
                daemon_feed(&d->units[i], &ev);
            } else {
                act(&d->units[i], &a);
            }
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
        scheduling_operation_ended(d, op);
        if (f->state == OP_FAILED)
            log_info("%s: %s by %s failed: %s", u->config->name, op_action_names[op->rq.action], op->by, op->err.text);
        op->untold = true;
    }
}

/* An earlier process was taking the medium out when it ended. */
static bool was_taking_medium(const struct unit *u)
{
    return u->resumed_doing == DO_ASK || u->resumed_doing == DO_FORCE || u->resumed_doing == DO_SIGNAL ||
           u->resumed_doing == DO_SYNC || u->resumed_doing == DO_REATTACH;
}

/* Also for one that ended before its call came back: what the call did belongs to its outcome, which is told again. */
static void note_taken(struct unit *u, struct operation *op, const struct taken_medium *taken, unsigned facts)
{
    operation_took(u->daemon->operations, op, taken);
    if (!operation_is_finished(op)) return;
    op->facts |= facts;
    op->untold = op->unheard = true;
}

/* The medium is another one than before this turn. */
static void medium_changed(struct unit *u, const struct drive_output *out, const struct taken_medium *before, msec now)
{
    struct daemon *d = u->daemon;
    const struct image_ref *left = images_ref(d->images, out->left);
    struct operation *op = operations_by_key(d->operations, u->acting.op);
    bool by_host = out->host_ejected && !was_taking_medium(u) && !u->taken_down;
    u->taken_down = false;
    bool for_nobody = out->host_ejected || !op || operation_is_finished(op); /* or for one that has given up */
    if (out->left && !out->host_ejected && op) note_taken(u, op, before, out->facts);
    if (out->left && !for_nobody) op->emptied_real = u->seen_real ? u->seen_real : clock_real_ms();
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
    if (!u->machine.cut_at) u->cut = (struct storage_cut){0};
    u->flushed_written = u->evidence.written;
    bool resumed = u->resumed_doing == DO_INSERT || u->resumed_doing == DO_SWAP;
    restore_note(u, resumed || !for_nobody);
    if (by_host && out->left) scheduling_host_ejected(d, u->index);
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
        if (operation_note_phase(op, in_machine->phase, now)) operation_step_note(op, &op->evidence, COLLATERAL_NONE);
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
    msec look_at = daemon_storage_look_at(u, now);
    if (active || u->untold || drive_wants_samples(&u->machine)) {
        look_at = MIN(look_at, now + d->config->sample_interval);
    } else if (u->machine.medium.image) {
        d->engine->class->arm(d->engine, u->index);
        if (evidence_polling(&u->evidence, now) < 0 && u->evidence.known) look_at = MIN(look_at, now + POLLING_LOOK);
    }
    if (look_at < u->sample_timer.at) loop_timer_set(d->loop, &u->sample_timer, look_at);
}

static void resume_operation(struct unit *u, const struct taken_medium *before);

/* The thread may have been found, or lost, since the last turn. */
static void refresh_capabilities(struct unit *u)
{
    struct engine_capabilities can;
    u->daemon->engine->class->capabilities(u->daemon->engine, u->index, &can);
    u->machine.policy.can_force = can.forced_eject;
    u->machine.policy.can_signal = can.signal || can.break_io;
    u->machine.policy.can_break = can.signal || can.break_io;
    u->machine.policy.can_cut = daemon_may_cut(u);
}

static void break_io(struct unit *u)
{
    struct daemon *d = u->daemon;
    static const char *const how[] = {[BREAK_BY_ATTRIBUTE] = "break_io", [BREAK_BY_SIGNAL] = "SIGUSR1"};
    struct operation *op = u->machine.queue_len ? operations_by_key(d->operations, u->machine.queue[0].rq.op) : NULL;
    before_signal(u, CLEARED_BY_BREAK);
    FAULT_POINT("break.begin");
    u->broke = d->engine->class->break_io(d->engine, u->index, &u->break_error);
    FAULT_POINT("break.done");
    if (u->broke == BREAK_NOT)
        log_warning("%s: %s", u->config->name, u->break_error.text);
    else
        log_warning("%s: interrupted the host's I/O by %s", u->config->name, how[u->broke]);
    bool done = u->broke != BREAK_NOT;
    if (op)
        operation_step_insert(op, "break", done ? how[u->broke] : err_name(u->break_error.code), &u->machine.evidence,
                              done ? COLLATERAL_FUNCTION : COLLATERAL_NONE, clock_boot_ms());
}

void daemon_turn(struct unit *u, struct drive_event *ev, struct drive_output *out)
{
    struct daemon *d = u->daemon;
    msec now = clock_boot_ms();
    uint64_t generation = u->machine.generation;
    bool was_observed = u->machine.observed;

    sample(u, now);
    refresh_capabilities(u);
    ev->evidence = evidence_view(&u->evidence, &u->sample);
    ev->evidence.cut_at = stall_cut_at(&u->stall, &u->clock);
    const struct taken_medium before = {.image = u->machine.medium.image, .readonly = u->machine.medium.readonly,
                                        .written_known = ev->evidence.known, .written = ev->evidence.bytes_written};
    drive_step(&u->machine, ev, now, out);
    if (u->machine.generation != generation) medium_changed(u, out, &before, now);
    finish_operations(u, out, now);
    note_queue(u, now);
    if (u->machine.stuck && !u->machine.observed) resume_operation(u, &before); /* nobody is kept waiting for longer */
    if (!was_observed && u->machine.observed) {
        resume_operation(u, &before);
        u->resumed_doing = DO_NOTHING; /* what comes now is this process's own doing */
    }
    state_file_save(d); /* before the action: whoever comes after us must know what was begun */
    if (out->break_io) break_io(u);
    if (out->cut) daemon_cut(u, now);
    daemon_flush(u, now);
    set_timers(u, out->wake, now);
    if (out->action.what != DO_NOTHING) act(u, &out->action);
    /* Last, because those who are told wake up and compete for the processor: measured, 10 ms of a forced eject. */
    bool answered = u->told_asking && !asks_again(u);
    if (out->changed || answered || (u->untold && now - u->told_at >= d->config->sample_interval)) daemon_tell_drive(u);
    tell_operations(d, u->index);
    scheduling_look(d);
    restore_look(d);
    reattach_consider_rebuild(d);
}

void daemon_feed(struct unit *u, struct drive_event *ev)
{
    struct drive_output out;
    daemon_turn(u, ev, &out);
}

void daemon_on_wake(struct loop_timer *t, attr_unused msec now)
{
    struct drive_event ev = {.kind = DRIVE_EVIDENCE};
    daemon_feed(t->owner, &ev);
}

/* ---- what an earlier process began ------------------------------------------------------------------------------- */

static void resume_operation(struct unit *u, const struct taken_medium *before)
{
    struct daemon *d = u->daemon;
    struct operation *op = u->resumed[0] ? operations_by_id(d->operations, u->resumed) : NULL;
    const struct drive_medium *m = &u->machine.medium;
    enum drive_do doing = u->resumed_doing;
    u->resumed[0] = '\0';
    if (!op) return;
    op->untold = true;
    u->acting.op = op->key; /* what an earlier process's call does when it comes back is its doing */
    if (!u->machine.observed) {
        err_set(&op->err, ERR_INTERRUPTED, "trayd-gadget was restarted during this operation; the drive is stuck, and "
                "what became of it is not known yet");
        operations_finish(d->operations, op, OP_FAILED, clock_boot_ms());
        scheduling_operation_ended(d, op);
        return;
    }
    bool done = op->rq.action == OP_EJECT ? m->image == 0 : m->image == op->rq.image && m->readonly == op->rq.readonly;
    if ((doing == DO_FORCE || doing == DO_SIGNAL || doing == DO_REATTACH) && m->image == 0) op->facts |= FACT_FORCED;
    if (doing == DO_REATTACH && u->host_is_new) op->facts |= FACT_REATTACHED;
    if (m->image == 0 && was_taking_medium(u)) operation_took(d->operations, op, before);
    if (m->image == 0 && (doing == DO_SYNC || u->resumed_writable)) op->facts |= FACT_NOT_DURABLE; /* nobody synced it */
    if (u->machine.stale_host) op->facts |= FACT_STALE_HOST;
    if (done && (doing == DO_INSERT || doing == DO_SWAP)) {
        snprintf(u->medium.by, sizeof u->medium.by, "%s", op->by);
        u->medium.inserted_real = clock_real_ms();
    }
    if (!done)
        err_set(&op->err, ERR_INTERRUPTED, "trayd-gadget was restarted during this operation; the drive is %s now",
                m->image ? "loaded" : "empty");
    operations_finish(d->operations, op, done ? OP_DONE : OP_FAILED, clock_boot_ms());
    scheduling_operation_ended(d, op);
}

/* A call that may have taken a writable medium was under way: whether the host still wrote is not known. */
void daemon_doubt_the_host(struct unit *u, bool was_writable, bool empty)
{
    if (was_taking_medium(u) && was_writable && empty && !u->host_is_new) u->machine.stale_host = true;
}
