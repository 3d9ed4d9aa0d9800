/*
 * stores.c - the directories that hold images.
 */
#include "api/handlers.h"

/* GET /api/v1/stores */
void api_list_stores(struct api *a, attr_unused const struct api_request *rq, struct api_response *rs)
{
    size_t i;
    json_t *store, *stores = library_stores(a->library);
    json_array_foreach(stores, i, store) detach_describe(a->detaches, store);
    api_json(rs, 200, json_pack("{s:o}", "stores", stores));
}

static void answer(struct api *a, struct api_response *rs, json_t *store, const struct err *e)
{
    if (store) detach_describe(a->detaches, store);
    if (store)
        api_json(rs, 200, store);
    else
        api_problem(rs, e);
}

/* GET /api/v1/stores/{store} */
void api_get_store(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    answer(a, rs, library_store(a->library, rq->params[0], &e), &e);
}

/* POST /api/v1/stores/{store}/rescan */
void api_rescan_store(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    answer(a, rs, library_rescan(a->library, rq->params[0], &e), &e);
}
