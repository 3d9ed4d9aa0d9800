#include "base/loop.h"

#include <errno.h>
#include <limits.h>

#define LOOP_EVENTS 32 /* a batch; more only means more calls of epoll_wait */

struct loop {
    int epoll_fd;
    bool stopping;
    struct loop_timer *timers;
    struct epoll_event batch[LOOP_EVENTS]; /* kept here so that loop_remove() can void what is still undelivered */
    int batch_len, batch_next;
};

struct loop *loop_new(struct err *e)
{
    struct loop *l = calloc(1, sizeof *l);
    if (l && (l->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) >= 0) return l;
    err_set_errno(e, ERR_INTERNAL, errno, "Cannot make an event loop");
    free(l);
    return NULL;
}

void loop_free(struct loop *l)
{
    if (!l) return;
    close(l->epoll_fd);
    free(l);
}

int loop_add(struct loop *l, struct loop_watch *w, int fd, uint32_t events, loop_watch_fn *ready, void *owner)
{
    *w = (struct loop_watch){.fd = fd, .ready = ready, .owner = owner};
    struct epoll_event ev = {.events = events, .data.ptr = w};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) return -1;
    w->added = true;
    return 0;
}

void loop_change(struct loop *l, struct loop_watch *w, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = w};
    epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev);
}

void loop_remove(struct loop *l, struct loop_watch *w)
{
    if (!w->added) return;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    w->added = false;
    for (int i = l->batch_next; i < l->batch_len; i++)
        if (l->batch[i].data.ptr == w) l->batch[i].data.ptr = NULL;
}

void loop_timer_init(struct loop_timer *t, loop_timer_fn *expired, void *owner)
{
    *t = (struct loop_timer){.at = MSEC_NEVER, .expired = expired, .owner = owner};
}

static void timer_unlink(struct loop_timer *t)
{
    if (!t->link) return;
    *t->link = t->next;
    if (t->next) t->next->link = t->link;
    t->next = NULL;
    t->link = NULL;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, msec at)
{
    timer_unlink(t);
    t->at = at;
    if (at == MSEC_NEVER) return;
    struct loop_timer **p = &l->timers; /* a sorted list: there are some tens of timers at most */
    while (*p && (*p)->at <= at) p = &(*p)->next;
    t->next = *p;
    t->link = p;
    if (t->next) t->next->link = &t->next;
    *p = t;
}

static void expire_timers(struct loop *l)
{
    msec now = clock_boot_ms();
    while (l->timers && l->timers->at <= now && !l->stopping) {
        struct loop_timer *t = l->timers;
        timer_unlink(t);
        t->at = MSEC_NEVER;
        t->expired(t, now);
    }
}

static int wait_ms(const struct loop *l)
{
    if (!l->timers) return -1;
    msec left = l->timers->at - clock_boot_ms();
    return left <= 0 ? 0 : (int)MIN(left, INT_MAX);
}

int loop_run(struct loop *l)
{
    while (!l->stopping) {
        l->batch_len = epoll_wait(l->epoll_fd, l->batch, LOOP_EVENTS, wait_ms(l));
        if (l->batch_len < 0 && errno != EINTR) return -1;
        for (l->batch_next = 0; l->batch_next < l->batch_len && !l->stopping;) {
            struct epoll_event *ev = &l->batch[l->batch_next++];
            struct loop_watch *w = ev->data.ptr;
            if (w) w->ready(w, ev->events);
        }
        l->batch_len = 0;
        expire_timers(l);
    }
    l->stopping = false;
    return 0;
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}
