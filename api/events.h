/*
 * events.h - what happened, for everybody who listens: a ring of the newest events and a condition to wait on.
 *
 * Ids are "BOOT-NUMBER", where BOOT changes with every start of trayd. A listener who comes back with an id that is
 * still in the ring gets all that came after it; otherwise it gets a snapshot (an event for each drive and the
 * system), so that it never misses a state. Thread-safe.
 */
#pragma once

#include "base/json.h"

#define EVENTS_KEPT 512        /* some minutes of a busy appliance */
#define EVENTS_BYTES_KEPT (1 << 20) /* and never more than this, since a drive with a full queue is some KiB */
#define EVENTS_HEARTBEAT 15000 /* ms; a comment, so that proxies keep the connection and a dead client is noticed */
#define EVENTS_LISTENERS_MAX 64 /* each is a connection with a thread of its own */

struct events;

struct events *events_new(void);
void events_free(struct events *ev);

/* kind: "drive", "operation", "image", "transfer", "store", "system", "schedule", "host_ejected", "storage_cut", "storage_gone". data is
 * borrowed; it is serialised at once. */
void events_publish(struct events *ev, const char *kind, const json_t *data);

/* Wakes all listeners for good: the service ends. */
void events_stop(struct events *ev);

struct events_listener;

/* snapshot: called when there is nothing to resume from (a new listener, or one so slow that the ring has passed it
 * by), from events_read(); it returns a new array of {"event", "data"}. NULL with *e too_many_requests when there are
 * too many listeners. last_event_id may be NULL. */
struct events_listener *events_listen(struct events *ev, const char *last_event_id,
                                      json_t *(*snapshot)(void *owner), void *owner, struct err *e);
/* The next piece of the stream as text/event-stream, at most max bytes: waits up to wait_ms. 0: nothing yet. -1: the
 * stream has ended. For one thread at a time. */
ssize_t events_read(struct events_listener *l, char *buf, size_t max, msec wait_ms);
void events_unlisten(struct events_listener *l);
