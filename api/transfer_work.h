/*
 * transfer_work.h - requests that are a transfer: awaited as long as Prefer says, and answered.
 *
 *   done             what `done` makes of it
 *   failed           the problem document of its code, with the transfer's id
 *   else             202, Location and the transfer as it is
 */
#pragma once

#include "api/api.h"

void transfer_work_answer(struct api *a, const struct api_request *rq, const char *id,
                          void (*done)(const struct api *a, const json_t *transfer, struct api_response *rs),
                          struct api_response *rs);
