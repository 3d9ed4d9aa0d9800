#include "api/audit.h"

#include "api/handlers.h"
#include "api/query.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 500

static json_t *entry(const char *kind, const char *what, const char *target)
{
    json_t *o = json_object();
    json_put_time(o, "at", clock_real_ms());
    json_put_text(o, "kind", kind);
    json_put_text(o, "what", what);
    json_put_text(o, "target", target);
    return o;
}

/* NULL for an empty one: json_put_text() then says null. */
static const char *text_or_null(const json_t *o, const char *name)
{
    const char *text = o ? json_text(o, name) : "";
    return text[0] ? text : NULL;
}

static void add(const struct api *a, json_t *o)
{
    a->audit.add(a->audit.owner, json_text(o, "by"), o);
    json_decref(o);
}

/* An answer is an operation, or has one as a member (a break), or names one by its id (a problem). */
static const char *operation_of(const json_t *answer)
{
    const json_t *member = json_object_get(answer, "operation");
    if (json_is_object(member)) return text_or_null(member, "id");
    bool is_one = json_object_get(answer, "steps"); /* a schedule has a drive and an action as well */
    return text_or_null(answer, is_one ? "id" : "operation");
}

void audit_request(struct api *a, const struct api_request *rq, const struct api_route *route, const struct api_response *rs)
{
    json_t *o = entry("request", route->operation, rq->target);
    json_put_text(o, "by", rq->user);
    json_put_text(o, "from", rq->peer);
    json_put_int(o, "status", rs->status);
    json_put_text(o, "outcome", rs->status >= 400 ? "refused" : rs->status == 202 ? "under way" : "done");
    json_put_text(o, "code", rs->status >= 400 ? text_or_null(rs->json, "code") : NULL);
    json_put_text(o, "operation", operation_of(rs->json));
    json_put(o, "drive", NULL);
    json_put(o, "image", NULL);
    json_put(o, "flags", rs->flag ? json_pack("[s]", rs->flag) : json_array());
    add(a, o);
}

/* What a reader must not miss: each is a member of an operation that is true or false. */
static json_t *flags_of(const json_t *operation)
{
    static const char *const names[] = {"forced",     "lock_overridden", "broke_io",  "raced_with_write",
                                        "stale_host", "reattached",      "unchanged", "storage_cut"};
    json_t *flags = json_array();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (json_flag(operation, names[i])) json_array_append_new(flags, json_string(names[i]));
    if (json_is_false(json_object_get(operation, "durable"))) json_array_append_new(flags, json_string("not_durable"));
    const char *unclean = json_text(json_object_get(operation, "taken"), "unclean");
    if (*unclean) json_array_append_new(flags, json_string("unclean"));
    return flags;
}

void audit_operation(const struct api *a, const json_t *operation)
{
    json_t *o = entry("operation", json_text(operation, "action"), NULL);
    json_put_text(o, "by", text_or_null(operation, "by"));
    json_put_text(o, "from", NULL);
    json_put(o, "status", NULL);
    json_put_text(o, "outcome", json_text(operation, "state"));
    json_put_text(o, "code", text_or_null(operation, "code"));
    json_put_text(o, "operation", text_or_null(operation, "id"));
    json_put_text(o, "drive", text_or_null(operation, "drive"));
    json_put_text(o, "image", text_or_null(operation, "image"));
    json_put(o, "flags", flags_of(operation));
    add(a, o);
}

void audit_host_ejected(const struct api *a, const json_t *event)
{
    json_t *o = entry("host", "eject", NULL);
    json_put_text(o, "by", NULL);
    json_put_text(o, "from", NULL);
    json_put(o, "status", NULL);
    json_put_text(o, "outcome", "done");
    json_put_text(o, "code", NULL);
    json_put_text(o, "operation", NULL);
    json_put_text(o, "drive", text_or_null(event, "drive"));
    json_put_text(o, "image", text_or_null(event, "image"));
    json_put(o, "flags", json_array());
    add(a, o);
}

/* GET /api/v1/audit */
void api_list_audit(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    const char *by = NULL, *after = NULL;
    int64_t limit = LIMIT_DEFAULT;
    const struct query_param params[] = {
        {.name = "by", .kind = QUERY_TEXT, .ret = &by},
        {.name = "limit", .kind = QUERY_NUMBER, .ret = &limit, .min = 1, .max = LIMIT_MAX},
        {.name = "after", .kind = QUERY_TEXT, .ret = &after},
    };
    json_t *page = NULL;
    if (query_read(rq, params, ARRAY_LEN(params), &e) == 0) page = a->audit.list(a->audit.owner, by, (int)limit + 1, after, &e);
    if (!page) {
        api_problem(rs, &e);
        return;
    }
    api_json(rs, 200, query_page(page, (size_t)limit, "entries"));
}
