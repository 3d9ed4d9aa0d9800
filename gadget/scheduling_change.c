#include "gadget/scheduling_parts.h"

#include <stdio.h>
#include <string.h>

#include "gadget/daemon.h"
#include "gadget/schedule_request.h"

struct change {                  /* of a client, on its way to the disk */
    char id[OPERATION_ID_LEN + 1];
    uint64_t version;
    bool added;
    struct schedule before;      /* where it was not added */
    scheduling_done *done;
    void *owner;
    struct change *next;
};

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
    scheduling_tell(d, s);
}

void scheduling_settle(struct daemon *d, uint64_t version, const struct err *e)
{
    for (struct change **link = &d->scheduling->changes; *link;) {
        struct change *c = *link;
        if (c->version > version) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        settle(d, c, e);
        free(c);
    }
}

void scheduling_give_up(struct scheduling *g)
{
    while (g->changes) {
        struct change *c = g->changes;
        struct err e;
        g->changes = c->next;
        err_set(&e, ERR_UNAVAILABLE, "trayd-gadget is ending");
        c->done(c->owner, NULL, &e);
        free(c);
    }
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

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
