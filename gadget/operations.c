#include "gadget/operations.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

struct operations {
    struct images *images;
    struct operation *newest;
    op_key last_key;
    size_t keep_finished;
};

struct operations *operations_new(struct images *images, size_t keep_finished)
{
    struct operations *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    o->images = images;
    o->keep_finished = keep_finished;
    return o;
}

static void release(struct operations *o, struct operation *op)
{
    images_release(o->images, op->rq.image);
    images_release(o->images, op->taken.image);
    free(op);
}

void operations_free(struct operations *o)
{
    if (!o) return;
    while (o->newest) {
        struct operation *op = o->newest;
        o->newest = op->next;
        release(o, op);
    }
    free(o);
}

bool operation_is_finished(const struct operation *op)
{
    return op->state == OP_DONE || op->state == OP_FAILED || op->state == OP_CANCELLED;
}

void operation_make_id(char id[OPERATION_ID_LEN + 1])
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random) random = (uint32_t)clock_boot_ms();
    snprintf(id, OPERATION_ID_LEN + 1, "%012llx%08x", (unsigned long long)clock_real_ms() & 0xffffffffffff, random);
}

struct operation *operations_restore(struct operations *o, const char *id, size_t drive, const struct drive_request *rq,
                                     const char *by)
{
    struct operation *op = calloc(1, sizeof *op);
    if (!op) return NULL;
    snprintf(op->id, sizeof op->id, "%s", id);
    op->key = ++o->last_key;
    op->drive = drive;
    op->rq = *rq;
    op->rq.op = op->key;
    op->state = OP_QUEUED;
    op->accepted_real = clock_real_ms();
    snprintf(op->by, sizeof op->by, "%s", by);
    images_hold(o->images, rq->image);
    op->next = o->newest;
    o->newest = op;
    return op;
}

struct operation *operations_add(struct operations *o, size_t drive, const struct drive_request *rq, const char *by)
{
    char id[OPERATION_ID_LEN + 1];
    operation_make_id(id);
    return operations_restore(o, id, drive, rq, by);
}

static void unlink_operation(struct operations *o, struct operation *op)
{
    struct operation **p = &o->newest;
    while (*p && *p != op) p = &(*p)->next;
    if (*p) *p = op->next;
}

void operations_drop(struct operations *o, struct operation *op)
{
    unlink_operation(o, op);
    release(o, op);
}

struct operation *operations_by_id(struct operations *o, const char *id)
{
    struct operation *op = o->newest;
    while (op && strcmp(op->id, id) != 0) op = op->next;
    return op;
}

struct operation *operations_by_key(struct operations *o, op_key key)
{
    struct operation *op = o->newest;
    while (op && op->key != key) op = op->next;
    return op;
}

struct operation *operations_first(struct operations *o)
{
    return o->newest;
}

static bool is_open(const struct operation_step *s)
{
    return s->outcome == NULL;
}

void operation_step_end(struct operation *op, const char *outcome, msec now)
{
    if (!op->steps_len) return;
    struct operation_step *s = &op->steps[op->steps_len - 1];
    if (!is_open(s)) return;
    s->outcome = outcome;
    s->duration = now - s->started_at;
    if (op->steps_len < 2) return;
    struct operation_step *before = s - 1;
    if (strcmp(before->rung, s->rung) != 0 || strcmp(before->outcome, outcome) != 0) return;
    before->times += s->times; /* asked again, with the same answer */
    before->duration = now - before->started_at;
    before->seen = s->seen;
    op->steps_len--;
}

void operation_step_note(struct operation *op, const struct drive_evidence *seen, enum collateral collateral)
{
    if (!op->steps_len) return;
    struct operation_step *s = &op->steps[op->steps_len - 1];
    s->seen = *seen;
    s->seen_known = true;
    s->collateral = collateral;
}

void operation_step_insert(struct operation *op, const char *rung, const char *outcome, const struct drive_evidence *seen,
                           enum collateral collateral, msec now)
{
    struct operation_step last = {0};
    bool open = op->steps_len && is_open(&op->steps[op->steps_len - 1]);
    if (open) last = op->steps[--op->steps_len];
    operation_step_begin(op, rung, now);
    operation_step_note(op, seen, collateral);
    op->steps[op->steps_len - 1].outcome = outcome;
    if (!open) return;
    operation_step_begin(op, last.rung, now);
    op->steps[op->steps_len - 1] = last;
}

void operation_step_begin(struct operation *op, const char *rung, msec now)
{
    operation_step_end(op, "done", now);
    if (op->steps_len == OPERATION_STEPS_MAX) { /* keep the beginning and the newest end */
        memmove(&op->steps[OPERATION_STEPS_MAX / 2], &op->steps[OPERATION_STEPS_MAX / 2 + 1],
                (OPERATION_STEPS_MAX / 2 - 1) * sizeof op->steps[0]);
        op->steps_len--;
    }
    op->steps[op->steps_len++] = (struct operation_step){
        .rung = rung, .started_real = clock_real_ms(), .started_at = now, .times = 1};
}

bool operation_note_phase(struct operation *op, enum op_phase phase, msec now)
{
    if (phase == op->phase) return false;
    if (op->phase == PHASE_QUEUED && !op->started_real) op->started_real = clock_real_ms();
    op->phase = phase;
    /* Between two questions the answer "busy" tells enough; the other waits are steps of their own. */
    static const char *const waits[] = {
        [PHASE_QUIET] = "quiesce", [PHASE_GAP] = "gap", [PHASE_DWELL] = "dwell", [PHASE_QUARANTINE] = "quarantine",
        [PHASE_FINISHED] = NULL,
    };
    if (waits[phase]) operation_step_begin(op, waits[phase], now);
    return waits[phase] != NULL;
}

void operation_took(struct operations *o, struct operation *op, const struct taken_medium *taken)
{
    if (op->taken.image || !taken->image) return;
    op->taken = *taken;
    images_hold(o->images, taken->image);
}

const char *operation_unclean(const struct operation *op)
{
    static const struct {
        unsigned facts;
        const char *reason;
    } reasons[] = { /* the worst first */
        {FACT_NOT_DURABLE, "not_durable"},
        {FACT_FORCED | FACT_STALE_HOST, "forced"},
        {FACT_RACED_WITH_WRITE, "raced_with_write"},
    };
    const struct taken_medium *t = &op->taken;
    bool written = !t->written_known || t->written > 0;
    if (!t->image || t->image == IMAGE_FOREIGN || t->readonly || !written) return NULL;
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (op->facts & reasons[i].facts) return reasons[i].reason;
    return NULL;
}

void operations_finish(struct operations *o, struct operation *op, enum op_state state, msec now)
{
    operation_step_end(op, op->err.code ? err_name(op->err.code) : "done", now);
    op->state = state;
    op->unheard = true;
    op->phase = PHASE_FINISHED;
    op->finished_real = clock_real_ms();
    if (!op->started_real) op->started_real = op->finished_real;
    size_t finished = 0;
    for (struct operation *next, *it = o->newest; it; it = next) {
        next = it->next;
        if (operation_is_finished(it) && ++finished > o->keep_finished) operations_drop(o, it);
    }
}
