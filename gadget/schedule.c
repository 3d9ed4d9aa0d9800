#include "gadget/schedule.h"

#include <string.h>

#define X(sym, name) name,
const char *const schedule_when_names[] = {WHEN_TABLE(X) NULL};
const char *const schedule_state_names[] = {SCHEDULE_STATE_TABLE(X) NULL};
const char *const schedule_missed_names[] = {MISSED_TABLE(X) NULL};
#undef X

/* ---- the table --------------------------------------------------------------------------------------------------- */

bool schedule_is_open(const struct schedule *s)
{
    return s->state == SCHEDULE_ARMED || s->state == SCHEDULE_FIRING;
}

struct schedule *schedules_find(struct schedules *t, const char *id)
{
    for (size_t i = 0; i < t->len; i++)
        if (strcmp(t->items[i].id, id) == 0) return &t->items[i];
    return NULL;
}

size_t schedules_open(const struct schedules *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->len; i++) n += schedule_is_open(&t->items[i]);
    return n;
}

void schedules_remove(struct schedules *t, struct schedule *s)
{
    size_t at = (size_t)(s - t->items);
    json_decref(s->request);
    memmove(s, s + 1, (t->len - at - 1) * sizeof *s);
    memset(&t->items[--t->len], 0, sizeof *s);
}

/* Those that are being written down stay: somebody waits for them. */
static void forget(struct schedules *t, size_t keep)
{
    size_t finished = 0;
    for (size_t i = t->len; i-- > 0;)
        if (!schedule_is_open(&t->items[i]) && !t->items[i].pending && ++finished > keep) schedules_remove(t, &t->items[i]);
}

void schedules_forget_old(struct schedules *t)
{
    forget(t, SCHEDULES_KEPT);
}

struct schedule *schedules_add(struct schedules *t)
{
    if (schedules_open(t) >= SCHEDULES_ARMED_MAX) return NULL;
    if (t->len == SCHEDULES_MAX) forget(t, SCHEDULES_MAX - 1 - schedules_open(t));
    return t->len == SCHEDULES_MAX ? NULL : &t->items[t->len++];
}

/* ---- clocks ------------------------------------------------------------------------------------------------------ */

bool schedules_trust(const struct schedules *t, const struct schedule_time *now)
{
    return now->real >= t->newest_real; /* which follow_clock() takes back where the kernel is sure */
}

/* What was set, was set on purpose; what `after` has stored goes along. */
static void follow_clock(struct schedules *t, const struct schedule_time *now, struct schedule_output *out)
{
    msec difference = now->real - now->boot, jump = t->clock_seen ? difference - t->clock_difference : 0;
    bool jumped = jump >= SCHEDULE_CLOCK_JUMP || jump <= -SCHEDULE_CLOCK_JUMP;
    t->clock_seen = true;
    t->clock_difference = difference;
    if (now->real < t->newest_real && (now->synchronised || jump <= -SCHEDULE_CLOCK_JUMP)) {
        t->newest_real = now->real;
        out->clock_changed = true;
    }
    for (size_t i = 0; jumped && i < t->len; i++) {
        struct schedule *s = &t->items[i];
        if (s->trigger.when != WHEN_AFTER || !s->due_boot || !schedule_is_open(s)) continue;
        s->due_real = s->due_boot + difference;
        out->clock_changed = true;
    }
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

void schedule_arm(struct schedule *s, const struct schedule_trigger *trigger, const struct schedule_time *now)
{
    s->trigger = *trigger;
    s->state = SCHEDULE_ARMED;
    s->resets_seen = 0;
    s->quiet_since = now->boot;
    s->due_boot = trigger->when == WHEN_AFTER ? now->boot + trigger->span : 0;
    s->due_real = trigger->when == WHEN_AFTER ? now->real + trigger->span : trigger->at;
}

void schedules_resume(struct schedules *t, bool same_boot, const struct schedule_time *now)
{
    t->clock_seen = false;
    for (size_t i = 0; i < t->len; i++) {
        t->items[i].quiet_since = now->boot;
        if (!same_boot) t->items[i].due_boot = 0;
    }
}

static bool by_clock(const struct schedule *s)
{
    return s->trigger.when == WHEN_AT || s->trigger.when == WHEN_AFTER;
}

static msec quiet_from(const struct schedule *s, const struct schedule_seen *seen)
{
    return MAX(s->quiet_since, seen->busy_at);
}

msec schedule_due_at(const struct schedules *t, const struct schedule *s, const struct schedule_time *now,
                     const struct schedule_seen *seen)
{
    if (s->state != SCHEDULE_ARMED || !s->enabled) return MSEC_NEVER;
    if (s->trigger.when == WHEN_QUIET_FOR)
        return seen->present && seen->known ? quiet_from(s, seen) + s->trigger.span : MSEC_NEVER;
    if (!by_clock(s)) return MSEC_NEVER;
    if (s->due_boot) return s->due_boot;
    msec at = now->boot + (s->due_real - now->real);
    return schedules_trust(t, now) ? at : MAX(at, now->boot + (t->newest_real - now->real));
}

/* How late it is, negative: not yet. */
static msec lateness(const struct schedule *s, const struct schedule_time *now)
{
    return s->due_boot ? now->boot - s->due_boot : now->real - s->due_real;
}

static void note(struct schedule_output *out, size_t i)
{
    if (out->changed_len == 0 || out->changed[out->changed_len - 1] != i) out->changed[out->changed_len++] = i;
}

static void wake_by(struct schedule_output *out, msec at)
{
    out->wake = MIN(out->wake, at);
}

static void look_at_clock(struct schedules *t, size_t i, const struct schedule_time *now, struct schedule_output *out)
{
    struct schedule *s = &t->items[i];
    bool trusted = s->due_boot || schedules_trust(t, now);
    msec late = lateness(s, now);
    if (!trusted || late < 0) {
        wake_by(out, schedule_due_at(t, s, now, NULL));
        if (!trusted) wake_by(out, now->boot + SCHEDULE_CLOCK_LOOK);
        return;
    }
    s->state = late > SCHEDULE_GRACE && s->missed == MISSED_SKIP ? SCHEDULE_MISSED : SCHEDULE_FIRING;
    note(out, i);
}

static void look_for_quiet(struct schedules *t, size_t i, const struct schedule_event *ev, struct schedule_output *out)
{
    struct schedule *s = &t->items[i];
    const struct schedule_seen *seen = &ev->seen[s->drive];
    msec now = ev->now.boot;
    if (!seen->present || !seen->known) {
        s->quiet_since = now;
        if (seen->present) wake_by(out, now + SCHEDULE_UNSEEN_LOOK);
    } else if (now < quiet_from(s, seen) + s->trigger.span) {
        wake_by(out, quiet_from(s, seen) + s->trigger.span);
    } else if (seen->in_command) {
        wake_by(out, now + SCHEDULE_COMMAND_LOOK);
    } else {
        s->state = SCHEDULE_FIRING;
        note(out, i);
    }
}

static void count_reset(struct schedules *t, size_t i, struct schedule_output *out)
{
    struct schedule *s = &t->items[i];
    if (++s->resets_seen >= s->trigger.resets) s->state = SCHEDULE_FIRING;
    note(out, i);
}

void schedules_step(struct schedules *t, const struct schedule_event *ev, struct schedule_output *out)
{
    bool ejected = ev->kind == SCHEDULE_HOST_EJECTED;
    out->changed_len = 0;
    out->clock_changed = false;
    out->wake = MSEC_NEVER;
    follow_clock(t, &ev->now, out);
    for (size_t i = 0; i < t->len; i++) {
        struct schedule *s = &t->items[i];
        if (s->state != SCHEDULE_ARMED || !s->enabled || s->pending) continue;
        if (by_clock(s)) {
            look_at_clock(t, i, &ev->now, out);
        } else if (s->trigger.when == WHEN_QUIET_FOR) {
            look_for_quiet(t, i, ev, out);
        } else if (s->trigger.when == WHEN_HOST_RESETS && ev->kind == SCHEDULE_HOST_RESET) {
            count_reset(t, i, out);
        } else if (s->trigger.when == WHEN_HOST_EJECTED && ejected && s->drive == ev->drive) {
            s->state = SCHEDULE_FIRING;
            note(out, i);
            ejected = false; /* one disc for one eject */
        }
    }
}
