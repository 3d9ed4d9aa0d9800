#include "gadget/watch.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>

int watch_fd(const struct watch *w, enum watch_sort sort)
{
    return w->fds[sort];
}

uint32_t watch_mask(enum watch_sort sort)
{
    return sort == WATCH_CLOSES ? IN_CLOSE_WRITE | IN_CLOSE_NOWRITE : IN_ACCESS | IN_MODIFY | IN_ONESHOT;
}

static void drain(struct watch *w, enum watch_sort sort)
{
    _Alignas(struct inotify_event) char events[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    bool seen = false, ended = false;
    ssize_t n;
    while ((n = read(w->fds[sort], events, sizeof events)) > 0) {
        for (char *at = events; at < events + n;) {
            const struct inotify_event *ev = (const void *)at;
            at += sizeof *ev + ev->len;
            /* Whatever its wd: the worker's answer that names the wd may come after the first event. */
            if (ev->mask & (watch_mask(sort) | IN_Q_OVERFLOW)) seen = true;
            if (!(ev->mask & IN_IGNORED) || ev->wd != w->wds[sort]) continue;
            w->wds[sort] = -1; /* one-shot, or deleted */
            ended = true;
        }
    }
    if (seen)
        w->seen(w->owner, sort);
    else if (ended && w->ended)
        w->ended(w->owner, sort);
}

static void on_closes(struct loop_watch *r, uint32_t events)
{
    (void)events;
    drain(r->owner, WATCH_CLOSES);
}

static void on_activity(struct loop_watch *r, uint32_t events)
{
    (void)events;
    drain(r->owner, WATCH_ACTIVITY);
}

int watch_init(struct watch *w, struct loop *l, void (*seen)(void *owner, enum watch_sort sort), void *owner,
               struct err *e)
{
    static loop_watch_fn *const ready[] = {[WATCH_CLOSES] = on_closes, [WATCH_ACTIVITY] = on_activity};
    *w = (struct watch){.loop = l, .fds = {-1, -1}, .wds = {-1, -1}, .seen = seen, .owner = owner};
    for (int i = 0; i < WATCH_SORTS; i++) {
        w->fds[i] = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (w->fds[i] >= 0 && loop_add(l, &w->readable[i], w->fds[i], EPOLLIN, ready[i], w) == 0) continue;
        err_set_errno(e, ERR_INTERNAL, errno, "No inotify instance (see fs.inotify.max_user_instances)");
        watch_done(w);
        return -1;
    }
    return 0;
}

void watch_done(struct watch *w)
{
    for (int i = 0; i < WATCH_SORTS && w->loop; i++) {
        loop_remove(w->loop, &w->readable[i]);
        if (w->fds[i] >= 0) close(w->fds[i]);
        w->fds[i] = -1;
    }
}

void watch_added(struct watch *w, enum watch_sort sort, int wd)
{
    int old = w->wds[sort];
    w->wds[sort] = wd;
    if (old >= 0 && old != wd) inotify_rm_watch(w->fds[sort], old);
}

void watch_clear(struct watch *w)
{
    for (int i = 0; i < WATCH_SORTS; i++) watch_added(w, (enum watch_sort)i, -1);
}
