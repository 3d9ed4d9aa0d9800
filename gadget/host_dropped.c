#include "gadget/host_dropped.h"

#include <string.h>

static void note_link(struct host_dropped *h, const struct engine_link *l, msec now)
{
    if (strcmp(l->state, "suspended") == 0) return; /* what is configured stays so */
    if (h->seen && l->configured && !h->configured) h->asked_at = now;
    if (!l->configured) h->asked_at = 0; /* the host begins anew */
    h->seen = true;
    h->configured = l->configured;
}

/* An answer is seen at the first look at which nothing hangs, and was given at some time since the look before. */
static void note_answer(struct host_dropped *h, const struct host_dropped_sight *s, msec now)
{
    if (!h->asked_at) return;
    bool answered = !s->hangs && s->seen_at >= h->asked_at;
    bool late = now - h->asked_at >= HOST_DROPPED_AFTER - (answered ? HOST_DROPPED_DOUBT : 0);
    if (!answered && !late) return;
    h->asked_at = 0;
    h->dropped = late;
}

/* Does the host give commands, now that it can? */
static void note_activity(struct host_dropped *h, const struct host_dropped_sight *s, msec now)
{
    if (s->hangs) {
        host_dropped_disturb(h);
        return;
    }
    if (!h->back_at) h->back_at = now;
    if (h->rested && s->activity != h->activity) h->dropped = false;
    h->rested = s->seen_at >= h->back_at + HOST_DROPPED_REST;
    h->activity = s->activity;
}

bool host_dropped_look(struct host_dropped *h, const struct engine_link *l, const struct host_dropped_sight *s, msec now)
{
    bool was = h->dropped;
    if (!l->bound) {
        *h = (struct host_dropped){.seen = true};
        return was;
    }
    note_link(h, l, now);
    note_answer(h, s, now);
    note_activity(h, s, now);
    return h->dropped != was;
}

void host_dropped_disturb(struct host_dropped *h)
{
    h->back_at = 0;
    h->rested = false;
}
