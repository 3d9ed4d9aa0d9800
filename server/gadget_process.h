/*
 * gadget_process.h - finding and starting trayd-gadget.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* Opens the program: beside our own binary, else in the usual places. Found before privileges are given up, it can be
 * started afterwards from where we may no longer look. -1 with *e. */
int gadget_process_find(struct err *e);

/* Does somebody accept on that socket? */
bool gadget_process_answers(const char *socket_path);

/* Starts it with `arguments` (NULL-terminated, after argv[0]), no signal blocked. The pid, or -1 with *e. */
pid_t gadget_process_spawn(int program_fd, const char *const *arguments, struct err *e);
