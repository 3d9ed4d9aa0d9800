#include "gadget/build_configfs.h"

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570 /* fs/configfs/mount.c; not in linux/magic.h */
#endif

/* Runs modprobe. Returns 0 when it said that the module is there. */
static int load_module(char *name)
{
    static const char *const programs[] = {"/sbin/modprobe", "/usr/sbin/modprobe", "/usr/bin/modprobe"};
    char *words[] = {"modprobe", "-q", "--", name, NULL}, *environment[] = {NULL};
    posix_spawnattr_t attr;
    sigset_t none;
    int result = -1;
    sigemptyset(&none);
    if (posix_spawnattr_init(&attr) != 0) return -1;
    posix_spawnattr_setsigmask(&attr, &none); /* a worker may have blocked what modprobe wants to be told */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    for (size_t i = 0; i < ARRAY_LEN(programs) && result < 0; i++) {
        pid_t pid;
        int status;
        if (posix_spawn(&pid, programs[i], NULL, &attr, words, environment) != 0) continue;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
        result = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    posix_spawnattr_destroy(&attr);
    return result == 0 ? 0 : -1;
}

static bool is_configfs(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == CONFIGFS_MAGIC;
}

static int mount_configfs(const char *path, struct err *e)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount("configfs", path, "configfs", flags, NULL) == 0) return 0;
    const char *why;
    switch (errno) {
    case ENODEV: why = ", the kernel has none (module configfs)"; break;
    case ENOENT: why = ", which does not exist (gadget.configfs)"; break;
    case EPERM: why = ", this needs root"; break;
    default: why = ""; break;
    }
    return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot mount configfs on %s%s", path, why);
}

int build_configfs_ready(const struct gadget_config *c, struct err *e)
{
    char dir[STORE_PATH_MAX + 16];
    snprintf(dir, sizeof dir, "%s/usb_gadget", c->configfs);
    if (access(dir, F_OK) == 0) return 0;
    /* configfs can be a module, and /sys/kernel/config is only there when it is loaded. */
    if (!is_configfs(c->configfs)) load_module("configfs");
    if (!is_configfs(c->configfs) && mount_configfs(c->configfs, e) < 0) return -1;
    if (access(dir, F_OK) == 0) return 0;
    int loaded = load_module("libcomposite");
    if (access(dir, F_OK) == 0) return 0;
    return err_set(e, ERR_UNAVAILABLE, "The kernel offers no USB gadgets: %s is missing, and modprobe libcomposite %s",
                   dir, loaded == 0 ? "did not help" : "failed");
}
