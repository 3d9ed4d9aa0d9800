/*
 * observer.h - notices what happens in the stores without the library: files that are copied in, replaced or removed by
 * other programs, and stores that go and come back.
 *
 * inotify on each directory of each store; /proc/self/mounts, which can be polled, for stores that are mounts. Where
 * neither can tell (a share's other clients, a directory that does not exist yet) the directories' times are looked at
 * every OBSERVER_LOOK_EVERY. Nothing is remembered of the files themselves: the library reads what is there anyway, so
 * this only tells whom it may concern that a look is worth while.
 *
 * One thread of its own, which never touches a store: that happens in the store's thread (store_thread.h).
 */
#pragma once

#include "images/store.h"

#define OBSERVER_LOOK_EVERY 60000 /* ms; one look a minute at what cannot tell by itself */
#define OBSERVER_BURST 64         /* files told singly within */
#define OBSERVER_BURST_TIME 1000  /* ms; what is more is told as one change of the store */

struct observer_sink { /* called on the observer's thread; may block for as long as a store may */
    void *owner;
    void (*file)(void *owner, const char *ref, const char *name, bool gone);
    void (*store)(void *owner, const char *name); /* it is there, or gone, or something in it has changed */
};

struct observer;

/* `stores` must outlive it. NULL with *e. */
struct observer *observer_new(struct store *stores, size_t count, const struct observer_sink *sink, struct err *e);
void observer_free(struct observer *o); /* waits for a callback that is under way */

/* Looks at the store again as if it had just appeared, and tells. Any thread. */
void observer_rescan(struct observer *o, const struct store *s);
