/*
 * host_dropped.h - whether the host has dropped the device, although the controller says "configured". Pure.
 *
 * f_mass_storage lets its thread answer SET_CONFIGURATION (fsg_set_alt() returns USB_GADGET_DELAYED_STATUS), and a thread that
 * hangs in storage does not. So a host that resets the device because of a command that hangs cannot configure it again: it
 * gives that request 5 s (USB 2.0, 9.2.6.1; USB_CTRL_SET_TIMEOUT in Linux), and drops the device with all functions, keyboard
 * included. `state` says "configured" from the request on (set_config() in composite.c), whatever becomes of it. Measured
 * on 6.1 and 6.12: a Linux host tries once more and then leaves it, also when the storage is back, until the next attach.
 *
 * Inferred, not seen: a host may be more patient. One that moves bytes after the storage is back has not dropped the device.
 */
#pragma once

#include "gadget/engine.h"

#define HOST_DROPPED_AFTER 5000 /* ms */
#define HOST_DROPPED_REST 2000  /* ms in which what had hung still comes to its end, and moves bytes */

struct host_dropped {
    bool seen, configured;      /* the link, at the last look */
    msec asked_at;              /* boot time of a SET_CONFIGURATION of which it is not known whether it was answered; 0: none */
    msec back_at;               /* since then no thread hangs any more; 0: one does */
    bool dropped;
};

/* hangs_since: boot time since when a function's thread waits for storage, 0: none does. moved_at: when the host last read or
 * wrote. To be asked at each change of the link, and as long as a thread hangs. Returns true where `dropped` has changed. */
bool host_dropped_look(struct host_dropped *h, const struct engine_link *l, msec hangs_since, msec moved_at, msec now);
