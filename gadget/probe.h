/*
 * probe.h - what /proc tells about the kernel threads of the mass-storage functions, without disturbing them.
 *
 * Each mass_storage function has one thread, called file-storage like all others of its kind. Ours are told apart by
 * order: threads begin in the order in which the functions are linked. So the count must be that of our functions; one
 * more or less (somebody else's gadget, ours half built), and nothing is known. A thread that was found is held by a
 * descriptor of its directory in /proc, which never becomes another thread's.
 *
 * Reading these files waits for nothing. /proc/TID/io needs CAP_SYS_PTRACE, stack needs CAP_SYS_ADMIN, once other
 * capabilities have been dropped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "gadget/words.h"

#define PROBE_STACK_MAX 8192 /* 64 frames (MAX_STACK_TRACE_DEPTH in fs/proc/base.c) of some 80 bytes */

struct probe_counters {
    uint64_t read, written; /* bytes of the files under the LUNs: what the host read and wrote */
    uint64_t commands;      /* voluntary context switches: some per command, TEST UNIT READY too */
    enum waiting_for waiting_for;
    bool flushing;          /* inside a command that brings data to the storage */
};

struct probe;

/* `proc` is "/proc"; `count` mass-storage functions are linked when everything is as it should be. NULL: no memory. */
struct probe *probe_new(const char *proc, size_t count);
void probe_free(struct probe *p);

/* The functions were linked, bound or taken down: look for the threads again at the next sample. */
void probe_forget(struct probe *p);

/* Of function `index`, in the order of linking. Returns false where it is not known which thread that is. */
bool probe_sample(struct probe *p, size_t index, struct probe_counters *ret);
bool probe_known(struct probe *p, size_t index);

/*
 * Sends SIGUSR1 to the thread of function `index`, after looking at it once more: it must be the thread that it was, and
 * be seen to wait for the host or for nothing. In any other state, and for any other signal, the kernel's mass storage
 * may be lost (KILL, TERM and INT end the thread, and all its media close). With `since`, it must wait for nothing and not
 * even have been woken up since that sample: a command that a signal takes from a host is repeated up to 30 s later, in
 * whatever medium is in then. Returns 0, or -1 with *e.
 */
int probe_interrupt(struct probe *p, size_t index, const struct probe_counters *since, struct err *e);

/*
 * What a file-storage thread waits for: `stack` is /proc/TID/stack, `state` the letter in /proc/TID/stat. Pure.
 *
 *   sleep_thread directly under fsg_main_thread     nothing: the next command
 *   sleep_thread under a command (do_read, ...)     the host
 *   state D under a command, or a wait for FUSE     the storage
 *   else                                            unknown
 *
 * One wait looks idle and is not: a write that the function refuses, while the host sends the data that is thrown
 * away, where the compiler made throw_away_data() a part of fsg_main_thread() (Debian's 6.1 and 6.12).
 */
enum waiting_for probe_classify(const char *stack, char state);

/* Whether it brings the image to the storage, as for SYNCHRONIZE CACHE and ALLOW MEDIUM REMOVAL (fsg_lun_fsync_sub()):
 * some function of fsync's lies above fsg_main_thread, and none that reads or writes. Pure. */
bool probe_is_flush(const char *stack);
