/*
 * unpacker.h - trayd's side of unpacking while receiving: packed bytes go in, the image's bytes come out.
 *
 * The work is done by a trayd-helper (unpack_child.c); here both pipes are kept moving by the one thread that calls.
 * The SHA-256 of what went in is computed here and not there, since what a helper says of a stranger's bytes proves
 * nothing.
 */
#pragma once

#include "base/json.h"
#include "images/stored_digest.h"

/* ms without a byte in either direction after which the helper is given up; the slowest CPU moves some each second. */
#define UNPACKER_PATIENCE 60000

typedef int unpacker_taker(void *owner, const void *data, size_t len, struct err *e);

struct unpacker;

/* `take` gets what comes out, in the caller's thread; when it fails, so does the call that it came from. */
struct unpacker *unpacker_new(uint64_t largest, unpacker_taker *take, void *owner, struct err *e);
void unpacker_free(struct unpacker *u);

/* Each returns 0, or -1 with *e; after the first failure all fail. */
int unpacker_write(struct unpacker *u, const void *data, size_t len, struct err *e);
int unpacker_finish(struct unpacker *u, struct err *e); /* all is in; returns when all is out and was found whole */

int64_t unpacker_received(const struct unpacker *u);

/* After unpacker_finish(): {"format", "size", "sha256"} of what went in. */
json_t *unpacker_json(const struct unpacker *u);
const char *unpacker_sha256(const struct unpacker *u);
