/*
 * operations.h - the record of each operation: who asked for what, each step that was taken, and how it ended.
 *
 * The drive machine knows operations by key only; everything that a client wants to read of them is here. Unfinished
 * operations are kept without bound (the queues bound them), finished ones for a trayd that was away, oldest dropped
 * first. Times ending in _real are CLOCK_REALTIME, the others CLOCK_BOOTTIME.
 */
#pragma once

#include "gadget/images.h"

#define OPERATION_ID_LEN 20        /* hexadecimal digits: 48 bits of milliseconds, 32 random */
#define OPERATION_STEPS_MAX 16     /* a ladder has five rungs; equal steps in a row count as one */
#define OPERATION_BY_MAX 64        /* bytes of a user's name */

struct operation_step {
    const char *rung;              /* a name of drive_do_names, or of what was waited for */
    const char *outcome;           /* "done", "busy", an error's code; NULL while it is under way */
    msec started_real, started_at, duration;
    unsigned times;                /* equal steps in a row */
    bool seen_known;
    struct drive_evidence seen;    /* what it was decided on; of equal steps in a row: the last one */
    enum collateral collateral;
};

struct taken_medium {              /* what an operation took out of the drive */
    image_key image;               /* 0: nothing; held */
    bool readonly;
    bool written_known;
    uint64_t written;              /* bytes by the host while it was in; with a sibling's, where the function has one */
};

struct operation {
    char id[OPERATION_ID_LEN + 1];
    op_key key;
    size_t drive;
    char by[OPERATION_BY_MAX];
    struct drive_request rq;       /* as asked; image held */
    bool type_given;
    enum op_state state;
    struct err err;                /* of a failure: code and sentence */
    unsigned facts;                /* enum drive_fact */
    struct taken_medium taken;
    struct drive_evidence evidence;
    msec accepted_real, started_real, finished_real, emptied_real, durable_real;
    struct operation_step steps[OPERATION_STEPS_MAX];
    size_t steps_len;
    bool untold;                   /* clients have not heard of its newest state */
    bool unheard;                  /* it is finished, and no client has that yet: the state file keeps it */
    enum op_phase phase;           /* as last seen, to make steps of the waiting phases */
    struct operation *next;        /* newest first */
};

struct operations;

struct operations *operations_new(struct images *images, size_t keep_finished);
void operations_free(struct operations *o);

/* A new id: sorts by time. */
void operation_make_id(char id[OPERATION_ID_LEN + 1]);

/* A new record with a new id and key; NULL when out of memory. */
struct operation *operations_add(struct operations *o, size_t drive, const struct drive_request *rq, const char *by);
/* A record of an earlier process, with the id that it had. */
struct operation *operations_restore(struct operations *o, const char *id, size_t drive, const struct drive_request *rq, const char *by);
void operations_drop(struct operations *o, struct operation *op); /* refused: as if it had never been */

struct operation *operations_by_id(struct operations *o, const char *id);
struct operation *operations_by_key(struct operations *o, op_key key);
struct operation *operations_first(struct operations *o); /* newest; go on by ->next */

/* Steps: begin ends the step under way, if there is one, with "done". `rung` must be static. */
void operation_step_begin(struct operation *op, const char *rung, msec now);
void operation_step_end(struct operation *op, const char *outcome, msec now);

/* What the newest step was decided on, and whom it touches besides its drive. */
void operation_step_note(struct operation *op, const struct drive_evidence *seen, enum collateral collateral);

/* A step that took no time, beside the one that is under way. */
void operation_step_insert(struct operation *op, const char *rung, const char *outcome, const struct drive_evidence *seen,
                           enum collateral collateral, msec now);

/* Takes note of a phase: a waiting one becomes a step, a rung's name is used for those with an action. Returns whether
 * a step was begun. */
bool operation_note_phase(struct operation *op, enum op_phase phase, msec now);

/* It took that medium, once; holds the image. */
void operation_took(struct operations *o, struct operation *op, const struct taken_medium *taken);

/*
 * Why the image that it took is unclean: "not_durable" (what the host wrote may not be on the storage), "forced" (the
 * host may hold writes that never came), "raced_with_write" (it wrote while the medium was taken). NULL: it is not, or
 * it was never written to, or it is none of ours. Settled once the operation is finished and its calls have come back.
 */
const char *operation_unclean(const struct operation *op);

/* Marks it finished and forgets the oldest finished ones beyond those kept. */
void operations_finish(struct operations *o, struct operation *op, enum op_state state, msec now);

bool operation_is_finished(const struct operation *op);
