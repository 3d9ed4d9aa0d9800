/*
 * image_content.c - the bytes of an image: whole, or one range of them.
 */
#include <string.h>

#include "api/conditions.h"
#include "api/handlers.h"
#include "api/images.h"
#include "api/range.h"
#include "api/uri.h"

/* A date is a strong validator only when the content cannot have changed twice within its second. */
#define DATE_IS_STRONG_AFTER 60000 /* ms; RFC 9110, 8.8.2.2 */

/* If-Range: may a part be served, or has the content changed since the client got the first part? */
static bool range_applies(const char *if_range, const struct library_content *content)
{
    msec date;
    if (!if_range) return true;
    if (content->etag[0] && if_range[0] == '"') return strcmp(if_range, content->etag) == 0;
    return content->etag[0] && http_date_parse(if_range, &date) == 0 && date == content->modified / 1000 * 1000 &&
           clock_real_ms() - content->modified > DATE_IS_STRONG_AFTER;
}

static void add_headers(struct api_response *rs, const struct library_content *content, const char *name)
{
    char date[HTTP_DATE_MAX];
    cleanup_free char *encoded = uri_encode(name, false);
    api_header(rs, "Accept-Ranges", "bytes");
    api_header(rs, "Cache-Control", "no-cache");
    if (encoded) api_header(rs, "Content-Disposition", "attachment; filename*=UTF-8''%s", encoded);
    if (!content->etag[0]) return; /* the host may be writing: there is nothing to validate by */
    api_header(rs, "ETag", "%s", content->etag);
    api_header(rs, "Last-Modified", "%s", http_date_format(content->modified, date));
}

static void serve(struct api_response *rs, const struct api_request *rq, const char *name,
                  struct library_content *content)
{
    const char *header = range_applies(rq->header(rq, "If-Range"), content) ? rq->header(rq, "Range") : NULL;
    struct range range = range_parse(header, content->size);
    if (range.kind == RANGE_UNSATISFIABLE) {
        struct err e;
        err_set(&e, ERR_RANGE, "\"%s\" has %llu bytes; '%.80s' begins behind them", name,
                (unsigned long long)content->size, header);
        close(content->fd);
        api_problem(rs, &e);
        api_header(rs, "Content-Range", "bytes */%llu", (unsigned long long)content->size);
        return;
    }
    rs->status = range.kind == RANGE_PART ? 206 : 200;
    rs->content_type = "application/octet-stream";
    rs->fd = content->fd;
    rs->fd_offset = range.first;
    rs->fd_length = range.length;
    add_headers(rs, content, name);
    if (range.kind == RANGE_PART)
        api_header(rs, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                   (unsigned long long)(range.first + range.length - 1), (unsigned long long)content->size);
}

/* GET /api/v1/images/{image}/content */
void api_get_image_content(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    struct library_content content;
    const char *store, *name = rq->params[0];
    if (images_store(rq, &store, &e) < 0 || library_content_open(a->library, store, name, &content, &e) < 0) {
        api_problem(rs, &e);
        return;
    }
    const struct conditions conditions = {
        .if_match = rq->header(rq, "If-Match"),
        .if_none_match = rq->header(rq, "If-None-Match"),
        .if_modified_since = rq->header(rq, "If-Modified-Since"),
        .if_unmodified_since = rq->header(rq, "If-Unmodified-Since"),
    };
    msec modified = content.etag[0] ? content.modified : 0;
    int verdict = conditions_check(&conditions, content.etag, modified, &e);
    if (verdict == CONDITIONS_HOLD) {
        serve(rs, rq, name, &content);
        return;
    }
    close(content.fd);
    if (verdict == CONDITIONS_UNCHANGED) {
        rs->status = 304;
        add_headers(rs, &content, name);
        return;
    }
    if (verdict == CONDITIONS_FAIL)
        err_set(&e, ERR_PRECONDITION, "The content of \"%s\" has changed", name);
    api_problem(rs, &e);
}

/* HEAD /api/v1/images/{image}/content: the transport leaves the bytes out. */
void api_head_image_content(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    api_get_image_content(a, rq, rs);
}
