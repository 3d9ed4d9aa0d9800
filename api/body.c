#include "api/body.h"

#include <string.h>
#include <strings.h>

static bool is_json(const char *content_type)
{
    size_t len = strcspn(content_type, "; \t");
    return len == strlen("application/json") && strncasecmp(content_type, "application/json", len) == 0;
}

json_t *body_parse(const struct api_request *rq, bool required, struct err *e)
{
    if (!rq->body_len && !required) return json_object();
    if (!rq->body_len) {
        err_set(e, ERR_BAD_REQUEST, "A body is needed: a JSON object");
        return NULL;
    }
    const char *type = rq->header(rq, "Content-Type");
    if (type && !is_json(type)) {
        err_set(e, ERR_MEDIA_TYPE, "The body is declared as '%.80s'", type);
        return NULL;
    }
    return json_parse_object(rq->body, rq->body_len, rq->body_len, e);
}
