/*
 * store.h - one store: a directory, perhaps a mount that comes and goes.
 *
 * Nothing is held open between two requests: each enters the store by its path and leaves it again. So a store can
 * be unmounted whenever nobody uses it, one that was replaced under its path is never mistaken for the old one, and
 * one that comes back is simply there. Every file is opened beneath the descriptor of the store's directory.
 *
 * Entering goes through the store's own thread (store_thread.h): a store that does not answer delays those who want
 * something from it, and nobody else. The struct is constant but for its atomics and the doubt.
 *
 * A file system whose storage was cut goes on answering from memory. So a store can be doubted, with the name of an image
 * that lay there: from then on each request first reads a block of that image past the cache, and the store is detached
 * until that works, or until there is no such image under its path any more (another file system is mounted there).
 *
 * A store that is taken away has its door closed first to all but those who end something there, then to everybody; both
 * fail with `store_detached`. Who is inside stays there.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "images/name.h"
#include "images/store_thread.h"

enum store_door { STORE_OPEN, STORE_ENDING, STORE_CLOSED };

struct store {
    struct store_config config;
    struct store_thread *thread;
    _Atomic(enum store_door) door;
    atomic_bool leftovers;      /* unfinished uploads may lie there that nobody holds any more */
    _Atomic int64_t promised;   /* bytes of uploads under way that the file system could not reserve */
    pthread_mutex_t lock;       /* of `doubted`; held for a copy */
    char doubted[FOLDER_PATH_MAX + NAME_BYTES_MAX + 1]; /* path of an image below the store; "": no doubt */
};

struct store_entry { /* what one has while inside */
    int root_fd, folder_fd;
    bool readonly;         /* by configuration, or mounted so */
    uint64_t size, free;   /* bytes; free: for an unprivileged user */
};

int store_init(struct store *s, const struct store_config *config, struct err *e);
void store_done(struct store *s);

/*
 * Opens the store, and in it `folder` ("" or "sub/folder"), waiting for at most STORE_PATIENCE. Returns 0, or -1 with
 * *e: store_detached, not_found (the folder), unavailable (it does not answer). Leave it with store_leave().
 */
int store_enter(struct store *s, const char *folder, struct store_entry *ret, struct err *e);
int store_enter_to_end(struct store *s, const char *folder, struct store_entry *ret, struct err *e); /* to remove what is ended */
void store_leave(struct store_entry *in);

/* Is the door open? 0, or -1 with *e: store_detached. For who goes in by a job of its own. */
int store_may_enter(struct store *s, struct err *e);

/* See above. `folder` as in store_enter(). */
void store_doubt(struct store *s, const char *folder, const char *image);

/* The same in two steps, to enter several stores at once. Every job that began must end; it is gone then. */
struct enter_job;
struct enter_job *store_enter_begin(struct store *s, const char *folder, struct err *e);
int store_enter_end(struct store *s, struct enter_job *j, msec deadline, struct store_entry *ret, struct err *e);

static inline void store_leave_scope(struct store_entry *in)
{
    store_leave(in);
}

/* A store_entry that is left on the way out of the scope; begins as STORE_OUTSIDE. */
#define cleanup_store cleanup(store_leave_scope)
#define STORE_OUTSIDE {.root_fd = -1, .folder_fd = -1}

/* The part of store_enter() that runs in the store's thread, for jobs that are there already. */
int store_enter_directly(const struct store_config *s, const char *folder, struct store_entry *ret, struct err *e);

/* As err_code_for_errno(), and ERR_STORE_DETACHED for what a store says that has gone. */
enum err_code store_code_for_errno(int errnum);

/* Removes leftovers where there may be some, unless the store is read-only or has none. */
void store_collect(struct store *s, const struct store_entry *in);
