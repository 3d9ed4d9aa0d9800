/*
 * incoming.h - the hidden file into which an image comes: room, bytes, and its way to a name.
 *
 * What ingest.h (an upload in one piece) and partial.h (one that can be continued) have in common. The file lies in the
 * hidden directory of its store, locked, until it is published. One thread at a time.
 */
#pragma once

#include <stdbool.h>

#include "images/fileops.h"
#include "images/hidden.h"
#include "images/store.h"

struct incoming {
    const struct fileops *ops;
    struct store *store;
    const struct store_entry *entry; /* the caller's; stays entered until incoming_done() */
    int fd, hidden_fd;
    char name[HIDDEN_NAME_MAX];      /* in the hidden directory; "" when there is no file there (any more) */
    int64_t length;                  /* -1: unknown */
    int64_t promised;                /* of store->promised, ours */
    off_t written, reserved, flushed;
    off_t allowed;                   /* where the length is unknown: there is room up to here */
    bool reserving;                  /* the file system can reserve */
};

/* Opens the hidden directory, and sees that a rename from there into the entry's folder is possible. No file yet. */
int incoming_open(struct incoming *in, const struct fileops *ops, struct store *store,
                  const struct store_entry *entry, int64_t length, struct err *e);

/* Closes what is open, and gives back what was promised (unless `promised` was set to 0). The file stays, without a
 * lock. */
void incoming_done(struct incoming *in);

/* Reserves `length` bytes, where it is known, and sees that there is some room where not: no_space, also where less than
 * the store's reserve would stay free. What is there already (`written`) counts, as does what was promised to this file
 * before (`promised`). */
int incoming_reserve(struct incoming *in, struct err *e);

/* Appends at `written`; no_space as above, where the length is not known. */
int incoming_write(struct incoming *in, const uint8_t *data, size_t len, struct err *e);

/* The bytes so far are on the disk. */
int incoming_sync(struct incoming *in, struct err *e);

/* The file is complete: gives back what was reserved too much, notes the digest (NULL: unknown), and syncs. */
int incoming_settle(struct incoming *in, const char *sha256, struct err *e);

/* See ingest_publish(). *ret_unknown: the store did not answer, and the rename may still come. */
int incoming_publish(struct incoming *in, const char *name, bool replace, const char *if_match, bool *ret_unknown,
                     struct err *e);

/* Syncs both directories and the file, so that the name survives a power failure, and what is under it. */
int incoming_sync_name(const struct incoming *in, struct err *e);

/* An err for errno of a write. Returns -1. */
int incoming_error(struct err *e);
