/*
 * dirty_limits.h - how much may be unwritten on the storage under writable media, so that bringing it there never takes
 * longer than a host waits.
 *
 * A host that fills a medium faster than its storage takes the data leaves the difference in our memory, up to a fifth of
 * it (vm.dirty_ratio), and when it then flushes or unmounts, all that has to be written while it waits. Starting to write
 * early does not help against that; only slowing the host down does, and that is what the kernel does above a limit:
 *
 *   the device's own    /sys/class/bdi/DEVICE/max_bytes with strict_limit, Linux 6.2 and later: nothing else notices
 *   the whole system's  vm.dirty_bytes, on older kernels, where that is allowed
 *
 * What stood there before is kept in a file in the runtime directory, written before the change, and put back when no
 * medium needs it, also by the next process after one that was killed.
 *
 * Reads and writes /sys and /proc/sys, which waits for nothing. The event loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dirty_limit {
    uint64_t device; /* dev_t of what an image lies on, as stat(2) says it */
    uint64_t bytes;
};

struct dirty_limits;

/* `sys` is "/sys", `proc_sys` "/proc/sys"; system_wide: vm.dirty_bytes may be used. Puts back what an earlier process
 * changed. NULL: no memory. */
struct dirty_limits *dirty_limits_new(const char *sys, const char *proc_sys, const char *runtime_dir, bool system_wide);

/* These are the limits now; the lowest counts where a device has several. What cannot be limited is logged, once. */
void dirty_limits_apply(struct dirty_limits *d, const struct dirty_limit *limits, size_t count);

/* Leaves the limits as they are: the media stay in the drives, too. */
void dirty_limits_free(struct dirty_limits *d);
