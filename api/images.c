#include "api/images.h"

#include <stdio.h>
#include <string.h>

#include "api/body.h"
#include "api/conditions.h"
#include "api/handlers.h"
#include "api/query.h"
#include "base/parse.h"
#include "images/note.h"
#include "api/uri.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000

static const char *const sort_names[] = {"name", "-name", "size", "-size", "modified", "-modified", NULL};

int images_store(const struct api_request *rq, const char **ret, struct err *e)
{
    *ret = "";
    const struct query_param params[] = {{.name = "store", .kind = QUERY_TEXT, .ret = ret}};
    return query_read(rq, params, ARRAY_LEN(params), e);
}

int images_if_match(struct api *a, const struct api_request *rq, const char *store, const char *name,
                    char ret_etag[80], struct err *e)
{
    struct etag_list list;
    struct library_content content;
    const char *header = rq->header(rq, "If-Match");
    ret_etag[0] = '\0';
    if (!header) return 0;
    if (etag_list_parse("If-Match", header, &list, e) < 0) return -1;
    if (list.any || list.only[0]) {
        snprintf(ret_etag, 80, "%s", list.any ? "*" : list.only);
        return 0;
    }
    if (library_content_open(a->library, store, name, &content, e) < 0) {
        if (e->code == ERR_NOT_FOUND || e->code == ERR_IMAGE_MISSING) e->code = ERR_PRECONDITION;
        return -1;
    }
    close(content.fd);
    if (!content.etag[0]) return err_set(e, ERR_IMAGE_IN_USE, "\"%s\" is writable in a drive", name);
    if (!etag_list_has(header, content.etag, false))
        return err_set(e, ERR_PRECONDITION, "The ETag of \"%s\" is %s", name, content.etag);
    snprintf(ret_etag, 80, "%s", content.etag);
    return 0;
}

int images_usage_known(struct api *a, struct err *e)
{
    cleanup_json json_t *drives = gadget_client_drives(a->gadget);
    if (drives) return 0;
    return err_set(e, ERR_UNAVAILABLE,
                   "Nobody knows whether the image is in a drive: trayd-gadget was not reached since the start");
}

void images_add_location(const struct api *a, const json_t *image, struct api_response *rs)
{
    const char *store = json_text(image, "store");
    cleanup_free char *name = uri_encode(json_text(image, "name"), false);
    cleanup_free char *where = uri_encode(store, true);
    if (!name || !where) return;
    if (strcmp(store, a->default_store) == 0)
        api_header(rs, "Location", "/api/v1/images/%s", name);
    else
        api_header(rs, "Location", "/api/v1/images/%s?store=%s", name, where);
}

/* GET /api/v1/images */
void api_list_images(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    struct library_query query = {0};
    int64_t limit = LIMIT_DEFAULT;
    const struct query_param params[] = {
        {.name = "store", .kind = QUERY_TEXT, .ret = &query.store},
        {.name = "q", .kind = QUERY_TEXT, .ret = &query.search},
        {.name = "sort", .kind = QUERY_CHOICE, .ret = &query.sort, .choices = sort_names},
        {.name = "limit", .kind = QUERY_NUMBER, .ret = &limit, .min = 1, .max = LIMIT_MAX},
        {.name = "after", .kind = QUERY_TEXT, .ret = &query.after},
    };
    json_t *page = NULL;
    if (query_read(rq, params, ARRAY_LEN(params), &e) == 0) {
        query.limit = (int)limit;
        page = library_list(a->library, &query, &e);
    }
    if (page)
        api_json(rs, 200, page);
    else
        api_problem(rs, &e);
}

/* GET /api/v1/images/{image} */
void api_get_image(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    const char *store;
    json_t *image = NULL;
    if (images_store(rq, &store, &e) == 0) image = library_get(a->library, store, rq->params[0], &e);
    if (image)
        api_json(rs, 200, image);
    else
        api_problem(rs, &e);
}

/* null and absent differ: a note that is null is removed. */
static int read_edit(const struct api_request *rq, char name[NAME_BYTES_MAX + 1], char note[NOTE_BYTES_MAX + 1],
                     bool *readonly, struct library_edit *ret, struct err *e)
{
    bool unclean = false, has_unclean = false, has_name = false, has_note = false, has_readonly = false;
    const struct json_member members[] = {
        {.name = "name", .kind = JSON_TEXT, .ret = name, .size = NAME_BYTES_MAX + 1, .ret_given = &has_name},
        {.name = "note", .kind = JSON_TEXT, .ret = note, .size = NOTE_BYTES_MAX + 1, .ret_given = &has_note},
        {.name = "readonly", .kind = JSON_FLAG, .ret = readonly, .ret_given = &has_readonly},
        {.name = "unclean", .kind = JSON_FLAG, .ret = &unclean, .ret_given = &has_unclean},
    };
    cleanup_json json_t *body = body_parse(rq, true, e);
    if (!body) return -1;
    bool removes_note = json_is_null(json_object_get(body, "note"));
    if (removes_note) json_object_set_new(body, "note", json_string(""));
    if (json_read(body, members, ARRAY_LEN(members), e) < 0) return -1;
    if (unclean) return err_set(e, ERR_BAD_REQUEST, "\"unclean\" can only be taken away, with false");
    *ret = (struct library_edit){
        .name = has_name ? name : NULL, .note = has_note ? note : NULL, .readonly = has_readonly ? readonly : NULL,
        .acknowledge = has_unclean};
    return 0;
}

/* PATCH /api/v1/images/{image} */
void api_edit_image(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    struct library_edit edit;
    const char *store;
    char name[NAME_BYTES_MAX + 1], note[NOTE_BYTES_MAX + 1], etag[80];
    bool readonly = false;
    json_t *image = NULL;
    if (images_store(rq, &store, &e) == 0 && read_edit(rq, name, note, &readonly, &edit, &e) == 0 &&
        (!edit.name || images_usage_known(a, &e) == 0) &&
        images_if_match(a, rq, store, rq->params[0], etag, &e) == 0) {
        edit.if_match = etag[0] ? etag : NULL;
        image = library_edit_image(a->library, store, rq->params[0], &edit, &e);
    }
    if (image && edit.acknowledge) rs->flag = "acknowledged";
    if (image)
        api_json(rs, 200, image);
    else
        api_problem(rs, &e);
}

/* DELETE /api/v1/images/{image} */
void api_delete_image(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    const char *store, *name = rq->params[0];
    char etag[80];
    if (images_store(rq, &store, &e) < 0 || images_usage_known(a, &e) < 0 ||
        images_if_match(a, rq, store, name, etag, &e) < 0 ||
        library_delete(a->library, store, name, etag[0] ? etag : NULL, &e) < 0)
        api_problem(rs, &e);
    else
        rs->status = 204;
}
