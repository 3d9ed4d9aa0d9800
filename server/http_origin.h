/*
 * http_origin.h - may this request come from where it comes from?
 *
 * Any web page that a user of this machine looks at can send requests to a loopback port. Three checks keep it out,
 * and none of them costs a script anything:
 *   - Host must be a loopback name or address with our port, or a name from server.hosts: against DNS rebinding;
 *   - Origin, where a browser sends it with a request that changes something, must name the same host;
 *   - Sec-Fetch-Site must not be cross-site (nor same-site where something changes: another port of this machine),
 *     except for a person who follows a link to the start page.
 * Pure.
 */
#pragma once

#include "server/http_fields.h"

#define HTTP_HOSTS_MAX 16
#define HTTP_HOST_MAX 256

struct http_origin {
    uint16_t port;                            /* ours; 0: a unix socket, where any port may be named */
    char hosts[HTTP_HOSTS_MAX][HTTP_HOST_MAX]; /* server.hosts: "name" (any port) or "name:port" */
    size_t hosts_len;
};

/* Is `host` of the form that server.hosts takes? */
bool http_origin_is_host(const char *host);

int http_origin_check(const struct http_origin *o, enum api_method m, const char *path, const struct http_fields *f,
                      struct err *e);
