/*
 * drives.c - drives and their media.
 */
#include <stdio.h>
#include <string.h>

#include "api/body.h"
#include "api/conditions.h"
#include "api/handlers.h"
#include "api/insert.h"
#include "api/query.h"
#include "api/work.h"
#include "gadget/words.h"

static bool is_reachable(struct api *a, struct api_response *rs)
{
    struct err e;
    if (gadget_client_connected(a->gadget)) return true;
    err_set(&e, ERR_UNAVAILABLE, "trayd-gadget, which owns the drives, cannot be reached");
    api_problem(rs, &e);
    return false;
}

/* NULL where *rs is already the answer. */
static json_t *find_drive(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    if (!is_reachable(a, rs)) return NULL;
    json_t *drive = gadget_client_drive(a->gadget, rq->params[0]);
    if (!drive) {
        err_set(&e, ERR_NOT_FOUND, "There is no drive \"%.60s\"", rq->params[0]);
        api_problem(rs, &e);
    }
    return drive;
}

/* GET /api/v1/drives */
void api_list_drives(struct api *a, attr_unused const struct api_request *rq, struct api_response *rs)
{
    if (is_reachable(a, rs)) api_json(rs, 200, json_pack("{s:o}", "drives", gadget_client_drives(a->gadget)));
}

/* GET /api/v1/drives/{drive} */
void api_get_drive(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    json_t *drive = find_drive(a, rq, rs);
    if (drive) api_json(rs, 200, drive);
}

/* GET /api/v1/drives/{drive}/medium */
void api_get_medium(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    cleanup_json json_t *drive = find_drive(a, rq, rs);
    if (!drive) return;
    json_t *medium = json_object_get(drive, "medium");
    const char *etag = json_text(medium, "etag");
    if (!json_is_object(medium)) {
        err_set(&e, ERR_NO_MEDIUM, "There is no medium in %s", json_text(drive, "name"));
        api_problem(rs, &e);
        return;
    }
    const struct conditions conditions = {.if_match = rq->header(rq, "If-Match"),
                                          .if_none_match = rq->header(rq, "If-None-Match")};
    int verdict = conditions_check(&conditions, etag, 0, &e);
    if (verdict == CONDITIONS_FAIL) err_set(&e, ERR_PRECONDITION, "The medium's ETag is %s", etag);
    if (verdict < 0 || verdict == CONDITIONS_FAIL)
        api_problem(rs, &e);
    else if (verdict == CONDITIONS_UNCHANGED)
        rs->status = 304;
    else
        api_json(rs, 200, json_incref(medium));
    if (verdict == CONDITIONS_UNCHANGED || verdict == CONDITIONS_HOLD) api_header(rs, "ETag", "%s", etag);
}

/* ---- eject and insert ---- */

/*
 * Puts If-Match and If-None-Match into the request to trayd-gadget. They are judged here, by the medium that the
 * client could see, and again there when the operation's turn has come. Returns 0, or -1 with *e.
 */
static int add_conditions(const struct api_request *rq, const json_t *drive, json_t *request, struct err *e)
{
    struct etag_list list;
    const char *if_match = rq->header(rq, "If-Match"), *if_none_match = rq->header(rq, "If-None-Match");
    const json_t *medium = json_object_get(drive, "medium");
    const char *etag = json_text(medium, "etag");
    if (if_match) {
        if (etag_list_parse("If-Match", if_match, &list, e) < 0) return -1;
        if (!json_is_object(medium))
            return err_set(e, ERR_PRECONDITION, "There is no medium in %s", json_text(drive, "name"));
        if (!etag_list_has(if_match, etag, false))
            return err_set(e, ERR_PRECONDITION, "The medium's ETag is %s", etag);
        if (!list.any) json_put_text(request, "if_match", etag);
    }
    if (if_none_match) {
        if (etag_list_parse("If-None-Match", if_none_match, &list, e) < 0) return -1;
        if (list.any)
            json_put_flag(request, "if_empty", true);
        else if (json_is_object(medium) && etag_list_has(if_none_match, etag, true))
            return err_set(e, ERR_PRECONDITION, "The medium's ETag is %s", etag);
    }
    return 0;
}

static json_t *insert_request(const struct api_request *rq, const struct insert *in, const json_t *image)
{
    json_t *request = json_object();
    json_put_text(request, "do", "insert");
    json_put_text(request, "drive", rq->params[0]);
    insert_put(request, in, image);
    json_put_text(request, "by", rq->user);
    return request;
}

/* trayd-gadget looks at the file again itself; this is for the better answer. */
static json_t *find_complete_image(struct api *a, const struct insert *in, struct err *e)
{
    json_t *image = insert_find_image(a, in, e);
    if (!image || json_flag(image, "complete")) return image;
    json_decref(image);
    err_set(e, ERR_IMAGE_INCOMPLETE, "\"%s\" is still being received", in->image);
    return NULL;
}

/* PUT /api/v1/drives/{drive}/medium */
void api_put_medium(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    struct insert in = {0};
    cleanup_json json_t *drive = find_drive(a, rq, rs);
    if (!drive) return;
    cleanup_json json_t *body = body_parse(rq, true, &e);
    if (!body || insert_read(body, &in, &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    cleanup_json json_t *image = find_complete_image(a, &in, &e);
    cleanup_json json_t *request = image ? insert_request(rq, &in, image) : NULL;
    if (!image || add_conditions(rq, drive, request, &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    /* A delete looks for users of the image under the same lock: it sees this operation, or comes before it. */
    library_use_lock(a->library);
    bool may = library_may_use(a->library, in.store, &e) == 0; /* its store may have begun to leave meanwhile */
    json_t *operation = may ? work_send(a, take_ptr(request), rs) : NULL;
    library_use_unlock(a->library);
    if (!may) api_problem(rs, &e);
    if (operation) work_answer(a, rq, operation, false, rs);
}

/* DELETE /api/v1/drives/{drive}/medium */
void api_delete_medium(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    const char *mode = NULL, *on_timeout = NULL, *lock_policy = NULL;
    msec patience = 0;
    bool has_patience = false, allow_collateral = false;
    const struct query_param params[] = {
        {.name = "mode", .kind = QUERY_CHOICE, .ret = &mode, .choices = eject_mode_names},
        {.name = "patience", .kind = QUERY_DURATION, .ret = &patience, .max = PATIENCE_LIMIT, .ret_given = &has_patience},
        {.name = "on_timeout", .kind = QUERY_CHOICE, .ret = &on_timeout, .choices = on_timeout_names},
        {.name = "lock_policy", .kind = QUERY_CHOICE, .ret = &lock_policy, .choices = lock_policy_names},
        {.name = "allow_collateral", .kind = QUERY_FLAG, .ret = &allow_collateral},
    };
    cleanup_json json_t *drive = find_drive(a, rq, rs);
    if (!drive) return;
    cleanup_json json_t *request = json_object();
    if (query_read(rq, params, ARRAY_LEN(params), &e) < 0 || add_conditions(rq, drive, request, &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    json_put_text(request, "do", "eject");
    json_put_text(request, "drive", rq->params[0]);
    put_given_text(request, "mode", mode);
    put_given_text(request, "on_timeout", on_timeout);
    put_given_text(request, "lock_policy", lock_policy);
    put_given_flag(request, "allow_collateral", allow_collateral);
    if (has_patience) json_put_seconds(request, "patience", patience);
    json_put_text(request, "by", rq->user);
    json_t *operation = work_send(a, take_ptr(request), rs);
    if (operation) work_answer(a, rq, operation, false, rs);
}
