/*
 * client.h - trayd's side of the gadget's socket: a mirror of all drives, and requests.
 *
 * A thread of its own keeps the connection (and makes it again when trayd-gadget was restarted), mirrors what it is
 * told, and calls the listener. All functions may be called from any thread; what they return is a new reference.
 */
#pragma once

#include "base/json.h"

#define GADGET_MESSAGE_MAX (1 << 20) /* a packet; the longest is hello, with 16 drives, their queues and what is kept */
#define GADGET_OPERATIONS_KEPT 32 /* finished operations that trayd-gadget remembers for a trayd that was away */

struct gadget_client;

struct gadget_listener {          /* called from the client's thread; must not call back into the client's requests */
    void *owner;
    void (*drive)(void *owner, const json_t *drive);
    /* Also for each one in `hello` after a reconnection, oldest first. */
    void (*operation)(void *owner, const json_t *operation);
    void (*system)(void *owner, const json_t *system);       /* the gadget's part of /system; NULL: connection lost */
    void (*schedule)(void *owner, const json_t *schedule);
    void (*store)(void *owner, const json_t *store);         /* protocol.md; not the API's */
    void (*host_ejected)(void *owner, const json_t *event);  /* {"drive", "image", "store"} */
    void (*storage_cut)(void *owner, const json_t *event);   /* {"drive", "image", "store", "how"} */
    void (*storage_gone)(void *owner, const json_t *event);  /* {"drive", "image", "store"} */
    /* After each (re)connection, once all of the above were called for what stands in `hello`: the operations that
     * trayd-gadget knows. One that is believed to be under way and is not among them will never end. */
    void (*synced)(void *owner, const json_t *operations);
};

/* Returns at once; the connection is made in the background. */
struct gadget_client *gadget_client_new(const char *socket_path, const struct gadget_listener *l, struct err *e);
/* Ends all waiting for good: calls fail, waits return, no listener is called any more. For the end of the service. */
void gadget_client_stop(struct gadget_client *c);
void gadget_client_free(struct gadget_client *c); /* when nobody uses it any more */

/* Is the mirror live? When not, it shows what was true last. */
bool gadget_client_connected(struct gadget_client *c);

/* Borrowed by nobody: NULL where the drive is unknown or trayd-gadget was never reached. What they return is shared
 * with other threads: not to be changed. */
json_t *gadget_client_drives(struct gadget_client *c); /* array, in the order of the configuration */
json_t *gadget_client_drive(struct gadget_client *c, const char *name);
json_t *gadget_client_system(struct gadget_client *c);
json_t *gadget_client_operation(struct gadget_client *c, const char *id); /* of the unfinished and newest finished */
json_t *gadget_client_operations(struct gadget_client *c); /* array of all those, oldest first */

json_t *gadget_client_store(struct gadget_client *c, const char *name);

/* Waits until nothing is under way with that store, at most until `deadline` (boot time). Returns it as it is then, NULL where
 * it is not known. */
json_t *gadget_client_wait_store(struct gadget_client *c, const char *name, msec deadline);

/* Sends `request` (stolen), waits for the answer (10 s at most; then `unavailable`). Returns the `ok` object, or
 * NULL with *e and, in *ret_problem (may be NULL), the members beside code and detail (evidence), or NULL. */
json_t *gadget_client_call(struct gadget_client *c, json_t *request, json_t **ret_problem, struct err *e);

/* Waits until the operation is finished, the listener was told, and the mirror shows the drive as the operation left
 * it; at most until `deadline` (boot time). Returns the operation as it is then, NULL if it is not known (any more). */
json_t *gadget_client_wait(struct gadget_client *c, const char *id, msec deadline);
