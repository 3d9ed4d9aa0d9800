/*
 * address.h - where the service listens: "127.0.0.1:8080", "[::1]:8080" or "unix:/run/trayd/http.sock".
 *
 * Names are never resolved: a service that waits for DNS before it listens, or listens wherever DNS says, is neither
 * quick nor safe. Until there is authentication only loopback and unix sockets are accepted.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/err.h"

#define ADDRESS_TEXT_MAX 160

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    };
    socklen_t len;
};

/* Port 0 means any free one. Returns 0, or -1 with *e. */
int address_parse(const char *text, struct address *ret, struct err *e);

/* 0 for a unix socket. */
uint16_t address_port(const struct address *a);

/* As in a URL: "http://127.0.0.1:8080", or "unix:/run/trayd/http.sock". Returns text. */
const char *address_url(const struct address *a, char text[ADDRESS_TEXT_MAX]);

/* Of a peer: "127.0.0.1", "::1", or "local" for a unix socket. Returns text. */
const char *address_host(const struct address *a, char text[ADDRESS_TEXT_MAX]);

/*
 * A listening socket, non-blocking. *a then has the port that was really taken. A unix socket's file that nobody
 * answers on is replaced. Returns the descriptor, or -1 with *e.
 */
int address_listen(struct address *a, struct err *e);
