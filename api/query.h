/*
 * query.h - typed query parameters, read by a table as json.h reads the members of an object. Pure.
 *
 * That a parameter is known to its route has been checked by the transport, against the generated table.
 */
#pragma once

#include "api/http.h"

enum query_kind {
    QUERY_TEXT,     /* ret: const char *, not empty; stays owned by the request */
    QUERY_CHOICE,   /* the same, one of `choices` */
    QUERY_FLAG,     /* ret: bool; "true" or "false" */
    QUERY_NUMBER,   /* ret: int64_t, within min..max */
    QUERY_DURATION, /* ret: msec; seconds, fractions allowed, within min..max ms */
};

struct query_param {
    const char *name;
    enum query_kind kind;
    void *ret;                  /* untouched where the parameter is absent */
    const char *const *choices; /* NULL-terminated */
    int64_t min, max;
    bool *ret_given;            /* may be NULL */
};

/* Returns 0, or -1 with *e. A parameter that is given twice is an error. */
int query_read(const struct api_request *rq, const struct query_param *params, size_t count, struct err *e);

/* A page of a list: `items` (taken) was asked for with limit + 1; what is over is cut off. {NAME: items, "next": the
 * "id" of the last one, or null where nothing is left}. */
json_t *query_page(json_t *items, size_t limit, const char *name);
