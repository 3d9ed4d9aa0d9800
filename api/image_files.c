/*
 * image_files.c - what is on a disc.
 */
#include "api/handlers.h"
#include "api/images.h"
#include "api/query.h"
#include "images/disc_files.h"

#define LIMIT_DEFAULT 200

/* GET /api/v1/images/{image}/files */
void api_list_image_files(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    int64_t limit = LIMIT_DEFAULT;
    struct disc_files_query query = {.name = rq->params[0], .path = "", .after = ""};
    const struct query_param params[] = {
        {.name = "path", .kind = QUERY_TEXT, .ret = &query.path},
        {.name = "after", .kind = QUERY_TEXT, .ret = &query.after},
        {.name = "limit", .kind = QUERY_NUMBER, .ret = &limit, .min = 1, .max = DISC_FILES_LIMIT_MAX},
    };
    json_t *json = NULL;
    if (query_read(rq, params, ARRAY_LEN(params), &e) == 0 && images_store(rq, &query.store, &e) == 0) {
        query.limit = (int)limit;
        json = disc_files_list(a->library, &query, &e);
    }
    if (json)
        api_json(rs, 200, json);
    else
        api_problem(rs, &e);
}
