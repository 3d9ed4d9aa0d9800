#include "gadget/dirty_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/log.h"

#define LIMITS_PATH_MAX 320
#define RECORD_MAX 8192   /* two lines of at most 100 bytes for each of 16 drives */
#define RECORD_NAME "dirty-limits"

struct dirty_limits {
    char sys[64], proc_sys[64], record_path[LIMITS_PATH_MAX];
    bool system_wide, told;
    char record[RECORD_MAX]; /* "PATH VALUE\n": what stood there before, in the order of changing */
};

/* ---- one file ---------------------------------------------------------------------------------------------------- */

static int write_value(const char *path, const char *value)
{
    cleanup_close int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) return -errno;
    return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* The file as it is goes into the record, and the record to the disk, before anything is changed. */
static bool remember(struct dirty_limits *d, const char *path)
{
    char value[64];
    struct err e;
    size_t len = strlen(d->record);
    if (fd_read_line(path, value, sizeof value) <= 0) return false;
    int n = snprintf(d->record + len, sizeof d->record - len, "%s %s\n", path, value);
    if ((size_t)n < sizeof d->record - len &&
        fd_replace_file(d->record_path, d->record, strlen(d->record), false, &e) == 0)
        return true;
    d->record[len] = '\0';
    return false;
}

/* The last change first. */
static void put_back(struct dirty_limits *d)
{
    while (d->record[0]) {
        char *line = d->record + strlen(d->record) - 1;
        *line = '\0';
        while (line > d->record && line[-1] != '\n') line--;
        char *value = strrchr(line, ' ');
        if (value) {
            *value++ = '\0';
            write_value(line, value); /* a device that has gone needs nothing */
        }
        *line = '\0';
    }
    unlink(d->record_path);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* The directory of a device's limits; a partition has those of its disk. */
static bool find_bdi(const struct dirty_limits *d, uint64_t device, char path[LIMITS_PATH_MAX])
{
    unsigned major_number = major((dev_t)device), minor_number = minor((dev_t)device);
    char text[32];
    snprintf(path, LIMITS_PATH_MAX, "%s/dev/block/%u:%u/partition", d->sys, major_number, minor_number);
    if (exists(path)) {
        snprintf(path, LIMITS_PATH_MAX, "%s/dev/block/%u:%u/../dev", d->sys, major_number, minor_number);
        if (fd_read_line(path, text, sizeof text) <= 0 || sscanf(text, "%u:%u", &major_number, &minor_number) != 2) return false;
    }
    snprintf(path, LIMITS_PATH_MAX, "%s/class/bdi/%u:%u", d->sys, major_number, minor_number);
    return exists(path);
}

/* max_bytes is kept by the kernel as a share of what it allows at that moment, so the share is what is put back. */
static bool limit_device(struct dirty_limits *d, const struct dirty_limit *l)
{
    char dir[LIMITS_PATH_MAX], strict[LIMITS_PATH_MAX + 16], share[LIMITS_PATH_MAX + 16], bytes[LIMITS_PATH_MAX + 16], value[32];
    if (!find_bdi(d, l->device, dir)) return false;
    snprintf(strict, sizeof strict, "%s/strict_limit", dir);
    snprintf(share, sizeof share, "%s/max_ratio_fine", dir);
    snprintf(bytes, sizeof bytes, "%s/max_bytes", dir);
    snprintf(value, sizeof value, "%llu", (unsigned long long)l->bytes);
    if (!exists(bytes) || !remember(d, share) || !remember(d, strict)) return false;
    int result = write_value(bytes, value);
    if (result == -EINVAL) return true; /* more than the system allows altogether: bdi_check_pages_limit() */
    return result == 0 && write_value(strict, "1") == 0;
}

static void limit_system(struct dirty_limits *d, uint64_t bytes)
{
    static const char *const names[] = {"dirty_ratio", "dirty_bytes"}; /* the one that counts is not 0 */
    char path[LIMITS_PATH_MAX], value[32];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/vm/%s", d->proc_sys, names[i]);
        if (fd_read_line(path, value, sizeof value) > 0 && strcmp(value, "0") != 0 && !remember(d, path)) return;
    }
    snprintf(path, sizeof path, "%s/vm/dirty_bytes", d->proc_sys);
    snprintf(value, sizeof value, "%llu", (unsigned long long)bytes);
    if (write_value(path, value) < 0) log_warning("cannot set vm.dirty_bytes: %m");
}

void dirty_limits_apply(struct dirty_limits *d, const struct dirty_limit *limits, size_t count)
{
    uint64_t system_bytes = UINT64_MAX;
    put_back(d);
    for (size_t i = 0; i < count; i++) {
        struct dirty_limit lowest = limits[i];
        bool first = true;
        for (size_t k = 0; k < count; k++) {
            if (limits[k].device != lowest.device) continue;
            if (k < i) first = false;
            lowest.bytes = MIN(lowest.bytes, limits[k].bytes);
        }
        if (first && !limit_device(d, &lowest)) system_bytes = MIN(system_bytes, lowest.bytes);
    }
    if (system_bytes == UINT64_MAX) return;
    if (d->system_wide) {
        limit_system(d, system_bytes);
    } else if (!d->told) {
        d->told = true;
        log_warning("this kernel cannot limit what is unwritten on one device: a host that fills a writable medium faster "
                    "than its storage writes may lose patience (see dirty_limit)");
    }
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct dirty_limits *dirty_limits_new(const char *sys, const char *proc_sys, const char *runtime_dir, bool system_wide)
{
    struct dirty_limits *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    snprintf(d->sys, sizeof d->sys, "%s", sys);
    snprintf(d->proc_sys, sizeof d->proc_sys, "%s", proc_sys);
    snprintf(d->record_path, sizeof d->record_path, "%s/%s", runtime_dir, RECORD_NAME);
    d->system_wide = system_wide;
    if (fd_read_text(d->record_path, d->record, sizeof d->record) < 0) d->record[0] = '\0';
    put_back(d);
    return d;
}

void dirty_limits_free(struct dirty_limits *d)
{
    free(d);
}
