/*
 * keeper.h - a small process that keeps trayd-gadget running, for a trayd that was started by hand.
 *
 * It keeps the privileges that trayd gives up, and does nothing but start trayd-gadget again when it ends, with a
 * pause that grows up to half a minute. It takes no orders but one: the end.
 *
 *   trayd ends in order    keeper_stop(): trayd-gadget is ended, the keeper ends
 *   trayd is killed        real drives: both go on, since the host must not notice; a new trayd finds the socket
 *                          answering. A simulation: ends, and its directory is removed.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct keeper_config {
    int program_fd;               /* from gadget_process_find(); taken */
    const char *const *arguments; /* of trayd-gadget */
    int listening_fd;             /* of trayd, closed here: a new trayd must get its address; 0: none */
    bool end_with_parent;         /* also when trayd is killed */
    const char *remove_directory; /* at the end; NULL: none */
};

struct keeper {
    pid_t pid;
    int fd; /* the keeper has the other end */
};

/* To be called before there are threads. Returns 0, or -1 with *e. */
int keeper_start(const struct keeper_config *c, struct keeper *ret, struct err *e);
void keeper_stop(struct keeper *k); /* waits until it has ended; harmless where it was never started ({0}) */
