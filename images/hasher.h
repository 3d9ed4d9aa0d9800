/*
 * hasher.h - SHA-256 of a stream, in a thread of its own.
 *
 * The receiver fills pieces and hands them over; the thread hashes one while the next are filled. There are
 * HASHER_PIECES of them, so that a CPU that is slow for a moment does not stop the network, and one that is too slow
 * for good slows it instead of filling the memory. One receiver.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "images/stored_digest.h"

/* Large enough for a disk to be fast, small enough for four uploads to have their pieces in half of the memory that
 * both processes may use then (16 MiB). */
#define HASHER_PIECE_BYTES ((size_t)512 * 1024)
#define HASHER_PIECES 4

struct hasher;

struct hasher *hasher_new(struct err *e);
void hasher_free(struct hasher *h);

/* The next empty piece, page-aligned; waits for one. It is the receiver's until it submits it, and may still be read
 * until hasher_piece() is called the next time. */
void *hasher_piece(struct hasher *h);
void hasher_submit(struct hasher *h, size_t len);

/* After the last piece: waits, and gives the digest. Only once. */
void hasher_finish(struct hasher *h, uint8_t ret[SHA256_BYTES]);
