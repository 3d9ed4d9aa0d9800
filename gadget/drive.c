#include "gadget/drive.h"

#include "gadget/drive_turn.h"
#include "gadget/ladder.h"
#include "gadget/reannounce.h"

void drive_init(struct drive *d, const struct drive_policy *policy)
{
    *d = (struct drive){.policy = *policy, .empty_since = DRIVE_EMPTY_LONG_AGO};
}

void drive_restore(struct drive *d, bool stale_host, msec quarantine_until, uint64_t generation, msec broken_at)
{
    d->broken_at = broken_at;
    d->stale_host = stale_host;
    d->quarantine = quarantine_until != 0;
    d->quarantine_until = quarantine_until;
    d->generation = generation;
}

static void on_link(struct turn *t)
{
    struct drive *d = t->d;
    if (d->attached != t->ev->attached || d->host_present != t->ev->host_present) t->out->changed = true;
    d->attached = t->ev->attached;
    d->host_present = t->ev->host_present;
}

static void on_reenumerated(struct turn *t)
{
    struct drive *d = t->d;
    if (d->stale_host || d->quarantine) t->out->changed = true;
    d->stale_host = d->quarantine = false;
    d->broken_at = 0;
    reannounce_forget(d);
    d->evidence.lock = LOCK_UNKNOWN;
    if (!d->medium.image) d->empty_since = DRIVE_EMPTY_LONG_AGO;
}

/* Counters come from outside; what is known of the lock is the machine's own, learnt by trying. */
static void absorb_evidence(struct drive *d, const struct drive_evidence *seen)
{
    enum lock_state lock = d->evidence.lock;
    msec lock_seen_at = d->evidence.lock_seen_at;
    d->evidence = *seen;
    d->evidence.lock = lock;
    d->evidence.lock_seen_at = lock_seen_at;
}

static void handle(struct turn *t)
{
    struct drive *d = t->d;
    switch (t->ev->kind) {
    case DRIVE_REQUEST: drive_on_request(t); break;
    case DRIVE_RESULT: drive_on_result(t); break;
    case DRIVE_EVIDENCE: break;
    case DRIVE_HINT_CLOSED: d->observe_wanted = true; break;
    case DRIVE_LINK: on_link(t); break;
    case DRIVE_REENUMERATED: on_reenumerated(t); break;
    case DRIVE_CANCEL: drive_on_cancel(t); break;
    case DRIVE_HURRY: drive_on_hurry(t); break;
    case DRIVE_ACCEPT_STALE: d->stale_host = false; break;
    case DRIVE_BREAK: drive_on_break(t); break;
    case DRIVE_CLEARED: reannounce_after_clearing(t, t->ev->cleared); break;
    case DRIVE_HELD: drive_on_held(t); break;
    }
}

void drive_step(struct drive *d, const struct drive_event *ev, msec now, struct drive_output *out)
{
    struct turn t = {.d = d, .ev = ev, .now = now, .out = out};
    *out = (struct drive_output){.wake = MSEC_NEVER};
    absorb_evidence(d, &ev->evidence);
    handle(&t);
    drive_look_at_deadline(&t);
    drive_look_into_force(&t);
    drive_look_into_storage(&t);
    if (d->quarantine && now >= d->quarantine_until) { /* time ends it for read-only media; stale_host stays */
        d->quarantine = false;
        out->changed = true;
    }
    if (d->observe_wanted && d->outstanding == DO_NOTHING) {
        d->observe_wanted = false;
        drive_act(&t, DO_OBSERVE, NULL);
    }
    if (reannounce_is_due(d, now)) reannounce(&t);
    ladder_advance(&t);

    if (d->outstanding != DO_NOTHING && !d->stuck) out->wake = d->outstanding_since + d->policy.stuck_after;
    if (d->quarantine) out->wake = MIN(out->wake, d->quarantine_until);
    out->wake = MIN(out->wake, MIN(reannounce_wake(d), ladder_wake(d)));
    out->wake = MIN(out->wake, MIN(drive_breaks_at(d, now), drive_cuts_at(d, now)));
}
