/*
 * work.h - requests that are an operation: sent to trayd-gadget, awaited as long as Prefer says, answered.
 *
 *   done      200 and the operation
 *   failed    the problem document of its code, with the operation's id, its drive and the evidence
 *   cancelled the same, with the code `cancelled`; but 200 for who asked for the cancellation
 *   else      202, Location and the operation as it is
 */
#pragma once

#include "api/api.h"

/* Sends `request` (taken). Returns the operation, or NULL where *rs is already the answer. */
json_t *work_send(struct api *a, json_t *request, struct api_response *rs);

/* Waits and answers; `operation` is taken. */
void work_answer(struct api *a, const struct api_request *rq, json_t *operation, bool cancelling,
                 struct api_response *rs);
