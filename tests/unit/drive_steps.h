/*
 * drive_steps.h - what can happen in the world of one drive: the machine under test is fed, and what it asks for is done
 * by a kernel, a store and a host that may do it well, badly or late.
 */
#pragma once

#include "tests/unit/drive_rules.h"

typedef void saboteur(struct world *w, struct drive_output *out);
static saboteur *sabotage;

static inline void feed(struct world *w, struct drive_event ev)
{
    struct drive_output out;
    ev.evidence = (struct drive_evidence){.known = true, .bytes_read = w->read, .bytes_written = w->written,
                                          .last_read_at = w->read_at, .last_write_at = w->written_at,
                                          .waiting_for = w->waiting, .cut_at = w->cut_at};
    if (ev.kind != DRIVE_LINK) {
        ev.attached = w->d.attached;
        ev.host_present = w->d.host_present;
    }
    size_t queued = w->d.queue_len;
    uint64_t generation = w->d.generation;
    drive_step(&w->d, &ev, w->now, &out);
    if (ev.kind == DRIVE_REQUEST) {
        bool enters = out.refused == ERR_NONE && out.joined == 0;
        queued += enters;
        w->ops[ev.request.op - 1].finished = !enters;
        for (op_key i = 1; enters && menu[w->ops[ev.request.op - 1].menu_index].mode == EJECT_FORCED && i < ev.request.op; i++)
            w->ops[i - 1].hurried = true; /* a forced eject allows force for those before it */
        if (out.joined && ev.request.mode == EJECT_FORCED) w->ops[out.joined - 1].hurried = true;
    }
    if (sabotage) sabotage(w, &out);
    w->wake = out.wake;
    if (out.break_io) check_break(w);
    if (out.cut) check_cut(w);
    if (out.action.what != DO_NOTHING) {
        check_action(w, &out.action);
        if (out.action.what == DO_OPEN || out.action.what == DO_SYNC)
            w->in_store = out.action;
        else
            w->in_kernel = out.action;
    }
    check_finish(w, &out, queued);
    check_rest(w);
    if (w->d.generation != generation) w->written = w->read = 0, w->written_at = w->read_at = 0;
    if (w->d.queue_len == 0) w->force_was_busy = false;
}

static inline void request(struct world *w, int index)
{
    w->ops[w->ops_len] = (struct asked){.menu_index = index};
    struct drive_request rq = menu[index];
    rq.op = (op_key)++w->ops_len;
    feed(w, (struct drive_event){.kind = DRIVE_REQUEST, .request = rq});
}

/* The medium leaves the kernel. The host is dangerous when it had it in use, or may have written more. */
static inline void kernel_empties(struct world *w, bool forced)
{
    if (!w->kernel.image) return;
    if (!w->kernel.readonly && (forced || (w->written_at && w->now - w->written_at < policy.quiet)))
        w->dangerous = true;
    w->kernel = (struct drive_medium){0};
    w->cut = false;
    w->removed_at = w->now;
    w->locked = false;
}

static inline void answer_kernel(struct world *w, bool well)
{
    struct drive_action a = w->in_kernel;
    struct drive_result r = {.ticket = a.ticket, .outcome = well ? OUTCOME_OK : OUTCOME_ERROR, .code = ERR_INTERNAL,
                             .medium_known = true};
    w->in_kernel = (struct drive_action){0};
    w->waiting = WAITING_NOTHING;
    w->cut_at = 0;
    if (a.what == DO_ASK || a.what == DO_SWAP) {
        if (w->locked)
            r.outcome = OUTCOME_BUSY;
        else if (well)
            kernel_empties(w, false);
        if (a.what == DO_SWAP && r.outcome == OUTCOME_OK)
            w->kernel = (struct drive_medium){a.image, a.readonly}, w->removed_at = 0;
    } else if (a.what == DO_FORCE || a.what == DO_SIGNAL) {
        if (well)
            kernel_empties(w, true);
        else
            r.outcome = OUTCOME_BUSY, w->force_was_busy = true;
    } else if (a.what == DO_INSERT && well) {
        w->kernel = (struct drive_medium){a.image, a.readonly};
        if (!a.readonly && asked(w, a.op)->accept_stale_host) w->dangerous = false; /* accepted: the mark is gone */
    } else if (a.what == DO_REATTACH) {
        if (well && a.eject) kernel_empties(w, true);
        if (well) w->dangerous = w->locked = false, w->removed_at = w->haunted_until = 0;
    }
    r.medium = w->kernel;
    feed(w, (struct drive_event){.kind = DRIVE_RESULT, .result = r});
}

static inline void answer_store(struct world *w, bool well)
{
    struct drive_result r = {.ticket = w->in_store.ticket, .outcome = well ? OUTCOME_OK : OUTCOME_ERROR,
                             .code = ERR_IMAGE_MISSING};
    w->in_store = (struct drive_action){0};
    feed(w, (struct drive_event){.kind = DRIVE_RESULT, .result = r});
}

static inline void host(struct world *w, int what)
{
    struct drive_event ev = {.kind = DRIVE_EVIDENCE};
    if (what == 0)
        w->locked = true;
    else if (what == 1)
        w->locked = false;
    else if (what == 2)
        w->written++, w->written_at = w->now;
    else if (what == 3)
        w->read++, w->read_at = w->now;
    else {
        kernel_empties(w, false);
        w->dangerous = w->dangerous && w->removed_at == 0; /* it flushed before it ejected */
        w->closed_hint = true;
        return;
    }
    feed(w, ev);
}

static inline void wait_for(struct world *w, enum waiting_for what)
{
    w->waiting = what;
    w->cut_at = what == WAITING_STORAGE && policy.can_cut ? w->now + 2 * STEP_MS : 0;
    feed(w, (struct drive_event){.kind = DRIVE_EVIDENCE});
}

static inline void operator_breaks(struct world *w)
{
    w->operator_breaks = true;
    feed(w, (struct drive_event){.kind = DRIVE_BREAK});
    w->operator_breaks = false;
}

static inline void controller_comes(struct world *w)
{
    feed(w, (struct drive_event){.kind = DRIVE_LINK, .attached = true, .host_present = true});
    if (w->now - w->gone_at < HOLD_MS) return; /* the host may have seen no more than a reset */
    w->dangerous = w->locked = false;
    w->removed_at = w->haunted_until = 0;
    feed(w, (struct drive_event){.kind = DRIVE_REENUMERATED});
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

#define TRY(how, statement)                                                                                       \
    do {                                                                                                          \
        struct world next = now;                                                                                  \
        struct world *w = &next;                                                                                  \
        statement;                                                                                                \
        search_add(s, &next, how);                                                                                \
        if (next.violation) return;                                                                               \
    } while (0)

static inline void world_expand(struct search *s, const void *kept)
{
    struct world now = {0};
    memcpy(&now, kept, WORLD_KEPT);
    char how[SEARCH_HOW_MAX];
    if (now.in_kernel.what != DO_NOTHING) {
        TRY("the kernel does it", answer_kernel(w, true));
        if (now.in_kernel.what != DO_FORCE || !now.force_was_busy) TRY("the kernel fails", answer_kernel(w, false));
    }
    if (now.in_store.what != DO_NOTHING) {
        TRY("the store does it", answer_store(w, true));
        TRY("the store fails", answer_store(w, false));
    }
    if (now.kernel.image && now.d.attached) {
        if (!now.locked) TRY("the host locks", host(w, 0));
        if (now.locked) TRY("the host unlocks", host(w, 1));
        if (!now.kernel.readonly) TRY("the host writes", host(w, 2));
        TRY("the host reads", host(w, 3));
        if (!now.locked && now.written_at == 0) TRY("the host ejects", host(w, 4));
    }
    if (now.in_kernel.what == DO_FORCE || now.in_kernel.what == DO_ASK) {
        if (now.waiting != WAITING_HOST) TRY("... waits for the host", wait_for(w, WAITING_HOST));
        if (now.waiting != WAITING_STORAGE) TRY("... waits for storage", wait_for(w, WAITING_STORAGE));
        if (now.waiting != WAITING_UNKNOWN) TRY("... waits for what is not known", wait_for(w, WAITING_UNKNOWN));
        if (now.waiting != WAITING_NOTHING) TRY("the operator breaks I/O", operator_breaks(w));
    }
    if (now.closed_hint) TRY("inotify says closed", (w->closed_hint = false, feed(w, (struct drive_event){.kind = DRIVE_HINT_CLOSED})));
    if (!now.unplugged_once && now.in_kernel.what == DO_NOTHING)
        TRY("the controller goes", (w->unplugged_once = true, w->gone_at = w->now, feed(w, (struct drive_event){.kind = DRIVE_LINK})));
    if (!now.d.attached) TRY("the controller comes", controller_comes(w));
    if (now.d.queue_len || now.d.quarantine || now.in_kernel.what != DO_NOTHING)
        TRY("time passes", (w->now += STEP_MS, feed(w, (struct drive_event){.kind = DRIVE_EVIDENCE})));
    for (op_key op = 1; op <= (op_key)now.ops_len; op++) {
        if (now.ops[op - 1].finished) continue;
        TRY("cancel", feed(w, (struct drive_event){.kind = DRIVE_CANCEL, .op = op}));
        TRY("hurry", (w->ops[op - 1].hurried = true, feed(w, (struct drive_event){.kind = DRIVE_HURRY, .op = op})));
    }
    for (int i = 0; i < (int)ARRAY_LEN(menu) && now.ops_len < ops_max; i++) {
        if (!(asks & 1u << i)) continue;
        snprintf(how, sizeof how, "request %d", i);
        TRY(how, request(w, i));
    }
}
