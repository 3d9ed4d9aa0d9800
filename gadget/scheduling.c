#include "gadget/scheduling_parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

#include "base/fault.h"
#include "base/log.h"
#include "gadget/daemon.h"
#include "gadget/request.h"
#include "gadget/socket.h"

void scheduling_tell(struct daemon *d, const struct schedule *s)
{
    gadget_socket_tell(d->socket, "schedule", schedule_view(d, s));
}

struct schedule_time scheduling_now(void)
{
    struct timex t = {0};
    int state = adjtimex(&t);
    return (struct schedule_time){.boot = clock_boot_ms(), .real = clock_real_ms(),
                                  .synchronised = state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC)};
}

struct schedule_seen scheduling_seen(const struct daemon *d, size_t drive)
{
    const struct drive *m = &d->units[drive].machine;
    const struct drive_evidence *ev = &m->evidence;
    return (struct schedule_seen){.known = ev->known, .present = m->medium.image != 0,
                                  .in_command = ev->waiting_for != WAITING_NOTHING,
                                  .busy_at = MAX(m->loaded_since, MAX(ev->last_read_at, ev->last_write_at))};
}

/* ---- what happens ------------------------------------------------------------------------------------------------ */

static void begin_to_fire(const struct daemon *d, struct schedule *s, uint64_t version)
{
    s->version = version;
    log_info("schedule %s: it is time to %s %s", s->id, op_action_names[s->action], d->config->drives[s->drive].name);
}

static void note_missed(const struct daemon *d, struct schedule *s)
{
    char text[CLOCK_TEXT_MAX];
    s->finished_real = clock_real_ms();
    snprintf(s->err.text, sizeof s->err.text, "Its time was %s; the appliance was off then, or its clock was set over it",
             clock_format_rfc3339(s->due_real, text));
    log_warning("schedule %s, to %s %s, was missed", s->id, op_action_names[s->action], d->config->drives[s->drive].name);
}

static void step(struct daemon *d, enum schedule_event_kind kind, size_t drive)
{
    struct schedules *t = &d->kept.table;
    if (!d->kept.loaded || !d->started || d->start_error.code) return;
    struct schedule_seen seen[DRIVES_MAX];
    struct schedule_output out;
    const struct schedule_event ev = {.kind = kind, .drive = drive, .now = scheduling_now(), .seen = seen};
    for (size_t i = 0; i < d->units_len; i++) seen[i] = scheduling_seen(d, i);
    schedules_step(t, &ev, &out);
    uint64_t version = out.changed_len || out.clock_changed ? kept_changed(d) : 0;
    for (size_t i = 0; i < out.changed_len; i++) {
        struct schedule *s = &t->items[out.changed[i]];
        if (s->state == SCHEDULE_FIRING) begin_to_fire(d, s, version);
        if (s->state == SCHEDULE_MISSED) note_missed(d, s);
        scheduling_tell(d, s);
    }
    loop_timer_set(d->loop, &d->scheduling->timer, out.wake);
}

void scheduling_look(struct daemon *d)
{
    step(d, SCHEDULE_LOOK, 0);
}

void scheduling_host_reset(struct daemon *d)
{
    log_info("the host has reset the device");
    step(d, SCHEDULE_HOST_RESET, 0);
}

void scheduling_host_ejected(struct daemon *d, size_t drive)
{
    d->scheduling->early_ejects[drive] = !d->kept.loaded;
    step(d, SCHEDULE_HOST_EJECTED, drive);
}

/* Quiet is judged by a sample of now. */
static void on_timer(struct loop_timer *timer, attr_unused msec now)
{
    struct scheduling *g = timer->owner;
    struct daemon *d = g->daemon;
    bool wanted[DRIVES_MAX] = {0};
    for (size_t i = 0; i < d->kept.table.len; i++) {
        const struct schedule *s = &d->kept.table.items[i];
        if (s->state == SCHEDULE_ARMED && s->trigger.when == WHEN_QUIET_FOR) wanted[s->drive] = true;
    }
    for (size_t i = 0; i < d->units_len; i++) {
        struct drive_event ev = {.kind = DRIVE_EVIDENCE};
        if (wanted[i]) daemon_feed(&d->units[i], &ev);
    }
    scheduling_look(d);
}

static void on_clock_set(void *owner)
{
    struct scheduling *g = owner;
    scheduling_look(g->daemon);
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

static void end(struct daemon *d, struct schedule *s, enum schedule_state state, const struct err *e)
{
    s->state = state;
    s->operation_ended = true;
    s->finished_real = clock_real_ms();
    s->err = *e;
    kept_changed(d);
    scheduling_tell(d, s);
}

void scheduling_operation_ended(struct daemon *d, const struct operation *op)
{
    if (!d->kept.loaded) return; /* scheduling_loaded() will see it */
    for (size_t i = 0; i < d->kept.table.len; i++) {
        struct schedule *s = &d->kept.table.items[i];
        if (s->operation_ended || strcmp(s->operation, op->id) != 0) continue;
        end(d, s, op->state == OP_DONE ? SCHEDULE_FIRED : SCHEDULE_FAILED, &op->err);
    }
}

static int submit(struct daemon *d, const struct schedule *s, struct operation **ret, struct err *e)
{
    char by[OPERATION_BY_MAX];
    struct gadget_request rq;
    cleanup_json json_t *message = json_copy(s->request);
    snprintf(by, sizeof by, SCHEDULE_BY "%s", s->id);
    json_put_int(message, "id", 1);
    json_put_text(message, "by", by);
    if (gadget_request_read(d, message, &rq, e) < 0) return -1;
    return daemon_submit(d, rq.drive, &rq.rq, rq.by, ret, e);
}

static void fire(struct daemon *d, struct schedule *s)
{
    struct operation *op;
    struct err e = {0};
    FAULT_POINT("schedule.fire");
    s->state = SCHEDULE_FIRED; /* before anything comes back here */
    if (submit(d, s, &op, &e) < 0) {
        log_warning("schedule %s: %s", s->id, e.text);
        end(d, s, SCHEDULE_FAILED, &e);
        return;
    }
    FAULT_POINT("schedule.fired");
    memcpy(s->operation, op->id, sizeof s->operation);
    s->finished_real = clock_real_ms();
    kept_changed(d);
    scheduling_tell(d, s);
    if (operation_is_finished(op)) scheduling_operation_ended(d, op);
}

static void fire_what_is_written(struct daemon *d, uint64_t version)
{
    for (size_t i = 0; i < d->kept.table.len; i++) {
        struct schedule *s = &d->kept.table.items[i];
        if (s->state == SCHEDULE_FIRING && s->version <= version) fire(d, s);
    }
}

/* ---- what an earlier process left -------------------------------------------------------------------------------- */

static const struct operation *operation_of(struct daemon *d, const struct schedule *s)
{
    char by[OPERATION_BY_MAX];
    snprintf(by, sizeof by, SCHEDULE_BY "%s", s->id);
    for (struct operation *op = operations_first(d->operations); op; op = op->next)
        if (strcmp(op->by, by) == 0 || strcmp(op->id, s->operation) == 0) return op;
    return NULL;
}

/* How it ended, where trayd has not heard of that: NULL where nobody knows any more. */
static const json_t *outcome_of(const struct daemon *d, const char *by)
{
    size_t i;
    json_t *outcome;
    json_array_foreach(d->outcomes, i, outcome)
        if (strcmp(json_text(outcome, "by"), by) == 0) return outcome;
    return NULL;
}

/* Returns false where there is none. */
static bool take_outcome(struct daemon *d, struct schedule *s)
{
    char by[OPERATION_BY_MAX];
    struct err e = {0};
    snprintf(by, sizeof by, SCHEDULE_BY "%s", s->id);
    const json_t *outcome = outcome_of(d, by);
    if (!outcome || strlen(json_text(outcome, "id")) != OPERATION_ID_LEN) return false;
    memcpy(s->operation, json_text(outcome, "id"), sizeof s->operation);
    bool done = strcmp(json_text(outcome, "state"), op_state_names[OP_DONE]) == 0;
    if (!done) err_set(&e, err_from_name(json_text(outcome, "code")), "%s", json_text(outcome, "detail"));
    end(d, s, done ? SCHEDULE_FIRED : SCHEDULE_FAILED, &e);
    return true;
}

static void resume(struct daemon *d, struct schedule *s)
{
    bool under_way = s->state == SCHEDULE_FIRING || (s->state == SCHEDULE_FIRED && !s->operation_ended);
    const struct operation *op = under_way ? operation_of(d, s) : NULL;
    struct err e = {0};
    if (!under_way) return;
    if (op) {
        s->state = SCHEDULE_FIRED;
        memcpy(s->operation, op->id, sizeof s->operation);
        kept_changed(d);
        if (operation_is_finished(op)) scheduling_operation_ended(d, op);
    } else if (take_outcome(d, s)) {
        return;
    } else if (s->state == SCHEDULE_FIRED) {
        snprintf(e.text, sizeof e.text, "trayd-gadget ended before it had noted how the operation ended: see the operation itself");
        end(d, s, SCHEDULE_FIRED, &e);
    } else {
        err_set(&e, ERR_INTERRUPTED, "trayd-gadget ended at the moment of firing, and it is not known whether the operation was "
                "begun; it is not begun again");
        end(d, s, SCHEDULE_FAILED, &e);
    }
}

void scheduling_loaded(struct daemon *d)
{
    for (size_t i = 0; i < d->kept.table.len; i++) resume(d, &d->kept.table.items[i]);
    for (size_t i = 0; i < d->kept.table.len; i++) scheduling_tell(d, &d->kept.table.items[i]);
    scheduling_look(d);
    for (size_t i = 0; i < d->units_len; i++)
        if (d->scheduling->early_ejects[i]) scheduling_host_ejected(d, i);
}

/* ---- the disk ---------------------------------------------------------------------------------------------------- */

int scheduling_ready(const struct daemon *d, struct err *e)
{
    if (d->kept.loaded) return 0;
    return err_set(e, ERR_UNAVAILABLE, "The schedules have not been read%s%s", d->kept.trouble[0] ? ": " : " yet", d->kept.trouble);
}

void scheduling_saved(struct daemon *d, uint64_t version, const struct err *e)
{
    scheduling_settle(d, version, e);
    if (e) return;
    fire_what_is_written(d, version);
    schedules_forget_old(&d->kept.table);
    scheduling_look(d);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct scheduling *scheduling_new(struct daemon *d)
{
    struct scheduling *g = calloc(1, sizeof *g);
    struct err e;
    if (!g) return NULL;
    g->daemon = d;
    loop_timer_init(&g->timer, on_timer, g);
    if (clock_watch_init(&g->clock, d->loop, on_clock_set, g, &e) < 0)
        log_warning("%s: that it is set is noticed late", e.text);
    return g;
}

void scheduling_free(struct scheduling *g)
{
    if (!g) return;
    loop_timer_set(g->daemon->loop, &g->timer, MSEC_NEVER);
    clock_watch_done(&g->clock);
    scheduling_give_up(g);
    free(g);
}
