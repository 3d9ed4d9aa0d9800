/*
 * http_connections.h - all connections that libmicrohttpd serves, and the deadline of each.
 *
 * libmicrohttpd knows only a limit for inactivity, which a byte now and then defeats. Here each connection has a
 * phase and a time by which it must be over; whoever is late is answered with 408 and shut down, which wakes its
 * thread. A connection in HTTP_BUSY works for us and is never late.
 *
 * Thread-safe: the door, libmicrohttpd's thread and all connection threads use it.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "server/address.h"

enum http_phase {
    HTTP_IDLE, /* between requests: shut down without an answer */
    HTTP_HEAD, /* the request's head is on its way */
    HTTP_BODY, /* its body is */
    HTTP_BUSY, /* a handler works, or an answer is being sent */
};

struct http_connection {
    int fd;
    char peer[ADDRESS_TEXT_MAX];
    /* the rest belongs to http_connections.c */
    bool served; /* libmicrohttpd has a thread for it */
    enum http_phase phase;
    msec deadline;
    struct err interrupt; /* code ERR_NONE: none */
    struct http_connection *next, **link;
};

struct http_connections;

struct http_connections *http_connections_new(void); /* NULL: no memory */
void http_connections_free(struct http_connections *cs);

/* How many there are, and of these how many from `peer`. */
void http_connections_count(struct http_connections *cs, const char *peer, size_t *ret_all, size_t *ret_peer);

/* Before the descriptor is given to libmicrohttpd, which owns it from then on. Returns 0, or -1: no memory. */
int http_connections_add(struct http_connections *cs, int fd, const char *peer, msec deadline);

/* libmicrohttpd has begun to serve it. NULL if it was never added. */
struct http_connection *http_connections_served(struct http_connections *cs, int fd);
void http_connections_remove(struct http_connections *cs, struct http_connection *c);

void http_connection_enter(struct http_connections *cs, struct http_connection *c, enum http_phase phase,
                           msec deadline);

/*
 * Somebody else ends the body that comes on this connection: when its client is late by now, it is answered with *e and
 * shut down. One that sends is left HTTP_INTERRUPT_GRACE to send its next piece, since whoever takes that can answer
 * without cutting the client off in the middle of its sending. Until the next request.
 */
#define HTTP_INTERRUPT_GRACE 500 /* ms */
void http_connection_interrupt(struct http_connections *cs, struct http_connection *c, const struct err *e);

/* Readable when the next deadline has become nearer than the last reap said. */
int http_connections_wake_fd(const struct http_connections *cs);

/* Ends those that are late. Returns the next deadline, MSEC_NEVER if there is none. */
msec http_connections_reap(struct http_connections *cs, msec now);
