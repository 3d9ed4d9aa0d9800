/*
 * packet.h - one message with descriptors over a SOCK_SEQPACKET socket, between trayd-gadget and its workers.
 *
 * Both ends are the same binary (one was forked from the other), so a message is a head and a struct as it lies in
 * memory. Nothing here is for a peer that is not trusted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PACKET_FDS_MAX 2

struct packet_head {
    uint32_t kind;       /* the users' */
    uint32_t fds;        /* bit i: descriptor i comes along */
    int64_t value;       /* the users' */
};

/* Sends head and body, with those of `fds` (NULL: none) that are not -1. They stay the caller's. Returns 0 or -1. */
int packet_send(int socket, uint32_t kind, int64_t value, const void *body, size_t size, const int fds[PACKET_FDS_MAX]);

/*
 * Receives one packet whose body is `size` bytes or absent. Returns 1; 0 when the other end is gone; -1 with errno
 * (EAGAIN when there is nothing now). The descriptors in ret_fds are the caller's from then on, -1 where none came.
 */
int packet_receive(int socket, struct packet_head *ret, void *body, size_t size, int ret_fds[PACKET_FDS_MAX]);

/* Closes those that are not -1 and sets them to -1. */
void packet_close(int fds[PACKET_FDS_MAX]);
