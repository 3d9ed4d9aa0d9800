#include "gadget/drive_turn.h"

#include <string.h>

static void report_finish(struct turn *t, const struct drive_op *op, enum op_state state, enum err_code code)
{
    t->out->finished[t->out->finished_len++] = (struct drive_finish){
        .op = op->rq.op, .state = state, .code = code, .facts = op->facts,
        .evidence = state == OP_DONE ? op->decided_on : t->d->evidence};
    t->out->changed = true;
}

static void queue_remove(struct drive *d, size_t index)
{
    memmove(&d->queue[index], &d->queue[index + 1], (d->queue_len - index - 1) * sizeof d->queue[0]);
    d->queue_len--;
    d->queue[d->queue_len] = (struct drive_op){0}; /* equal states stay equal, for the model checker */
}

void drive_finish_head(struct turn *t, enum op_state state, enum err_code code)
{
    struct drive *d = t->d;
    report_finish(t, &d->queue[0], state, code);
    queue_remove(d, 0);
    if (state != OP_FAILED) return;
    /* They were asked for under an assumption that no longer holds. */
    while (d->queue_len > 0) {
        report_finish(t, &d->queue[0], OP_FAILED, ERR_EARLIER_FAILED);
        queue_remove(d, 0);
    }
}

static bool same_request(const struct drive_request *a, const struct drive_request *b)
{
    return a->action == b->action && a->mode == b->mode && a->patience == b->patience &&
           a->on_timeout == b->on_timeout && a->lock_policy == b->lock_policy &&
           a->allow_collateral == b->allow_collateral && a->image == b->image && a->readonly == b->readonly &&
           a->swap_direct == b->swap_direct && a->accept_stale_host == b->accept_stale_host &&
           a->reattach == b->reattach && a->only_if_empty == b->only_if_empty && a->only_if_medium == b->only_if_medium;
}

bool drive_is_taking(const struct drive_op *op)
{
    return op->phase == PHASE_QUIET || op->phase == PHASE_ASKING || op->phase == PHASE_LOCKED || op->phase == PHASE_GAP;
}

void drive_on_request(struct turn *t)
{
    struct drive *d = t->d;
    const struct drive_request *rq = &t->ev->request;
    struct drive_op *last = d->queue_len ? &d->queue[d->queue_len - 1] : NULL;
    bool forced_eject = rq->action == OP_EJECT && rq->mode == EJECT_FORCED;

    if (d->stuck) {
        t->out->refused = ERR_DRIVE_STUCK;
        return;
    }
    if (forced_eject && d->medium.image && !drive_can_take(&d->policy)) {
        t->out->refused = ERR_FORCED_UNAVAILABLE;
        return;
    }
    if (last && same_request(&last->rq, rq)) {
        t->out->joined = last->rq.op;
        return;
    }
    if (last && forced_eject && last->rq.action == OP_EJECT && last->rq.only_if_medium == rq->only_if_medium) {
        last->rq.mode = EJECT_FORCED;
        last->hurried = true;
        t->out->joined = last->rq.op;
        t->out->changed = true;
        return;
    }
    if (d->queue_len == DRIVE_QUEUE_MAX) {
        t->out->refused = ERR_TOO_MANY_REQUESTS;
        return;
    }
    /* The pinhole does not wait for the patience of those before it. */
    if (forced_eject && d->queue_len && drive_is_taking(&d->queue[0])) d->queue[0].hurried = true;
    d->queue[d->queue_len++] = (struct drive_op){.rq = *rq, .phase = PHASE_QUEUED};
    t->out->changed = true;
}

static size_t queue_find(const struct drive *d, op_key op)
{
    size_t i = 0;
    while (i < d->queue_len && d->queue[i].rq.op != op) i++;
    return i;
}

void drive_on_cancel(struct turn *t)
{
    struct drive *d = t->d;
    size_t i = queue_find(d, t->ev->op);
    if (i == d->queue_len) {
        t->out->refused = ERR_NOT_FOUND;
        return;
    }
    if (d->queue[i].phase == PHASE_ASKING && !d->queue[i].force_now) { /* it waits for the host; the question is a blink */
        d->queue[i].cancelled = true;
        return;
    }
    if (drive_op_state(&d->queue[i]) == OP_RUNNING) {
        t->out->refused = ERR_TOO_LATE;
        return;
    }
    if (i == 0) {
        drive_finish_head(t, OP_CANCELLED, ERR_CANCELLED);
        return;
    }
    report_finish(t, &d->queue[i], OP_CANCELLED, ERR_CANCELLED);
    queue_remove(d, i);
}

void drive_on_hurry(struct turn *t)
{
    struct drive *d = t->d;
    size_t i = queue_find(d, t->ev->op);
    if (i == d->queue_len)
        t->out->refused = ERR_NOT_FOUND;
    else if (d->queue[i].phase != PHASE_QUEUED && !drive_is_taking(&d->queue[i]))
        t->out->refused = ERR_TOO_LATE;
    else if (!drive_can_take(&d->policy))
        t->out->refused = ERR_FORCED_UNAVAILABLE;
    else
        d->queue[i].hurried = t->out->changed = true;
}
