#include "server/http_response.h"

#include <poll.h>
#include <string.h>

#include "api/conditions.h"
#include "server/assets.h"
#include "server/http_request.h"

#define STREAM_PIECE 16384 /* of server-sent events; one is some hundred bytes */

const struct api_pair http_response_always[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {0},
};

/* Whoever opens an image's content or an answer of the API in a tab gets nothing that could run. */
#define POLICY_API "default-src 'none'; frame-ancestors 'none'; sandbox"
#define POLICY_UI                                                                                                  \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "          \
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"

static const char out_of_memory_body[] =
    "{\"type\":\"/problems/unavailable\",\"title\":\"The service is not able to do this now\",\"status\":503,"
    "\"detail\":\"Out of memory\",\"code\":\"unavailable\",\"remedy\":\"Try again in a moment.\"}";

struct streaming {
    struct api_stream *stream;
    struct http_server *server;
    int fd;
};

static bool peer_is_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* Blocks until there is something: to return 0 would make libmicrohttpd ask again at once, for ever. */
static ssize_t read_stream(void *cls, uint64_t position attr_unused, char *buf, size_t max)
{
    struct streaming *s = cls;
    while (!atomic_load(&s->server->stopping)) {
        ssize_t n = s->stream->read(s->stream, buf, MIN(max, STREAM_PIECE));
        if (n > 0) return n;
        if (n < 0 || peer_is_gone(s->fd)) break;
    }
    return MHD_CONTENT_READER_END_OF_STREAM;
}

static void close_stream(void *cls)
{
    struct streaming *s = cls;
    s->stream->close(s->stream);
    free(s);
}

static struct MHD_Response *from_stream(struct http_request *hr, struct api_response *rs)
{
    struct streaming *s = malloc(sizeof *s);
    if (!s) return NULL;
    *s = (struct streaming){rs->stream, hr->server, hr->connection->fd};
    struct MHD_Response *m =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_PIECE, read_stream, s, close_stream);
    if (m)
        rs->stream = NULL;
    else
        free(s);
    return m;
}

static struct MHD_Response *from_text(char *text, size_t len)
{
    struct MHD_Response *m = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (!m) free(text);
    return m;
}

/* What is taken over by libmicrohttpd is taken out of *rs. NULL: no memory. */
static struct MHD_Response *make(struct http_request *hr, struct api_response *rs)
{
    struct MHD_Response *m = NULL;
    if (rs->json) {
        char *text = json_write(rs->json, false);
        return text ? from_text(text, strlen(text)) : NULL;
    }
    if (rs->stream) return from_stream(hr, rs);
    if (rs->bytes) return from_text(take_ptr(rs->bytes), rs->bytes_len);
    if (rs->fd >= 0 && rs->fd_length) {
        m = MHD_create_response_from_fd_at_offset64(rs->fd_length, rs->fd, rs->fd_offset);
        if (m) rs->fd = -1;
        return m;
    }
    return MHD_create_response_from_buffer(0, (void *)(uintptr_t)"", MHD_RESPMEM_PERSISTENT);
}

static bool has_header(const struct api_response *rs, const char *name)
{
    for (size_t i = 0; i < rs->headers_len; i++)
        if (strcasecmp(rs->headers[i].name, name) == 0) return true;
    return false;
}

/* The phase is changed first: from here on nobody else may write to the socket. */
static enum MHD_Result queue(struct http_request *hr, int status, struct MHD_Response *m)
{
    http_connection_enter(hr->server->connections, hr->connection, HTTP_BUSY, MSEC_NEVER);
    hr->state = HTTP_REQUEST_ANSWERED;
    hr->status = status;
    return MHD_queue_response(hr->mhd, (unsigned)status, m);
}

static int queue_out_of_memory(struct http_request *hr)
{
    return (int)queue(hr, MHD_HTTP_SERVICE_UNAVAILABLE, hr->server->out_of_memory);
}

static void add_always(const struct http_request *hr, struct MHD_Response *m)
{
    for (const struct api_pair *h = http_response_always; h->name; h++) MHD_add_response_header(m, h->name, h->value);
    if (hr && hr->closing) MHD_add_response_header(m, MHD_HTTP_HEADER_CONNECTION, "close");
}

int http_response_send(struct http_request *hr, struct api_response *rs)
{
    /* Before the client knows. Without a user the request came no further than the door. */
    if (hr->route && hr->route->changes && hr->rq.user) audit_request(hr->server->api, &hr->rq, hr->route, rs);
    struct MHD_Response *m = make(hr, rs);
    int status = rs->status;
    if (m) {
        add_always(hr, m);
        if (rs->content_type) MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, rs->content_type);
        if (!has_header(rs, "Cache-Control")) MHD_add_response_header(m, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
        MHD_add_response_header(m, "Content-Security-Policy", POLICY_API);
        for (size_t i = 0; i < rs->headers_len; i++)
            MHD_add_response_header(m, rs->headers[i].name, rs->headers[i].value);
    }
    api_response_done(rs);
    if (!m) return queue_out_of_memory(hr);
    int result = (int)queue(hr, status, m);
    MHD_destroy_response(m);
    return result;
}

int http_response_problem(struct http_request *hr, const struct err *e)
{
    struct api_response rs;
    api_response_init(&rs);
    api_problem(&rs, e);
    return http_response_send(hr, &rs);
}

int http_response_asset(struct http_request *hr, const struct web_asset *a)
{
    const char *known = http_fields_get(&hr->fields, "If-None-Match");
    bool unchanged = known && (strcmp(known, "*") == 0 || etag_list_has(known, a->etag, true));
    struct MHD_Response *m = MHD_create_response_from_buffer(unchanged ? 0 : a->len, (void *)(uintptr_t)a->data,
                                                             MHD_RESPMEM_PERSISTENT);
    if (!m) return queue_out_of_memory(hr);
    add_always(hr, m);
    MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
    MHD_add_response_header(m, MHD_HTTP_HEADER_ETAG, a->etag);
    MHD_add_response_header(m, MHD_HTTP_HEADER_CACHE_CONTROL,
                            "no-cache"); /* always asked for again: a new version at once */
    MHD_add_response_header(m, "Content-Security-Policy", POLICY_UI);
    int result = (int)queue(hr, unchanged ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, m);
    MHD_destroy_response(m);
    return result;
}

struct MHD_Response *http_response_out_of_memory(void)
{
    struct MHD_Response *m = MHD_create_response_from_buffer(
        strlen(out_of_memory_body), (void *)(uintptr_t)out_of_memory_body, MHD_RESPMEM_PERSISTENT);
    if (!m) return NULL;
    add_always(NULL, m);
    MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, "application/problem+json");
    MHD_add_response_header(m, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(m, MHD_HTTP_HEADER_CONNECTION, "close");
    return m;
}
