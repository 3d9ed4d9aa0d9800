/*
 * fetch_address.h - which addresses may be contacted on a client's behalf. Pure.
 *
 * trayd fetches from where it stands, which is inside: behind the firewall, beside services that trust their
 * neighbours. A client that may name a URL must not be able to reach what only this machine can. So the address is
 * judged when a socket is about to be connected to it, after the name was resolved, for the first request and for every
 * redirect; a name that resolves to something else a moment later gains nothing.
 *
 *   public       all that is none of the others
 *   private      RFC 1918, RFC 6598 (100.64/10), fc00::/7: where the images of a home or a company lie
 *   link_local   169.254/16, fe80::/10, and the addresses of cloud metadata services, wherever those lie
 *   loopback     127/8, ::1, and every address that this machine has itself
 *   nowhere      unspecified, multicast, broadcast, reserved: never contacted
 *
 * An IPv6 address that stands for an IPv4 address (mapped, compatible, translated, NAT64, 6to4, Teredo) is judged as
 * that.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/*       enum                   on the wire, and key of the configuration */
#define FETCH_ADDRESS_TABLE(X)                                                                                     \
    X(FETCH_PUBLIC,             "public")                                                                          \
    X(FETCH_PRIVATE,            "private")                                                                         \
    X(FETCH_LINK_LOCAL,         "link_local")                                                                      \
    X(FETCH_LOOPBACK,           "loopback")                                                                        \
    X(FETCH_NOWHERE,            "nowhere")

enum fetch_address {
#define X(sym, name) sym,
    FETCH_ADDRESS_TABLE(X)
#undef X
};

const char *fetch_address_name(enum fetch_address a);

/* What kind of address it is. `own`: the addresses of this machine's interfaces; other families than IPv4 and IPv6 are
 * `nowhere`. */
struct fetch_own {
    const struct sockaddr_storage *list;
    size_t count;
};
enum fetch_address fetch_address_of(const struct sockaddr *address, const struct fetch_own *own);
