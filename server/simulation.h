/*
 * simulation.h - a directory and a configuration for `trayd --simulate` without --config.
 */
#pragma once

#include "server/privileges.h"

struct simulation {
    char directory[128]; /* private, removed by the keeper */
    char config[160];    /* its trayd.conf */
};

/* Everything belongs to `owner` (NULL: to us). Returns 0, or -1 with *e. */
int simulation_make(const struct identity *owner, struct simulation *ret, struct err *e);
