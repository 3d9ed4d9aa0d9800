#include "gadget/profile.h"

/*
 * Linux: SD_TIMEOUT 30 s, SD_MAX_RETRIES 5 (drivers/scsi/sd.h), 10 s of error handling each. Windows: TimeoutValue of
 * disk.sys 10 s, often set to 60, eight retries of classpnp.sys. macOS: 30 s, IOSCSIArchitectureModelFamily, five
 * retries. UEFI: EDK2's UsbMassBoot.h and UsbBotPei.h, 3 s for CBW and CSW, 5 s for data, five times.
 */
static const struct host_profile profiles[] = {
    [HOST_UNKNOWN] = {.command = 3000, .break_after = 1500, .quarantine = 540000},
    [HOST_LINUX] = {.command = 30000, .break_after = 2500, .quarantine = 240000},
    [HOST_WINDOWS] = {.command = 10000, .break_after = 2500, .quarantine = 540000},
    [HOST_MACOS] = {.command = 30000, .break_after = 2500, .quarantine = 240000},
    [HOST_FIRMWARE] = {.command = 3000, .break_after = 1500, .quarantine = 40000},
};

const struct host_profile *host_profile_of(enum host_kind kind)
{
    return &profiles[(unsigned)kind < ARRAY_LEN(profiles) ? kind : HOST_UNKNOWN];
}
