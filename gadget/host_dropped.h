/*
 * host_dropped.h - whether the host has dropped the device, although the controller says "configured". Pure.
 *
 * f_mass_storage lets its thread answer SET_CONFIGURATION (fsg_set_alt() returns USB_GADGET_DELAYED_STATUS), and a thread that
 * hangs in storage does not. So a host that resets the device because of a command that hangs cannot configure it again: it
 * gives that request 5 s (USB 2.0, 9.2.6.1; USB_CTRL_SET_TIMEOUT in Linux), and drops the device with all functions, keyboard
 * included. `state` says "configured" from the request on (set_config() in composite.c), whatever becomes of it. Measured
 * on 6.1 and 6.12: a Linux host tries once more and then leaves it, also when the storage is back, until the next attach.
 *
 * Inferred, not seen: a host may be more patient, and both ends of those 5 s are known by looks only. What is in doubt counts
 * as dropped, since that corrects itself: a host that gives a command after the storage is back has not dropped the device.
 */
#pragma once

#include "gadget/engine.h"

#define HOST_DROPPED_AFTER 5000 /* ms */
#define HOST_DROPPED_DOUBT 1000 /* ms by which we may hear later of the request than it was made */
#define HOST_DROPPED_LOOK 250   /* ms between two looks at all drives, while `asked_at` */
#define HOST_DROPPED_REST 2000  /* ms in which what had hung still comes to its end */

struct host_dropped {
    bool seen, configured;      /* the link, at the last look */
    msec asked_at;              /* boot time of a SET_CONFIGURATION of which it is not known whether it was answered; 0: none */
    msec back_at;               /* since then nothing hangs, and no signal of ours was sent; 0: not looked at since */
    bool rested;                /* `activity` is of after HOST_DROPPED_REST */
    uint64_t activity;
    bool dropped;
};

struct host_dropped_sight {     /* what is seen of the functions' threads */
    bool hangs;                 /* one waits for storage */
    uint64_t activity;          /* of all drives together: rises with every command and byte of the host's */
    msec seen_at;               /* boot time: each drive was looked at then or later */
};

/* To be asked at each change of the link, and at every sample; samples must go on while `asked_at` or `dropped`.
 * Returns true where `dropped` has changed. */
bool host_dropped_look(struct host_dropped *h, const struct engine_link *l, const struct host_dropped_sight *s, msec now);

/* A thread is about to do something that the host has not asked for: a signal of ours. */
void host_dropped_disturb(struct host_dropped *h);
