/*
 * http_door.h - accepting connections, before they cost anything.
 *
 * One thread waits for all clients whose first request is not there yet. It looks at what has come without taking it
 * (MSG_PEEK), so that a slow client costs a descriptor and no thread, and a client that speaks no HTTP gets an
 * explanation; a complete head is handed to libmicrohttpd. The same thread ends connections that are late.
 */
#pragma once

#include "base/err.h"
#include "server/http_connections.h"

/* All together, waiting or served. Each served one is a thread with some tens of KiB. */
#define HTTP_CONNECTIONS_MAX 256
/* From one address, so that a runaway script leaves room for others behind a proxy or on other addresses. */
#define HTTP_CONNECTIONS_PER_PEER 192

struct http_door;

struct http_door_config {
    int listen_fd; /* taken */
    msec header_timeout;
    struct http_connections *connections;
    void *owner;
    /* Takes the descriptor. It is already among `connections`. */
    void (*enter)(void *owner, int fd, const struct address *peer);
};

struct http_door *http_door_open(const struct http_door_config *c, struct err *e);
void http_door_close(struct http_door *d);
