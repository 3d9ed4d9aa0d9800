#include <string.h>

#include "gadget/kept.h"

#define KEPT_VERSION 1

/* ---- when -------------------------------------------------------------------------------------------------------- */

json_t *kept_trigger_json(const struct schedule_trigger *t)
{
    json_t *when = json_object();
    const char *name = schedule_when_names[t->when];
    switch (t->when) {
    case WHEN_AT: json_put_time(when, name, t->at); break;
    case WHEN_AFTER:
    case WHEN_QUIET_FOR: json_put_seconds(when, name, t->span); break;
    case WHEN_HOST_RESETS: json_put_int(when, name, t->resets); break;
    case WHEN_HOST_EJECTED: json_put_flag(when, name, true); break;
    }
    return when;
}

int kept_trigger_read(const json_t *when, msec now, struct schedule_trigger *ret, struct err *e)
{
    char at[CLOCK_TEXT_MAX + 16] = "";
    bool ejected = false;
    struct schedule_trigger t = {0};
    const struct json_member members[] = {
        {.name = "at", .kind = JSON_TEXT, .ret = at, .size = sizeof at},
        {.name = "after", .kind = JSON_DURATION, .ret = &t.span, .max = SCHEDULE_AFTER_MAX},
        {.name = "quiet_for", .kind = JSON_DURATION, .ret = &t.span, .min = SCHEDULE_QUIET_MIN, .max = SCHEDULE_QUIET_MAX},
        {.name = "host_resets", .kind = JSON_NUMBER, .ret = &t.resets, .min = 1, .max = SCHEDULE_RESETS_MAX},
        {.name = "host_ejected", .kind = JSON_FLAG, .ret = &ejected},
    };
    if (json_object_size(when) != 1)
        return err_set(e, ERR_BAD_REQUEST, "\"when\" must have exactly one of \"at\", \"after\", \"quiet_for\", \"host_resets\" and "
                       "\"host_ejected\"");
    if (json_read(when, members, ARRAY_LEN(members), e) < 0) return -1;
    t.when = (enum schedule_when)word_index(schedule_when_names, json_object_iter_key(json_object_iter((json_t *)(uintptr_t)when)));
    if (t.when == WHEN_HOST_EJECTED && !ejected) return err_set(e, ERR_BAD_REQUEST, "\"host_ejected\" must be true");
    if (t.when == WHEN_AT && clock_parse_rfc3339(at, &t.at) < 0)
        return err_set(e, ERR_BAD_REQUEST, "\"at\" is \"%s\", which is no time as in \"2026-11-21T02:10:00Z\"", at);
    if (t.when == WHEN_AT && now && t.at <= now) {
        char text[CLOCK_TEXT_MAX];
        return err_set(e, ERR_BAD_REQUEST, "\"at\" is %s, and it is %s already", at, clock_format_rfc3339(now, text));
    }
    *ret = t;
    return 0;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static json_t *schedule_json(const struct schedule *s, const struct gadget_config *c)
{
    json_t *o = json_object();
    json_put_text(o, "id", s->id);
    json_put_text(o, "drive", c->drives[s->drive].name);
    json_put_text(o, "action", op_action_names[s->action]);
    json_put_text(o, "state", schedule_state_names[s->state]);
    json_put_text(o, "missed", schedule_missed_names[s->missed]);
    json_put_flag(o, "enabled", s->enabled);
    json_put(o, "when", kept_trigger_json(&s->trigger));
    json_put_int(o, "due_boot", s->due_boot);
    json_put_int(o, "due_real", s->due_real);
    json_put_int(o, "resets_seen", s->resets_seen);
    json_put(o, "request", json_incref(s->request));
    json_put_text(o, "by", s->by);
    json_put_int(o, "created_real", s->created_real);
    json_put_int(o, "finished_real", s->finished_real);
    json_put_text(o, "operation", s->operation);
    json_put_flag(o, "operation_ended", s->operation_ended);
    json_put_text(o, "code", s->err.code ? err_name(s->err.code) : NULL);
    json_put_text(o, "detail", s->err.text);
    return o;
}

static json_t *medium_json(const struct kept_medium *m)
{
    json_t *o = json_object();
    json_put_text(o, "store", m->store);
    json_put_text(o, "image", m->image);
    json_put_flag(o, "readonly", m->readonly);
    json_put_text(o, "boot_id", m->boot_id);
    return o;
}

char *kept_write(const struct kept *k, const struct gadget_config *c, const char *boot_id, msec real)
{
    cleanup_json json_t *all = json_object();
    json_t *schedules = json_array(), *media = k->strange_media ? json_copy(k->strange_media) : json_object();
    for (size_t i = 0; i < k->table.len; i++) json_array_append_new(schedules, schedule_json(&k->table.items[i], c));
    if (k->strange_schedules) json_array_extend(schedules, k->strange_schedules);
    for (size_t i = 0; i < c->drives_count; i++)
        if (k->media[i].there) json_put(media, c->drives[i].name, medium_json(&k->media[i]));
    json_put_int(all, "version", KEPT_VERSION);
    json_put_text(all, "boot_id", boot_id);
    json_put_int(all, "newest_real", MAX(k->table.newest_real, real));
    json_put(all, "schedules", schedules);
    json_put(all, "media", media);
    return json_write(all, true);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int find_drive(const struct gadget_config *c, const char *name)
{
    for (size_t i = 0; i < c->drives_count; i++)
        if (strcmp(c->drives[i].name, name) == 0) return (int)i;
    return -1;
}

/* json_text() of a member into a field; false where it does not fit. */
static bool take_text(const json_t *o, const char *name, char *ret, size_t size)
{
    const char *text = json_text(o, name);
    size_t len = strlen(text);
    if (len >= size) return false;
    memcpy(ret, text, len + 1);
    return true;
}

static int read_schedule(const json_t *o, size_t drive, struct schedule *s, struct err *e)
{
    int action = word_index(op_action_names, json_text(o, "action")), state = word_index(schedule_state_names, json_text(o, "state"));
    int missed = word_index(schedule_missed_names, json_text(o, "missed"));
    const json_t *request = json_object_get(o, "request");
    bool fits = take_text(o, "id", s->id, sizeof s->id) && take_text(o, "by", s->by, sizeof s->by) &&
                take_text(o, "operation", s->operation, sizeof s->operation) && take_text(o, "detail", s->err.text, sizeof s->err.text);
    if (!fits || strlen(s->id) != OPERATION_ID_LEN || action < 0 || state < 0 || missed < 0 || !json_is_object(request))
        return err_set(e, ERR_BAD_REQUEST, "the schedule \"%.40s\" makes no sense", json_text(o, "id"));
    if (kept_trigger_read(json_object_get(o, "when"), 0, &s->trigger, e) < 0) return err_prefix(e, "schedule %s", s->id);
    s->drive = drive;
    s->action = (enum op_action)action;
    s->state = (enum schedule_state)state;
    s->missed = (enum schedule_missed)missed;
    s->enabled = json_flag(o, "enabled");
    s->due_boot = json_int(o, "due_boot", 0);
    s->due_real = json_int(o, "due_real", 0);
    s->resets_seen = json_int(o, "resets_seen", 0);
    s->created_real = json_int(o, "created_real", 0);
    s->finished_real = json_int(o, "finished_real", 0);
    s->operation_ended = json_flag(o, "operation_ended");
    s->err.code = json_text(o, "code")[0] ? err_from_name(json_text(o, "code")) : ERR_NONE;
    s->request = json_incref((json_t *)(uintptr_t)request);
    return 0;
}

static int read_schedules(struct kept *k, const struct gadget_config *c, const json_t *list, struct err *e)
{
    size_t i;
    json_t *o;
    int result = 0;
    json_array_foreach(list, i, o) {
        int drive = find_drive(c, json_text(o, "drive"));
        struct schedule s = {0};
        if (drive < 0 && json_is_object(o) && json_array_size(k->strange_schedules) < SCHEDULES_MAX) {
            if (!k->strange_schedules) k->strange_schedules = json_array();
            json_array_append(k->strange_schedules, o);
        } else if (drive < 0 || read_schedule(o, (size_t)drive, &s, e) < 0) {
            if (drive < 0) err_set(e, ERR_BAD_REQUEST, "a schedule names no drive");
            result = 1;
        } else if (k->table.len < SCHEDULES_MAX) {
            k->table.items[k->table.len++] = s;
        } else {
            json_decref(s.request);
            result = 1;
            err_set(e, ERR_BAD_REQUEST, "there are more than %d schedules", SCHEDULES_MAX);
        }
    }
    return result;
}

static int read_media(struct kept *k, const struct gadget_config *c, json_t *media, struct err *e)
{
    const char *name;
    json_t *o;
    int result = 0;
    json_object_foreach(media, name, o) {
        int drive = find_drive(c, name);
        struct kept_medium m = {.there = true, .readonly = json_flag(o, "readonly")};
        if (drive < 0) {
            if (!k->strange_media) k->strange_media = json_object();
            if (json_object_size(k->strange_media) < DRIVES_MAX) json_object_set(k->strange_media, name, o);
        } else if (!take_text(o, "store", m.store, sizeof m.store) || !take_text(o, "image", m.image, sizeof m.image) ||
                   !take_text(o, "boot_id", m.boot_id, sizeof m.boot_id) || !m.image[0]) {
            result = 1;
            err_set(e, ERR_BAD_REQUEST, "the medium of %s makes no sense", name);
        } else if (!k->media[drive].touched) {
            k->media[drive] = m;
        }
    }
    return result;
}

int kept_read(struct kept *k, const struct gadget_config *c, const char *text, size_t len, const char *boot_id,
              const struct schedule_time *now, struct err *e)
{
    cleanup_json json_t *all = json_parse_object(text, len, DURABLE_FILE_MAX, e);
    if (!all) return -1;
    if (json_int(all, "version", 0) != KEPT_VERSION)
        return err_set(e, ERR_BAD_REQUEST, "it is of version %lld, not %d", (long long)json_int(all, "version", 0), KEPT_VERSION);
    if (!json_is_array(json_object_get(all, "schedules")) || !json_is_object(json_object_get(all, "media")))
        return err_set(e, ERR_BAD_REQUEST, "it has no schedules, or no media");
    int schedules = read_schedules(k, c, json_object_get(all, "schedules"), e);
    int media = read_media(k, c, json_object_get(all, "media"), e);
    k->table.newest_real = json_int(all, "newest_real", 0);
    schedules_resume(&k->table, boot_id[0] && strcmp(json_text(all, "boot_id"), boot_id) == 0, now);
    return schedules || media;
}
