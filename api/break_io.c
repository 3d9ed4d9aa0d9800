/*
 * break_io.c - the operator's "let go, now": interrupts what the host's command in flight waits for.
 */
#include "api/body.h"
#include "api/handlers.h"

/* POST /api/v1/drives/{drive}/break-io */
void api_break_io(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    char then[16] = "nothing";
    const struct json_member members[] = {
        {.name = "then", .kind = JSON_TEXT, .ret = then, .size = sizeof then},
    };
    cleanup_json json_t *body = body_parse(rq, false, &e);
    if (!body || json_read(body, members, ARRAY_LEN(members), &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    json_t *request = json_object(), *problem;
    json_put_text(request, "do", "break");
    json_put_text(request, "drive", rq->params[0]);
    json_put_text(request, "then", then);
    json_put_text(request, "by", rq->user);
    json_t *ok = gadget_client_call(a->gadget, request, &problem, &e);
    if (ok)
        api_json(rs, 200, ok);
    else
        api_problem_with(rs, &e, problem);
}
