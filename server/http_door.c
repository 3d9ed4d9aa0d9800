#include "server/http_door.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/loop.h"
#include "server/http_head.h"
#include "server/http_raw.h"

#define LINGER 1000             /* ms that a refused client has to take its answer */
#define ACCEPT_PAUSE 200        /* ms without accepting when descriptors have run out */
#define KEEPALIVE_IDLE_S 60     /* a client that vanished without a word is noticed within two minutes */
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_COUNT 4
#define SEND_TIMEOUT_MS 300000  /* a client that takes nothing of its answer for that long is gone */

struct guest {                  /* a connection whose first head is not complete, or that was refused */
    struct loop_watch watch;
    struct loop_timer timer;
    struct http_door *door;
    struct address peer;
    char host[ADDRESS_TEXT_MAX];
    bool refused;
    struct guest *next, **link;
};

struct http_door {
    struct http_door_config config;
    struct loop *loop;
    struct loop_watch listener, stopper, waker;
    struct loop_timer reaper, pause;
    int stop_fd;
    struct guest *first;
    size_t guests;
    pthread_t thread;
    char peeked[HTTP_HEAD_BYTES_MAX + 1];
};

/* Takes the guest out; its descriptor is handed over, or closed. */
static void dismiss(struct guest *g, bool close_fd)
{
    struct http_door *d = g->door;
    loop_remove(d->loop, &g->watch);
    loop_timer_set(d->loop, &g->timer, MSEC_NEVER);
    if (close_fd) close(g->watch.fd);
    *g->link = g->next;
    if (g->next) g->next->link = g->link;
    d->guests--;
    free(g);
}

static void refuse(struct guest *g, const struct err *e)
{
    http_raw_problem(g->watch.fd, e);
    g->refused = true;
    loop_timer_set(g->door->loop, &g->timer, clock_boot_ms() + LINGER);
    http_raw_drain(g->watch.fd, HTTP_HEAD_BYTES_MAX, 0);
}

static void guest_late(struct loop_timer *t, msec now attr_unused)
{
    struct guest *g = t->owner;
    struct err e;
    if (g->refused) {
        dismiss(g, true);
        return;
    }
    err_set(&e, ERR_REQUEST_TIMEOUT, "The request's head did not come in time");
    refuse(g, &e);
}

static void reap(struct loop_timer *t, msec now)
{
    struct http_door *d = t->owner;
    loop_timer_set(d->loop, t, http_connections_reap(d->config.connections, now));
}

static void reap_sooner(struct loop_watch *w, uint32_t events attr_unused)
{
    reap(&((struct http_door *)w->owner)->reaper, clock_boot_ms());
}

static void hand_over(struct guest *g)
{
    struct http_door *d = g->door;
    struct err e;
    msec deadline = clock_boot_ms() + d->config.header_timeout;
    if (http_connections_add(d->config.connections, g->watch.fd, g->host, deadline) < 0) {
        err_set(&e, ERR_UNAVAILABLE, "Out of memory");
        refuse(g, &e);
        return;
    }
    struct address peer = g->peer;
    int fd = g->watch.fd;
    dismiss(g, false);
    d->config.enter(d->config.owner, fd, &peer);
}

/* Edge-triggered: something new has come. */
static void guest_ready(struct loop_watch *w, uint32_t events)
{
    struct guest *g = w->owner;
    struct http_door *d = g->door;
    struct err e;
    char *text = d->peeked;
    ssize_t n = recv(w->fd, text, HTTP_HEAD_BYTES_MAX, g->refused ? MSG_DONTWAIT : MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || (events & (EPOLLERR | EPOLLHUP))) {
        dismiss(g, true);
        return;
    }
    if (g->refused) {
        http_raw_drain(w->fd, HTTP_HEAD_BYTES_MAX, 0);
        return;
    }
    switch (http_head_check(text, (size_t)n, &e)) {
    case HTTP_HEAD_OK: hand_over(g); return;
    case HTTP_HEAD_BAD: refuse(g, &e); return;
    case HTTP_HEAD_MORE:
        if (events & EPOLLRDHUP) dismiss(g, true); /* it will never be complete */
        return;
    }
}

static bool is_full(struct http_door *d, const char *host, struct err *e)
{
    size_t all, same;
    http_connections_count(d->config.connections, host, &all, &same);
    all += d->guests;
    for (const struct guest *g = d->first; g; g = g->next) same += strcmp(g->host, host) == 0;
    if (all < HTTP_CONNECTIONS_MAX && same < HTTP_CONNECTIONS_PER_PEER) return false;
    err_set(e, ERR_UNAVAILABLE, "There are too many connections (%zu, %zu of them from %s)", all, same, host);
    return true;
}

static void tune(int fd, const struct address *peer)
{
    if (peer->any.sa_family == AF_UNIX) return;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){KEEPALIVE_IDLE_S}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){KEEPALIVE_INTERVAL_S}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){KEEPALIVE_COUNT}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(unsigned){SEND_TIMEOUT_MS}, sizeof(unsigned));
}

static void welcome(struct http_door *d, int fd, const struct address *peer)
{
    struct err e;
    char host[ADDRESS_TEXT_MAX];
    struct guest *g = calloc(1, sizeof *g);
    bool full = is_full(d, address_host(peer, host), &e);
    if (!g || full) { /* no linger for these: waiting for them would need what there is too little of */
        if (!g) err_set(&e, ERR_UNAVAILABLE, "Out of memory");
        http_raw_problem(fd, &e);
        close(fd);
        free(g);
        return;
    }
    g->door = d;
    g->peer = *peer;
    strcpy(g->host, host);
    tune(fd, peer);
    g->next = d->first;
    g->link = &d->first;
    if (g->next) g->next->link = &g->next;
    d->first = g;
    d->guests++;
    loop_timer_init(&g->timer, guest_late, g);
    loop_timer_set(d->loop, &g->timer, clock_boot_ms() + d->config.header_timeout);
    if (loop_add(d->loop, &g->watch, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, guest_ready, g) < 0) {
        g->watch.fd = fd;
        dismiss(g, true);
    }
}

static void accept_all(struct loop_watch *w, uint32_t events attr_unused)
{
    struct http_door *d = w->owner;
    for (;;) {
        struct address peer = {.len = sizeof peer.storage};
        int fd = accept4(w->fd, &peer.any, &peer.len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(d, fd, &peer);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN) { /* EMFILE and the like: the same client would wake us again at once */
            log_warning("Cannot accept a connection: %s", err_strerror(errno));
            loop_change(d->loop, &d->listener, 0);
            loop_timer_set(d->loop, &d->pause, clock_boot_ms() + ACCEPT_PAUSE);
        }
        return;
    }
}

static void accept_again(struct loop_timer *t, msec now attr_unused)
{
    struct http_door *d = t->owner;
    loop_change(d->loop, &d->listener, EPOLLIN);
}

static void stop(struct loop_watch *w, uint32_t events attr_unused)
{
    loop_stop(((struct http_door *)w->owner)->loop);
}

static void *run(void *owner)
{
    struct http_door *d = owner;
    if (loop_run(d->loop) < 0) log_error("The event loop of the HTTP service failed: %s", err_strerror(errno));
    return NULL;
}

/* Without its thread. */
static void tear_down(struct http_door *d)
{
    while (d->first) dismiss(d->first, true);
    if (d->loop) {
        loop_remove(d->loop, &d->listener);
        loop_remove(d->loop, &d->stopper);
        loop_remove(d->loop, &d->waker);
    }
    if (d->stop_fd >= 0) close(d->stop_fd);
    close(d->config.listen_fd);
    loop_free(d->loop);
    free(d);
}

struct http_door *http_door_open(const struct http_door_config *c, struct err *e)
{
    struct http_door *d = calloc(1, sizeof *d);
    if (!d) {
        close(c->listen_fd);
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    d->config = *c;
    d->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop_timer_init(&d->reaper, reap, d);
    loop_timer_init(&d->pause, accept_again, d);
    d->loop = loop_new(e);
    if (!d->loop || d->stop_fd < 0 || loop_add(d->loop, &d->listener, c->listen_fd, EPOLLIN, accept_all, d) < 0 ||
        loop_add(d->loop, &d->stopper, d->stop_fd, EPOLLIN, stop, d) < 0 ||
        loop_add(d->loop, &d->waker, http_connections_wake_fd(c->connections), EPOLLIN, reap_sooner, d) < 0 ||
        pthread_create(&d->thread, NULL, run, d) != 0) {
        if (d->loop) err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot start the HTTP service");
        tear_down(d);
        return NULL;
    }
    return d;
}

void http_door_close(struct http_door *d)
{
    if (!d) return;
    eventfd_write(d->stop_fd, 1);
    pthread_join(d->thread, NULL);
    tear_down(d);
}
