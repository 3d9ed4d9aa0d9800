/*
 * request.h - a message of trayd as a request to a drive, checked member by member.
 */
#pragma once

#include "gadget/daemon.h"

#define PATIENCE_MAX 86400000 /* ms: a day; more is a schedule */

struct gadget_request {
    char what[16];                 /* "insert", "eject", "cancel", ... */
    char by[OPERATION_BY_MAX];
    size_t drive;                  /* insert, eject */
    struct drive_request rq;
    struct operation *operation;   /* cancel, force */
    char order[16];                /* gadget, store */
    bool then_eject;               /* break */
    size_t store;                  /* store */
    bool unmount;                  /* store */
};

/* Reads and checks `message`. Returns 0, or -1 with *e. */
int gadget_request_read(struct daemon *d, const json_t *message, struct gadget_request *ret, struct err *e);
