/*
 * http_raw.h - an answer written straight to a socket, where libmicrohttpd has none to give: before it has the
 * connection, in the middle of a body (it queues no answer there), or when a deadline has passed.
 */
#pragma once

#include "base/clock.h"
#include "base/err.h"

/* Sends the problem document, as far as the socket takes it without blocking, and ends our direction. The caller must
 * be sure that no other answer has begun. */
void http_raw_problem(int fd, const struct err *e);

/*
 * Reads and drops what still comes, until the client has finished or `max_bytes` or `max_ms` are spent. Closing a
 * socket with unread data resets the connection, and the client may never see the answer that it was sent.
 */
void http_raw_drain(int fd, uint64_t max_bytes, msec max_ms);
