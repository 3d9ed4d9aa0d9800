/*
 * audit.h - who changed what, from where, and how it ended: one entry for each request that changes something, one for
 * each operation on a drive when it ends, and one for each medium that the host itself took out.
 *
 * A request's entry says what was answered; where that was "under way", the operation's entry, which has the same
 * operation in it, says how it ended, what force it took and what it did to others. Entries are never changed.
 */
#pragma once

#include "api/http.h"

struct api;

/* The durable log; implemented by server/store_audit.c. Thread-safe. */
struct api_audit {
    void *owner;
    void (*add)(void *owner, const char *by, const json_t *entry);
    /* Newest first, as an array, each with its "id"; `by` may be NULL; at most `limit`, those older than the entry
     * `after` (may be NULL). NULL with *e. */
    json_t *(*list)(void *owner, const char *by, int limit, const char *after, struct err *e);
};

/* A request of a route that changes something has been answered with *rs. Called by the transport, for each. */
void audit_request(struct api *a, const struct api_request *rq, const struct api_route *route, const struct api_response *rs);
void audit_operation(const struct api *a, const json_t *operation); /* it is finished */
void audit_host_ejected(const struct api *a, const json_t *event);
