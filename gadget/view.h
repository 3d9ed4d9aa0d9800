/*
 * view.h - drives, operations and the gadget as the API's JSON. The only place where that JSON is made.
 */
#pragma once

#include "gadget/daemon.h"

json_t *view_drive(struct daemon *d, size_t drive, msec now);
json_t *view_operation(const struct daemon *d, const struct operation *op);
json_t *view_system(const struct daemon *d);
json_t *view_evidence(const struct drive_evidence *ev);

/* One sentence that says why the operation failed, for codes for which the engine had no text of its own. */
void view_explain(const struct daemon *d, const struct operation *op, enum err_code code, char *ret, size_t size);
