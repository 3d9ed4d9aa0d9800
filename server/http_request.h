/*
 * http_request.h - one request, from its target to its answer; what libmicrohttpd's callbacks do.
 *
 *    NEW       the target is known                     http_request_begin
 *     |  \
 *     |   \--- no body comes --> WHOLE                  first call: the framing is checked
 *     |                            |
 *     | a body will come           | second call
 *     v                            v
 *   decide: origin, route, role, query, body           refused here: no byte of the body is wanted
 *     |                            |
 *     v                            |
 *   TAKING   body in pieces        | handler            JSON into memory, an upload into its sink
 *     |                            |
 *     v                            v
 *   ANSWERED  <---------------------                    freed in http_request_end
 *
 * libmicrohttpd closes the connection after an answer that was queued in the first call, since it does not know
 * whether a body follows; that is why a request without a body waits for the second.
 *
 * Everything runs on the connection's thread.
 */
#pragma once

#include <microhttpd.h>
#include <stdatomic.h>

#include "server/http.h"
#include "server/http_connections.h"
#include "server/http_target.h"

struct http_server {
    struct http_config config;
    struct api *api;
    struct MHD_Daemon *daemon;
    struct http_connections *connections;
    struct http_door *door;
    struct MHD_Response *out_of_memory;
    atomic_bool stopping;
};

enum http_request_state { HTTP_REQUEST_NEW, HTTP_REQUEST_WHOLE, HTTP_REQUEST_TAKING, HTTP_REQUEST_ANSWERED };

struct http_request {
    struct http_server *server;
    struct MHD_Connection *mhd;
    struct http_connection *connection;
    enum http_request_state state;
    struct http_target target;
    struct err target_error;     /* code ERR_NONE: the target is well-formed */
    struct http_fields fields;
    struct http_body framing;
    struct api_request rq;
    const struct api_route *route;
    bool closing;                /* no further request can come on this connection */
    bool body_unread;            /* it was answered before its body came */
    char *json;                  /* the body so far, of API_BODY_JSON */
    size_t json_len, json_room;
    struct api_sink *sink;       /* of API_BODY_STREAM, until finish or abort */
    msec body_deadline;
    uint64_t progress;           /* bytes of an upload since the deadline was moved */
    int status;                  /* of the answer, for the log */
};

/* The callbacks of libmicrohttpd; cls is the server. */
void *http_request_begin(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result http_request_run(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *data, size_t *data_len, void **context);
void http_request_end(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode how);
