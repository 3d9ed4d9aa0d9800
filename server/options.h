/*
 * options.h - the command line of trayd, as one table that the parser and --help share.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

struct options {
    const char *config; /* NULL: CONFIG_PATH_DEFAULT, or a configuration of its own with --simulate */
    const char *listen; /* NULL: as configured */
    bool check_config, no_gadget, simulate, version, help;
};

/* Returns 0, or -1 with *e. Texts point into argv. */
int options_parse(int argc, char *const argv[], struct options *ret, struct err *e);
void options_help(FILE *out);
