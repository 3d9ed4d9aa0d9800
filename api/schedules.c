/*
 * schedules.c - operations for later. trayd-gadget keeps and fires them; here they are asked for and shown.
 */
#include <string.h>

#include "api/body.h"
#include "api/handlers.h"
#include "api/insert.h"
#include "api/query.h"
#include "gadget/schedule.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 500

/* All of them, newest first. NULL where *rs is already the answer. */
static json_t *all_schedules(struct api *a, struct api_response *rs)
{
    struct err e;
    json_t *request = json_object();
    json_put_text(request, "do", "schedules");
    cleanup_json json_t *ok = gadget_client_call(a->gadget, request, NULL, &e);
    json_t *all = json_object_get(ok, "schedules");
    if (ok && !json_is_array(all)) err_set(&e, ERR_INTERNAL, "trayd-gadget answered without schedules");
    if (!json_is_array(all)) {
        api_problem(rs, &e);
        return NULL;
    }
    return json_incref(all);
}

/* GET /api/v1/schedules */
void api_list_schedules(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    const char *drive = NULL, *state = NULL, *after = NULL;
    int64_t limit = LIMIT_DEFAULT;
    const struct query_param params[] = {
        {.name = "drive", .kind = QUERY_TEXT, .ret = &drive},
        {.name = "state", .kind = QUERY_CHOICE, .ret = &state, .choices = schedule_state_names},
        {.name = "limit", .kind = QUERY_NUMBER, .ret = &limit, .min = 1, .max = LIMIT_MAX},
        {.name = "after", .kind = QUERY_TEXT, .ret = &after},
    };
    if (query_read(rq, params, ARRAY_LEN(params), &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    cleanup_json json_t *all = all_schedules(a, rs);
    if (!all) return;
    json_t *page = json_array(), *s;
    size_t i;
    json_array_foreach(all, i, s) {
        if (after && strcmp(json_text(s, "id"), after) >= 0) continue; /* ids sort by time */
        if (drive && strcmp(json_text(s, "drive"), drive) != 0) continue;
        if (state && strcmp(json_text(s, "state"), state) != 0) continue;
        if (json_array_size(page) <= (size_t)limit) json_array_append(page, s);
    }
    api_json(rs, 200, query_page(page, (size_t)limit, "schedules"));
}

/* GET /api/v1/schedules/{schedule} */
void api_get_schedule(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    cleanup_json json_t *all = all_schedules(a, rs);
    json_t *s;
    size_t i;
    json_array_foreach(all, i, s)
        if (strcmp(json_text(s, "id"), rq->params[0]) == 0) {
            api_json(rs, 200, json_incref(s));
            return;
        }
    if (!all) return;
    err_set(&e, ERR_NOT_FOUND, "There is no schedule \"%.60s\"", rq->params[0]);
    api_problem(rs, &e);
}

/* Sends `request` (taken) and answers with the schedule. */
static void send_request(struct api *a, json_t *request, int status, struct api_response *rs)
{
    struct err e;
    cleanup_json json_t *ok = gadget_client_call(a->gadget, request, NULL, &e);
    json_t *s = json_object_get(ok, "schedule");
    if (ok && !json_is_object(s)) err_set(&e, ERR_INTERNAL, "trayd-gadget answered without a schedule");
    if (!json_is_object(s)) {
        api_problem(rs, &e);
        return;
    }
    api_json(rs, status, json_incref(s));
    if (status == 201) api_header(rs, "Location", "/api/v1/schedules/%s", json_text(s, "id"));
}

/* ---- making one -------------------------------------------------------------------------------------------------- */

static int read_eject(const json_t *body, json_t *request, struct err *e)
{
    char mode[WORD_MAX] = "", on_timeout[WORD_MAX] = "", lock_policy[WORD_MAX] = "";
    msec patience = 0;
    bool allow_collateral = false;
    const struct json_member members[] = {
        {.name = "mode", .kind = JSON_TEXT, .ret = mode, .size = sizeof mode},
        {.name = "patience", .kind = JSON_DURATION, .ret = &patience, .max = PATIENCE_LIMIT},
        {.name = "on_timeout", .kind = JSON_TEXT, .ret = on_timeout, .size = sizeof on_timeout},
        {.name = "lock_policy", .kind = JSON_TEXT, .ret = lock_policy, .size = sizeof lock_policy},
        {.name = "allow_collateral", .kind = JSON_FLAG, .ret = &allow_collateral},
    };
    if (json_read(body, members, ARRAY_LEN(members), e) < 0 || check_word("mode", mode, eject_mode_names, e) < 0 ||
        check_word("on_timeout", on_timeout, on_timeout_names, e) < 0 ||
        check_word("lock_policy", lock_policy, lock_policy_names, e) < 0)
        return -1;
    json_object_update(request, (json_t *)(uintptr_t)body);
    return 0;
}

/* It need not be complete yet, nor be there still when its time comes; but a name that is nowhere is a mistake. */
static int read_insert(struct api *a, const json_t *body, json_t *request, struct err *e)
{
    struct insert in = {0};
    if (insert_read(body, &in, e) < 0) return -1;
    cleanup_json json_t *image = insert_find_image(a, &in, e);
    if (!image) return -1;
    insert_put(request, &in, image);
    return 0;
}

/* Parts the body: what is the schedule's goes into `request`, what is the drive's into `rest`. */
static int part(const json_t *body, json_t *request, json_t *rest, struct err *e)
{
    char drive[64] = "", action[WORD_MAX] = "", missed[WORD_MAX] = "";
    const json_t *when;
    bool enabled;
    const struct json_member members[] = {
        {.name = "drive", .kind = JSON_TEXT, .ret = drive, .size = sizeof drive, .required = true},
        {.name = "action", .kind = JSON_TEXT, .ret = action, .size = sizeof action, .required = true},
        {.name = "when", .kind = JSON_MEMBERS, .ret = &when, .required = true},
        {.name = "missed", .kind = JSON_TEXT, .ret = missed, .size = sizeof missed},
        {.name = "enabled", .kind = JSON_FLAG, .ret = &enabled},
    };
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, name, value) {
        size_t i = 0;
        while (i < ARRAY_LEN(members) && strcmp(members[i].name, name) != 0) i++;
        json_object_set(i < ARRAY_LEN(members) ? request : rest, name, value);
    }
    if (json_read(request, members, ARRAY_LEN(members), e) < 0) return -1;
    if (!action[0]) return err_set(e, ERR_BAD_REQUEST, "\"action\" must be \"insert\" or \"eject\"");
    return check_word("action", action, op_action_names, e);
}

/* POST /api/v1/schedules */
void api_add_schedule(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    cleanup_json json_t *body = body_parse(rq, true, &e);
    cleanup_json json_t *request = json_object(), *rest = json_object();
    int result = body ? part(body, request, rest, &e) : -1;
    bool inserting = strcmp(json_text(request, "action"), op_action_names[OP_INSERT]) == 0;
    if (result == 0) result = inserting ? read_insert(a, rest, request, &e) : read_eject(rest, request, &e);
    if (result < 0) {
        api_problem(rs, &e);
        return;
    }
    json_put_text(request, "do", "schedule_add");
    json_put_text(request, "by", rq->user);
    send_request(a, take_ptr(request), 201, rs);
}

/* ---- changing one ------------------------------------------------------------------------------------------------ */

static json_t *about(const struct api_request *rq, const char *what)
{
    json_t *request = json_object();
    json_put_text(request, "do", what);
    json_put_text(request, "schedule", rq->params[0]);
    json_put_text(request, "by", rq->user);
    return request;
}

/* An id that is longer than any is none. */
static bool is_possible(const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    if (strlen(rq->params[0]) == OPERATION_ID_LEN) return true;
    err_set(&e, ERR_NOT_FOUND, "There is no schedule \"%.60s\"", rq->params[0]);
    api_problem(rs, &e);
    return false;
}

/* PATCH /api/v1/schedules/{schedule} */
void api_change_schedule(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    const json_t *when;
    char missed[WORD_MAX];
    bool enabled;
    const struct json_member members[] = {
        {.name = "when", .kind = JSON_MEMBERS, .ret = &when},
        {.name = "missed", .kind = JSON_TEXT, .ret = missed, .size = sizeof missed},
        {.name = "enabled", .kind = JSON_FLAG, .ret = &enabled},
    };
    cleanup_json json_t *body = body_parse(rq, true, &e);
    if (!body || json_read(body, members, ARRAY_LEN(members), &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    if (!is_possible(rq, rs)) return;
    json_t *request = about(rq, "schedule_change");
    json_object_update(request, body);
    send_request(a, request, 200, rs);
}

/* DELETE /api/v1/schedules/{schedule} */
void api_cancel_schedule(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    if (is_possible(rq, rs)) send_request(a, about(rq, "schedule_cancel"), 200, rs);
}
