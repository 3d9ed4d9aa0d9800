/*
 * ingest.h - the file side of receiving an image: reserve, write, digest, sync, rename.
 *
 *   ingest_begin --> ingest_write ... --> ingest_seal --> ingest_publish --> ingest_sync_name --> ingest_free
 *   (reserved)       (hidden file grows)  (checked, on     (visible)          (for good)
 *                                          the disk)
 *
 * Until ingest_publish() succeeds, ingest_free() leaves nothing behind, and a process that ends leaves a hidden file
 * without a lock, which hidden_collect() removes. After the first failure every further step fails too. One thread
 * at a time.
 */
#pragma once

#include <stdbool.h>

#include "images/fileops.h"
#include "images/store.h"
#include "images/stored_digest.h"

struct ingest;

/*
 * Makes the hidden file, and reserves `length` bytes (-1: unknown; then the room is reserved as it is needed).
 * `entry` must stay entered until ingest_free(). Fails with no_space before the first byte where there is not enough.
 */
struct ingest *ingest_begin(const struct fileops *ops, struct store *store, const struct store_entry *entry,
                            int64_t length, struct err *e);
void ingest_free(struct ingest *in);

/* The length is known now: reserves it (no_space). Before the first byte. */
int ingest_expect(struct ingest *in, int64_t length, struct err *e);

/* For a program that fills the file by itself: its descriptor (the ingest's), and afterwards, that it is complete as it is
 * now. Nothing is written in another way; its digest stays unknown. */
int ingest_fd(const struct ingest *in);
int ingest_filled(struct ingest *in, struct err *e);

int ingest_write(struct ingest *in, const void *data, size_t len, struct err *e);

/* Bytes taken so far; may be asked from other threads. */
int64_t ingest_received(const struct ingest *in);

/* All bytes are here: length, and the digest where `sha256` is not NULL, are checked; then the file is synced. */
int ingest_seal(struct ingest *in, const char *sha256, struct err *e);
const char *ingest_sha256(const struct ingest *in); /* of a sealed file; "": unknown */

/*
 * Makes the file visible as `name`, which must be free; or, where `replace`, takes the place of what is there, if
 * that still has the ETag `if_match` (NULL: whatever it is). When this fails the name is as before, unless the store
 * did not answer (unavailable): then the rename may still come.
 */
int ingest_publish(struct ingest *in, const char *name, bool replace, const char *if_match, struct err *e);

/* Syncs the directories, so that the name survives a power failure. Not to be called with a lock: it may take long. */
int ingest_sync_name(struct ingest *in, struct err *e);
