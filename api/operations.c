/*
 * operations.c - the operations on drives: what is under way is asked of the gadget's mirror, the rest lies in the
 * history.
 */
#include <string.h>

#include "api/handlers.h"
#include "api/query.h"
#include "api/work.h"
#include "gadget/mirror.h"
#include "gadget/words.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 500

/* The newest that is known; NULL if it is known nowhere. */
static json_t *find_operation(struct api *a, const char *id)
{
    json_t *operation = gadget_client_operation(a->gadget, id);
    return operation ? operation : a->history.get(a->history.owner, id);
}

static json_t *find_or_answer(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    json_t *operation = find_operation(a, rq->params[0]);
    if (!operation) {
        err_set(&e, ERR_NOT_FOUND, "There is no operation \"%.60s\"", rq->params[0]);
        api_problem(rs, &e);
    }
    return operation;
}

/* The history keeps the state; the steps in between are in the mirror only. */
static void refresh(struct api *a, json_t *page)
{
    size_t i;
    json_t *row;
    json_array_foreach(page, i, row) {
        json_t *newest = gadget_client_operation(a->gadget, json_text(row, "id"));
        if (newest) json_array_set_new(page, i, newest);
    }
}

/* GET /api/v1/operations */
void api_list_operations(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    const char *drive = NULL, *state = NULL, *after = NULL;
    int64_t limit = LIMIT_DEFAULT;
    const struct query_param params[] = {
        {.name = "drive", .kind = QUERY_TEXT, .ret = &drive},
        {.name = "state", .kind = QUERY_CHOICE, .ret = &state, .choices = op_state_names},
        {.name = "limit", .kind = QUERY_NUMBER, .ret = &limit, .min = 1, .max = LIMIT_MAX},
        {.name = "after", .kind = QUERY_TEXT, .ret = &after},
    };
    json_t *page = NULL;
    if (query_read(rq, params, ARRAY_LEN(params), &e) == 0)
        page = a->history.list(a->history.owner, drive, state, (int)limit + 1, after, &e);
    if (!page) {
        api_problem(rs, &e);
        return;
    }
    refresh(a, page);
    api_json(rs, 200, query_page(page, (size_t)limit, "operations"));
}

/* GET /api/v1/operations/{operation} */
void api_get_operation(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    json_t *operation = find_or_answer(a, rq, rs);
    if (operation) api_json(rs, 200, operation);
}

static void change(struct api *a, const struct api_request *rq, struct api_response *rs, const char *order)
{
    bool cancelling = strcmp(order, "cancel") == 0;
    struct err e;
    cleanup_json json_t *operation = find_or_answer(a, rq, rs);
    if (!operation) return;
    const char *state = json_text(operation, "state");
    if (cancelling && strcmp(state, op_state_names[OP_CANCELLED]) == 0) { /* a repeated request */
        api_json(rs, 200, json_incref(operation));
        return;
    }
    if (mirror_is_finished(operation)) {
        err_set(&e, ERR_TOO_LATE, "The operation is %s already", state);
        api_problem(rs, &e);
        return;
    }
    json_t *request = json_object();
    json_put_text(request, "do", order);
    json_put_text(request, "operation", rq->params[0]);
    json_put_text(request, "by", rq->user);
    json_t *changed = work_send(a, request, rs);
    if (changed) work_answer(a, rq, changed, cancelling, rs);
}

/* DELETE /api/v1/operations/{operation} */
void api_cancel_operation(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    change(a, rq, rs, "cancel");
}

/* POST /api/v1/operations/{operation}/force */
void api_force_operation(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    change(a, rq, rs, "force");
}
