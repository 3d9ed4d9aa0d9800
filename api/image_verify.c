/*
 * image_verify.c - the SHA-256 of an image: computed, and compared with what it should be.
 */
#include "api/body.h"
#include "api/handlers.h"
#include "api/images.h"
#include "api/transfer_work.h"
#include "images/stored_digest.h"
#include "images/verify.h"

static void answer_done(attr_unused const struct api *a, const json_t *transfer, struct api_response *rs)
{
    api_json(rs, 200, json_incref((json_t *)(uintptr_t)transfer));
}

/* POST /api/v1/images/{image}/verify */
void api_verify_image(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    char sha256[SHA256_TEXT_MAX] = "", id[TRANSFER_ID_MAX];
    const struct json_member members[] = {{.name = "sha256", .kind = JSON_TEXT, .ret = sha256, .size = sizeof sha256}};
    struct verify_request verify = {.name = rq->params[0], .user = rq->user, .peer = rq->peer};
    cleanup_json json_t *body = body_parse(rq, false, &e);
    int result = body ? json_read(body, members, ARRAY_LEN(members), &e) : -1;
    if (sha256[0]) verify.sha256 = sha256;
    if (result == 0) result = images_store(rq, &verify.store, &e);
    if (result == 0) result = verify_begin(a->library, a->makers.jobs, &verify, id, &e);
    if (result < 0)
        api_problem(rs, &e);
    else
        transfer_work_answer(a, rq, id, answer_done, rs);
}
