#include "gadget/reannounce.h"

static bool is_harmless(const struct drive *d)
{
    return d->medium.readonly || (d->evidence.known && d->evidence.bytes_written == 0);
}

void reannounce_after_clearing(struct turn *t, enum drive_clearing how)
{
    struct drive *d = t->d;
    if (d->outstanding != DO_NOTHING) d->cleared = MAX(d->cleared, how);
    d->evidence.lock = LOCK_UNKNOWN;
    d->evidence.lock_seen_at = 0;
    t->out->changed = true;
    if (!d->medium.image) return;
    if (how == CLEARED_BY_BREAK) d->broken_at = t->now;
    if (how >= CLEARED_BY_SIGNAL && !d->medium.readonly) d->lock_lost = true;
    if (d->evidence.known && d->evidence.noticed) return;
    d->unannounced = true;
    d->announce_tries = is_harmless(d) ? 0 : REANNOUNCE_TRIES;
    d->announce_at = t->now + REANNOUNCE_AFTER;
}

void reannounce_forget(struct drive *d)
{
    d->lock_lost = d->unannounced = false;
    d->announce_tries = 0;
    d->announce_at = 0;
}

static bool is_wanted(const struct drive *d)
{
    bool at_rest = d->queue_len == 0 || d->queue[0].phase == PHASE_QUEUED;
    return d->unannounced && d->announce_tries < REANNOUNCE_TRIES && d->observed && d->outstanding == DO_NOTHING && at_rest;
}

bool reannounce_is_due(const struct drive *d, msec now)
{
    return is_wanted(d) && now >= d->announce_at;
}

msec reannounce_wake(const struct drive *d)
{
    return is_wanted(d) ? d->announce_at : MSEC_NEVER;
}

void reannounce(struct turn *t)
{
    struct drive *d = t->d;
    if (!is_harmless(d)) { /* the host wrote meanwhile: either it has noticed, or it is too late */
        d->announce_tries = REANNOUNCE_TRIES;
        return;
    }
    d->announce_tries++;
    drive_act(t, DO_ANNOUNCE, NULL);
    t->out->action.image = d->medium.image;
    t->out->action.readonly = d->medium.readonly;
}

void reannounce_result(struct turn *t)
{
    struct drive *d = t->d;
    const struct drive_result *r = &t->ev->result;
    if (!d->unannounced || t->cleared) return; /* another medium is in, or none; or it was in vain */
    t->out->changed = true;
    if (r->outcome == OUTCOME_OK) {
        reannounce_forget(d);
        return;
    }
    d->announce_at = t->now + REANNOUNCE_EVERY;
    if (r->outcome != OUTCOME_BUSY) return;
    d->evidence.lock = LOCK_LOCKED;
    d->evidence.lock_seen_at = t->now;
    d->lock_lost = false; /* the host holds it again, and who asks will hear of it */
}
