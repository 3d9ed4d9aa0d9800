#include "server/http_request.h"

#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "server/assets.h"
#include "server/http_auth.h"
#include "server/http_raw.h"
#include "server/http_response.h"

#define IDLE_TIMEOUT 75000 /* ms a connection is kept between two requests; browsers give up after 60 to 300 s */
#define UPLOAD_PROGRESS (64 * 1024)      /* that much of an upload must come within each body_timeout */
#define DRAIN_BYTES ((uint64_t)64 << 20) /* of a body that nobody wants, read so that its sender sees the answer, */
#define DRAIN_MS 2000                    /* and for how long */

static const char *const method_names[API_METHODS] = {
    [API_GET] = "GET",     [API_HEAD] = "HEAD",     [API_PUT] = "PUT",         [API_POST] = "POST",
    [API_PATCH] = "PATCH", [API_DELETE] = "DELETE", [API_OPTIONS] = "OPTIONS",
};

static void enter(struct http_request *hr, enum http_phase phase, msec deadline)
{
    http_connection_enter(hr->server->connections, hr->connection, phase, deadline);
}

static struct http_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void *http_request_begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct http_server *s = cls;
    struct http_connection *c = connection_of(mhd);
    struct http_request *hr = c ? calloc(1, sizeof *hr) : NULL;
    if (!hr) return NULL;
    hr->server = s;
    hr->mhd = mhd;
    hr->connection = c;
    enter(hr, HTTP_HEAD, clock_boot_ms() + s->config.header_timeout);
    if (http_target_parse(uri ? uri : "", &hr->target, &hr->target_error) == 0) hr->target_error.code = ERR_NONE;
    return hr;
}

static const char *request_header(const struct api_request *rq, const char *name)
{
    return http_fields_get(&((const struct http_request *)rq->transport)->fields, name);
}

static void interrupt(void *transport, const struct err *e)
{
    const struct http_request *hr = transport;
    http_connection_interrupt(hr->server->connections, hr->connection, e);
}

static enum MHD_Result collect_field(void *cls, enum MHD_ValueKind kind attr_unused, const char *name,
                                     const char *value)
{
    http_fields_add(cls, name, value ? value : "");
    return MHD_YES;
}

/* For clients behind something that knows GET and POST only. What the origin's check and the route see is the method
 * that is meant. */
static const char *method_meant(const struct http_request *hr, const char *name)
{
    const char *override = http_fields_get(&hr->fields, "X-HTTP-Method-Override");
    bool known = override && (strcmp(override, "PATCH") == 0 || strcmp(override, "PUT") == 0 ||
                              strcmp(override, "DELETE") == 0);
    return known && strcmp(name, "POST") == 0 ? override : name;
}

static int find_method(struct http_request *hr, const char *name, struct err *e)
{
    for (int m = 0; m < API_METHODS; m++) {
        if (strcmp(method_names[m], name) != 0) continue;
        hr->rq.method = (enum api_method)m;
        return 0;
    }
    return err_set(e, ERR_NOT_IMPLEMENTED, "\"%.32s\" is not a method that is known here", name);
}

/* All that needs no route. */
static int check_request(struct http_request *hr, const char *method, struct err *e)
{
    if (hr->target_error.code != ERR_NONE) {
        *e = hr->target_error;
        return -1;
    }
    if (find_method(hr, method_meant(hr, method), e) < 0) return -1;
    return http_origin_check(&hr->server->config.origin, hr->rq.method, hr->target.raw, &hr->fields, e);
}

/* NULL: *e says why, and `allow` is the Allow header where it is method_not_allowed. */
static const struct api_route *find_route(struct http_request *hr, char allow[80], struct err *e)
{
    enum err_code code = ERR_NOT_FOUND;
    const struct api_route *r =
        api_match(hr->rq.method, hr->target.segments, hr->target.segments_len, hr->rq.params, allow, &code);
    if (r) return r;
    if (code == ERR_METHOD_NOT_ALLOWED)
        err_set(e, code, "%s does not apply to %.200s", method_names[hr->rq.method], hr->target.raw);
    else
        err_set(e, code, "There is nothing at %.200s", hr->target.raw);
    return NULL;
}

static int check_body(const struct http_request *hr, struct err *e)
{
    const struct api_route *r = hr->route;
    const struct http_body *b = &hr->framing;
    switch (r->body) {
    case API_BODY_NONE:
        return b->present
                   ? err_set(e, ERR_BAD_REQUEST, "%s %.200s takes no body", method_names[hr->rq.method], hr->target.raw)
                   : 0;
    case API_BODY_JSON:
        if (b->present && !http_fields_is_json(&hr->fields)) {
            const char *type = http_fields_get(&hr->fields, "Content-Type");
            return err_set(e, ERR_MEDIA_TYPE, "The Content-Type must be application/json, not \"%.100s\"",
                           type ? type : "");
        }
        if (b->length > (int64_t)r->body_max)
            return err_set(e, ERR_TOO_LARGE, "The body has %lld bytes; at most %zu are accepted here",
                           (long long)b->length, r->body_max);
        return 0;
    case API_BODY_STREAM:
        if (!b->declared && !r->body_optional)
            return err_set(e, ERR_LENGTH_REQUIRED, "Send a Content-Length, or the body in chunks");
        return 0;
    }
    return 0;
}

/* An answer that is given instead of taking the body. */
static enum MHD_Result answer_early(struct http_request *hr, struct api_response *rs)
{
    hr->body_unread = hr->framing.present || hr->closing;
    return (enum MHD_Result)http_response_send(hr, rs);
}

static enum MHD_Result refuse(struct http_request *hr, const struct err *e, const char *allow)
{
    struct api_response rs;
    api_response_init(&rs);
    api_problem(&rs, e);
    if (e->code == ERR_METHOD_NOT_ALLOWED) api_header(&rs, "Allow", "%s", allow);
    return answer_early(hr, &rs);
}

static enum MHD_Result handle(struct http_request *hr)
{
    struct api_response rs;
    api_response_init(&rs);
    enter(hr, HTTP_BUSY, MSEC_NEVER);
    hr->rq.body = hr->json;
    hr->rq.body_len = hr->json_len;
    hr->route->handle(hr->server->api, &hr->rq, &rs);
    return (enum MHD_Result)http_response_send(hr, &rs);
}

/* The body is complete. */
static enum MHD_Result finish(struct http_request *hr)
{
    if (!hr->sink) return handle(hr);
    struct api_response rs;
    api_response_init(&rs);
    enter(hr, HTTP_BUSY, MSEC_NEVER);
    struct api_sink *sink = take_ptr(hr->sink);
    sink->finish(sink, &rs);
    return (enum MHD_Result)http_response_send(hr, &rs);
}

static enum MHD_Result take_body(struct http_request *hr)
{
    if (!hr->framing.present) return finish(hr);
    hr->state = HTTP_REQUEST_TAKING;
    hr->body_deadline = clock_boot_ms() + hr->server->config.body_timeout;
    enter(hr, HTTP_BODY, hr->body_deadline);
    return MHD_YES;
}

static enum MHD_Result open_sink(struct http_request *hr)
{
    struct api_response rs;
    api_response_init(&rs);
    enter(hr, HTTP_BUSY, MSEC_NEVER);
    hr->sink = hr->route->open(hr->server->api, &hr->rq, &rs);
    if (!hr->sink) return answer_early(hr, &rs);
    api_response_done(&rs);
    return take_body(hr);
}

/* Whether the request is good, and what becomes of it. */
static enum MHD_Result decide(struct http_request *hr, const char *method)
{
    struct err e;
    char allow[80] = "";
    struct api_request *rq = &hr->rq;
    if (check_request(hr, method, &e) < 0) return refuse(hr, &e, allow);

    const struct web_asset *asset = assets_find(hr->target.raw);
    if (asset && !hr->framing.present && (rq->method == API_GET || rq->method == API_HEAD))
        return (enum MHD_Result)http_response_asset(hr, asset);
    if (asset) {
        err_set(&e, ERR_METHOD_NOT_ALLOWED, "%s does not apply to %.200s", method_names[rq->method], hr->target.raw);
        return refuse(hr, &e, "GET, HEAD");
    }
    hr->route = find_route(hr, allow, &e);
    if (!hr->route || http_auth_check(&hr->fields, hr->route->role, &rq->user, &e) < 0 ||
        http_target_check_query(&hr->target, hr->route->query, &e) < 0 || check_body(hr, &e) < 0)
        return refuse(hr, &e, allow);

    rq->target = hr->target.raw;
    memcpy(rq->query, hr->target.query, sizeof rq->query);
    rq->query_len = hr->target.query_len;
    rq->header = request_header;
    rq->transport = hr;
    rq->interrupt = interrupt;
    rq->content_length = hr->framing.length;
    rq->peer = hr->connection->peer;
    if (hr->route->body == API_BODY_STREAM) return open_sink(hr);
    return take_body(hr);
}

/* The head is complete. */
static enum MHD_Result begin(struct http_request *hr, const char *method, const char *version)
{
    struct err e;
    MHD_get_connection_values(hr->mhd, MHD_HEADER_KIND, collect_field, &hr->fields);
    if (http_fields_check(&hr->fields, strcmp(version, MHD_HTTP_VERSION_1_1) == 0, &hr->framing, &e) < 0) {
        hr->closing = true; /* who knows where the next request begins */
        return refuse(hr, &e, NULL);
    }
    if (hr->framing.present) return decide(hr, method);
    hr->state = HTTP_REQUEST_WHOLE;
    return MHD_YES;
}

static int take_json(struct http_request *hr, const char *data, size_t len, struct err *e)
{
    size_t max = hr->route->body_max;
    if (len > max - hr->json_len)
        return err_set(e, ERR_TOO_LARGE, "The body has more than the %zu bytes that are accepted here", max);
    if (hr->json_len + len > hr->json_room) {
        size_t room = hr->framing.length >= 0 ? (size_t)hr->framing.length : MIN(max, 2 * (hr->json_len + len));
        char *grown = realloc(hr->json, room + 1);
        if (!grown) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
        hr->json = grown;
        hr->json_room = room;
    }
    memcpy(hr->json + hr->json_len, data, len);
    hr->json_len += len;
    hr->json[hr->json_len] = '\0';
    return 0;
}

/* What writing takes is our time and not the client's. */
static int take_upload(struct http_request *hr, const char *data, size_t len, struct err *e)
{
    msec begin = clock_boot_ms();
    enter(hr, HTTP_BUSY, MSEC_NEVER);
    int result = hr->sink->write(hr->sink, data, len, e);
    msec now = clock_boot_ms();
    hr->body_deadline += now - begin;
    hr->progress += len;
    if (hr->progress >= UPLOAD_PROGRESS) {
        hr->progress = 0;
        hr->body_deadline = now + hr->server->config.body_timeout;
    }
    if (result == 0) enter(hr, HTTP_BODY, hr->body_deadline);
    return result;
}

static void abort_sink(struct http_request *hr)
{
    struct api_sink *sink = take_ptr(hr->sink);
    if (sink) sink->abort(sink);
}

/* libmicrohttpd queues no answer while a body is coming, so this one goes straight to the socket. */
static enum MHD_Result break_off(struct http_request *hr, const struct err *e)
{
    abort_sink(hr);
    enter(hr, HTTP_BUSY, MSEC_NEVER);
    hr->state = HTTP_REQUEST_ANSWERED;
    hr->status = err_status(e->code);
    http_raw_problem(hr->connection->fd, e);
    http_raw_drain(hr->connection->fd, DRAIN_BYTES, DRAIN_MS);
    return MHD_NO;
}

enum MHD_Result http_request_run(void *cls, struct MHD_Connection *mhd, const char *url attr_unused, const char *method,
                                 const char *version, const char *data, size_t *data_len, void **context)
{
    struct http_server *s = cls;
    struct http_request *hr = *context;
    struct err e;
    if (!hr) return MHD_queue_response(mhd, MHD_HTTP_SERVICE_UNAVAILABLE, s->out_of_memory);
    switch (hr->state) {
    case HTTP_REQUEST_NEW: return begin(hr, method, version);
    case HTTP_REQUEST_WHOLE: return decide(hr, method);
    case HTTP_REQUEST_TAKING:
        if (*data_len == 0) return finish(hr);
        if ((hr->sink ? take_upload : take_json)(hr, data, *data_len, &e) < 0) return break_off(hr, &e);
        *data_len = 0;
        return MHD_YES;
    case HTTP_REQUEST_ANSWERED: break;
    }
    *data_len = 0;
    return MHD_YES;
}

void http_request_end(void *cls, struct MHD_Connection *mhd attr_unused, void **context,
                      enum MHD_RequestTerminationCode how)
{
    struct http_server *s = cls;
    struct http_request *hr = *context;
    if (!hr) return;
    *context = NULL;
    abort_sink(hr);
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK && hr->body_unread) {
        shutdown(hr->connection->fd, SHUT_WR);
        http_raw_drain(hr->connection->fd, DRAIN_BYTES, DRAIN_MS);
    }
    log_debug("%s %s %s: %d", hr->connection->peer, hr->state == HTTP_REQUEST_NEW ? "?" : method_names[hr->rq.method],
              hr->target.raw ? hr->target.raw : "?", hr->status);
    enter(hr, how == MHD_REQUEST_TERMINATED_COMPLETED_OK && !atomic_load(&s->stopping) ? HTTP_IDLE : HTTP_BUSY,
          clock_boot_ms() + IDLE_TIMEOUT);
    http_target_done(&hr->target);
    free(hr->json);
    free(hr);
}
