/*
 * schedule.h - which schedules are due: a table of them, and what time, hosts and clocks do to it. Pure.
 *
 * schedules_step() takes an event with both clocks, changes the table, and says which schedules begin to fire and when
 * it wants to be called again. It does no I/O and reads no clock.
 *
 *            step: due                 owner: written down, operation given
 *   ARMED --------------> FIRING ----------------------------> FIRED     its operation was begun
 *     |  \                   |
 *     |   +-> MISSED         +--> FAILED    refused, or it ended badly, or a restart lost track of it
 *     +-> CANCELLED
 *
 * When is it due?
 *   at            the wall clock shows that time.
 *   after         so long after it was made, on CLOCK_BOOTTIME, whatever happens to the wall clock. After a reboot of
 *                 the appliance: when the wall clock shows the time that this would have been.
 *   quiet_for     there is a medium, and for so long the host has moved no byte of it, nor was in a command. What
 *                 cannot be seen is not quiet: the time begins anew when it can be seen again, and after each restart.
 *   host_resets   the host has reset the device so many times since the schedule was made (host_resets.h).
 *   host_ejected  the host takes the medium out by itself. Each such event fires the oldest of the drive's schedules,
 *                 so that three of them are the next three discs of a set.
 *
 * Missed runs. An `at` or `after` that is found more than SCHEDULE_GRACE after its time (the appliance was off, or its
 * clock was set over it) is fired at once, and once, where it says `run`, and MISSED where it says `skip`.
 *
 * A clock that is wrong. An appliance without a battery begins years ago, until it hears the time. So the wall clock is
 * believed only when it is not behind the newest time ever written into the file (newest_real), or when the kernel says
 * that it is synchronised (adjtimex(2), STA_UNSYNC). Until then nothing that depends on it fires or is missed; it
 * waits. A clock that is seen being set is moved over `at` schedules as if the time had passed: forward, they are due,
 * or too late by the rule above; back, they wait until it is that time again. What has fired never fires again. Setting
 * it back also takes newest_real back: who does that while we look knows that it was wrong. `after` is counted in this
 * boot on the clock that is never set, and its stored time is moved along with the wall clock.
 */
#pragma once

#include "base/json.h"
#include "gadget/config.h"
#include "gadget/operations.h"

#define SCHEDULES_ARMED_MAX 64       /* 16 drives with four each; a runaway script has no end */
#define SCHEDULES_KEPT 32            /* finished ones, for people who ask what became of them */
#define SCHEDULES_MAX (SCHEDULES_ARMED_MAX + SCHEDULES_KEPT)
#define SCHEDULE_GRACE 60000         /* ms; a restart, or a load that delays us, is no missed run */
#define SCHEDULE_CLOCK_JUMP 500      /* ms that a clock moves against the other one at once: NTP slews less, 0.5 ms a second */
#define SCHEDULE_CLOCK_LOOK 60000    /* ms between two looks whether the kernel calls the clock synchronised by now */
#define SCHEDULE_UNSEEN_LOOK 5000    /* ms between two looks at a host that cannot be seen, */
#define SCHEDULE_COMMAND_LOOK 1000   /* ... and at one that is in the middle of a command */
#define SCHEDULE_AFTER_MAX 31622400000 /* ms: 366 days */
#define SCHEDULE_QUIET_MIN 1000      /* ms; sampling is no faster than that by default */
#define SCHEDULE_QUIET_MAX 604800000 /* ms: a week */
#define SCHEDULE_RESETS_MAX 1000

#define WHEN_TABLE(X)                                                                                             \
    X(WHEN_AT, "at") X(WHEN_AFTER, "after") X(WHEN_QUIET_FOR, "quiet_for") X(WHEN_HOST_RESETS, "host_resets")     \
    X(WHEN_HOST_EJECTED, "host_ejected")
#define SCHEDULE_STATE_TABLE(X)                                                                                   \
    X(SCHEDULE_ARMED, "armed") X(SCHEDULE_FIRING, "firing") X(SCHEDULE_FIRED, "fired") X(SCHEDULE_MISSED, "missed") \
    X(SCHEDULE_CANCELLED, "cancelled") X(SCHEDULE_FAILED, "failed")
#define MISSED_TABLE(X) X(MISSED_SKIP, "skip") X(MISSED_RUN, "run")

#define X(sym, name) sym,
enum schedule_when { WHEN_TABLE(X) };
enum schedule_state { SCHEDULE_STATE_TABLE(X) };
enum schedule_missed { MISSED_TABLE(X) };
#undef X

extern const char *const schedule_when_names[], *const schedule_state_names[], *const schedule_missed_names[];

struct schedule_trigger {
    enum schedule_when when;
    msec at;                     /* AT: real time */
    msec span;                   /* AFTER, QUIET_FOR: ms */
    int64_t resets;              /* HOST_RESETS */
};

struct schedule {
    char id[OPERATION_ID_LEN + 1];
    size_t drive;
    enum op_action action;
    enum schedule_state state;
    enum schedule_missed missed;
    bool enabled;
    bool pending;                /* it is being written down: not looked at until then */
    struct schedule_trigger trigger;
    msec due_boot, due_real;     /* AFTER: on both clocks; due_boot 0: made in an earlier boot */
    msec quiet_since;            /* QUIET_FOR: boot time; nothing before this counts */
    int64_t resets_seen;
    /* For its owner (scheduling.c); this file does not look at them. */
    json_t *request;             /* what is asked of the drive: a message of the socket's protocol */
    char by[OPERATION_BY_MAX];
    msec created_real, finished_real;
    char operation[OPERATION_ID_LEN + 1];
    bool operation_ended;
    struct err err;              /* why it failed or was missed */
    uint64_t version;            /* of the file, that has its newest state */
};

struct schedules {
    struct schedule items[SCHEDULES_MAX]; /* oldest first */
    size_t len;
    msec newest_real;
    bool clock_seen;
    msec clock_difference;       /* real minus boot, at the last look */
};

struct schedule_time {
    msec boot, real;
    bool synchronised;           /* so says the kernel of the wall clock */
};

struct schedule_seen {           /* of a drive, now */
    bool known;                  /* its evidence */
    bool present;                /* a medium is in */
    bool in_command;             /* the host is in the middle of one, or that cannot be told */
    msec busy_at;                /* boot time: bytes moved, or the medium went in */
};

enum schedule_event_kind {
    SCHEDULE_LOOK,               /* time has passed, or something may be otherwise */
    SCHEDULE_HOST_RESET,
    SCHEDULE_HOST_EJECTED,       /* from `drive` */
};

struct schedule_event {
    enum schedule_event_kind kind;
    size_t drive;
    struct schedule_time now;
    const struct schedule_seen *seen; /* one for each drive */
};

struct schedule_output {
    size_t changed[SCHEDULES_MAX]; /* items that are otherwise now: FIRING, MISSED, a reset counted, ... */
    size_t changed_len;
    bool clock_changed;          /* newest_real or stored times are otherwise */
    msec wake;                   /* boot time; MSEC_NEVER */
};

void schedules_step(struct schedules *t, const struct schedule_event *ev, struct schedule_output *out);

/* (Re)arms: it counts from now on. */
void schedule_arm(struct schedule *s, const struct schedule_trigger *trigger, const struct schedule_time *now);

/* After the table was read from its file. same_boot: due_boot still means something. */
void schedules_resume(struct schedules *t, bool same_boot, const struct schedule_time *now);

/* Is the wall clock believed? */
bool schedules_trust(const struct schedules *t, const struct schedule_time *now);

/* When it will be due if nothing happens, on the boot clock; MSEC_NEVER where that depends on the host. */
msec schedule_due_at(const struct schedules *t, const struct schedule *s, const struct schedule_time *now,
                     const struct schedule_seen *seen);

bool schedule_is_open(const struct schedule *s); /* armed or firing */
struct schedule *schedules_find(struct schedules *t, const char *id);
size_t schedules_open(const struct schedules *t);

/* A place at the end, zeroed; NULL where SCHEDULES_ARMED_MAX are open. Forgets the oldest finished one if need be. */
struct schedule *schedules_add(struct schedules *t);
void schedules_remove(struct schedules *t, struct schedule *s); /* later ones move down */
void schedules_forget_old(struct schedules *t);                 /* finished ones beyond SCHEDULES_KEPT */
