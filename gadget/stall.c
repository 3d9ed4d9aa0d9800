#include "gadget/stall.h"

void stall_note(struct stall *s, const struct stall_look *l, msec now)
{
    bool inside = l->known && l->waiting_for != WAITING_NOTHING;
    bool moved = !s->seen || l->bytes != s->bytes;
    if (!inside)
        s->since = 0;
    else if (moved || !s->since)
        s->since = now;
    s->seen = l->known;
    s->bytes = l->bytes;
    s->waiting_for = l->known ? l->waiting_for : WAITING_UNKNOWN;
    s->flushing = l->flushing;
}

bool stall_is_told(const struct stall *s, msec now)
{
    return s->since && now - s->since >= STALL_TOLD_AFTER;
}

msec stall_patience_until(const struct stall *s, const struct host_profile *p)
{
    return s->since ? s->since + host_patience(p, s->flushing) : 0;
}

msec stall_cut_at(const struct stall *s, const struct host_profile *p)
{
    if (!s->since || s->waiting_for != WAITING_STORAGE) return 0;
    return s->since + MAX(host_cut_after(host_patience(p, s->flushing)), STALL_TOLD_AFTER);
}
