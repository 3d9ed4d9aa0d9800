#include "gadget/build_udc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/parse.h"
#include "gadget/build.h"

#define UDC_CLASS "/sys/class/udc"
#define USER_MAX 128
#define GADGET_PATH_MAX (2 * STORE_PATH_MAX)

/* The name of the gadget that uses the controller, "" for none. Returns -1 where there is no such controller. */
static int user_of(const char *udc, char ret[USER_MAX])
{
    char path[sizeof UDC_CLASS + NAME_BYTES_MAX + 16];
    snprintf(path, sizeof path, UDC_CLASS "/%s/function", udc);
    return fd_read_line(path, ret, USER_MAX) < 0 ? -1 : 0;
}

static int is_udc(const struct dirent *d)
{
    return d->d_name[0] != '.' && strlen(d->d_name) < UDC_NAME_MAX;
}

/* Calls `each` for every controller, in the order of their names, until it returns true. */
static bool each_udc(bool (*each)(void *ctx, const char *udc, const char *user), void *ctx)
{
    struct dirent **names;
    char user[USER_MAX];
    bool found = false;
    int count = scandir(UDC_CLASS, &names, is_udc, versionsort);
    if (count < 0) return false;
    for (int i = 0; i < count; i++) {
        if (!found && user_of(names[i]->d_name, user) == 0) found = each(ctx, names[i]->d_name, user);
        free(names[i]);
    }
    free(names);
    return found;
}

struct search {
    const char *user;        /* whose controller is looked for; "": nobody's */
    char udc[UDC_NAME_MAX];
    char other[UDC_NAME_MAX], other_user[USER_MAX]; /* one that was passed over */
};

static bool is_used_by(void *ctx, const char *udc, const char *user)
{
    struct search *s = ctx;
    if (strcmp(user, s->user) == 0) {
        snprintf(s->udc, sizeof s->udc, "%s", udc);
        return true;
    }
    snprintf(s->other, sizeof s->other, "%s", udc);
    snprintf(s->other_user, sizeof s->other_user, "%s", user);
    return false;
}

bool build_udc_of_gadget(const struct gadget_config *c, char ret[UDC_NAME_MAX])
{
    struct search s = {.user = c->name};
    each_udc(is_used_by, &s);
    memcpy(ret, s.udc, UDC_NAME_MAX);
    return ret[0] != '\0';
}

/* "gadget g1" where configfs has it, else "the driver ..." of an old-style gadget module. */
static int in_use(const struct gadget_config *c, const char *udc, const char *user, struct err *e)
{
    char dir[STORE_PATH_MAX + USER_MAX + 16];
    snprintf(dir, sizeof dir, "%s/usb_gadget/%s", c->configfs, user);
    bool in_configfs = access(dir, F_OK) == 0;
    return err_set(e, ERR_GADGET_DETACHED, "The USB device controller %s is already in use by %s \"%s\"%s%s", udc,
                   in_configfs ? "the gadget" : "the gadget driver", user, in_configfs ? " in " : "",
                   in_configfs ? dir : "");
}

int build_udc_choose(const struct gadget_config *c, char ret[UDC_NAME_MAX], struct err *e)
{
    struct search s = {.user = ""};
    ret[0] = '\0';
    if (!c->udc[0]) {
        if (!each_udc(is_used_by, &s) && s.other[0]) return in_use(c, s.other, s.other_user, e);
        memcpy(ret, s.udc, UDC_NAME_MAX);
        return 0;
    }
    if (user_of(c->udc, s.other_user) < 0) return 0; /* not there yet */
    if (s.other_user[0]) return in_use(c, c->udc, s.other_user, e);
    memcpy(ret, c->udc, UDC_NAME_MAX);
    return 0;
}

static void path_of(const struct gadget_config *c, const char *attribute, char ret[GADGET_PATH_MAX])
{
    build_gadget_dir(c, ret, GADGET_PATH_MAX - NAME_BYTES_MAX);
    snprintf(ret + strlen(ret), NAME_BYTES_MAX, "/%s", attribute);
}

static int write_udc(const struct gadget_config *c, const char *text)
{
    char path[GADGET_PATH_MAX];
    path_of(c, "UDC", path);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    FAULT_POINT("udc.write");
    int result = fd_write_full(fd, text, strlen(text));
    FAULT_POINT("udc.written");
    return result;
}

/*
 * The last digit of the release number counts how often the gadget was bound, for each host to see that this is another
 * device than before. A disconnect may escape it: a Linux host that is resetting the port just then waits up to 0.86 s for
 * the device to come back (hub_port_wait_reset() in drivers/usb/core/hub.c), and goes on with its old commands and its
 * dirty pages as after any reset, unless the descriptors have changed (descriptors_changed() there). Measured without this:
 * 0.5 s unbound under a host that wrote, 7 of 24 times; 0.8 s under one that reset the port again and again, 8 of 12 times
 * on 6.1 and 12 of 12 on 6.12 (tests/vm/scripts/reattach.sh).
 */
static int count_binding(const struct gadget_config *c, unsigned long by, struct err *e)
{
    char path[GADGET_PATH_MAX], text[16];
    path_of(c, "bcdDevice", path);
    if (fd_read_line(path, text, sizeof text) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot read %s", path);
    unsigned long release = strtoul(text, NULL, 0);
    snprintf(text, sizeof text, "0x%04lx\n", (release & ~0xful) | ((release & 0xf) + by) % 10);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || fd_write_full(fd, text, strlen(text)) < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot write %s", path);
    return 0;
}

static int bind_failed(const struct gadget_config *c, const char *udc, int errnum, struct err *e)
{
    char user[USER_MAX];
    if (user_of(udc, user) < 0)
        return err_set_errno(e, ERR_GADGET_DETACHED, errnum, "The USB device controller %s has gone", udc);
    if (user[0]) return in_use(c, udc, user, e);
    /* A function that finds no endpoint says EINVAL or ENODEV; since 6.0 the kernel makes EBUSY of all of that. */
    if (errnum != EINVAL && errnum != ENODEV && errnum != EBUSY)
        return err_set_errno(e, ERR_GADGET_DETACHED, errnum, "Cannot bind the gadget to %s", udc);
    err_set(e, ERR_GADGET_DETACHED,
            "The kernel cannot bind the gadget to %s, and only its log says why: most often the controller has too few "
            "endpoints for %zu functions; let drives share one (function = \"...\"), or leave a function out",
            udc, build_function_count(c) + c->functions_count);
    if (e) e->errnum = errnum;
    return -1;
}

int build_udc_bind(const struct gadget_config *c, const char *udc, struct err *e)
{
    char user[USER_MAX];
    if (count_binding(c, 1, e) < 0) return -1;
    if (write_udc(c, udc) < 0) {
        int errnum = errno;
        count_binding(c, 9, NULL); /* no host has seen it: ten attempts would look like none */
        return bind_failed(c, udc, errnum, e);
    }
    if (user_of(udc, user) == 0 && strcmp(user, c->name) == 0) return 0;
    return err_set(e, ERR_GADGET_DETACHED, "The kernel took %s for the gadget's UDC, but does not show it bound", udc);
}

int build_udc_unbind(const struct gadget_config *c, struct err *e)
{
    char udc[UDC_NAME_MAX];
    /* A newline: an empty write is not noticed. ENODEV: it was not bound; ENOENT: there is no gadget. */
    if (write_udc(c, "\n") < 0 && errno != ENODEV && errno != ENOENT)
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot unbind the gadget %s", c->name);
    if (!build_udc_of_gadget(c, udc)) return 0;
    return err_set(e, ERR_INTERNAL, "The kernel unbound the gadget %s, but still shows it bound to %s", c->name, udc);
}
