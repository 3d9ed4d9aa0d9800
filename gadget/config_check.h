/*
 * config_check.h - whether a configuration that could be read makes sense: names, doubles, ranges that span keys.
 *
 * Pure. Only for config.c, which reads the file into the draft.
 */
#pragma once

#include "gadget/config.h"

/* Hubs report a change on their interrupt endpoint, which a host polls every 256 ms at most (USB 2.0, 11.12.1): a
 * shorter absence looks like a reset, and a host that saw only a reset goes on with its old commands. */
#define REATTACH_HOLD_MIN 300

struct config_draft {
    struct gadget_config config;
    struct { /* where these keys stand, for the messages; 0: not in the file */
        int name, configfs, udc, device_release, manufacturer, product, serial, socket, runtime_dir, state_dir, user, drives;
    } lines;
};

/* Returns 0, or -1 with *e = "FILE:LINE: what is wrong". Puts the default store where none is configured. */
int config_check(struct config_draft *d, const char *path, struct err *e);
