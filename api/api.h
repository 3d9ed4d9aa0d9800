/*
 * api.h - the service behind the routes: it composes drives (gadget/) and images (images/).
 *
 * What the handlers need from below is given here once, at start. What belongs to server/ (SQLite) comes as a table
 * of functions, since api/ may not include it.
 */
#pragma once

#include "api/audit.h"
#include "api/detach.h"
#include "api/events.h"
#include "api/http.h"
#include "api/unclean.h"
#include "gadget/client.h"
#include "images/convert.h"
#include "images/downloads.h"
#include "images/library.h"

/* Durable history of operations; implemented by server/store_operations.c. Thread-safe. */
struct api_history {
    void *owner;
    void (*put)(void *owner, const json_t *operation);          /* insert or replace by "id" */
    json_t *(*get)(void *owner, const char *id);                /* NULL if unknown */
    /* Newest first, as an array; `drive` and `state` may be NULL; at most `limit`, those older than the operation
     * `after` (may be NULL). NULL with *e. */
    json_t *(*list)(void *owner, const char *drive, const char *state, int limit, const char *after, struct err *e);
};

/* What makes images without a client that sends one; each may be NULL in tests that have none. */
struct api_makers {
    struct jobs *jobs;
    struct downloads *downloads;
    const struct fetch_config *fetch; /* limits of what is unpacked */
    const struct converter *converter;
};

struct api {
    struct gadget_client *gadget;
    struct library *library;
    struct api_makers makers;
    struct events *events;
    struct detaches *detaches;
    struct api_history history;
    struct api_audit audit;
    struct unclean_marks *marks;
    msec started_at;               /* boot time */
    const char *version;
    char default_store[STORE_NAME_MAX];
};

/* `lib` and the owners of `history`, `audit` and `marks` must live longer; the service sets the library's usage, marks and
 * listener. */
struct api *api_new(const char *gadget_socket, struct library *lib, const struct api_history *history,
                    const struct api_audit *audit, const struct api_marks *marks, struct err *e);

/* Before the first request. */
void api_set_makers(struct api *a, const struct api_makers *makers);

/* Ends all waiting in handlers and streams, so that the transport can stop: they answer at once from now on. */
void api_stop(struct api *a);
void api_free(struct api *a); /* after the transport has stopped */
