#include "gadget/profile.h"

/*
 * Linux: SD_TIMEOUT 30 s, SD_FLUSH_TIMEOUT_MULTIPLIER 2, SD_MAX_RETRIES 5 (drivers/scsi/sd.h), IOCTL_NORMAL_TIMEOUT 10 s
 * for PREVENT and ALLOW (scsi_ioctl.c), 10 s of error handling each. Windows: TimeoutValue of disk.sys 10 s, often set to
 * 60, eight retries of classpnp.sys. macOS: 30 s for reads and writes and 10 s for the rest,
 * IOSCSIArchitectureModelFamily, five retries. UEFI: EDK2's UsbMassBoot.h and UsbBotPei.h, 3 s for CBW and CSW, 5 s for
 * data, five times.
 */
static const struct host_profile profiles[] = {
    [HOST_UNKNOWN] = {.command = 3000, .prevent = 3000, .sync = 3000, .break_after = 1500, .quarantine = 540000},
    [HOST_LINUX] = {.command = 30000, .prevent = 10000, .sync = 60000, .break_after = 2500, .quarantine = 240000},
    [HOST_WINDOWS] = {.command = 10000, .prevent = 10000, .sync = 10000, .break_after = 2500, .quarantine = 540000},
    [HOST_MACOS] = {.command = 30000, .prevent = 10000, .sync = 10000, .break_after = 2500, .quarantine = 240000},
    [HOST_FIRMWARE] = {.command = 3000, .prevent = 3000, .sync = 3000, .break_after = 1500, .quarantine = 40000},
};

#define CUT_MARGIN 8000         /* ms before the end of patience: one look late, and cutting itself (seen: 0.1 s) */
#define CUT_MARGIN_SHARE 3      /* ... but no more than a third of it */
#define LOOK_MIN 2000           /* ms */
#define LOOK_MAX 5000
#define DIRTY_SHARE 2           /* half of the patience is for the data, half for the metadata and journal behind it */
#define DIRTY_MIN (1ULL << 20)  /* less than a few requests of the storage's makes it slow */

const struct host_profile *host_profile_of(enum host_kind kind)
{
    return &profiles[(unsigned)kind < ARRAY_LEN(profiles) ? kind : HOST_UNKNOWN];
}

struct host_profile host_profile_for(enum host_kind kind, const struct host_profile *changed)
{
    const struct host_profile *p = host_profile_of(kind);
#define OR(member) .member = changed->member ? changed->member : p->member
    return (struct host_profile){OR(command), OR(prevent), OR(sync), OR(break_after), OR(quarantine)};
#undef OR
}

msec host_patience(const struct host_profile *p, bool flushing)
{
    return flushing ? MIN(p->prevent, p->sync) : p->command;
}

msec host_cut_after(msec patience)
{
    return patience - MIN(CUT_MARGIN, patience / CUT_MARGIN_SHARE);
}

msec host_look_every(const struct host_profile *p)
{
    msec patience = MIN(p->command, host_patience(p, true));
    return MAX(LOOK_MIN, MIN(LOOK_MAX, (patience - host_cut_after(patience)) / 2));
}

uint64_t host_dirty_bytes(const struct host_profile *p, uint64_t speed)
{
    return MAX(DIRTY_MIN, speed * (uint64_t)host_patience(p, true) / 1000 / DIRTY_SHARE);
}
