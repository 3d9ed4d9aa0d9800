#include "gadget/schedule_request.h"

#include <string.h>

#include "gadget/request.h"

/* Members of the request to the drive that a schedule may have; the first EJECT_MEMBERS also for an eject. No If-Match
 * and its like: they are about a medium that somebody sees now. */
static const char *const request_members[] = {
    "drive", "mode", "patience", "on_timeout", "lock_policy", "allow_collateral",
    "image", "store", "readonly", "swap", "type", "accept_stale_host", "reattach",
};
#define EJECT_MEMBERS 6

struct wire {
    int64_t id;
    char what[24], action[16], missed[16], schedule[32], by[OPERATION_BY_MAX];
    bool has_missed, has_when, has_enabled;
    const json_t *when;
    bool enabled;
};

static const char *is_request_member(const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(request_members[i], name) == 0) return request_members[i];
    return NULL;
}

#define TEXT(m, ...) {.name = #m, .kind = JSON_TEXT, .ret = w->m, .size = sizeof w->m, __VA_ARGS__}

static int read_wire(const json_t *message, struct wire *w, struct err *e)
{
    const struct json_member members[] = {
        {.name = "id", .kind = JSON_NUMBER, .ret = &w->id, .max = INT64_MAX, .required = true},
        {.name = "do", .kind = JSON_TEXT, .ret = w->what, .size = sizeof w->what, .required = true},
        {.name = "when", .kind = JSON_MEMBERS, .ret = &w->when, .ret_given = &w->has_when},
        {.name = "enabled", .kind = JSON_FLAG, .ret = &w->enabled, .ret_given = &w->has_enabled},
        TEXT(missed, .ret_given = &w->has_missed), TEXT(action), TEXT(schedule), TEXT(by),
    };
    return json_read(message, members, ARRAY_LEN(members), e);
}

static int read_common(const struct wire *w, struct schedule_request *ret, struct err *e)
{
    int missed = w->has_missed ? word_index(schedule_missed_names, w->missed) : MISSED_SKIP;
    if (missed < 0) return err_set(e, ERR_BAD_REQUEST, "\"missed\" is \"%s\"; it must be \"run\" or \"skip\"", w->missed);
    if (strlen(w->schedule) == OPERATION_ID_LEN) memcpy(ret->id, w->schedule, OPERATION_ID_LEN); /* else it is none of ours */
    memcpy(ret->by, w->by[0] ? w->by : "unknown", w->by[0] ? strlen(w->by) : strlen("unknown"));
    ret->missed = (enum schedule_missed)missed;
    ret->has_missed = w->has_missed;
    ret->has_enabled = w->has_enabled;
    ret->enabled = !w->has_enabled || w->enabled;
    ret->has_trigger = w->has_when;
    return w->has_when ? kept_trigger_read(w->when, clock_real_ms(), &ret->trigger, e) : 0;
}

/* Parts the message into what is the schedule's and what is the drive's. */
static int part(const json_t *message, json_t *schedule, json_t *request, size_t allowed, struct err *e)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)message, name, value) {
        const char *known = is_request_member(name, ARRAY_LEN(request_members));
        if (known && !is_request_member(name, allowed))
            return err_set(e, ERR_BAD_REQUEST, "\"%s\" is about an insert, and this is an eject", known);
        json_object_set(known ? request : schedule, name, value);
    }
    return 0;
}

int schedule_request_add(struct daemon *d, const json_t *message, struct schedule_request *ret, struct err *e)
{
    const char *action = json_text(message, "action");
    int which = word_index(op_action_names, action);
    if (which < 0) return err_set(e, ERR_BAD_REQUEST, "\"action\" is \"%.40s\"; it must be \"eject\" or \"insert\"", action);
    cleanup_json json_t *schedule = json_object(), *request = json_object();
    struct wire w = {0};
    *ret = (struct schedule_request){.action = (enum op_action)which};
    if (part(message, schedule, request, which == OP_EJECT ? EJECT_MEMBERS : ARRAY_LEN(request_members), e) < 0) return -1;
    if (read_wire(schedule, &w, e) < 0) return -1;
    if (w.schedule[0]) return err_set(e, ERR_BAD_REQUEST, "\"schedule\" is given by us");
    if (!w.has_when) return err_set(e, ERR_BAD_REQUEST, "\"when\" is missing");
    if (read_common(&w, ret, e) < 0) return -1;

    json_put_text(request, "do", action);
    cleanup_json json_t *trial = json_copy(request);
    struct gadget_request rq;
    json_put_int(trial, "id", 1);
    if (gadget_request_read(d, trial, &rq, e) < 0) return -1;
    ret->drive = rq.drive;
    ret->request = json_incref(request);
    return 0;
}

static int read_small(const json_t *message, struct schedule_request *ret, struct err *e)
{
    struct wire w = {0};
    *ret = (struct schedule_request){0};
    if (read_wire(message, &w, e) < 0) return -1;
    if (w.action[0]) return err_set(e, ERR_BAD_REQUEST, "\"action\" cannot be changed");
    return read_common(&w, ret, e);
}

int schedule_request_change(const json_t *message, struct schedule_request *ret, struct err *e)
{
    if (read_small(message, ret, e) < 0) return -1;
    if (ret->has_trigger || ret->has_missed || ret->has_enabled) return 0;
    return err_set(e, ERR_BAD_REQUEST, "Nothing is to be changed: \"when\", \"missed\" and \"enabled\" can be");
}

int schedule_request_cancel(const json_t *message, struct schedule_request *ret, struct err *e)
{
    return read_small(message, ret, e);
}
