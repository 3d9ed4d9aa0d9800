/*
 * transfers.c - what moves bytes now, and what did lately.
 */
#include <string.h>

#include "api/handlers.h"
#include "api/prefer.h"

/* GET /api/v1/transfers */
void api_list_transfers(struct api *a, attr_unused const struct api_request *rq, struct api_response *rs)
{
    library_partial_find(a->library);
    api_json(rs, 200, transfers_list(library_transfers(a->library)));
}

/* GET /api/v1/transfers/{transfer} */
void api_get_transfer(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    json_t *transfer = transfers_get(library_transfers(a->library), rq->params[0], &e);
    if (transfer)
        api_json(rs, 200, transfer);
    else
        api_problem(rs, &e);
}

/* DELETE /api/v1/transfers/{transfer} */
void api_cancel_transfer(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct transfers *t = library_transfers(a->library);
    const char *id = rq->params[0];
    struct err e;
    struct prefer prefer = prefer_parse(rq->header(rq, "Prefer"));
    cleanup_json json_t *before = transfers_get(t, id, &e);
    bool again = before && strcmp(json_text(before, "state"), transfer_state_names[TRANSFER_CANCELLED]) == 0;
    int ended = before && (again || transfers_cancel(t, id, &e) == 0) ? transfers_wait(t, id, prefer.wait, &e) : -1;
    json_t *transfer = ended < 0 ? NULL : transfers_get(t, id, &e);
    if (!transfer) {
        api_problem(rs, &e);
        return;
    }
    if (!ended) api_header(rs, "Location", "/api/v1/transfers/%s", id);
    api_json(rs, ended ? 200 : 202, transfer);
}
