#include "server/http_connections.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "server/http_raw.h"

struct http_connections {
    pthread_mutex_t lock;
    struct http_connection *first;
    msec planned; /* when the next reap will be */
    int wake_fd;
};

struct http_connections *http_connections_new(void)
{
    struct http_connections *cs = calloc(1, sizeof *cs);
    if (!cs) return NULL;
    cs->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cs->wake_fd < 0) {
        free(cs);
        return NULL;
    }
    pthread_mutex_init(&cs->lock, NULL);
    cs->planned = MSEC_NEVER;
    return cs;
}

int http_connections_wake_fd(const struct http_connections *cs)
{
    return cs->wake_fd;
}

static void plan(struct http_connections *cs, msec deadline)
{
    if (deadline >= cs->planned) return;
    cs->planned = deadline;
    eventfd_write(cs->wake_fd, 1);
}

static void unlink_and_free(struct http_connection *c)
{
    *c->link = c->next;
    if (c->next) c->next->link = c->link;
    free(c);
}

void http_connections_free(struct http_connections *cs)
{
    if (!cs) return;
    while (cs->first) unlink_and_free(cs->first);
    pthread_mutex_destroy(&cs->lock);
    close(cs->wake_fd);
    free(cs);
}

void http_connections_count(struct http_connections *cs, const char *peer, size_t *ret_all, size_t *ret_peer)
{
    size_t all = 0, same = 0;
    pthread_mutex_lock(&cs->lock);
    for (const struct http_connection *c = cs->first; c; c = c->next) {
        all++;
        same += strcmp(c->peer, peer) == 0;
    }
    pthread_mutex_unlock(&cs->lock);
    *ret_all = all;
    *ret_peer = same;
}

static struct http_connection *find(struct http_connections *cs, int fd)
{
    struct http_connection *c = cs->first;
    while (c && c->fd != fd) c = c->next;
    return c;
}

int http_connections_add(struct http_connections *cs, int fd, const char *peer, msec deadline)
{
    struct http_connection *c = calloc(1, sizeof *c);
    if (!c) return -1;
    c->fd = fd;
    c->phase = HTTP_HEAD;
    c->deadline = deadline;
    snprintf(c->peer, sizeof c->peer, "%s", peer);
    pthread_mutex_lock(&cs->lock);
    /* libmicrohttpd tells nothing of a connection that it dropped before it had a thread; the kernel does, by giving
     * the same number again. */
    struct http_connection *dropped = find(cs, fd);
    if (dropped) unlink_and_free(dropped);
    c->next = cs->first;
    c->link = &cs->first;
    if (c->next) c->next->link = &c->next;
    cs->first = c;
    plan(cs, deadline);
    pthread_mutex_unlock(&cs->lock);
    return 0;
}

struct http_connection *http_connections_served(struct http_connections *cs, int fd)
{
    pthread_mutex_lock(&cs->lock);
    struct http_connection *c = find(cs, fd);
    if (c) c->served = true;
    pthread_mutex_unlock(&cs->lock);
    return c;
}

void http_connections_remove(struct http_connections *cs, struct http_connection *c)
{
    pthread_mutex_lock(&cs->lock);
    unlink_and_free(c);
    pthread_mutex_unlock(&cs->lock);
}

static void hurry(struct http_connection *c)
{
    if (c->interrupt.code != ERR_NONE) c->deadline = MIN(c->deadline, clock_boot_ms() + HTTP_INTERRUPT_GRACE);
}

void http_connection_enter(struct http_connections *cs, struct http_connection *c, enum http_phase phase, msec deadline)
{
    pthread_mutex_lock(&cs->lock);
    c->phase = phase;
    c->deadline = phase == HTTP_BUSY ? MSEC_NEVER : deadline;
    if (phase == HTTP_HEAD || phase == HTTP_IDLE) c->interrupt.code = ERR_NONE;
    if (phase == HTTP_BODY) hurry(c);
    plan(cs, c->deadline);
    pthread_mutex_unlock(&cs->lock);
}

void http_connection_interrupt(struct http_connections *cs, struct http_connection *c, const struct err *e)
{
    pthread_mutex_lock(&cs->lock);
    c->interrupt = *e;
    if (c->phase == HTTP_BODY) hurry(c);
    plan(cs, c->deadline);
    pthread_mutex_unlock(&cs->lock);
}

static void end_late(struct http_connection *c)
{
    struct err e;
    c->deadline = MSEC_NEVER;
    if (!c->served) return; /* libmicrohttpd dropped it: the descriptor may be somebody else's by now */
    err_set(&e, ERR_REQUEST_TIMEOUT, c->phase == HTTP_BODY ? "The body stopped coming, or came too slowly"
                                                           : "The request's head did not come in time");
    if (c->phase == HTTP_BODY && c->interrupt.code != ERR_NONE) e = c->interrupt;
    if (c->phase != HTTP_IDLE) http_raw_problem(c->fd, &e);
    shutdown(c->fd, SHUT_RDWR);
    c->phase = HTTP_BUSY;
}

msec http_connections_reap(struct http_connections *cs, msec now)
{
    eventfd_t ignored;
    eventfd_read(cs->wake_fd, &ignored);
    pthread_mutex_lock(&cs->lock);
    cs->planned = MSEC_NEVER;
    for (struct http_connection *c = cs->first; c; c = c->next) {
        if (c->deadline <= now) end_late(c);
        cs->planned = MIN(cs->planned, c->deadline);
    }
    msec next = cs->planned;
    pthread_mutex_unlock(&cs->lock);
    return next;
}
