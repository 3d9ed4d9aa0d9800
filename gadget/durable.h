/*
 * durable.h - one file that must be on the disk before somebody is answered, written by a process that may hang.
 *
 * The file is read once, at the start, and from then on only written: replaced as a whole by rename, with fsync of file
 * and directory, by a worker. One write is under way at a time; what changes meanwhile goes into the next one. Its owner
 * counts versions: durable_changed() gives the next one, and `saved` tells up to which all is on the disk, or why not.
 * After a failure the old file stands; it is tried again every DURABLE_RETRY, as long as something is to be saved, and at
 * once for what changed while the failed write was under way.
 *
 * A write that takes longer than DURABLE_WITHIN is reported as failed, though it may yet succeed: storage that hangs
 * must not make anybody wait. When it comes back at last, the newest version is written once more.
 *
 * A file that could be read and makes no sense is not ours to delete: durable_put_aside() renames it.
 *
 * Its process dies with this one, at the latest when it comes back from the call that it hangs in: so no process of an
 * earlier daemon renames anything any more.
 *
 * All of this belongs to the loop's thread; callbacks come from the loop.
 */
#pragma once

#include "base/loop.h"
#include "base/store_config.h"

#define DURABLE_FILE_MAX (1 << 20) /* bytes; the longest that its one user can write, twice over */
#define DURABLE_WITHIN 8000        /* ms; a client of the socket gives up after 10 s */
#define DURABLE_RETRY 10000        /* ms */
#define DURABLE_ASIDE_MAX 9        /* broken files that are kept; the last is replaced from then on */

struct durable;

struct durable_owner {
    void *owner;
    /* The first read is over. text: NULL where there is no file yet, else ended by a NUL; it stays durable's. Where it
     * could not be read, it is tried again, and nothing is written until then: `failing` tells why. */
    void (*loaded)(void *owner, const char *text, size_t len);
    void (*failing)(void *owner, const struct err *e);
    char *(*text)(void *owner); /* what the file is to say now; malloc'd; NULL: out of memory */
    /* e NULL: everything up to `version` is on the disk. Otherwise: what is up to `version` is not, so far. */
    void (*saved)(void *owner, uint64_t version, const struct err *e);
};

/* NULL with *e where there is no memory. The directory is made, if need be, by the worker. */
struct durable *durable_new(struct loop *l, const char *dir, const char *name, const struct durable_owner *o, struct err *e);
void durable_free(struct durable *d); /* NULL is fine. A write under way is finished by its process */

uint64_t durable_changed(struct durable *d); /* something is to be saved: its version */
bool durable_is_saved(const struct durable *d); /* nothing is to be written, and nothing is under way */
bool durable_hangs(const struct durable *d); /* a write has taken longer than DURABLE_WITHIN, and is not back */
void durable_put_aside(struct durable *d);   /* the file as it is now, as NAME.broken, NAME.broken.2, ... */
