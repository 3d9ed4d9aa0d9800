/*
 * profile.h - the host's clock: how long hosts of each kind wait before they lose patience.
 *
 * A host that waits too long for one command resets the whole device, keyboard included, and may then repeat the
 * command on whatever medium it finds. So a rung of the ladder ends before that (break_after), and after a broken command
 * the drive stays empty until the host has surely given it up (quarantine).
 */
#pragma once

#include "gadget/words.h"

#include "base/clock.h"

struct host_profile {
    msec command;     /* what the host gives a read or write before it resets the device */
    msec break_after; /* a forced way out may take this long before it is looked into; under `command` and, where the
                         host allows, under 3 s, which no known host notices */
    msec quarantine;  /* all retries of a command, with the error handling between them */
};

/* Never NULL; HOST_UNKNOWN has the shortest patience and the longest quarantine of all. */
const struct host_profile *host_profile_of(enum host_kind kind);
