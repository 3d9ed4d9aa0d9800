/*
 * helper_child.h - trayd-helper's own side: its order, its events, its bytes (helper.h shows the whole).
 *
 * One thread. A role returns 0 after its "end", or -1 with *e, which main.c tells as "failed".
 */
#pragma once

#include "base/json.h"
#include "images/archive_io.h"

#define HELPER_CONTROL_FD 3

typedef int helper_role(const json_t *order, struct err *e);

/* fetch_curl.c, unpack_child.c, make_child.c, list_child.c */
extern helper_role fetch_run, unpack_run, make_run, list_run;

/* The one order; NULL with *e. */
json_t *child_order(struct err *e);

/* Tells an event (taken). A trayd that is not there any more ends the process. */
void child_tell(json_t *event);

/* The standard input: a pipe, or a file. */
extern const struct archive_io child_input;

/* Bytes for trayd, all of them. A trayd that is not there any more ends the process. */
void child_put(const void *data, size_t len);
