/*
 * words.h - the field's terms as enums, each with its name on the wire and in the configuration.
 */
#pragma once

#include "base/util.h"

#define DRIVE_TYPE_TABLE(X) X(DRIVE_CDROM, "cdrom") X(DRIVE_DISK, "disk")
#define DRIVE_STATE_TABLE(X)                                                                                      \
    X(STATE_EMPTY, "empty") X(STATE_INSERTING, "inserting") X(STATE_LOADED, "loaded")                             \
    X(STATE_EJECTING, "ejecting") X(STATE_QUARANTINE, "quarantine") X(STATE_STUCK, "stuck")                       \
    X(STATE_DETACHED, "detached")
#define LOCK_TABLE(X) X(LOCK_UNKNOWN, "unknown") X(LOCK_LOCKED, "locked") X(LOCK_UNLOCKED, "unlocked")
#define WAITING_TABLE(X)                                                                                          \
    X(WAITING_UNKNOWN, "unknown") X(WAITING_NOTHING, "nothing") X(WAITING_HOST, "host") X(WAITING_STORAGE, "storage")
#define EJECT_MODE_TABLE(X) X(EJECT_ORDERLY, "orderly") X(EJECT_FORCED, "forced")
#define ON_TIMEOUT_TABLE(X) X(ON_TIMEOUT_FAIL, "fail") X(ON_TIMEOUT_FORCE, "force")
#define LOCK_POLICY_TABLE(X) X(LOCK_RESPECT, "respect") X(LOCK_RELEASE_WHEN_QUIET, "release_when_quiet")
#define REATTACH_TABLE(X) X(REATTACH_NEVER, "never") X(REATTACH_LAST_RESORT, "last_resort") X(REATTACH_ALLOWED, "allowed")
#define OP_ACTION_TABLE(X) X(OP_INSERT, "insert") X(OP_EJECT, "eject")
#define OP_STATE_TABLE(X)                                                                                         \
    X(OP_QUEUED, "queued") X(OP_WAITING, "waiting") X(OP_RUNNING, "running") X(OP_DONE, "done")                   \
    X(OP_FAILED, "failed") X(OP_CANCELLED, "cancelled")
#define HOST_TABLE(X)                                                                                             \
    X(HOST_UNKNOWN, "unknown") X(HOST_LINUX, "linux") X(HOST_WINDOWS, "windows") X(HOST_MACOS, "macos")           \
    X(HOST_FIRMWARE, "firmware")
/* What an operation that is not finished is about, for `waits_for` in its JSON. */
#define PHASE_TABLE(X)                                                                                            \
    X(PHASE_QUEUED, "its turn")            X(PHASE_OPENING, "the image to be opened")                             \
    X(PHASE_QUIET, "the host to stop writing") X(PHASE_ASKING, "the kernel to eject")                             \
    X(PHASE_LOCKED, "the host to release the medium") X(PHASE_GAP, "a moment in which the host does nothing")       \
    X(PHASE_FORCING, "the kernel to force the eject")           \
    X(PHASE_SWAPPING, "the kernel to swap the image") X(PHASE_SYNCING, "the image to reach the disk")             \
    X(PHASE_DWELL, "the host to notice the empty drive")        \
    X(PHASE_QUARANTINE, "the quarantine to end") X(PHASE_REATTACHING, "the host to see the reattach")             \
    X(PHASE_INSERTING, "the kernel to take the image") X(PHASE_FINISHED, "nothing")
/* Rungs of the ladder and the other things that are done to the kernel; the steps of an operation name them. */
#define DO_TABLE(X)                                                                                               \
    X(DO_NOTHING, "nothing") X(DO_OPEN, "open") X(DO_INSERT, "insert") X(DO_ASK, "ask") X(DO_FORCE, "force")      \
    X(DO_SWAP, "swap") X(DO_OBSERVE, "observe") X(DO_REATTACH, "reattach") X(DO_SYNC, "sync") X(DO_SIGNAL, "signal")     \
    X(DO_ANNOUNCE, "announce")
/* Whom a step touches besides the drive that it is for. */
#define COLLATERAL_TABLE(X)                                                                                       \
    X(COLLATERAL_NONE, "none") X(COLLATERAL_FUNCTION, "function") X(COLLATERAL_GADGET, "gadget")
/* What an operation will do next (forecast.h). */
#define NEXT_TABLE(X)                                                                                             \
    X(NEXT_NOTHING, "nothing") X(NEXT_ASK, "ask") X(NEXT_FORCE, "force") X(NEXT_SIGNAL, "signal")                 \
    X(NEXT_BREAK_IO, "break_io") X(NEXT_REATTACH, "reattach") X(NEXT_INSERT, "insert") X(NEXT_FAIL, "fail")       \
    X(NEXT_STUCK, "stuck") X(NEXT_FINISH_UNSYNCED, "finish_unsynced") X(NEXT_CUT, "cut")

#define X(sym, name) sym,
enum drive_type { DRIVE_TYPE_TABLE(X) };
enum drive_state { DRIVE_STATE_TABLE(X) };
enum lock_state { LOCK_TABLE(X) };
enum waiting_for { WAITING_TABLE(X) };
enum eject_mode { EJECT_MODE_TABLE(X) };
enum on_timeout { ON_TIMEOUT_TABLE(X) };
enum lock_policy { LOCK_POLICY_TABLE(X) };
enum reattach_policy { REATTACH_TABLE(X) };
enum host_kind { HOST_TABLE(X) };
enum op_action { OP_ACTION_TABLE(X) };
enum op_state { OP_STATE_TABLE(X) };
enum op_phase { PHASE_TABLE(X) };
enum drive_do { DO_TABLE(X) };
enum collateral { COLLATERAL_TABLE(X) };
enum next_step { NEXT_TABLE(X) };
#undef X

/* NULL-terminated lists of the names above, in the order of the enums: for the configuration and for JSON. */
extern const char *const drive_type_names[], *const drive_state_names[], *const lock_state_names[],
    *const waiting_for_names[], *const eject_mode_names[], *const on_timeout_names[], *const lock_policy_names[],
    *const reattach_policy_names[], *const host_kind_names[], *const op_action_names[], *const op_state_names[], *const op_phase_names[],
    *const drive_do_names[], *const collateral_names[],
    *const next_step_names[];

/* The index of `word` in one of those lists, -1 if it is not there. */
int word_index(const char *const *names, const char *word);
