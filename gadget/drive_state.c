#include "gadget/drive_turn.h"

bool drive_can_take(const struct drive_policy *p)
{
    return p->can_force || p->can_signal || p->reattach != REATTACH_NEVER;
}

bool drive_gave_up(const struct drive *d, const struct drive_action *a)
{
    return d->stuck || d->ticket != a->ticket;
}

bool drive_lock_is_lost(const struct drive *d)
{
    return d->lock_lost && d->medium.image && !d->medium.readonly;
}

enum op_state drive_op_state(const struct drive_op *op)
{
    switch (op->phase) {
    case PHASE_QUEUED: return OP_QUEUED;
    case PHASE_QUIET:
    case PHASE_LOCKED:
    case PHASE_GAP:
    case PHASE_DWELL:
    case PHASE_QUARANTINE: return OP_WAITING;
    case PHASE_OPENING:
    case PHASE_ASKING:
    case PHASE_FORCING:
    case PHASE_SWAPPING:
    case PHASE_SYNCING:
    case PHASE_REATTACHING:
    case PHASE_INSERTING: return OP_RUNNING;
    case PHASE_FINISHED: return OP_DONE;
    }
    return OP_RUNNING;
}

enum drive_state drive_state(const struct drive *d)
{
    if (d->stuck) return STATE_STUCK;
    if (!d->attached) return STATE_DETACHED;
    enum drive_state at_rest = d->medium.image ? STATE_LOADED : d->quarantine ? STATE_QUARANTINE : STATE_EMPTY;
    if (!d->queue_len) return at_rest;
    switch (d->queue[0].phase) {
    case PHASE_QUIET:
    case PHASE_ASKING:
    case PHASE_LOCKED:
    case PHASE_GAP:
    case PHASE_FORCING:
    case PHASE_SYNCING: return STATE_EJECTING;
    case PHASE_REATTACHING: return d->queue[0].rq.action == OP_EJECT || d->medium.image ? STATE_EJECTING : STATE_INSERTING;
    case PHASE_SWAPPING:
    case PHASE_DWELL:
    case PHASE_INSERTING: return STATE_INSERTING;
    case PHASE_OPENING: return d->medium.image ? STATE_LOADED : STATE_INSERTING;
    case PHASE_QUEUED:
    case PHASE_QUARANTINE:
    case PHASE_FINISHED: return at_rest;
    }
    return at_rest;
}

bool drive_wants_samples(const struct drive *d)
{
    return d->medium.image && d->queue_len && drive_is_taking(&d->queue[0]);
}

static bool phase_has_action(enum op_phase phase)
{
    return phase == PHASE_OPENING || phase == PHASE_ASKING || phase == PHASE_FORCING || phase == PHASE_SWAPPING ||
           phase == PHASE_SYNCING || phase == PHASE_REATTACHING || phase == PHASE_INSERTING;
}

/* Looking and announcing are the drive's own affair, whatever waits meanwhile. */
static bool acts_for_nobody(const struct drive *d)
{
    return d->outstanding == DO_NOTHING || d->outstanding == DO_OBSERVE || d->outstanding == DO_ANNOUNCE;
}

const char *drive_check(const struct drive *d)
{
    for (size_t i = 1; i < d->queue_len; i++)
        if (d->queue[i].phase != PHASE_QUEUED) return "only the head of the queue is under way";
    if (d->stuck && d->queue_len) return "a stuck drive has an empty queue";
    if (d->cut_at && (!d->medium.image || !d->policy.can_cut)) return "storage is cut only where it may be";
    if (d->stuck && d->outstanding == DO_NOTHING) return "a stuck drive has an action outstanding";
    if (d->queue_len) {
        const struct drive_op *op = &d->queue[0];
        bool acting = !acts_for_nobody(d);
        if (phase_has_action(op->phase) != acting) return "a phase with an action has it outstanding, the others have none";
        if (op->phase == PHASE_INSERTING && d->medium.image) return "insert only into an empty drive";
        if (op->phase == PHASE_INSERTING && !op->rq.readonly && d->stale_host && !op->rq.accept_stale_host)
            return "nothing writable goes in under a stale host";
        if (op->phase == PHASE_INSERTING && d->quarantine) return "nothing goes in during quarantine";
    } else if (!acts_for_nobody(d) && !d->stuck) {
        return "an action belongs to an operation";
    }
    return NULL;
}
