/*
 * sandbox.h - what trayd-helper takes away from itself before it looks at a stranger's bytes.
 *
 *   always        no new file descriptors of trayd, no core dump, no writing to any file, no growing beyond `memory`,
 *                 no new privileges
 *   Landlock      nothing may be written; with `network`, only what resolving names and checking certificates needs can
 *                 be read; without, nothing can. Linux 5.13 and later with the module on; elsewhere left out
 *   seccomp       without `network`, after sandbox_no_more_calls(): memory, its descriptors, time, and the end
 *
 * Each is a wall of its own: one that the kernel does not have is skipped, one that fails stops the job.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct sandbox {
    size_t memory;        /* bytes of address space; 0: as many as it likes */
    bool network;
    const char *readable; /* one more file that may be read (a bundle of certificates); "" or NULL: none */
};

/* Closes every descriptor from `first` on. */
void sandbox_close_others(int first);

/* Returns 0, or -1 with *e (internal). There is no way back. */
int sandbox_enter(const struct sandbox *box, struct err *e);

/* From here on only the calls of a program that reads, computes and writes; others fail with EPERM. */
int sandbox_no_more_calls(struct err *e);
