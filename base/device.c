#include "base/device.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/fd.h"

#define DEVICE_PATH_MAX 256

static bool there(const char *dir, const char *name)
{
    char path[DEVICE_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

bool device_is_gone(const char *sys, dev_t device)
{
    char dir[DEVICE_PATH_MAX], path[DEVICE_PATH_MAX + 16], text[256];
    if (major(device) == 0) return false;
    snprintf(dir, sizeof dir, "%s/dev/block", sys);
    if (!there(dir, ".")) return false;
    snprintf(dir, sizeof dir, "%s/dev/block/%u:%u", sys, major(device), minor(device));
    if (!there(dir, ".")) return true;
    snprintf(path, sizeof path, "%s/size", dir);
    if (fd_read_line(path, text, sizeof text) > 0 && strcmp(text, "0") == 0) return true;
    snprintf(path, sizeof path, "%s/uevent", dir);
    bool network = fd_read_text(path, text, sizeof text) > 0 && strstr(text, "DEVNAME=nbd");
    return network && !there(dir, there(dir, "partition") ? "../pid" : "pid");
}
