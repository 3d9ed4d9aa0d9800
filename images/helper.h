/*
 * helper.h - trayd's side of trayd-helper: a child process for what comes from anywhere.
 *
 * Servers, archives and discs made by strangers are read by libcurl and libarchive. Both stay out of trayd: they would
 * add 7.8 MiB to its resident memory for good (measured: 4.8 and 3.0), and a fault in a parser of TLS, HTTP or ZIP
 * would be a fault in the process that owns the stores. So each such job runs trayd-helper, which has no store, no
 * database and no socket of ours: bytes come to it and leave it by pipes, and what it may do else is little
 * (sandbox.h). It ends with the job, and it can be killed at any moment.
 *
 *   trayd --order (JSON)--> [control] --> trayd-helper     one order, first
 *   trayd --bytes---------> [in]      --> trayd-helper     a pipe, or a file that it may read
 *   trayd <--bytes--------- [out]     <-- trayd-helper     a pipe
 *   trayd <--events (JSON)- [control] <-- trayd-helper     {"event": ...}; the last one is "end" or "failed"
 *
 * The kernel kills a helper when the thread that started it ends: that thread must stay until helper_done().
 */
#pragma once

#include "base/json.h"

#define HELPER_MESSAGE_MAX (64 * 1024) /* bytes of one order or event */

struct helper {
    int pid;
    int in, out, control; /* ours; -1 where there is none, or once it was closed */
    int wake;             /* borrowed: an eventfd that ends helper_wait(), or -1 */
};

#define HELPER_NONE {.in = -1, .out = -1, .control = -1, .wake = -1}

/* Names the program (the descriptor is taken), before there is a second thread. -1: there is none, and every
 * helper_start() fails with `unavailable`. */
void helper_use(int program_fd);

/*
 * Starts it for one job: `role` is a word of images/main.c. Where `file_fd` is not negative the helper reads that
 * instead of a pipe. Its ends of the pipes are non-blocking on our side. Returns 0, or -1 with *e; then *ret is empty.
 */
int helper_start(const char *role, int file_fd, const json_t *order, struct helper *ret, struct err *e);

/* Kills it, waits for it, closes everything. Accepts an empty one. */
void helper_done(struct helper *h);

/*
 * The next event, where one has come: 1 with *ret (the caller's), 0 where there is none yet. -1 with *e where there will
 * be none: the helper is gone without a last word.
 */
int helper_event(struct helper *h, json_t **ret, struct err *e);

/* Of a "failed": puts its code and text into *e. Returns -1. */
int helper_failure(const json_t *event, struct err *e);

/* Waits until something can be read from `out` or `control`, written to `in` (where `writing`), or `wake` is set; which
 * of them stands in *ret. Returns 0 when `wait` ms have passed without any. */
struct helper_ready {
    bool in, out, control, wake;
};
int helper_wait(const struct helper *h, bool writing, msec wait, struct helper_ready *ret);
