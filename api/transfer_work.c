#include "api/transfer_work.h"

#include <string.h>

#include "api/images.h"

static void answer_failed(const json_t *transfer, struct api_response *rs)
{
    struct err e;
    enum err_code code = err_from_name(json_text(transfer, "code"));
    err_set(&e, code == ERR_NONE ? ERR_INTERNAL : code, "%s", json_text(transfer, "detail"));
    json_t *more = json_object();
    json_put_text(more, "transfer", json_text(transfer, "id"));
    api_problem_with(rs, &e, more);
}

void transfer_work_image(const struct api *a, const json_t *transfer, struct api_response *rs)
{
    json_t *image = json_object_get(transfer, "result");
    images_add_location(a, image, rs);
    api_json(rs, 201, json_incref(image));
}

void transfer_work_wait(struct api *a, const struct prefer *prefer, const char *id,
                        void (*done)(const struct api *a, const json_t *transfer, struct api_response *rs),
                        struct api_response *rs)
{
    struct err e;
    struct transfers *transfers = library_transfers(a->library);
    bool at_once = prefer->async && !prefer->wait_given; /* 202 even where it is done by now: scripts count on it */
    int finished = transfers_wait(transfers, id, prefer->wait, &e);
    cleanup_json json_t *transfer = finished < 0 ? NULL : transfers_get(transfers, id, &e);
    if (!transfer) {
        api_problem(rs, &e);
        return;
    }
    if (finished && !at_once) {
        if (strcmp(json_text(transfer, "state"), transfer_state_names[TRANSFER_DONE]) == 0)
            done(a, transfer, rs);
        else
            answer_failed(transfer, rs);
        return;
    }
    api_json(rs, 202, json_incref(transfer));
    api_header(rs, "Location", "/api/v1/transfers/%s", id);
    if (at_once)
        api_header(rs, "Preference-Applied", "respond-async");
    else if (prefer->wait_given)
        api_header(rs, "Preference-Applied", "wait=%lld", (long long)prefer->wait / 1000);
}

void transfer_work_answer(struct api *a, const struct api_request *rq, const char *id,
                          void (*done)(const struct api *a, const json_t *transfer, struct api_response *rs),
                          struct api_response *rs)
{
    const struct prefer prefer = prefer_parse(rq->header(rq, "Prefer"));
    transfer_work_wait(a, &prefer, id, done, rs);
}
