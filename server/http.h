/*
 * http.h - the HTTP service: from a listening socket to the handlers of api/.
 *
 * How a request comes in:
 *
 *   http_door         accepts, limits, waits for the head without spending a thread on it, refuses what is no HTTP
 *   libmicrohttpd     parses, one thread for each connection (http_server)
 *   http_request      decides at header time: fields, target, origin, route, role, query, body; takes the body
 *   api/              the handler or the sink, on the connection's thread
 *   http_response     answers
 *   http_connections  ends what is late
 *
 * Only files named http_* may include libmicrohttpd.
 */
#pragma once

#include "api/api.h"
#include "server/http_origin.h"

struct http_config {
    struct http_origin origin;
    msec header_timeout; /* for a request's head */
    msec body_timeout;   /* for a JSON body, and for each 64 KiB of an upload */
};

struct http_server;

/* Serves what comes in on `listen_fd` (taken in any case). NULL with *e when that cannot begin. */
struct http_server *http_server_new(int listen_fd, const struct http_config *c, struct api *a, struct err *e);

/* Accepts nothing more, ends all connections (uploads are aborted), and waits for their threads. Those that wait in a
 * handler end when it does, so the caller wakes them first. */
void http_server_free(struct http_server *s);
