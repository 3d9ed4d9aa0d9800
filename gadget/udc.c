#include "gadget/udc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"

#define UEVENT_MAX 8192 /* UEVENT_BUFFER_SIZE is 2048 in include/linux/kobject.h; room for its path before it */

struct udc {
    struct loop *loop;
    char class_dir[128], wanted[64], gadget[64];
    char name[64];                /* of the one that is watched; "" */
    int state_fd;                 /* its `state` */
    struct loop_watch state;
    int uevent_fd;
    struct loop_watch uevents;
    void (*changed)(void *owner, bool appeared);
    void *owner;
};

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static bool read_attribute(const struct udc *u, const char *name, const char *attribute, char *ret, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s/%s", u->class_dir, name, attribute);
    ret[0] = '\0';
    return fd_read_line(path, ret, size) >= 0;
}

static bool is_bound(const struct udc *u, const char *name)
{
    char function[128];
    return read_attribute(u, name, "function", function, sizeof function) && strcmp(function, u->gadget) == 0;
}

static void choose(const struct udc *u, char ret[64])
{
    bool bound = false;
    ret[0] = '\0';
    DIR *dir = opendir(u->class_dir);
    for (struct dirent *d; dir && !bound && (d = readdir(dir));) {
        if (d->d_name[0] == '.' || strlen(d->d_name) >= 64) continue;
        if (u->wanted[0] && strcmp(d->d_name, u->wanted) != 0) continue;
        bound = is_bound(u, d->d_name);
        if (bound || !ret[0] || strcmp(d->d_name, ret) < 0) snprintf(ret, 64, "%.63s", d->d_name);
    }
    if (dir) closedir(dir);
}

/* ---- news -------------------------------------------------------------------------------------------------------- */

static void unwatch(struct udc *u)
{
    loop_remove(u->loop, &u->state);
    if (u->state_fd >= 0) close(u->state_fd);
    u->state_fd = -1;
    u->name[0] = '\0';
}

/* poll(2) on an attribute of sysfs tells of changes since it was last read. */
static bool read_state(const struct udc *u, char *ret, size_t size)
{
    ssize_t n = u->state_fd < 0 ? -1 : pread(u->state_fd, ret, size - 1, 0);
    if (n < 0) return false;
    ret[n] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    return true;
}

static void on_state(struct loop_watch *w, uint32_t events)
{
    (void)events;
    struct udc *u = w->owner;
    char text[32];
    if (!read_state(u, text, sizeof text)) unwatch(u); /* the controller has gone; its file would be ready for ever */
    u->changed(u->owner, false);
}

static void watch_state(struct udc *u, const char *name)
{
    char path[256], text[32];
    unwatch(u);
    if (!name[0]) return;
    snprintf(path, sizeof path, "%s/%s/state", u->class_dir, name);
    u->state_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!read_state(u, text, sizeof text)) {
        unwatch(u);
        return;
    }
    snprintf(u->name, sizeof u->name, "%s", name);
    /* Fails with EPERM on a regular file, in a test: it is read all the same. */
    if (loop_add(u->loop, &u->state, u->state_fd, EPOLLPRI, on_state, u) < 0 && errno != EPERM)
        log_warning("Cannot watch the state of %s: %m", name);
}

/* Lines "KEY=VALUE", each ended by NUL, after a first line "ACTION@DEVPATH". */
static bool uevent_says(const char *text, size_t len, const char *line)
{
    for (const char *at = text; at < text + len; at += strlen(at) + 1)
        if (strcmp(at, line) == 0) return true;
    return false;
}

static void on_uevent(struct loop_watch *w, uint32_t events)
{
    (void)events;
    struct udc *u = w->owner;
    char text[UEVENT_MAX + 1];
    bool news = false, appeared = false;
    for (;;) {
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof from;
        ssize_t n = recvfrom(u->uevent_fd, text, UEVENT_MAX, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
        if (n < 0 && errno == ENOBUFS) {
            news = appeared = true; /* some were lost: anything may have happened */
            continue;
        }
        if (n < 0) break;
        text[n] = '\0';
        if (from.nl_pid != 0 || !uevent_says(text, (size_t)n, "SUBSYSTEM=udc")) continue; /* 0: the kernel */
        news = true;
        if (uevent_says(text, (size_t)n, "ACTION=add")) appeared = true;
    }
    if (news) u->changed(u->owner, appeared);
}

static int open_uevents(void)
{
    struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = 1}; /* 1: the kernel's, 2: udev's */
    cleanup_close int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0 || bind(fd, (struct sockaddr *)&all, sizeof all) < 0) return -1;
    return take_fd(&fd);
}

/* ---- what the header promises ------------------------------------------------------------------------------------ */

struct udc *udc_new(struct loop *l, const char *class_dir, const char *wanted, const char *gadget,
                    void (*changed)(void *owner, bool appeared), void *owner, struct err *e)
{
    struct udc *u = calloc(1, sizeof *u);
    if (!u) {
        err_set(e, ERR_UNAVAILABLE, "No memory");
        return NULL;
    }
    u->loop = l;
    u->state_fd = -1;
    u->changed = changed;
    u->owner = owner;
    snprintf(u->class_dir, sizeof u->class_dir, "%s", class_dir);
    snprintf(u->wanted, sizeof u->wanted, "%s", wanted);
    snprintf(u->gadget, sizeof u->gadget, "%s", gadget);
    u->uevent_fd = open_uevents();
    if (u->uevent_fd < 0 || loop_add(l, &u->uevents, u->uevent_fd, EPOLLIN, on_uevent, u) < 0)
        log_warning("No uevents (%m): a USB device controller that appears later goes unnoticed");
    return u;
}

void udc_free(struct udc *u)
{
    if (!u) return;
    unwatch(u);
    loop_remove(u->loop, &u->uevents);
    if (u->uevent_fd >= 0) close(u->uevent_fd);
    free(u);
}

void udc_read(struct udc *u, struct engine_link *ret)
{
    char name[64];
    *ret = (struct engine_link){0};
    choose(u, name);
    if (strcmp(name, u->name) != 0) watch_state(u, name);
    if (u->name[0] && !read_state(u, ret->state, sizeof ret->state)) watch_state(u, name); /* went, and came back */
    if (!u->name[0] || !read_state(u, ret->state, sizeof ret->state)) return;
    snprintf(ret->udc, sizeof ret->udc, "%s", u->name);
    read_attribute(u, u->name, "current_speed", ret->speed, sizeof ret->speed);
    ret->bound = is_bound(u, u->name);
    ret->configured = ret->bound && strcmp(ret->state, "configured") == 0;
}
