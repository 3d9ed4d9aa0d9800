/*
 * watch.h - inotify on the images in the drives: hints that the host ejected, or does something again.
 *
 * Each drive has two instances, since a queue that overflows with the one sort of events must not lose the other:
 *
 *   closes    IN_CLOSE: the kernel let go of the image. Also said when anybody else closes the file, and when the queue
 *             overflowed: a hint to observe.
 *   activity  IN_ACCESS and IN_MODIFY, one-shot: said once, then silent until it is added again. Our own hashing of
 *             the image raises it too: a hint to sample. A one-shot watch that is added again while the kernel is
 *             still giving the old one up keeps its wd, and is given up with it (inotify_handle_inode_event(): the
 *             event is queued first, the mark destroyed after that). So who is armed must add it again at `ended`.
 *
 * Adding a watch touches the storage and may hang, so it happens in a worker (image_watch()) on the descriptors that
 * watch_fd() gives; which file is watched now is told here by watch_added().
 */
#pragma once

#include "base/loop.h"

enum watch_sort { WATCH_CLOSES, WATCH_ACTIVITY, WATCH_SORTS };

struct watch {
    struct loop *loop;
    int fds[WATCH_SORTS]; /* inotify instances */
    int wds[WATCH_SORTS]; /* -1: nothing is watched */
    struct loop_watch readable[WATCH_SORTS];
    void (*seen)(void *owner, enum watch_sort sort);
    void (*ended)(void *owner, enum watch_sort sort); /* NULL, or called when the kernel gave a watch up by itself */
    void *owner;
};

int watch_init(struct watch *w, struct loop *l, void (*seen)(void *owner, enum watch_sort sort), void *owner,
               struct err *e);
void watch_done(struct watch *w);

int watch_fd(const struct watch *w, enum watch_sort sort);
uint32_t watch_mask(enum watch_sort sort);
void watch_added(struct watch *w, enum watch_sort sort, int wd); /* the one before is given up */
void watch_clear(struct watch *w);                               /* nothing is in the drive */
