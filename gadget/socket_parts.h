/*
 * socket_parts.h - between the files of the gadget's socket, and for nobody else: socket.c (connections, messages and
 * whose they are), socket_orders.c (hello, orders to the whole gadget, stores, break-io) and socket_schedules.c.
 *
 * All of it runs in the event loop. A client's place in the table may be another's by the time an answer is ready: who
 * answers later keeps the place with the serial number of the connection, and asks socket_client().
 */
#pragma once

#include "gadget/client.h"
#include "gadget/request.h"
#include "gadget/socket.h"

struct client {
    struct gadget_socket *socket;
    struct loop_watch watch;
    int fd;                        /* -1: this place is free */
    bool hello;                    /* wants events */
    uint64_t serial;               /* of the connection: its place may be another's by now */
};

#define EARLY_MAX 16               /* requests that came before the schedules were read: a moment at the start */

struct early {
    json_t *message;               /* NULL: a free place */
    size_t place;
    uint64_t serial;
};

struct waiting_order {             /* the gadget order under way, and who is told when it is done */
    struct client *client;
    int64_t id;
};

struct gadget_socket {
    struct daemon *daemon;
    int fd;
    uid_t peer;
    char path[108];
    struct loop_watch watch;
    struct client clients[GADGET_CLIENTS_MAX];
    struct waiting_order order;
    uint64_t last_serial;
    struct early early[EARLY_MAX];
    char *packet;                  /* GADGET_MESSAGE_MAX bytes */
};

/* The client of that connection, or NULL where it has gone. */
struct client *socket_client(struct gadget_socket *s, size_t place, uint64_t serial);

/* Sends the answer to request `id`; takes body. Returns false where the client does not read, and was let go. */
bool socket_answer(struct client *c, int64_t id, const char *member, json_t *body);
void socket_answer_error(struct client *c, int64_t id, const struct err *e, const struct drive_evidence *evidence);

/* A request, in full: it is answered now or later. */
void socket_take(struct client *c, json_t *message);

/* ---- socket_orders.c ---- */

void socket_hello(struct client *c, int64_t id);
void socket_order(struct client *c, int64_t id, const struct gadget_request *rq);
void socket_store(struct client *c, int64_t id, const struct gadget_request *rq);
void socket_break(struct client *c, int64_t id, const struct gadget_request *rq);

/* ---- socket_schedules.c ---- */

/* Keeps a request about schedules until those are read, or cannot be. Returns false where it is to be answered now. */
bool socket_schedules_early(struct client *c, json_t *message);
/* Answers a request that changes one, when that is on the disk. Returns false where it is about something else. */
bool socket_schedules_change(struct client *c, int64_t id, const json_t *message);
void socket_schedules_list(struct client *c, int64_t id);
void socket_schedules_forget(struct gadget_socket *s); /* at the end: requests that were kept */
