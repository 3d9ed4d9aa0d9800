/*
 * http_response.h - an api_response as libmicrohttpd's.
 */
#pragma once

#include "api/http.h"

/* Go with every answer, whatever it is. Ends with name == NULL. */
extern const struct api_pair http_response_always[];

struct http_request;
struct MHD_Response;

/* Queues the answer and takes *rs. Returns MHD_YES or MHD_NO, for libmicrohttpd's callback. */
int http_response_send(struct http_request *hr, struct api_response *rs);
int http_response_problem(struct http_request *hr, const struct err *e);

struct web_asset;
int http_response_asset(struct http_request *hr, const struct web_asset *a);

/* The answer where there is no memory to make one; made at start. */
struct MHD_Response *http_response_out_of_memory(void);
