/*
 * transfer_work.h - requests that are a transfer: awaited as long as Prefer says, and answered.
 *
 *   done             what `done` makes of it
 *   failed           the problem document of its code, with the transfer's id
 *   else             202, Location and the transfer as it is
 */
#pragma once

#include "api/api.h"
#include "api/prefer.h"

void transfer_work_answer(struct api *a, const struct api_request *rq, const char *id,
                          void (*done)(const struct api *a, const json_t *transfer, struct api_response *rs),
                          struct api_response *rs);

/* The same where the request's header is not there any more. */
void transfer_work_wait(struct api *a, const struct prefer *prefer, const char *id,
                        void (*done)(const struct api *a, const json_t *transfer, struct api_response *rs),
                        struct api_response *rs);

/* Of those that make an image: 201, and where it is. */
void transfer_work_image(const struct api *a, const json_t *transfer, struct api_response *rs);
