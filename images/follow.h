/*
 * follow.h - SHA-256 of a file that grows, in a thread that reads after whoever writes.
 *
 * An upload that is continued may come in many requests, and in many lives of the service. So its digest is computed from
 * the file: what is there already is read while the next bytes arrive, and from then on what was just written, which is
 * still in memory. A digest that fell behind costs no memory and holds up nobody until the end. Between two requests it
 * rests without a thread and with its state of some hundred bytes; after a restart it begins anew.
 *
 * One owner at a time.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "images/stored_digest.h"

#define FOLLOW_READ_BYTES ((size_t)256 * 1024)

struct follow;

struct follow *follow_new(struct err *e);
void follow_free(struct follow *f);

/* Begins to read, from where it rested. `fd` stays open until follow_rest() or follow_finish(). */
int follow_start(struct follow *f, int fd, struct err *e);

/* The file has `size` bytes that will not change any more. What lies beyond is not looked at. */
void follow_to(struct follow *f, off_t size);

/* Stops reading, after at most one piece. */
void follow_rest(struct follow *f);

/* Reads to the size that was given last, and gives the digest. The next start begins at 0. Returns 0, or -1 with *e
 * where the file could not be read. */
int follow_finish(struct follow *f, uint8_t ret[SHA256_BYTES], struct err *e);

/* Rests; how far it has come. Where that is beyond what the file holds now, it must begin anew. */
off_t follow_at(const struct follow *f);
void follow_rewind(struct follow *f);
