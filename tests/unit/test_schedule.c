/*
 * The scheduler with clocks that the test sets: scripts of what happens, each with what becomes of one schedule; and many
 * random histories, where a slow model that goes over the whole history each time must agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "gadget/schedule.h"

#define S 1000
#define HOURS (3600 * S)
#define T0 1800000000000 /* real, when a test begins */
#define B0 (100 * S)     /* boot */
#define DRIVES 2

enum act {
    END, WAIT, SET_CLOCK, SYNC, REBOOT, RESTART, RESET, EJECTED, UNKNOWN, KNOWN, COMMAND, NO_COMMAND, BUSY, LOAD, EMPTY, OFF, ON,
    ARMED, FIRING, MISSED, SEEN, WAKES, NEVER_WAKES,
};

struct line {
    enum act act;
    msec value;
};

static struct schedules table;
static struct schedule_time now;
static struct schedule_seen seen[DRIVES];
static struct schedule_output out;

static void step(enum schedule_event_kind kind, size_t drive)
{
    const struct schedule_event ev = {.kind = kind, .drive = drive, .now = now, .seen = seen};
    schedules_step(&table, &ev, &out);
}

static void fresh(void)
{
    table = (struct schedules){.newest_real = T0};
    now = (struct schedule_time){.boot = B0, .real = T0};
    for (size_t i = 0; i < DRIVES; i++) seen[i] = (struct schedule_seen){.known = true, .present = true, .busy_at = B0 - S};
    step(SCHEDULE_LOOK, 0);
}

static struct schedule *add(size_t drive, struct schedule_trigger trigger, enum schedule_missed missed)
{
    struct schedule *s = schedules_add(&table);
    assert_non_null(s);
    s->drive = drive;
    s->enabled = true;
    s->missed = missed;
    schedule_arm(s, &trigger, &now);
    return s;
}

static void pass(msec ms)
{
    now.boot += ms;
    now.real += ms;
    step(SCHEDULE_LOOK, 0);
}

/* The appliance is off for so long; without a battery its clock begins at `real`. */
static void reboot(msec real)
{
    now.boot = B0;
    now.real = real;
    now.synchronised = false;
    schedules_resume(&table, false, &now);
    seen[0].busy_at = seen[1].busy_at = B0;
    step(SCHEDULE_LOOK, 0);
}

static void play(const char *name, const struct line *l, struct schedule *s)
{
    static const enum schedule_state expected[] = {[ARMED] = SCHEDULE_ARMED, [FIRING] = SCHEDULE_FIRING, [MISSED] = SCHEDULE_MISSED};
    int at = 0;
    for (; l->act != END; l++, at++) {
        switch (l->act) {
        case WAIT: pass(l->value); break;
        case SET_CLOCK: now.real += l->value; step(SCHEDULE_LOOK, 0); break;
        case SYNC: now.synchronised = l->value; step(SCHEDULE_LOOK, 0); break;
        case REBOOT: reboot(l->value); break;
        case RESTART: schedules_resume(&table, true, &now); step(SCHEDULE_LOOK, 0); break;
        case RESET: step(SCHEDULE_HOST_RESET, 0); break;
        case EJECTED: step(SCHEDULE_HOST_EJECTED, (size_t)l->value); break;
        case UNKNOWN: seen[0].known = false; step(SCHEDULE_LOOK, 0); break;
        case KNOWN: seen[0].known = true; step(SCHEDULE_LOOK, 0); break;
        case COMMAND: seen[0].in_command = true; step(SCHEDULE_LOOK, 0); break;
        case NO_COMMAND: seen[0].in_command = false; step(SCHEDULE_LOOK, 0); break;
        case BUSY: seen[0].busy_at = now.boot; step(SCHEDULE_LOOK, 0); break;
        case LOAD: seen[0].present = true; seen[0].busy_at = now.boot; step(SCHEDULE_LOOK, 0); break;
        case EMPTY: seen[0].present = false; step(SCHEDULE_LOOK, 0); break;
        case OFF: s->enabled = false; step(SCHEDULE_LOOK, 0); break;
        case ON: s->enabled = true; step(SCHEDULE_LOOK, 0); break;
        case SEEN:
            if (s->resets_seen != l->value) fail_msg("%s, line %d: %lld resets seen", name, at, (long long)s->resets_seen);
            break;
        case WAKES:
            if (out.wake != now.boot + l->value) fail_msg("%s, line %d: wakes in %lld", name, at, (long long)(out.wake - now.boot));
            break;
        case NEVER_WAKES:
            if (out.wake != MSEC_NEVER) fail_msg("%s, line %d: wakes in %lld", name, at, (long long)(out.wake - now.boot));
            break;
        case ARMED:
        case FIRING:
        case MISSED:
            if (s->state != expected[l->act])
                fail_msg("%s, line %d: is %s", name, at, schedule_state_names[s->state]);
            break;
        case END: break;
        }
    }
}

#define AT(after_ms) {.when = WHEN_AT, .at = T0 + (after_ms)}
#define AFTER(ms) {.when = WHEN_AFTER, .span = (ms)}
#define QUIET(ms) {.when = WHEN_QUIET_FOR, .span = (ms)}
#define RESETS(n) {.when = WHEN_HOST_RESETS, .resets = (n)}
#define EJECT {.when = WHEN_HOST_EJECTED}
#define LINES(...) (const struct line[]){__VA_ARGS__, {END, 0}}

static const struct script {
    const char *name;
    struct schedule_trigger trigger;
    enum schedule_missed missed;
    const struct line *lines;
} scripts[] = {
    /* at */
    {"at: its time comes", AT(60 * S), MISSED_SKIP,
     LINES({ARMED, 0}, {WAIT, 0}, {WAKES, 60 * S}, {WAIT, 59999}, {ARMED, 0}, {WAKES, 1}, {WAIT, 1}, {FIRING, 0}, {NEVER_WAKES, 0})},
    {"at: within the grace is not missed", AT(60 * S), MISSED_SKIP, LINES({WAIT, 60 * S + SCHEDULE_GRACE}, {FIRING, 0})},
    {"at: beyond the grace, skip", AT(60 * S), MISSED_SKIP, LINES({WAIT, 60 * S + SCHEDULE_GRACE + 1}, {MISSED, 0})},
    {"at: beyond the grace, run", AT(60 * S), MISSED_RUN, LINES({WAIT, 60 * S + SCHEDULE_GRACE + 1}, {FIRING, 0})},
    {"at: off over its time, skip", AT(60 * S), MISSED_SKIP, LINES({REBOOT, T0 + HOURS}, {MISSED, 0})},
    {"at: off over its time, run", AT(60 * S), MISSED_RUN, LINES({REBOOT, T0 + HOURS}, {FIRING, 0})},
    {"at: off before its time", AT(2 * HOURS), MISSED_SKIP, LINES({REBOOT, T0 + HOURS}, {ARMED, 0}, {WAKES, HOURS}, {WAIT, HOURS}, {FIRING, 0})},
    {"at: the clock is set forward over it, skip", AT(HOURS), MISSED_SKIP, LINES({SET_CLOCK, 2 * HOURS}, {MISSED, 0})},
    {"at: the clock is set forward over it, run", AT(HOURS), MISSED_RUN, LINES({SET_CLOCK, 2 * HOURS}, {FIRING, 0})},
    {"at: the clock is set forward to just after it", AT(HOURS), MISSED_SKIP, LINES({SET_CLOCK, HOURS + S}, {FIRING, 0})},
    {"at: the clock is set forward, but not so far", AT(HOURS), MISSED_SKIP,
     LINES({SET_CLOCK, HOURS / 2}, {ARMED, 0}, {WAKES, HOURS / 2}, {WAIT, HOURS / 2}, {FIRING, 0})},
    {"at: the clock is set back: it waits for that time again", AT(60 * S), MISSED_SKIP,
     LINES({WAIT, 30 * S}, {SET_CLOCK, -HOURS}, {ARMED, 0}, {WAKES, HOURS + 30 * S}, {WAIT, 60 * S}, {ARMED, 0}, {WAIT, HOURS}, {FIRING, 0})},
    {"at: set forward and back again", AT(2 * HOURS), MISSED_SKIP,
     LINES({SET_CLOCK, HOURS}, {SET_CLOCK, -HOURS}, {WAKES, 2 * HOURS}, {WAIT, 2 * HOURS}, {FIRING, 0})},
    {"at: no battery, then the time comes from the network", AT(HOURS), MISSED_SKIP,
     LINES({REBOOT, 1000 * S}, {ARMED, 0}, {WAKES, SCHEDULE_CLOCK_LOOK}, {WAIT, 10 * S}, {ARMED, 0}, {SET_CLOCK, T0 - 1010 * S + HOURS / 2}, {ARMED, 0},
           {WAIT, HOURS / 2}, {FIRING, 0})},
    {"at: no battery, and the network says that it is over, skip", AT(HOURS), MISSED_SKIP,
     LINES({REBOOT, 1000 * S}, {WAIT, 600 * S}, {ARMED, 0}, {SET_CLOCK, T0 + 2 * HOURS}, {MISSED, 0})},
    {"at: no battery, and the network says that it is over, run", AT(HOURS), MISSED_RUN,
     LINES({REBOOT, 1000 * S}, {WAIT, 600 * S}, {ARMED, 0}, {SET_CLOCK, T0 + 2 * HOURS}, {FIRING, 0})},
    {"at: disabled, its time passes", AT(60 * S), MISSED_RUN, LINES({OFF, 0}, {NEVER_WAKES, 0}, {WAIT, HOURS}, {ARMED, 0})},
    /* after */
    {"after: so long", AFTER(60 * S), MISSED_SKIP, LINES({WAIT, 59 * S}, {ARMED, 0}, {WAKES, S}, {WAIT, S}, {FIRING, 0})},
    {"after: the clock is set forward", AFTER(60 * S), MISSED_SKIP, LINES({SET_CLOCK, HOURS}, {ARMED, 0}, {WAIT, 59 * S}, {ARMED, 0}, {WAIT, S}, {FIRING, 0})},
    {"after: the clock is set back", AFTER(60 * S), MISSED_SKIP, LINES({SET_CLOCK, -HOURS}, {WAIT, 59 * S}, {ARMED, 0}, {WAIT, S}, {FIRING, 0})},
    {"after: trayd-gadget is restarted", AFTER(60 * S), MISSED_SKIP, LINES({WAIT, 30 * S}, {RESTART, 0}, {WAKES, 30 * S}, {WAIT, 30 * S}, {FIRING, 0})},
    {"after: reboot before it is over", AFTER(HOURS), MISSED_SKIP,
     LINES({REBOOT, T0 + HOURS / 2}, {ARMED, 0}, {WAKES, HOURS / 2}, {WAIT, HOURS / 2}, {FIRING, 0})},
    {"after: off over its time, skip", AFTER(HOURS), MISSED_SKIP, LINES({REBOOT, T0 + 2 * HOURS}, {MISSED, 0})},
    {"after: off over its time, run", AFTER(HOURS), MISSED_RUN, LINES({REBOOT, T0 + 2 * HOURS}, {FIRING, 0})},
    {"after: the clock is set, then a reboot", AFTER(HOURS), MISSED_SKIP,
     LINES({SET_CLOCK, 10 * HOURS}, {REBOOT, T0 + 10 * HOURS + HOURS / 2}, {WAKES, HOURS / 2}, {WAIT, HOURS / 2}, {FIRING, 0})},
    {"after: the clock is set back, then a reboot", AFTER(HOURS), MISSED_SKIP,
     LINES({SET_CLOCK, -10 * HOURS}, {REBOOT, T0 - 10 * HOURS + HOURS / 2}, {WAKES, HOURS / 2}, {WAIT, HOURS / 2}, {FIRING, 0})},
    {"after: reboot without a battery waits for the clock", AFTER(HOURS), MISSED_RUN,
     LINES({REBOOT, 1000 * S}, {WAIT, 2 * HOURS}, {ARMED, 0}, {SYNC, 1}, {ARMED, 0})},
    /* the newest time */
    {"a clock that the kernel calls synchronised is believed, though the file is from the future", AT(-HOURS), MISSED_RUN,
     LINES({REBOOT, T0 - 2 * HOURS}, {ARMED, 0}, {SYNC, 1}, {WAKES, HOURS}, {WAIT, HOURS}, {FIRING, 0})},
    {"and without that it waits until the newest time is passed", AT(-HOURS), MISSED_RUN,
     LINES({REBOOT, T0 - 2 * HOURS}, {WAKES, SCHEDULE_CLOCK_LOOK}, {WAIT, 2 * HOURS - 1}, {ARMED, 0}, {WAIT, 1}, {FIRING, 0})},
    {"and with `skip` it was missed then", AT(-HOURS), MISSED_SKIP, LINES({REBOOT, T0 - 2 * HOURS}, {WAIT, 2 * HOURS}, {MISSED, 0})},
    /* quiet_for */
    {"quiet: from when it was made", QUIET(60 * S), MISSED_SKIP, LINES({WAIT, 59999}, {ARMED, 0}, {WAKES, 1}, {WAIT, 1}, {FIRING, 0})},
    {"quiet: the host reads", QUIET(60 * S), MISSED_SKIP, LINES({WAIT, 30 * S}, {BUSY, 0}, {WAIT, 59 * S}, {ARMED, 0}, {WAKES, S}, {WAIT, S}, {FIRING, 0})},
    {"quiet: a medium goes in", QUIET(60 * S), MISSED_SKIP,
     LINES({EMPTY, 0}, {NEVER_WAKES, 0}, {WAIT, HOURS}, {ARMED, 0}, {LOAD, 0}, {ARMED, 0}, {WAKES, 60 * S}, {WAIT, 60 * S}, {FIRING, 0})},
    {"quiet: what cannot be seen is not quiet", QUIET(60 * S), MISSED_SKIP,
     LINES({UNKNOWN, 0}, {WAKES, SCHEDULE_UNSEEN_LOOK}, {WAIT, HOURS}, {ARMED, 0}, {KNOWN, 0}, {ARMED, 0}, {WAIT, 60 * S - 1}, {ARMED, 0}, {WAIT, 1}, {FIRING, 0})},
    {"quiet: not for a moment", QUIET(60 * S), MISSED_SKIP, LINES({WAIT, 30 * S}, {UNKNOWN, 0}, {KNOWN, 0}, {WAIT, 59 * S}, {ARMED, 0}, {WAIT, S}, {FIRING, 0})},
    {"quiet: in the middle of a command", QUIET(60 * S), MISSED_SKIP,
     LINES({COMMAND, 0}, {WAIT, HOURS}, {ARMED, 0}, {WAKES, SCHEDULE_COMMAND_LOOK}, {NO_COMMAND, 0}, {FIRING, 0})},
    {"quiet: begins anew after a restart", QUIET(60 * S), MISSED_SKIP, LINES({WAIT, 59 * S}, {RESTART, 0}, {WAIT, 59 * S}, {ARMED, 0}, {WAIT, S}, {FIRING, 0})},
    {"quiet: the wall clock is nothing to it", QUIET(60 * S), MISSED_SKIP, LINES({SET_CLOCK, HOURS}, {ARMED, 0}, {SET_CLOCK, -2 * HOURS}, {WAIT, 60 * S}, {FIRING, 0})},
    /* host_resets, host_ejected */
    {"resets: one", RESETS(1), MISSED_SKIP, LINES({WAIT, HOURS}, {NEVER_WAKES, 0}, {ARMED, 0}, {RESET, 0}, {FIRING, 0})},
    {"resets: three", RESETS(3), MISSED_SKIP, LINES({RESET, 0}, {RESET, 0}, {SEEN, 2}, {ARMED, 0}, {RESET, 0}, {FIRING, 0})},
    {"resets: counted over restarts and reboots", RESETS(3), MISSED_SKIP,
     LINES({RESET, 0}, {RESTART, 0}, {RESET, 0}, {REBOOT, 1000 * S}, {SEEN, 2}, {ARMED, 0}, {RESET, 0}, {FIRING, 0})},
    {"resets: not while disabled", RESETS(1), MISSED_SKIP, LINES({OFF, 0}, {RESET, 0}, {ARMED, 0}, {ON, 0}, {ARMED, 0}, {RESET, 0}, {FIRING, 0})},
    {"ejected: from this drive", EJECT, MISSED_SKIP, LINES({WAIT, HOURS}, {NEVER_WAKES, 0}, {EJECTED, 1}, {ARMED, 0}, {EJECTED, 0}, {FIRING, 0})},
};

static void what_happens(void **state attr_unused)
{
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        fresh();
        play(scripts[i].name, scripts[i].lines, add(0, scripts[i].trigger, scripts[i].missed));
    }
}

static void the_next_disc(void **state attr_unused)
{
    fresh();
    const struct schedule_trigger trigger = EJECT;
    struct schedule *discs[] = {add(0, trigger, MISSED_SKIP), add(1, trigger, MISSED_SKIP), add(0, trigger, MISSED_SKIP)};
    step(SCHEDULE_HOST_EJECTED, 0);
    assert_int_equal(out.changed_len, 1);
    assert_int_equal(discs[0]->state, SCHEDULE_FIRING);
    assert_int_equal(discs[2]->state, SCHEDULE_ARMED);
    step(SCHEDULE_HOST_EJECTED, 0);
    assert_int_equal(discs[2]->state, SCHEDULE_FIRING);
    assert_int_equal(discs[1]->state, SCHEDULE_ARMED);
}

static void what_is_being_written_waits(void **state attr_unused)
{
    fresh();
    struct schedule *s = add(0, (struct schedule_trigger)AFTER(S), MISSED_SKIP);
    s->pending = true;
    pass(2 * S);
    assert_int_equal(s->state, SCHEDULE_ARMED);
    assert_int_equal(out.wake, MSEC_NEVER);
    s->pending = false;
    pass(0);
    assert_int_equal(s->state, SCHEDULE_FIRING);
}

static void the_table_is_bounded(void **state attr_unused)
{
    fresh();
    for (int i = 0; i < SCHEDULES_ARMED_MAX; i++) add(0, (struct schedule_trigger)RESETS(1), MISSED_SKIP)->resets_seen = -i;
    assert_null(schedules_add(&table));
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < table.len; i++) table.items[i].state = SCHEDULE_FIRED;
        for (unsigned i = 0; i < SCHEDULES_ARMED_MAX; i++) {
            struct schedule *s = add(0, (struct schedule_trigger)RESETS(1), MISSED_SKIP);
            snprintf(s->id, sizeof s->id, "%u-%u", round % 10, i % 100);
        }
        assert_true(table.len <= SCHEDULES_MAX);
        assert_int_equal(schedules_open(&table), SCHEDULES_ARMED_MAX);
    }
    schedules_forget_old(&table);
    assert_int_equal(table.len, SCHEDULES_ARMED_MAX + SCHEDULES_KEPT);
    assert_non_null(schedules_find(&table, "2-0"));
    assert_non_null(schedules_find(&table, "1-63"));
    assert_null(schedules_find(&table, "1-31")); /* the newest finished ones were kept */
    assert_null(schedules_find(&table, "0-0"));
}

/* ---- random histories -------------------------------------------------------------------------------------------- */

#define HISTORIES 400
#define MOMENTS 250
#define RANDOM_SCHEDULES 8

struct moment {                 /* what the scheduler was told, all of it */
    struct schedule_event ev;
    struct schedule_seen seen[DRIVES];
    bool resumed, rebooted;     /* before it */
};

struct maker {                  /* a schedule, and in which moment it was made */
    struct schedule_trigger trigger;
    enum schedule_missed missed;
    size_t drive, made;
};

static struct moment history[MOMENTS];
static size_t moments;
static uint64_t seed;

static unsigned rnd(unsigned below) /* xorshift64*, the same on every machine */
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (unsigned)((seed * 2685821657736338717ULL) >> 33) % below;
}

/* ---- the model: no table, no state, only history ---- */

/* What the file's newest time is at moment m: it starts at T0, and an observed setting back or a kernel that is sure
 * takes it to what the clock says. */
static msec model_newest(size_t m)
{
    msec newest = T0;
    for (size_t i = 0; i <= m; i++) {
        const struct schedule_time *t = &history[i].ev.now, *before = i && !history[i].resumed ? &history[i - 1].ev.now : NULL;
        bool set_back = before && (before->real - before->boot) - (t->real - t->boot) >= SCHEDULE_CLOCK_JUMP;
        if ((t->synchronised || set_back) && t->real < newest) newest = t->real;
    }
    return newest;
}

/* When `after` is over on the wall clock: moved with each jump that was seen in the boot in which it was made. */
static msec model_after_real(const struct maker *k, size_t m)
{
    msec due = history[k->made].ev.now.real + k->trigger.span;
    for (size_t i = k->made + 1; i <= m && !history[i].rebooted; i++) {
        const struct schedule_time *t = &history[i].ev.now, *before = &history[i - 1].ev.now;
        msec jump = (t->real - t->boot) - (before->real - before->boot);
        if (!history[i].resumed && (jump >= SCHEDULE_CLOCK_JUMP || jump <= -SCHEDULE_CLOCK_JUMP))
            due = history[k->made].ev.now.boot + k->trigger.span + t->real - t->boot;
    }
    return due;
}

static enum schedule_state model_clock(const struct maker *k, size_t m)
{
    const struct schedule_time *t = &history[m].ev.now;
    bool same_boot = true;
    for (size_t i = k->made + 1; i <= m; i++) same_boot = same_boot && !history[i].rebooted;
    bool boot_counts = k->trigger.when == WHEN_AFTER && same_boot;
    msec late = boot_counts ? t->boot - (history[k->made].ev.now.boot + k->trigger.span)
                            : t->real - (k->trigger.when == WHEN_AT ? k->trigger.at : model_after_real(k, m));
    if (late < 0 || (!boot_counts && !t->synchronised && t->real < model_newest(m))) return SCHEDULE_ARMED;
    return late > SCHEDULE_GRACE && k->missed == MISSED_SKIP ? SCHEDULE_MISSED : SCHEDULE_FIRING;
}

static enum schedule_state model_quiet(const struct maker *k, size_t m)
{
    const struct schedule_seen *last = &history[m].seen[k->drive];
    if (!last->known || !last->present || last->in_command) return SCHEDULE_ARMED;
    msec from = last->busy_at;
    for (size_t i = k->made; i <= m; i++) {
        const struct schedule_seen *s = &history[i].seen[k->drive];
        if (i == k->made || history[i].resumed || !s->known || !s->present) from = MAX(from, history[i].ev.now.boot);
        if (history[i].rebooted) from = MAX(last->busy_at, history[i].ev.now.boot);
    }
    return history[m].ev.now.boot - from >= k->trigger.span ? SCHEDULE_FIRING : SCHEDULE_ARMED;
}

static enum schedule_state model_of(const struct maker *makers, size_t which, size_t m);

static enum schedule_state model_counted(const struct maker *makers, size_t which, size_t m)
{
    const struct maker *k = &makers[which];
    int64_t count = 0, older = 0;
    for (size_t i = k->made + 1; i <= m; i++) {
        const struct schedule_event *ev = &history[i].ev;
        if (k->trigger.when == WHEN_HOST_RESETS) {
            count += ev->kind == SCHEDULE_HOST_RESET;
            continue;
        }
        if (ev->kind != SCHEDULE_HOST_EJECTED || ev->drive != k->drive) continue;
        older = 0; /* those before this one that still waited when it happened */
        for (size_t o = 0; o < which; o++)
            older += makers[o].trigger.when == WHEN_HOST_EJECTED && makers[o].drive == k->drive && makers[o].made < i &&
                     model_of(makers, o, i - 1) == SCHEDULE_ARMED;
        if (older == 0) return SCHEDULE_FIRING;
    }
    return k->trigger.when == WHEN_HOST_RESETS && count >= k->trigger.resets ? SCHEDULE_FIRING : SCHEDULE_ARMED;
}

/* At the first moment at which it is due it leaves `armed`, and stays so. */
static enum schedule_state model_of(const struct maker *makers, size_t which, size_t m)
{
    const struct maker *k = &makers[which];
    if (k->trigger.when == WHEN_HOST_RESETS || k->trigger.when == WHEN_HOST_EJECTED) return model_counted(makers, which, m);
    for (size_t i = k->made + 1; i <= m; i++) {
        enum schedule_state s = k->trigger.when == WHEN_QUIET_FOR ? model_quiet(k, i) : model_clock(k, i);
        if (s != SCHEDULE_ARMED) return s;
    }
    return SCHEDULE_ARMED;
}

static struct schedule_trigger random_trigger(void)
{
    switch (rnd(5)) {
    case 0: return (struct schedule_trigger){.when = WHEN_AT, .at = now.real + 1 + rnd(2 * HOURS)};
    case 1: return (struct schedule_trigger){.when = WHEN_AFTER, .span = rnd(HOURS)};
    case 2: return (struct schedule_trigger){.when = WHEN_QUIET_FOR, .span = S + rnd(600 * S)};
    case 3: return (struct schedule_trigger){.when = WHEN_HOST_RESETS, .resets = 1 + rnd(4)};
    default: return (struct schedule_trigger){.when = WHEN_HOST_EJECTED};
    }
}

/* One thing happens to the world, and the scheduler hears of it. */
static void random_moment(void)
{
    static const unsigned spans[] = {1, 50, S, 30 * S, 120 * S, 1800 * S};
    struct moment *m = &history[moments++];
    *m = (struct moment){0};
    enum schedule_event_kind kind = SCHEDULE_LOOK;
    size_t drive = rnd(DRIVES);
    msec ms = rnd(spans[rnd(ARRAY_LEN(spans))]);
    now.boot += ms;
    now.real += ms;
    switch (rnd(14)) {
    case 0: now.real += (msec)rnd(2 * HOURS) - HOURS; break;
    case 1: now.real += (msec)rnd(2 * SCHEDULE_CLOCK_JUMP) - SCHEDULE_CLOCK_JUMP; break;
    case 2: now.synchronised = rnd(2); break;
    case 3: kind = SCHEDULE_HOST_RESET; break;
    case 4: kind = SCHEDULE_HOST_EJECTED; break;
    case 5: seen[drive].known = rnd(2); break;
    case 6: seen[drive].present = rnd(2); seen[drive].busy_at = now.boot; break;
    case 7: seen[drive].in_command = rnd(2); break;
    case 8: seen[drive].busy_at = now.boot; break;
    case 9: m->resumed = true; break;
    case 10:
        if (rnd(3)) break;
        m->resumed = m->rebooted = true;
        now = (struct schedule_time){.boot = B0, .real = rnd(2) ? now.real + rnd(HOURS) : (msec)rnd(HOURS)};
        for (size_t i = 0; i < DRIVES; i++) seen[i].busy_at = B0;
        break;
    default: break;
    }
    if (m->resumed) schedules_resume(&table, !m->rebooted, &now);
    memcpy(m->seen, seen, sizeof seen);
    m->ev = (struct schedule_event){.kind = kind, .drive = drive, .now = now, .seen = m->seen};
    schedules_step(&table, &m->ev, &out);
}

static void one_history(uint64_t number)
{
    struct maker makers[RANDOM_SCHEDULES];
    size_t made = 0;
    seed = number * 0x9e3779b97f4a7c15ULL + 1;
    fresh();
    moments = 1; /* the first one is how it begins */
    history[0] = (struct moment){.ev = {.now = now}};
    memcpy(history[0].seen, seen, sizeof seen);
    while (moments < MOMENTS) {
        if (made < RANDOM_SCHEDULES && rnd(6) == 0) {
            makers[made] = (struct maker){random_trigger(), rnd(2) ? MISSED_RUN : MISSED_SKIP, rnd(DRIVES), moments - 1};
            add(makers[made].drive, makers[made].trigger, makers[made].missed);
            made++;
        }
        random_moment();
        for (size_t i = 0; i < made; i++) {
            enum schedule_state right = model_of(makers, i, moments - 1);
            if (table.items[i].state != right)
                fail_msg("history %llu, moment %zu: schedule %zu (%s) is %s, the model says %s", (unsigned long long)number,
                         moments - 1, i, schedule_when_names[makers[i].trigger.when],
                         schedule_state_names[table.items[i].state], schedule_state_names[right]);
        }
    }
}

static void random_histories(void **state attr_unused)
{
    for (uint64_t i = 1; i <= HISTORIES; i++) one_history(i);
}

/* Whoever wakes exactly when he is told to is never late: nothing becomes due in between. */
static void no_wake_is_late(void **state attr_unused)
{
    for (uint64_t number = 1; number <= HISTORIES; number++) {
        seed = number * 0x9e3779b97f4a7c15ULL + 7;
        fresh();
        for (int i = 0; i < RANDOM_SCHEDULES; i++) add(rnd(DRIVES), random_trigger(), MISSED_SKIP);
        pass(0);
        for (int i = 0; i < 50 && out.wake != MSEC_NEVER; i++) {
            msec left = out.wake - now.boot;
            assert_true(left > 0);
            if (left > 1) {
                pass(left - 1);
                assert_int_equal(out.changed_len, 0);
            }
            pass(out.wake - now.boot);
            assert_true(out.changed_len > 0);
        }
        assert_int_equal(out.wake, MSEC_NEVER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_happens),     cmocka_unit_test(the_next_disc),    cmocka_unit_test(what_is_being_written_waits),
        cmocka_unit_test(the_table_is_bounded), cmocka_unit_test(random_histories), cmocka_unit_test(no_wake_is_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
