#include "gadget/scheduling.h"

#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

#include "base/fault.h"
#include "base/log.h"
#include "gadget/clock_watch.h"
#include "gadget/daemon.h"
#include "gadget/request.h"
#include "gadget/schedule_request.h"
#include "gadget/socket.h"

struct change {                  /* of a client, on its way to the disk */
    char id[OPERATION_ID_LEN + 1];
    uint64_t version;
    bool added;
    struct schedule before;      /* where it was not added */
    scheduling_done *done;
    void *owner;
    struct change *next;
};

struct scheduling {
    struct daemon *daemon;
    struct loop_timer timer;
    struct clock_watch clock;
    struct change *changes;
    bool early_ejects[DRIVES_MAX];   /* seen before the schedules were read: at the first look after a restart */
};

static void tell(struct daemon *d, const struct schedule *s)
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
        tell(d, s);
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
    tell(d, s);
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
    tell(d, s);
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
    for (size_t i = 0; i < d->kept.table.len; i++) tell(d, &d->kept.table.items[i]);
    scheduling_look(d);
    for (size_t i = 0; i < d->units_len; i++)
        if (d->scheduling->early_ejects[i]) scheduling_host_ejected(d, i);
}

/* ---- the disk ---------------------------------------------------------------------------------------------------- */

static void take_back(struct daemon *d, const struct change *c, struct schedule *s)
{
    if (c->added) {
        schedules_remove(&d->kept.table, s);
    } else {
        *s = c->before;
        s->pending = false;
    }
    kept_changed(d); /* some of it may have reached the disk */
}

static void settle(struct daemon *d, const struct change *c, const struct err *e)
{
    struct schedule *s = schedules_find(&d->kept.table, c->id);
    if (e) {
        take_back(d, c, s);
        c->done(c->owner, NULL, e);
        return;
    }
    s->pending = false;
    c->done(c->owner, s, NULL);
    tell(d, s);
}

void scheduling_saved(struct daemon *d, uint64_t version, const struct err *e)
{
    struct scheduling *g = d->scheduling;
    for (struct change **link = &g->changes; *link;) {
        struct change *c = *link;
        if (c->version > version) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        settle(d, c, e);
        free(c);
    }
    if (e) return;
    fire_what_is_written(d, version);
    schedules_forget_old(&d->kept.table);
    scheduling_look(d);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

int scheduling_ready(const struct daemon *d, struct err *e)
{
    if (d->kept.loaded) return 0;
    return err_set(e, ERR_UNAVAILABLE, "The schedules have not been read%s%s", d->kept.trouble[0] ? ": " : " yet", d->kept.trouble);
}

static int check_ready(const struct daemon *d, struct err *e)
{
    if (scheduling_ready(d, e) < 0) return -1;
    if (durable_hangs(d->kept.file)) return err_set(e, ERR_UNAVAILABLE, "%s", d->kept.trouble);
    return 0;
}

/* s is as it is to be. */
static void write_down(struct daemon *d, struct schedule *s, struct change *c, scheduling_done *done, void *owner)
{
    struct change **last = &d->scheduling->changes;
    s->pending = true;
    memcpy(c->id, s->id, sizeof c->id);
    c->version = s->version = kept_changed(d);
    c->done = done;
    c->owner = owner;
    while (*last) last = &(*last)->next;
    *last = c;
}

int scheduling_add(struct daemon *d, const struct schedule_request *rq, scheduling_done *done, void *owner, struct err *e)
{
    const struct schedule_time now = scheduling_now();
    if (check_ready(d, e) < 0) return -1;
    struct change *c = calloc(1, sizeof *c);
    if (!c) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    struct schedule *s = schedules_add(&d->kept.table);
    if (!s) {
        free(c);
        return err_set(e, ERR_TOO_MANY_REQUESTS, "There are %d schedules already", SCHEDULES_ARMED_MAX);
    }
    operation_make_id(s->id);
    s->drive = rq->drive;
    s->action = rq->action;
    s->missed = rq->missed;
    s->enabled = rq->enabled;
    s->request = json_incref(rq->request);
    memcpy(s->by, rq->by, sizeof s->by);
    s->created_real = now.real;
    schedule_arm(s, &rq->trigger, &now);
    c->added = true;
    write_down(d, s, c, done, owner);
    return 0;
}

/* The schedule that a request is about, with a change made ready. */
static struct schedule *prepare(struct daemon *d, const struct schedule_request *rq, struct change **ret, struct err *e)
{
    if (check_ready(d, e) < 0) return NULL;
    struct schedule *s = schedules_find(&d->kept.table, rq->id);
    *ret = NULL;
    if (!s || !rq->id[0])
        err_set(e, ERR_NOT_FOUND, "There is no such schedule%s%s", rq->id[0] ? ": " : "", rq->id);
    else if (s->pending)
        err_set(e, ERR_UNAVAILABLE, "An earlier change of the schedule is still being written down");
    else if (s->state != SCHEDULE_ARMED)
        err_set(e, ERR_TOO_LATE, "The schedule is %s already", schedule_state_names[s->state]);
    else if (!(*ret = calloc(1, sizeof **ret)))
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (!*ret) return NULL;
    (*ret)->before = *s;
    return s;
}

/* Its time has passed while it was switched off: whether that is a missed run is not for us to guess. */
static bool is_over(const struct daemon *d, const struct schedule *s, const struct schedule_time *now)
{
    const struct schedule_seen seen = scheduling_seen(d, s->drive);
    bool by_clock = s->trigger.when == WHEN_AT || s->trigger.when == WHEN_AFTER;
    return by_clock && schedule_due_at(&d->kept.table, s, now, &seen) <= now->boot;
}

int scheduling_change(struct daemon *d, const struct schedule_request *rq, scheduling_done *done, void *owner, struct err *e)
{
    const struct schedule_time now = scheduling_now();
    struct change *c;
    struct schedule *s = prepare(d, rq, &c, e);
    if (!s) return -1;
    bool enabling = rq->has_enabled && rq->enabled && !s->enabled;
    if (rq->has_missed) s->missed = rq->missed;
    if (rq->has_enabled) s->enabled = rq->enabled;
    if (rq->has_trigger) schedule_arm(s, &rq->trigger, &now);
    if (enabling) s->quiet_since = now.boot;
    if (enabling && is_over(d, s, &now)) {
        *s = c->before;
        free(c);
        return err_set(e, ERR_BAD_REQUEST, "Its time passed while it was not enabled; say a new \"when\" as well");
    }
    write_down(d, s, c, done, owner);
    return 0;
}

int scheduling_cancel(struct daemon *d, const struct schedule_request *rq, scheduling_done *done, void *owner, struct err *e)
{
    struct change *c;
    struct schedule *known = schedules_find(&d->kept.table, rq->id);
    if (known && known->state == SCHEDULE_CANCELLED && !known->pending) { /* a repeated request */
        done(owner, known, NULL);
        return 0;
    }
    struct schedule *s = prepare(d, rq, &c, e);
    if (!s) return -1;
    s->state = SCHEDULE_CANCELLED;
    s->finished_real = clock_real_ms();
    snprintf(s->err.text, sizeof s->err.text, "Cancelled by %s", rq->by);
    write_down(d, s, c, done, owner);
    return 0;
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
    while (g->changes) {
        struct change *c = g->changes;
        struct err e;
        g->changes = c->next;
        err_set(&e, ERR_UNAVAILABLE, "trayd-gadget is ending");
        c->done(c->owner, NULL, &e);
        free(c);
    }
    free(g);
}
