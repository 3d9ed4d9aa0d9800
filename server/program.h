/*
 * program.h - finding the other programs of trayd.
 */
#pragma once

#include "base/err.h"

/* Opens the program of that name: beside our own binary, else in the usual places. Found before privileges are given up,
 * it can be started afterwards from where we may no longer look. The descriptor, or -1 with *e (not_found). */
int program_find(const char *name, struct err *e);
