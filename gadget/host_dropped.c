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

bool host_dropped_look(struct host_dropped *h, const struct engine_link *l, msec hangs_since, msec moved_at, msec now)
{
    bool was = h->dropped;
    if (!l->bound) {
        *h = (struct host_dropped){.seen = true};
        return was;
    }
    note_link(h, l, now);
    if (h->asked_at && (!hangs_since || hangs_since > h->asked_at)) {
        h->asked_at = 0;
        h->dropped = false;
    } else if (h->asked_at && now - h->asked_at >= HOST_DROPPED_AFTER) {
        h->asked_at = h->back_at = 0;
        h->dropped = true;
    }
    if (hangs_since)
        h->back_at = 0;
    else if (!h->back_at)
        h->back_at = now;
    if (h->dropped && h->back_at && moved_at > h->back_at + HOST_DROPPED_REST) h->dropped = false;
    return h->dropped != was;
}
