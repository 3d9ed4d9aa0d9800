/*
 * http.h - an HTTP request and its response as values, between the transport (server/http_*.c) and the handlers here.
 *
 * The transport has already checked the request line, the headers that frame the message, Host, Origin and
 * Sec-Fetch-Site, decoded the path segment by segment, found the route in the generated table, checked the role, the
 * query parameters' names and the body's size. A handler runs on the connection's own thread and may block.
 */
#pragma once

#include "base/json.h"

enum api_method { API_GET, API_HEAD, API_PUT, API_POST, API_PATCH, API_DELETE, API_OPTIONS, API_METHODS };
enum api_role { API_ANYBODY = 1, API_VIEWER, API_OPERATOR, API_ADMIN }; /* 0 does not compile: see gen_routes.py */
enum api_body { API_BODY_NONE, API_BODY_JSON, API_BODY_STREAM };

#define API_PARAMS_MAX 4       /* {drive}, {id}, ... in one path */
#define API_QUERY_MAX 16
#define API_HEADERS_MAX 16

struct api_pair {
    const char *name, *value;
};

struct api_request {
    enum api_method method;
    const char *target;                       /* path as it came, without the query: for messages and Location */
    const char *params[API_PARAMS_MAX];       /* path parameters, decoded, in the order of the template */
    struct api_pair query[API_QUERY_MAX];     /* decoded */
    size_t query_len;
    const char *(*header)(const struct api_request *rq, const char *name); /* NULL where absent */
    void *transport;
    const char *body;                         /* API_BODY_JSON: complete; NULL and 0 where there was none */
    size_t body_len;
    int64_t content_length;                   /* -1: chunked, or no body */
    const char *user;                         /* who; "local" until there are users */
    const char *peer;                         /* address, for the audit */
    /* Ends the wait for the next bytes of an API_BODY_STREAM with *e as the answer. From any thread, while the sink
     * has not been finished or aborted; neither waits nor calls back. A sink that is called all the same must fail. */
    void (*interrupt)(void *transport, const struct err *e);
};

/* A source of bytes with no end, for server-sent events. `read` blocks up to ~1 s, returns bytes, 0 for "nothing
 * yet" or -1 for the end. */
struct api_stream {
    ssize_t (*read)(struct api_stream *s, char *buf, size_t max);
    void (*close)(struct api_stream *s);
};

struct api_response {
    int status;
    const char *content_type;                 /* of `json`: application/json, or application/problem+json */
    json_t *json;                             /* one of these four, or none: */
    char *bytes;                              /* malloc'd */
    int fd;                                   /* -1: none; the transport closes it */
    struct api_stream *stream;
    size_t bytes_len;
    uint64_t fd_offset, fd_length;
    struct { const char *name; char *value; } headers[API_HEADERS_MAX]; /* value: malloc'd, of any length */
    size_t headers_len;
    const char *flag;                         /* static: what a reader of the audit log must not miss; NULL: nothing */
};

/* A body that is taken while it arrives. `write` may block; after it failed the transport reads on for a bounded
 * amount and answers with *e. `finish` makes the response (also after an error of its own). `abort`: the client went
 * away, or a write failed. Exactly one of finish and abort is called, last. */
struct api_sink {
    int (*write)(struct api_sink *s, const void *data, size_t len, struct err *e);
    void (*finish)(struct api_sink *s, struct api_response *rs);
    void (*abort)(struct api_sink *s);
};

struct api;

typedef void api_handler(struct api *a, const struct api_request *rq, struct api_response *rs);
/* NULL: *rs is already the answer, and no byte of the body is wanted. */
typedef struct api_sink *api_opener(struct api *a, const struct api_request *rq, struct api_response *rs);

struct api_route {
    enum api_method method;
    const char *template;                     /* "/api/v1/drives/{drive}/medium" */
    const char *operation;                    /* operationId in openapi.json */
    enum api_role role;
    bool changes;                             /* something: its requests are in the audit log */
    enum api_body body;
    size_t body_max;                          /* bytes, of API_BODY_JSON */
    bool body_optional;                       /* API_BODY_STREAM: a request without a body is good as well */
    const char *const *query;                 /* NULL-terminated names */
    api_handler *handle;                      /* API_BODY_NONE and _JSON */
    api_opener *open;                         /* API_BODY_STREAM */
};

extern const struct api_route api_routes[];   /* generated from openapi.json, ends with template == NULL */

void api_response_init(struct api_response *rs);
void api_response_done(struct api_response *rs);

/* Adds a header; `name` must be a literal. Control characters in the value become '?', so that nothing that came from
 * a client can begin a header of its own. */
void api_header(struct api_response *rs, const char *name, const char *fmt, ...) attr_printf(3, 4);
void api_json(struct api_response *rs, int status, json_t *body);      /* takes body; NULL is "out of memory" */

/* A problem document (RFC 9457): type, title, status, detail, code, remedy, and the members of `more` (taken; may be
 * NULL), which cannot replace those. `quarantine` and `unavailable` get a Retry-After: from the `quarantine_until` in
 * `more` where there is one. */
void api_problem(struct api_response *rs, const struct err *e);
void api_problem_with(struct api_response *rs, const struct err *e, json_t *more);

/* Route lookup. `segments` are decoded. Fills params, which point into segments; on ERR_METHOD_NOT_ALLOWED `allow`
 * gets the Allow value. Segments that match a name in {braces} are parameters; literal segments win. HEAD finds the
 * route of GET where it has none of its own: the transport leaves the body out. */
const struct api_route *api_match(enum api_method m, const char *const *segments, size_t count,
                                  const char *ret_params[API_PARAMS_MAX], char allow[80], enum err_code *ret_code);
