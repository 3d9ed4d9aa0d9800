#include "gadget/store_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/device.h"
#include "base/fault.h"
#include "base/fd.h"

#define MOUNTINFO_MAX (1 << 20)     /* some thousand mounts */
#define SYSTEMD_RUNS "/run/systemd/system" /* sd_booted(3) */
#define FIELDS_MAX 32               /* of a line of mountinfo: eleven, and optional ones between */

/* ---- /proc/self/mountinfo ---------------------------------------------------------------------------------------- */

/* \040 and its like, in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned value;
        if (from[0] == '\\' && sscanf(from + 1, "%3o", &value) == 1) {
            *to = (char)value;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Words that are flags of mount(2); what is left goes to the file system as it stands. */
static bool take_flag(const char *word, uint64_t *flags)
{
    static const struct {
        const char *word;
        uint64_t flag;
    } known[] = {{"ro", MS_RDONLY},   {"rw", 0},           {"nosuid", MS_NOSUID},     {"nodev", MS_NODEV},
                 {"noexec", MS_NOEXEC}, {"noatime", MS_NOATIME}, {"nodiratime", MS_NODIRATIME}, {"relatime", MS_RELATIME},
                 {"sync", MS_SYNCHRONOUS}, {"dirsync", MS_DIRSYNC}, {"mand", 0}, {"lazytime", MS_LAZYTIME}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(known[i].word, word) == 0) {
            *flags |= known[i].flag;
            return true;
        }
    return false;
}

/* Those of the mount, and those of the file system. False where they do not fit. */
static bool read_options(char *mount, char *super, struct store_mount *m)
{
    char *save;
    bool fits = true;
    for (char *word = strtok_r(mount, ",", &save); word; word = strtok_r(NULL, ",", &save)) take_flag(word, &m->flags);
    for (char *word = strtok_r(super, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        size_t len = strlen(m->options);
        if (take_flag(word, &m->flags)) continue;
        size_t room = sizeof m->options - len;
        fits &= (size_t)snprintf(m->options + len, room, "%s%s", len ? "," : "", word) < room;
    }
    return fits;
}

/* "36 35 98:0 ROOT DIR OPTIONS [optional]... - TYPE SOURCE SUPER" */
static bool read_line(char *line, const char *dir, struct store_mount *ret)
{
    char *fields[FIELDS_MAX], *save;
    size_t count = 0, dash = 6;
    struct store_mount m = {.there = true};
    for (char *f = strtok_r(line, " ", &save); f && count < FIELDS_MAX; f = strtok_r(NULL, " ", &save)) fields[count++] = f;
    while (dash < count && strcmp(fields[dash], "-") != 0) dash++;
    if (dash + 3 >= count) return false;
    unescape(fields[4]);
    if (strcmp(fields[4], dir) != 0 || sscanf(fields[2], "%u:%u", &m.major, &m.minor) != 2) return false;
    m.part = strcmp(fields[3], "/") != 0;
    m.block = m.major != 0;
    unescape(fields[dash + 2]);
    bool fits = (size_t)snprintf(m.type, sizeof m.type, "%s", fields[dash + 1]) < sizeof m.type &&
                (size_t)snprintf(m.source, sizeof m.source, "%s", fields[dash + 2]) < sizeof m.source &&
                read_options(fields[5], fields[dash + 3], &m);
    if (fits) *ret = m;
    return fits;
}

bool store_mount_parse(const char *mountinfo, const char *dir, struct store_mount *ret)
{
    bool found = false;
    cleanup_free char *text = strdup(mountinfo);
    char *save;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
        found |= read_line(line, dir, ret); /* the last one lies on top */
    return found;
}

static bool find(const char *dir, struct store_mount *ret)
{
    cleanup_free char *real = realpath(dir, NULL);
    cleanup_free char *text = malloc(MOUNTINFO_MAX);
    if (!text || fd_read_text("/proc/self/mountinfo", text, MOUNTINFO_MAX) <= 0) return false;
    return store_mount_parse(text, real ? real : dir, ret);
}

/* ---- to the storage ---------------------------------------------------------------------------------------------- */

static int sync_error(int errnum, const char *dir, struct err *e)
{
    enum err_code code = errnum == ENOSPC || errnum == EDQUOT ? ERR_NO_SPACE
                         : errnum == EIO || errnum == ENODEV || errnum == ESTALE || errnum == ENOTCONN ? ERR_STORE_DETACHED
                                                                                       : ERR_UNAVAILABLE;
    return err_set_errno(e, code, errnum, "Not everything could be brought to the storage at %s", dir);
}

int store_mount_sync(const char *dir, struct store_mount *m, struct err *e)
{
    struct store_mount now = {0};
    if (!find(dir, &now) && m->there) return 0; /* it went before somebody died who had synced it */
    if (now.block && device_is_gone("/sys", makedev(now.major, now.minor))) { /* what was unwritten is lost already */
        *m = now;
        return 0;
    }
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return err_set_errno(e, ERR_STORE_DETACHED, errno, "Cannot open the store's directory %s", dir);
    FAULT_POINT("store.sync");
    if (syncfs(fd) < 0) return sync_error(errno, dir, e);
    FAULT_POINT("store.synced");
    *m = now;
    return 0;
}

/* ---- away -------------------------------------------------------------------------------------------------------- */

static bool systemd_runs(void)
{
    return access(SYSTEMD_RUNS, F_OK) == 0;
}

/* `verb` the mount unit of that directory. Returns systemctl's exit status, or -1 with errno. */
static int systemctl(const char *verb, const char *dir)
{
    const char *const arguments[] = {"systemctl", "--no-ask-password", verb, "--", dir, NULL};
    const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1); /* the worker's socket */
    int errnum = posix_spawn(&pid, "/usr/bin/systemctl", &actions, NULL, (char *const *)(uintptr_t)arguments,
                             (char *const *)(uintptr_t)environment);
    posix_spawn_file_actions_destroy(&actions);
    errno = errnum;
    if (errnum) return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static int unmount_by_unit(const char *dir, struct err *e)
{
    struct store_mount left;
    int status = systemctl("stop", dir);
    if (status < 0) return err_set_errno(e, ERR_UNMOUNT_UNAVAILABLE, errno, "Cannot start systemctl");
    if (status > 0 || find(dir, &left))
        return err_set(e, ERR_STORE_IN_USE, "systemd could not stop the mount unit of %s (\"systemctl status %s\" says why)", dir,
                       dir);
    return 0;
}

static bool in_hosts_namespace(void)
{
    char own[64] = "", host[64] = "";
    return readlink("/proc/self/ns/mnt", own, sizeof own - 1) > 0 && readlink("/proc/1/ns/mnt", host, sizeof host - 1) > 0 &&
           strcmp(own, host) == 0;
}

static int unmount_directly(const char *dir, struct err *e)
{
    if (!in_hosts_namespace())
        return err_set(e, ERR_UNMOUNT_UNAVAILABLE, "%s cannot be unmounted from here: this process has its own view of the "
                       "mounts, and there is no systemd to ask", dir);
    if (umount2(dir, UMOUNT_NOFOLLOW) == 0) return 0;
    return err_set_errno(e, errno == EBUSY ? ERR_STORE_IN_USE : ERR_UNMOUNT_UNAVAILABLE, errno, "%s cannot be unmounted", dir);
}

int store_mount_unmount(const char *dir, struct store_mount *m, struct err *e)
{
    struct store_mount now = {0};
    if (!find(dir, &now)) {
        if (m->there) return 0; /* whoever did it died before it was told */
        return err_set(e, ERR_UNMOUNT_UNAVAILABLE, "Nothing is mounted at %s: it is a directory of another file system", dir);
    }
    if (now.part)
        return err_set(e, ERR_UNMOUNT_UNAVAILABLE, "%s shows a part of a file system that is mounted elsewhere as well",
                       dir);
    *m = now;
    FAULT_POINT("store.unmount");
    int result = systemd_runs() ? unmount_by_unit(dir, e) : unmount_directly(dir, e);
    FAULT_POINT("store.unmounted");
    return result;
}

/* ---- free? ------------------------------------------------------------------------------------------------------- */

/* The name in /dev of what lies at that place in sysfs. */
static bool device_name(const char *sys, char *ret, size_t size)
{
    char path[128], text[1024];
    snprintf(path, sizeof path, "%s/uevent", sys);
    if (fd_read_text(path, text, sizeof text) <= 0) return false;
    const char *name = strstr(text, "DEVNAME=");
    if (!name) return false;
    name += strlen("DEVNAME=");
    return (size_t)snprintf(ret, size, "/dev/%.*s", (int)strcspn(name, "\n"), name) < size;
}

int store_mount_check(const struct store_mount *m, struct err *e)
{
    char sys[96], partition[128], disk[280];
    if (!m->block) return 0;
    snprintf(sys, sizeof sys, "/sys/dev/block/%u:%u", m->major, m->minor);
    snprintf(partition, sizeof partition, "%s/partition", sys);
    if (access(sys, F_OK) < 0) return 0; /* it was pulled: nothing is as free as that */
    if (access(partition, F_OK) == 0) strcat(sys, "/..");
    if (!device_name(sys, disk, sizeof disk)) return err_set(e, ERR_UNAVAILABLE, "The device of %s has no name", m->source);
    FAULT_POINT("store.check");
    cleanup_close int fd = open(disk, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 || errno == ENOMEDIUM || errno == ENXIO) return 0;
    return err_set_errno(e, errno == EBUSY ? ERR_STORE_IN_USE : ERR_UNAVAILABLE, errno, "%s is not free yet", disk);
}

/* ---- and back ---------------------------------------------------------------------------------------------------- */

static int mount_error(int errnum, const struct store_mount *m, const char *dir, struct err *e)
{
    bool gone = errnum == ENOENT || errnum == ENXIO || errnum == ENODEV || errnum == ENOMEDIUM || errnum == ENOTBLK;
    return err_set_errno(e, gone ? ERR_STORE_DETACHED : ERR_UNAVAILABLE, errnum, "%s cannot be mounted at %s", m->source, dir);
}

int store_mount_again(const char *dir, const struct store_mount *m, struct err *e)
{
    struct store_mount now;
    if (!m->there || find(dir, &now)) return 0;
    FAULT_POINT("store.mount");
    if (systemd_runs()) {
        int status = systemctl("start", dir);
        if (status != 0)
            return err_set(e, ERR_STORE_DETACHED, "systemd could not start the mount unit of %s (\"systemctl status %s\" says why)",
                           dir, dir);
    } else if (mount(m->source, dir, m->type, m->flags, m->options) < 0) {
        return mount_error(errno, m, dir, e);
    }
    FAULT_POINT("store.mounted");
    return 0;
}
