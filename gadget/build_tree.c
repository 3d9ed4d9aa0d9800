#include "gadget/build_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/fd.h"

static void step_path(const char *dir, const struct plan_step *s, char *ret, size_t size)
{
    snprintf(ret, size, "%s%s%s", dir, s->path[0] ? "/" : "", s->path);
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- what an errno means here ---- */

static const char *meaning_for_directory(const char *name, int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENODEV: return strchr(name, '.') ? "the kernel has no such USB function (a module usb_f_*)" : "";
    case EBUSY: return strncmp(name, "lun.", 4) == 0 ? "its function is linked into a configuration already" : "in use";
    case EACCES:
    case EPERM: return "this needs root";
    case EROFS: return "configfs is read-only here (under systemd: ProtectKernelTunables needs ReadWritePaths)";
    default: return "";
    }
}

static const char *meaning_for_value(const char *name, int errnum)
{
    switch (errnum) {
    case ENOENT:
    case EACCES: return "this kernel has no such attribute, or does not let it be written";
    case EBUSY:
        if (strcmp(name, "ro") == 0 || strcmp(name, "cdrom") == 0) return "a medium is in the drive";
        return "its function is linked into a configuration already";
    case EINVAL:
    case ERANGE: return "the kernel does not take this value";
    case EROFS: return meaning_for_directory(name, EROFS);
    default: return "";
    }
}

static const char *meaning_for_link(int errnum)
{
    switch (errnum) {
    case EINVAL: return "the gadget is bound to a UDC";
    case EEXIST: return "a link of that name is there already";
    default: return "";
    }
}

static int failed(struct err *e, const char *what, const char *path, const char *meaning)
{
    int errnum = errno;
    return meaning[0] ? err_set_errno(e, ERR_INTERNAL, errnum, "Cannot %s %s, %s", what, path, meaning)
                      : err_set_errno(e, ERR_INTERNAL, errnum, "Cannot %s %s", what, path);
}

/* ---- carrying out ---- */

static int make_directory(const char *path, struct err *e)
{
    if (mkdir(path, 0755) == 0 || errno == EEXIST) return 0;
    return failed(e, "make", path, meaning_for_directory(last_name(path), errno));
}

/* One write(2): configfs hands each one to the attribute by itself. */
static int write_value(const char *path, const struct plan_step *s)
{
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n;
    do n = write(fd, s->value, s->value_len);
    while (n < 0 && errno == EINTR);
    if (n >= 0 && (size_t)n < s->value_len) errno = EINVAL;
    return n == (ssize_t)s->value_len ? 0 : -1;
}

static ssize_t read_value(const char *path, char value[PLAN_VALUE_MAX])
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : fd_read_full(fd, value, PLAN_VALUE_MAX);
}

static int set_value(const char *path, const struct plan_step *s, struct err *e)
{
    char now[PLAN_VALUE_MAX];
    /* Opening what does not exist for writing says EACCES, so whether it exists is asked before. */
    if (s->optional && access(path, F_OK) < 0) return 0;
    ssize_t n = read_value(path, now);
    if (n >= 0 && plan_same_value(s, now, (size_t)n)) return 0;
    if (write_value(path, s) < 0) {
        if (errno == EBUSY && s->fleeting) return 0; /* a medium is in, and has its own */
        char what[32 + PLAN_VALUE_MAX] = "write to";
        if (!memchr(s->value, '\0', s->value_len))
            snprintf(what, sizeof what, "write \"%.*s\" to", (int)s->value_len, s->value);
        return failed(e, what, path, meaning_for_value(last_name(path), errno));
    }
    n = read_value(path, now);
    if (n < 0 || plan_same_value(s, now, (size_t)n)) return 0; /* some attributes can only be written */
    return err_set(e, ERR_INTERNAL, "The kernel took the value for %s without a word, but shows \"%.*s\"", path,
                   (int)strcspn(now, "\n"), now);
}

static int make_link(const char *dir, const char *path, const struct plan_step *s, struct err *e)
{
    char target[BUILD_TREE_PATH_MAX];
    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    snprintf(target, sizeof target, "%s/%s", dir, s->value);
    return symlink(target, path) == 0 ? 0 : failed(e, "make the link", path, meaning_for_link(errno));
}

int build_tree_make(const char *dir, const struct plan *p, struct err *e)
{
    char path[BUILD_TREE_PATH_MAX];
    for (size_t i = 0; i < p->count; i++) {
        const struct plan_step *s = &p->steps[i];
        int result = 0;
        step_path(dir, s, path, sizeof path);
        switch (s->kind) {
        case PLAN_DIRECTORY: result = make_directory(path, e); break;
        case PLAN_VALUE: result = set_value(path, s, e); break;
        case PLAN_LINK: result = make_link(dir, path, s, e); break;
        }
        if (result < 0) return -1;
        FAULT_POINT("build.step");
    }
    return 0;
}

int build_tree_remove(const char *dir, const struct plan *tree, struct err *e)
{
    char path[BUILD_TREE_PATH_MAX];
    for (size_t i = tree->count; i-- > 0;) {
        const struct plan_step *s = &tree->steps[i];
        if (s->kind == PLAN_VALUE) continue;
        step_path(dir, s, path, sizeof path);
        if ((s->kind == PLAN_LINK ? unlink(path) : rmdir(path)) < 0 && errno != ENOENT)
            return failed(e, "remove", path, errno == EBUSY ? "another program uses it" : "");
        FAULT_POINT("build.removed");
    }
    return 0;
}
