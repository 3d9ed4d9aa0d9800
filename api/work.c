#include "api/work.h"

#include <string.h>

#include "api/prefer.h"
#include "gadget/mirror.h"
#include "gadget/words.h"

/* What a client should know beside the code: when a quarantine ends stands with the drive. */
static void add_quarantine(struct api *a, const char *drive_name, json_t *more)
{
    cleanup_json json_t *drive = gadget_client_drive(a->gadget, drive_name);
    json_t *until = json_object_get(drive, "quarantine_until");
    if (json_is_string(until) && !json_object_get(more, "quarantine_until"))
        json_object_set(more, "quarantine_until", until);
}

json_t *work_send(struct api *a, json_t *request, struct api_response *rs)
{
    struct err e = {0};
    json_t *problem;
    cleanup_json json_t *drive = json_incref(json_object_get(request, "drive"));
    cleanup_json json_t *ok = gadget_client_call(a->gadget, request, &problem, &e);
    json_t *operation = json_object_get(ok, "operation");
    if (json_text(operation, "id")[0]) return json_incref(operation);

    if (ok) err_set(&e, ERR_INTERNAL, "trayd-gadget answered without an operation");
    if (!problem) problem = json_object();
    if (e.code == ERR_QUARANTINE && json_is_string(drive)) add_quarantine(a, json_string_value(drive), problem);
    api_problem_with(rs, &e, problem);
    return NULL;
}

static void answer_failed(struct api *a, const json_t *operation, struct api_response *rs)
{
    struct err e;
    const char *detail = json_text(operation, "detail");
    enum err_code code = err_from_name(json_text(operation, "code"));
    if (strcmp(json_text(operation, "state"), op_state_names[OP_CANCELLED]) == 0) code = ERR_CANCELLED;
    if (code == ERR_NONE) code = ERR_INTERNAL;
    err_set(&e, code, "%s", detail[0] ? detail : err_title(code));

    json_t *more = json_object();
    json_put_text(more, "operation", json_text(operation, "id"));
    json_put_text(more, "drive", json_text(operation, "drive"));
    json_t *evidence = json_object_get(operation, "evidence");
    if (json_is_object(evidence)) json_object_set(more, "evidence", evidence);
    if (code == ERR_QUARANTINE) add_quarantine(a, json_text(operation, "drive"), more);
    api_problem_with(rs, &e, more);
}

/* It was known when it began: trayd-gadget was restarted, and came back without it. */
static void answer_forgotten(const json_t *operation, struct api_response *rs)
{
    struct err e;
    err_set(&e, ERR_INTERRUPTED, "trayd-gadget was restarted while the operation was under way");
    json_t *more = json_object();
    json_put_text(more, "operation", json_text(operation, "id"));
    json_put_text(more, "drive", json_text(operation, "drive"));
    api_problem_with(rs, &e, more);
}

void work_answer(struct api *a, const struct api_request *rq, json_t *operation, bool cancelling,
                 struct api_response *rs)
{
    struct prefer prefer = prefer_parse(rq->header(rq, "Prefer"));
    const char *id = json_text(operation, "id");
    cleanup_json json_t *begun = operation;
    cleanup_json json_t *now = gadget_client_wait(a->gadget, id, clock_boot_ms() + prefer.wait);
    if (!now) {
        answer_forgotten(begun, rs);
        return;
    }
    const char *state = json_text(now, "state");
    bool cancelled = strcmp(state, op_state_names[OP_CANCELLED]) == 0;
    bool at_once = prefer.async && !prefer.wait_given; /* 202 even where it is done by now: scripts count on it */
    if (mirror_is_finished(now) && !at_once) {
        if (strcmp(state, op_state_names[OP_DONE]) == 0 || (cancelled && cancelling))
            api_json(rs, 200, json_incref(now));
        else
            answer_failed(a, now, rs);
        return;
    }
    api_json(rs, 202, json_incref(now));
    api_header(rs, "Location", "/api/v1/operations/%s", id);
    if (at_once)
        api_header(rs, "Preference-Applied", "respond-async");
    else if (prefer.wait_given)
        api_header(rs, "Preference-Applied", "wait=%lld", (long long)prefer.wait / 1000);
}
