/*
 * http_head.h - a request's head as it came from the socket, before libmicrohttpd sees it.
 *
 * libmicrohttpd answers what it cannot parse with a page of its own, or by hanging up; and what is ambiguous it
 * repairs. So the door (http_door.h) looks at the first head of each connection, and a client that speaks something
 * else gets a problem document that says what was wrong. Pure.
 */
#pragma once

#include "server/http_fields.h"

enum http_head { HTTP_HEAD_MORE, HTTP_HEAD_OK, HTTP_HEAD_BAD };

/* `bytes` (which are cut up in place; there is room for one more) are all that has come. BAD: *e is filled. */
enum http_head http_head_check(char *bytes, size_t len, struct err *e);
