#include "gadget/host_resets.h"

#include <string.h>

static void expect(struct host_resets *r, bool bound, msec now)
{
    *r = (struct host_resets){.bound = bound, .expected = bound, .bound_at = now};
}

bool host_resets_look(struct host_resets *r, const struct engine_link *l, bool ours, msec now)
{
    bool asleep = strcmp(l->state, "suspended") == 0;
    if (!l->bound || !r->bound) {
        bool first = l->bound && !r->bound && !ours && !r->bound_at;
        expect(r, l->bound, now);
        r->left = l->bound && !l->configured && !asleep;
        if (first) { /* it was so before we came */
            r->expected = false;
            r->configured = l->configured || asleep;
        }
        return false;
    }
    if (r->expected && !l->configured && !asleep) r->left = true;
    if (r->expected && l->configured && (r->left || now - r->bound_at >= HOST_RESETS_SETTLE)) {
        r->expected = false;
        r->configured = true;
    }
    if (r->expected || asleep) return false;
    bool lost = r->configured && !l->configured;
    r->configured = l->configured;
    return lost && !ours;
}
