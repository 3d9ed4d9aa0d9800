#include "gadget/clock_watch.h"

#include <errno.h>
#include <sys/timerfd.h>

#define FAR_AWAY 253402300799 /* s: the end of the year 9999 */

/* Cancelled once, it must be set again to hear of the next time. */
static int set_timer(int fd)
{
    const struct itimerspec end = {.it_value.tv_sec = FAR_AWAY};
    return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &end, NULL);
}

static void on_readable(struct loop_watch *watch, attr_unused uint32_t events)
{
    struct clock_watch *w = watch->owner;
    uint64_t times;
    ssize_t n = read(w->fd, &times, sizeof times);
    bool cancelled = n < 0 && errno == ECANCELED;
    if (n < 0 && !cancelled) return;
    set_timer(w->fd);
    w->set(w->owner);
}

int clock_watch_init(struct clock_watch *w, struct loop *l, void (*set)(void *owner), void *owner, struct err *e)
{
    *w = (struct clock_watch){.loop = l, .set = set, .owner = owner};
    w->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (w->fd >= 0 && set_timer(w->fd) == 0 && loop_add(l, &w->readable, w->fd, EPOLLIN, on_readable, w) == 0) return 0;
    err_set_errno(e, ERR_INTERNAL, errno, "Cannot watch the wall clock");
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
    return -1;
}

void clock_watch_done(struct clock_watch *w)
{
    if (w->fd < 0) return;
    loop_remove(w->loop, &w->readable);
    close(w->fd);
    w->fd = -1;
}
