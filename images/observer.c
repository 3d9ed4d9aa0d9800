#include "images/observer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "base/fd.h"
#include "base/log.h"
#include "images/observer_look.h"
#include "images/thread.h"

#define SETTLE 200           /* ms; what happens in a burst is looked at once */
#define EVENTS_BYTES 16384   /* read at once: some hundred events */

struct observed_store {
    struct store *store;
    struct observer_look *look; /* the newest that came back; NULL: none yet */
    msec look_at;               /* boot time; MSEC_NEVER */
    bool tell;                  /* even where the look finds nothing new */
    unsigned burst;             /* files that changed since burst_began */
    msec burst_began;
    atomic_bool rescan;         /* asked for by another thread */
};

struct observer {
    struct observed_store stores[STORES_MAX];
    size_t count;
    struct observer_sink sink;
    int inotify_fd, mounts_fd, wake_fd;
    atomic_bool stop;
    pthread_t thread;
    bool running;
};

/* ---- looks ------------------------------------------------------------------------------------------------------- */

static void drop_look(struct observer_look *l)
{
    if (l) l->job.drop(&l->job);
}

/* Where a folder has gone, its watch went with it; where it moved away, it must go. */
static void unwatch_what_is_gone(const struct observer *o, const struct observer_look *before, const struct observer_look *now)
{
    for (size_t i = 0; before && i < before->count; i++) {
        bool kept = false;
        for (size_t j = 0; j < now->count && !kept; j++) kept = now->folders[j]->wd == before->folders[i]->wd;
        if (!kept) inotify_rm_watch(o->inotify_fd, before->folders[i]->wd);
    }
}

static void look(struct observer *o, struct observed_store *s)
{
    struct observer_look *now = observer_look_new(s->store, o->inotify_fd);
    struct err e;
    bool tell = s->tell;
    s->tell = false;
    s->look_at = clock_boot_ms() + OBSERVER_LOOK_EVERY;
    if (!now || store_thread_call(s->store->thread, &now->job, STORE_PATIENCE, NULL, &e) < 0) return; /* it hangs: later */
    const struct observer_look *before = s->look;
    bool news = before && (before->there != now->there || before->signature != now->signature);
    unwatch_what_is_gone(o, before, now);
    drop_look(s->look);
    s->look = now;
    if (now->there && !now->remote) s->look_at = MSEC_NEVER;
    if (news || tell) o->sink.store(o->sink.owner, s->store->config.name);
}

static void look_soon(struct observed_store *s, bool tell)
{
    s->look_at = MIN(s->look_at, clock_boot_ms() + SETTLE);
    s->tell |= tell;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static struct observed_store *find(struct observer *o, int wd, const char **ret_path)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct observer_look *l = o->stores[i].look;
        for (size_t j = 0; l && j < l->count; j++) {
            if (l->folders[j]->wd != wd) continue;
            *ret_path = l->folders[j]->path;
            return &o->stores[i];
        }
    }
    return NULL;
}

static void on_file(struct observer *o, struct observed_store *s, const char *path, const struct inotify_event *ev)
{
    char ref[STORE_REF_MAX];
    bool gone = ev->mask & (IN_DELETE | IN_MOVED_FROM);
    if (!gone && !(ev->mask & (IN_CLOSE_WRITE | IN_MOVED_TO))) return;
    if (ev->name[0] == '.' || !image_name_usable(ev->name)) return;
    msec now = clock_boot_ms();
    if (now - s->burst_began >= OBSERVER_BURST_TIME) s->burst = 0, s->burst_began = now;
    if (++s->burst > OBSERVER_BURST)
        look_soon(s, true);
    else
        o->sink.file(o->sink.owner, store_ref_format(s->store->config.name, path, ref), ev->name, gone);
}

static void on_event(struct observer *o, const struct inotify_event *ev)
{
    const char *path;
    if (ev->mask & IN_Q_OVERFLOW)
        for (size_t i = 0; i < o->count; i++) look_soon(&o->stores[i], true);
    struct observed_store *s = find(o, ev->wd, &path);
    if (!s) return;
    bool own = ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED);
    bool folder = (ev->mask & IN_ISDIR) && ev->len && ev->name[0] != '.';
    if (own || folder)
        look_soon(s, false);
    else if (ev->len && !(ev->mask & IN_ISDIR))
        on_file(o, s, path, ev);
}

static void read_events(struct observer *o)
{
    char buf[EVENTS_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t len;
    while ((len = read(o->inotify_fd, buf, sizeof buf)) > 0) {
        for (const char *p = buf; p < buf + len;) {
            const struct inotify_event *ev = (const struct inotify_event *)(const void *)p;
            on_event(o, ev);
            p += sizeof *ev + ev->len;
        }
    }
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void drain_wake(const struct observer *o)
{
    uint64_t count;
    if (read(o->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN) log_debug("the observer's eventfd: %s", strerror(errno));
}

static int look_at_what_is_due(struct observer *o)
{
    msec next = MSEC_NEVER;
    for (size_t i = 0; i < o->count && !atomic_load(&o->stop); i++) {
        struct observed_store *s = &o->stores[i];
        if (atomic_exchange(&s->rescan, false)) s->look_at = 0, s->tell = true;
        if (s->look_at <= clock_boot_ms()) look(o, s);
        next = MIN(next, s->look_at);
    }
    return next == MSEC_NEVER ? -1 : (int)MAX(next - clock_boot_ms(), 0);
}

static void *observe(void *arg)
{
    struct observer *o = arg;
    while (!atomic_load(&o->stop)) {
        struct pollfd fds[] = {{.fd = o->inotify_fd, .events = POLLIN}, {.fd = o->wake_fd, .events = POLLIN},
                               {.fd = o->mounts_fd, .events = POLLPRI}};
        if (poll(fds, ARRAY_LEN(fds), look_at_what_is_due(o)) < 0 && errno != EINTR) break;
        if (fds[1].revents) drain_wake(o);
        if (fds[0].revents & POLLIN) read_events(o);
        if (fds[2].revents & (POLLPRI | POLLERR))
            for (size_t i = 0; i < o->count; i++) look_soon(&o->stores[i], false);
    }
    return NULL;
}

static void wake(const struct observer *o)
{
    uint64_t one = 1;
    if (write(o->wake_fd, &one, sizeof one) < 0) log_debug("the observer's eventfd: %s", strerror(errno));
}

struct observer *observer_new(struct store *stores, size_t count, const struct observer_sink *sink, struct err *e)
{
    struct observer *o = calloc(1, sizeof *o);
    if (!o) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    o->sink = *sink;
    o->count = count;
    for (size_t i = 0; i < count; i++) o->stores[i].store = &stores[i];
    o->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    o->mounts_fd = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC); /* without it poll() ignores the place */
    o->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int errnum = o->inotify_fd < 0 || o->wake_fd < 0 ? errno : images_thread_start(&o->thread, observe, o);
    if (errnum) {
        err_set_errno(e, ERR_UNAVAILABLE, errnum, "The stores cannot be observed");
        observer_free(o);
        return NULL;
    }
    o->running = true;
    return o;
}

void observer_free(struct observer *o)
{
    if (!o) return;
    atomic_store(&o->stop, true);
    if (o->wake_fd >= 0) wake(o);
    if (o->running) pthread_join(o->thread, NULL);
    for (size_t i = 0; i < o->count; i++) drop_look(o->stores[i].look);
    util_close_fd(&o->inotify_fd);
    util_close_fd(&o->mounts_fd);
    util_close_fd(&o->wake_fd);
    free(o);
}

void observer_rescan(struct observer *o, const struct store *s)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->stores[i].store == s) atomic_store(&o->stores[i].rescan, true);
    wake(o);
}
