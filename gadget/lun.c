#include "gadget/lun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/fd.h"
#include "gadget/image.h"

#define DELETED " (deleted)"  /* what d_path() in the kernel appends to the path of an unlinked file */
#define SIGNAL_TAKES 50         /* ms; measured: 1.5 */
#define SIGNAL_ASK_EVERY_US 500
#define ATTRIBUTE_PATH_MAX (STORE_PATH_MAX + 256)

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static const char *attribute_path(const char *dir, const char *name, char path[ATTRIBUTE_PATH_MAX])
{
    snprintf(path, ATTRIBUTE_PATH_MAX, "%s/%s", dir, name);
    return path;
}

bool lun_has(const char *dir, const char *attribute)
{
    char path[ATTRIBUTE_PATH_MAX];
    return access(attribute_path(dir, attribute, path), F_OK) == 0;
}

/* One write(2) is one value. Returns 0, or the errno. */
static int write_attribute(const char *dir, const char *name, const char *value)
{
    char path[ATTRIBUTE_PATH_MAX];
    cleanup_close int fd = open(attribute_path(dir, name, path), O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) return errno;
    FAULT_POINT("lun.write");
    int errnum = write(fd, value, strlen(value)) < 0 ? errno : 0;
    FAULT_POINT("lun.written");
    return errnum;
}

static int read_attribute(const char *dir, const char *name, char *ret, size_t size, struct err *e)
{
    char path[ATTRIBUTE_PATH_MAX];
    if (fd_read_line(attribute_path(dir, name, path), ret, size) >= 0) return 0;
    return err_set_errno(e, errno == ENOENT ? ERR_GADGET_DIFFERS : ERR_INTERNAL, errno, "Cannot read %s", path);
}

/* ---- what is in -------------------------------------------------------------------------------------------------- */

static bool is_image(const struct lun_image *image, const char *shown)
{
    char path[MEDIUM_PATH_MAX];
    return image->fd >= 0 && image_path(image->fd, path, sizeof path) == 0 && strcmp(path, shown) == 0;
}

static void cut_deleted(struct engine_medium *m)
{
    size_t len = strlen(m->path), tail = strlen(DELETED);
    if (len <= tail || strcmp(m->path + len - tail, DELETED) != 0) return;
    if (access(m->path, F_OK) == 0) return; /* somebody really calls a file so */
    m->deleted = true;
    m->path[len - tail] = '\0';
}

static void identify(const struct lun_order *o, struct engine_medium *m, int *ret_fd)
{
    const struct lun_image *image = is_image(&o->image, m->path)   ? &o->image
                                    : is_image(&o->known, m->path) ? &o->known
                                                                   : NULL;
    cut_deleted(m);
    if (image) {
        m->device = image->device;
        m->inode = image->inode;
        m->size = image->size;
    } else if (!m->deleted) {
        int fd = open(m->path, O_PATH | O_CLOEXEC);
        if (fd >= 0 && image_identify(fd, m) == 0)
            *ret_fd = fd;
        else if (fd >= 0)
            close(fd);
    }
}

static int read_medium(const char *dir, const struct lun_order *o, struct engine_medium *ret, int *ret_fd,
                       struct err *e)
{
    struct engine_medium m = {0};
    char ro[8];
    if (read_attribute(dir, "file", m.path, sizeof m.path, e) < 0) return -1;
    if (read_attribute(dir, "ro", ro, sizeof ro, e) < 0) return -1;
    m.present = m.path[0] != '\0';
    m.readonly = m.present && ro[0] != '0';
    if (*ret_fd >= 0) close(*ret_fd);
    *ret_fd = -1;
    if (m.present) identify(o, &m, ret_fd);
    *ret = m;
    return 0;
}

/* ---- putting in -------------------------------------------------------------------------------------------------- */

static bool wants_readonly(const struct lun_order *o)
{
    return o->readonly || o->type == DRIVE_CDROM;
}

static int write_error(int errnum, const struct lun_order *o, struct err *e)
{
    enum err_code code = ERR_INTERNAL;
    switch (errnum) {
    case KERNEL_ETOOSMALL: code = o->type == DRIVE_CDROM ? ERR_TOO_SMALL_FOR_CDROM : ERR_IMAGE_UNUSABLE; break;
    case ENOENT: code = ERR_IMAGE_MISSING; break;
    case EINVAL:
    case EACCES:
    case EPERM: code = ERR_IMAGE_UNUSABLE; break;
    case EROFS: code = ERR_STORE_READ_ONLY; break;
    case EBUSY: code = ERR_MEDIUM_IN_USE; break;
    case ENOMEM: code = ERR_UNAVAILABLE; break;
    default: break;
    }
    return err_set_errno(e, code, errnum, "The kernel does not take the image");
}

static int write_image(const char *dir, const struct lun_order *o, struct engine_result *ret)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", o->image.fd);
    int errnum = write_attribute(dir, "file", path);
    if (errnum == 0) return 0;
    ret->outcome = errnum == EBUSY ? OUTCOME_BUSY : OUTCOME_ERROR;
    return write_error(errnum, o, &ret->err);
}

static int check_size_now(const struct lun_order *o, struct err *e)
{
    if (o->image.fd < 0) return err_set(e, ERR_INTERNAL, "No image was opened for this drive");
    struct engine_medium now = {0};
    if (image_identify(o->image.fd, &now) < 0)
        return err_set_errno(e, ERR_IMAGE_UNUSABLE, errno, "Cannot look at the image");
    return image_check_size(o->type, now.size, e);
}

/*
 * The kernel has taken it, but is it the image, and as wanted? (It falls back to reading where it may not write, and
 * when swapping `ro` is what the last insert set.) A medium that is not as wanted is taken out again.
 */
static int check_medium(const char *dir, const struct lun_order *o, struct engine_result *ret, int *ret_fd)
{
    if (read_medium(dir, o, &ret->medium, ret_fd, &ret->err) < 0) return -1;
    const struct engine_medium *m = &ret->medium;
    bool same = m->present && m->device == o->image.device && m->inode == o->image.inode;
    if (same && m->readonly == wants_readonly(o)) return 0;
    if (!m->present)
        return err_set(&ret->err, ERR_INTERNAL, "The kernel took the image, and shows an empty drive");
    if (!same)
        err_set(&ret->err, ERR_INTERNAL, "The kernel shows another image than the one it was given");
    else
        err_set(&ret->err, m->readonly ? ERR_STORE_READ_ONLY : ERR_INTERNAL, "The kernel took the image as %s",
                m->readonly ? "read-only" : "writable");
    write_attribute(dir, "file", "\n");
    return -1;
}

static int insert(const char *dir, const struct lun_order *o, struct engine_result *ret, int *ret_fd)
{
    if (read_medium(dir, o, &ret->medium, ret_fd, &ret->err) < 0) return -1;
    if (ret->medium.present) return err_set(&ret->err, ERR_PRECONDITION, "The drive is not empty");
    if (check_size_now(o, &ret->err) < 0) return -1;
    const char *cdrom = o->type == DRIVE_CDROM ? "1" : "0", *ro = wants_readonly(o) ? "1" : "0";
    int errnum = write_attribute(dir, "cdrom", cdrom);
    if (errnum == 0) errnum = write_attribute(dir, "ro", ro);
    if (errnum)
        return err_set_errno(&ret->err, ERR_INTERNAL, errnum, "Cannot prepare the drive (cdrom=%s, ro=%s)", cdrom, ro);
    if (write_image(dir, o, ret) < 0) return -1;
    return check_medium(dir, o, ret, ret_fd);
}

static int swap(const char *dir, const struct lun_order *o, struct engine_result *ret, int *ret_fd)
{
    char ro[8];
    bool want_ro = wants_readonly(o);
    if (check_size_now(o, &ret->err) < 0 || read_attribute(dir, "ro", ro, sizeof ro, &ret->err) < 0) return -1;
    if ((ro[0] != '0') != want_ro)
        return err_set(&ret->err, ERR_MEDIUM_DIFFERS, "A %s image cannot replace a %s one directly",
                       want_ro ? "read-only" : "writable", want_ro ? "writable" : "read-only");
    if (write_image(dir, o, ret) < 0) return -1;
    return check_medium(dir, o, ret, ret_fd);
}

/*
 * The same file once more: the kernel opens it anew and reports a new medium. Not into a drive that the host has emptied
 * meanwhile, nor over a medium that somebody else put in: what is there then is told by reading back.
 */
static int announce(const char *dir, const struct lun_order *o, struct engine_result *ret, int *ret_fd)
{
    if (read_medium(dir, o, &ret->medium, ret_fd, &ret->err) < 0) return -1;
    const struct engine_medium *m = &ret->medium;
    if (o->image.fd < 0 || !m->present || m->device != o->image.device || m->inode != o->image.inode)
        return err_set(&ret->err, ERR_PRECONDITION, "The medium is not in the drive any more");
    return write_image(dir, o, ret);
}

/* ---- taking out -------------------------------------------------------------------------------------------------- */

static int take_out(const char *dir, const char *attribute, const char *value, struct engine_result *ret)
{
    int errnum = write_attribute(dir, attribute, value);
    if (errnum == 0) return 0;
    ret->outcome = errnum == EBUSY ? OUTCOME_BUSY : OUTCOME_ERROR;
    return err_set_errno(&ret->err, errnum == EBUSY ? ERR_MEDIUM_IN_USE : ERR_INTERNAL, errnum,
                         "The kernel does not eject");
}

/*
 * Behind a SIGUSR1: the thread handles it some time after the write that follows it, so one question is not enough
 * (measured: EBUSY in 14 of 16); asked over and over, the medium is out within 1.5 ms.
 */
static int ask_behind_signal(const char *dir, const struct lun_order *o, struct engine_result *ret)
{
    if (!o->signalled) return err_set(&ret->err, ERR_FORCED_UNAVAILABLE, "The kernel thread could not be signalled");
    msec until = clock_boot_ms() + SIGNAL_TAKES;
    while (take_out(dir, "file", "\n", ret) < 0) {
        if (ret->outcome != OUTCOME_BUSY || clock_boot_ms() >= until) return -1;
        ret->outcome = OUTCOME_ERROR;
        usleep(SIGNAL_ASK_EVERY_US);
    }
    return 0;
}

static const char *break_io_of(const char *dir)
{
    static const char *const names[] = {"break_io", "../break_io"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (lun_has(dir, names[i])) return names[i];
    return NULL;
}

bool lun_can_break(const char *dir)
{
    return break_io_of(dir) != NULL;
}

int lun_break(const char *dir, struct err *e)
{
    const char *name = break_io_of(dir);
    if (!name) return err_set(e, ERR_FORCED_UNAVAILABLE, "This kernel has no break_io");
    int errnum = write_attribute(dir, name, "1");
    return errnum ? err_set_errno(e, ERR_INTERNAL, errnum, "The kernel does not break I/O") : 0;
}

static int force(const char *dir, const struct lun_order *o, struct engine_result *ret)
{
    if (!o->can_force || !lun_has(dir, "forced_eject"))
        return err_set(&ret->err, ERR_FORCED_UNAVAILABLE, o->can_force ? "This kernel has no forced_eject"
                                                                       : "The configuration switches forced_eject off");
    return take_out(dir, "forced_eject", "1", ret);
}

/* ---- the order --------------------------------------------------------------------------------------------------- */

static int perform(const char *dir, const struct lun_order *o, struct engine_result *ret, int *ret_fd)
{
    if (clock_boot_ms() >= o->expires_at && o->what != DO_OBSERVE)
        return err_set(&ret->err, ERR_DRIVE_STUCK, "The drive did not answer in time, and nothing was done");
    if (o->withdrawn) {
        ret->outcome = OUTCOME_BUSY;
        return err_set(&ret->err, ERR_MEDIUM_IN_USE, "The function was signalled meanwhile, so the lock says nothing");
    }
    switch (o->what) {
    case DO_INSERT: return insert(dir, o, ret, ret_fd);
    case DO_SWAP: return swap(dir, o, ret, ret_fd);
    case DO_ANNOUNCE: return announce(dir, o, ret, ret_fd);
    case DO_ASK: return take_out(dir, "file", "\n", ret);
    case DO_FORCE: return force(dir, o, ret);
    case DO_SIGNAL: return ask_behind_signal(dir, o, ret);
    case DO_OBSERVE: return 0;
    case DO_NOTHING:
    case DO_OPEN:
    case DO_SYNC:
    case DO_REATTACH: break;
    }
    return err_set(&ret->err, ERR_INTERNAL, "\"%s\" is no order for a LUN", drive_do_names[o->what]);
}

void lun_perform(const char *dir, const struct lun_order *o, struct engine_result *ret, int *ret_fd)
{
    *ret_fd = -1;
    ret->outcome = OUTCOME_ERROR; /* unless an errno says that the drive is busy */
    if (perform(dir, o, ret, ret_fd) == 0) ret->outcome = OUTCOME_OK;
    struct err e;
    ret->medium_known = read_medium(dir, o, &ret->medium, ret_fd, &e) == 0;
    ret->seen_real = clock_real_ms();
    if (ret->medium_known || ret->outcome != OUTCOME_OK) return;
    ret->outcome = OUTCOME_ERROR;
    ret->err = e;
}
