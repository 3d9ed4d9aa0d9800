#include "gadget/daemon.h"
#include "gadget/scheduling.h"

/* What an armed one waits for. */
static const char *waits_for(const struct daemon *d, const struct schedule *s, const struct schedule_time *now,
                             const struct schedule_seen *seen)
{
    if (s->state == SCHEDULE_FIRING) return "the disk, before its operation is begun";
    if (s->state != SCHEDULE_ARMED) return NULL;
    if (!s->enabled) return "being enabled";
    switch (s->trigger.when) {
    case WHEN_AT: return schedules_trust(&d->kept.table, now) ? "its time" : "the clock to be set";
    case WHEN_AFTER: return s->due_boot || schedules_trust(&d->kept.table, now) ? "its time" : "the clock to be set";
    case WHEN_QUIET_FOR:
        return !seen->present ? "a medium" : !seen->known ? "what the host does to be seen" : "the host to be quiet";
    case WHEN_HOST_RESETS: return "the host to restart";
    case WHEN_HOST_EJECTED: return "the host to eject";
    }
    return NULL;
}

json_t *schedule_view(const struct daemon *d, const struct schedule *s)
{
    static const char *const members[] = {"mode", "patience", "on_timeout", "lock_policy", "allow_collateral", "image", "store",
                                          "readonly", "swap", "type", "accept_stale_host", "reattach"};
    const struct schedule_time now = scheduling_now();
    const struct schedule_seen seen = scheduling_seen(d, s->drive);
    msec due = schedule_due_at(&d->kept.table, s, &now, &seen);
    json_t *o = json_object();
    for (size_t i = 0; i < ARRAY_LEN(members); i++) { /* as they were given */
        json_t *value = json_object_get(s->request, members[i]);
        if (value) json_object_set(o, members[i], value);
    }
    json_put_text(o, "id", s->id);
    json_put_text(o, "drive", d->config->drives[s->drive].name);
    json_put_text(o, "action", op_action_names[s->action]);
    json_put(o, "when", kept_trigger_json(&s->trigger));
    json_put_text(o, "missed", schedule_missed_names[s->missed]);
    json_put_flag(o, "enabled", s->enabled);
    json_put_text(o, "state", schedule_state_names[s->state]);
    json_put_text(o, "waits_for", waits_for(d, s, &now, &seen));
    json_put_time(o, "next_at", due == MSEC_NEVER ? 0 : now.real + (due - now.boot));
    json_put_int(o, "resets_seen", s->resets_seen);
    json_put_text(o, "by", s->by);
    json_put_time(o, "created_at", s->created_real);
    json_put_time(o, "finished_at", s->finished_real);
    json_put_text(o, "operation", s->operation[0] ? s->operation : NULL);
    json_put_text(o, "code", s->err.code ? err_name(s->err.code) : NULL);
    json_put_text(o, "detail", s->err.text[0] ? s->err.text : NULL);
    return o;
}
