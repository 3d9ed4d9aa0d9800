/*
 * partial.h - the file side of an upload that can be continued, in another request or another life of the service.
 *
 *   partial_create -+-> partial_write ... --> partial_keep --> partial_close     what is kept is on the disk
 *   partial_open ---+        |
 *                            +--> partial_seal --> partial_publish --> partial_done --> partial_close
 *
 * The data lie in "partial-ID" in the hidden directory, what is known of them in "partial-ID.json" (record.h). The record
 * says how many bytes were on the disk when it was written, and is on the disk itself before anybody is told. What the
 * file holds beyond is not trusted: a file system may lengthen a file before its data are written. So a power failure at
 * any moment loses nothing that was acknowledged, and an upload that breaks off otherwise loses no more than
 * PARTIAL_KEEP_STEP.
 *
 * The mark says the full size only when the image has its name, or where all is here that an image will be made of. Until
 * then the client has at least one byte left to send, and with it finishes what a crash prevented.
 *
 * The digest comes from follow.h. One thread at a time.
 */
#pragma once

#include "images/follow.h"
#include "images/incoming.h"
#include "images/record.h"

/* Bytes after which a long piece is made durable on its way: some seconds of a network, at the cost of two fsyncs. */
#define PARTIAL_KEEP_STEP ((off_t)64 << 20)

struct partial {
    struct incoming file;
    int record_fd;
    char id[HIDDEN_ID_MAX];
    struct record record;
    struct record_mark mark;   /* the newest on the disk */
    struct follow *follow;     /* the caller's */
    bool held;                 /* the bytes of the present piece count only when partial_keep() is called */
    char sha256[SHA256_TEXT_MAX];
};

/* Makes both files, reserves the room (no_space), and syncs them. `inode` of the record is filled in. After a failure
 * there is neither. */
int partial_create(struct partial *p, const struct fileops *ops, struct store *store, const struct store_entry *entry,
                   const char *id, const struct record *record, struct err *e);

/*
 * Opens it to go on at its mark. `promised`: what partial_close() gave. -1 with *e: not_found (it is finished, or was
 * removed), upload_busy, no_space, ... What was opened must be closed in any case.
 */
int partial_open(struct partial *p, const struct fileops *ops, struct store *store, const struct store_entry *entry,
                 const char *id, int64_t promised, struct err *e);

/* Returns what stays promised of store->promised. */
int64_t partial_close(struct partial *p);

/* Begins a piece: the digest goes on, with `follow` (the caller's). `held`: see above. */
int partial_begin(struct partial *p, struct follow *follow, bool held, struct err *e);
int partial_write(struct partial *p, const void *data, size_t len, struct err *e);

/* Where the next byte goes; what was kept; what there will be. */
static inline int64_t partial_at(const struct partial *p)
{
    return p->file.written;
}

static inline int64_t partial_kept(const struct partial *p)
{
    return p->mark.offset;
}

/* What was written is on the disk, and the mark says so, but for the very last byte. After a failure the upload stands
 * where it stood before. */
int partial_keep(struct partial *p, struct err *e);

/* What was written since the mark never was. */
void partial_forget(struct partial *p);

/* All bytes are here: compares the digest with the record's (digest_mismatch), and syncs. */
int partial_seal(struct partial *p, struct err *e);

/* Instead of being published: all of it is on the disk, and will be made into something else. The mark says so. */
int partial_arrived(struct partial *p, struct err *e);

/* That was done, under another name: the bytes go, and the record says that it is finished. */
int partial_spend(struct partial *p, struct err *e);
int partial_publish(struct partial *p, bool *ret_unknown, struct err *e);

/* The directories are synced, and the record says that it is finished. */
int partial_done(struct partial *p, struct err *e);

/* ---- without opening it ---- */

enum partial_state {
    PARTIAL_NONE,     /* there is no such record, or it cannot be used */
    PARTIAL_WAITING,  /* it can be continued */
    PARTIAL_FINISHED, /* it became an image */
};

struct partial_look {
    struct record record;
    struct record_mark mark;
    msec touched;     /* real time: the last change of the record */
};

/* PARTIAL_NONE also where a record is left over; partial_remove() removes it. -1 with *e where it cannot be told. */
int partial_look(const struct fileops *ops, int root_fd, const char *id, struct partial_look *ret, struct err *e);

/* Removes the record and then the data, as far as they are there. Returns 0, or -1 with *e. */
int partial_remove(const struct fileops *ops, int root_fd, const char *id, struct err *e);
