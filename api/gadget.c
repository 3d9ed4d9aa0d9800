/*
 * gadget.c - orders to the gadget as a whole.
 */
#include <string.h>

#include "api/body.h"
#include "api/handlers.h"
#include "api/system.h"

static void order(struct api *a, const struct api_request *rq, struct api_response *rs, const char *what)
{
    struct err e;
    bool allow_collateral = false;
    const struct json_member members[] = {
        {.name = "allow_collateral", .kind = JSON_FLAG, .ret = &allow_collateral},
    };
    cleanup_json json_t *body = body_parse(rq, false, &e);
    if (!body || json_read(body, members, ARRAY_LEN(members), &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    json_t *request = json_object(), *problem;
    json_put_text(request, "do", "gadget");
    json_put_text(request, "order", what);
    if (allow_collateral) json_put_flag(request, "allow_collateral", true);
    json_put_text(request, "by", rq->user);
    cleanup_json json_t *ok = gadget_client_call(a->gadget, request, &problem, &e);
    if (!ok) {
        api_problem_with(rs, &e, problem);
        return;
    }
    api_json(rs, 200, system_describe(a, json_object_get(ok, "system")));
}

/* POST /api/v1/gadget/reattach */
void api_reattach_gadget(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    order(a, rq, rs, "reattach");
}

/* POST /api/v1/gadget/attach */
void api_attach_gadget(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    order(a, rq, rs, "attach");
}

/* POST /api/v1/gadget/detach */
void api_detach_gadget(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    order(a, rq, rs, "detach");
}

/* POST /api/v1/gadget/rebuild */
void api_rebuild_gadget(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    order(a, rq, rs, "rebuild");
}
