/*
 * host_resets.h - how often the host has reset the device, from what the controller's `state` says. Pure.
 *
 * A host that restarts, or that resets the port, takes the device's configuration away: `state` leaves "configured" for
 * "default", "addressed", "not attached" or "powered", and comes back. Leaving is what counts, so that a medium that is
 * ejected because of it is gone before a firmware looks for something to boot from.
 *
 * Measured with dummy_hcd on 6.1 and 6.12: USBDEVFS_RESET by a Linux host shows as "default" (twice; Linux resets, asks,
 * and resets again) for 0.27 s and then "configured", and poll(2) wakes for each. No host is faster than 10 ms of reset
 * signalling, 10 ms of recovery and an enumeration (USB 2.0, 7.1.7.5), which a loop that never blocks sees.
 * A second SET_CONFIGURATION wakes poll(2) too, with "configured" still: that is no reset. Sleep ("suspended") is none.
 * Not to be seen, and so not counted: a host that forgets the device by software (`remove`, `authorized`), a cable that
 * a controller does not notice (dwc2 often), and what happens while trayd-gadget is restarted.
 *
 * A PC that starts usually counts twice: once for its firmware, once when the operating system takes the port over.
 *
 * Our own unbind and bind is none: the first enumeration after a bind is the host's answer to it. `state` keeps saying
 * "configured" meanwhile (measured), and so cannot tell the first from a second; after HOST_RESETS_SETTLE at the latest,
 * what is configured counts as enumerated.
 */
#pragma once

#include "gadget/engine.h"

#define HOST_RESETS_SETTLE 5000 /* ms; a host that is there enumerates within one or two seconds */

struct host_resets {
    bool bound;          /* at the last look */
    bool configured;     /* the host has configured it, and has not taken that away */
    bool expected;       /* we have bound it: the next enumeration is no news */
    bool left;           /* `expected`, and it was seen unconfigured since */
    msec bound_at;       /* boot time of the last change of `bound`; 0: never looked */
};

/* Takes note of the link. ours: we are attaching or detaching. Returns true where the host has reset the device. */
bool host_resets_look(struct host_resets *r, const struct engine_link *l, bool ours, msec now);
