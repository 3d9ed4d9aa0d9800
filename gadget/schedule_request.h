/*
 * schedule_request.h - messages of trayd about schedules, checked member by member.
 */
#pragma once

#include "gadget/daemon.h"

struct schedule_request {       /* what such a message says */
    char id[OPERATION_ID_LEN + 1]; /* change, cancel */
    char by[OPERATION_BY_MAX];
    size_t drive;               /* add */
    enum op_action action;
    json_t *request;            /* add: a new reference to what is asked of the drive */
    bool has_trigger, has_missed, has_enabled;
    struct schedule_trigger trigger;
    enum schedule_missed missed;
    bool enabled;
};

/* "schedule_add": everything that the request to the drive could say, checked as if it came now, and when. Returns 0,
 * or -1 with *e. */
int schedule_request_add(struct daemon *d, const json_t *message, struct schedule_request *ret, struct err *e);

/* "schedule_change" and "schedule_cancel". */
int schedule_request_change(const json_t *message, struct schedule_request *ret, struct err *e);
int schedule_request_cancel(const json_t *message, struct schedule_request *ret, struct err *e);
