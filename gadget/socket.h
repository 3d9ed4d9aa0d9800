/*
 * socket.h - the unix socket on which trayd talks to us (protocol.md): clients, requests, events.
 */
#pragma once

#include "base/json.h"

#define GADGET_CLIENTS_MAX 8 /* trayd, one that is just being replaced, and some tools */

struct daemon;
struct gadget_socket;

struct gadget_socket *gadget_socket_new(struct daemon *d, struct err *e);
void gadget_socket_free(struct gadget_socket *s); /* NULL is fine */

/* Sends {"event": kind, kind: body} to every client that said hello. Takes body. `s` may be NULL: nobody listens yet.
 * Returns whether one has it: what is in its socket stays there when we die. */
bool gadget_socket_tell(struct gadget_socket *s, const char *kind, json_t *body);

/* The same for a message that is complete but for its "event". Takes it. */
bool gadget_socket_announce(struct gadget_socket *s, const char *kind, json_t *message);

/* The schedules have been read, or it is known that they cannot be: who has asked before is answered. */
void gadget_socket_schedules_read(struct gadget_socket *s);
