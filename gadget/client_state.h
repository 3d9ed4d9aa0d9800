/*
 * client_state.h - the inside of the client, for client.c and client_thread.c only.
 *
 *     +--> away --connected--> greeting --hello answered--> live --+
 *     |     ^  (back-off)          |                                |
 *     |     +----------------------+  no answer, or nonsense        |
 *     +--------------------------------------------------------- lost
 *
 * The thread is the only one that reads the socket, changes the mirror and calls the listener. Requests are sent by
 * their callers' threads; `pending` is where their answers are awaited. A change reaches the mirror first, then the
 * listener, then those who wait: so whoever was told that an operation is finished finds it finished everywhere.
 */
#pragma once

#include <pthread.h>
#include <sys/un.h>

#include "gadget/client.h"
#include "gadget/mirror.h"

#define ANSWER_WITHIN 10000 /* ms; trayd-gadget never blocks, so this means that it is stopped or lost */

struct pending {
    json_int_t id;
    json_t *answer;
    bool lost;              /* the connection ended first */
    struct pending *next;
};

struct gadget_client {
    struct sockaddr_un address;
    struct gadget_listener listener;
    pthread_t thread;
    int wake_fd;            /* readable: stop */
    char *packet;           /* the thread's */
    int last_errno;         /* the thread's: why it could not connect, so that each reason is logged once, */
    msec away_since;        /* ... and only when it lasts */

    pthread_mutex_t lock;   /* for all that follows */
    pthread_cond_t changed;
    int fd;                 /* -1 while away; closed by the thread only, under the lock */
    bool live, stopping;
    bool telling;           /* the mirror is ahead of the listener */
    struct mirror mirror;
    struct pending *pending;
    json_int_t last_id;
};

/* The thread: connects, converses, comes again, until wake_fd is readable. arg is the client. */
void *client_thread_run(void *arg);
