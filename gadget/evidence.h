/*
 * evidence.h - from the thread's counters to what the host is doing: a tracker per drive.
 *
 * The counters of a function's thread only rise. The tracker remembers where they stood when the medium went in, and
 * when it last saw them move. A movement is dated to the moment at which it was seen, which is the late side: quiet is
 * never claimed too early. Pure: time and samples are arguments.
 */
#pragma once

#include "gadget/engine.h"

#define EVIDENCE_NOTICED 3 /* polls since the medium went in; udev's probing of a new one may count for one or two */

struct evidence {
    bool known;                        /* the last sample could be taken */
    bool based;                        /* base_read and base_written are right, by a sample or restored */
    uint64_t base_read, base_written;  /* the counters when the medium went in */
    uint64_t read, written, commands;  /* at the last sample */
    uint64_t mark_read, mark_written;  /* when the kernel was told to take the medium */
    msec last_read_at, last_write_at;  /* boot time; 0: never since the medium went in */
    msec commands_at;                  /* when `commands` last rose */
    unsigned polls;                    /* looks of the host at its drives, since the medium went in, that were nothing else */
    msec poll_at;                      /* the last of them */
    msec sampled_at, sampled_before;   /* the last sample, and the first one in a row that may prove polling */
};

/* Takes note of a sample. Returns true where reads or writes have moved since the last one. */
bool evidence_sample(struct evidence *ev, const struct engine_sample *s, msec now);

/* The kernel is about to be told to take a medium: what the host does from now on may already be for that one. */
void evidence_mark(struct evidence *ev);

/* A medium went in: count from the mark. What has moved since is dated to now. */
void evidence_restart(struct evidence *ev, msec now);

/* What the drive machine decides on. */
struct drive_evidence evidence_view(const struct evidence *ev, const struct engine_sample *s);

/* Does the host look at the drive by itself (TEST UNIT READY every few seconds)? 1 yes, 0 no, -1 not known (yet). */
int evidence_polling(const struct evidence *ev, msec now);
