/*
 * daemon_sink.c - what the engine tells: results, the gadget, the link, and hints.
 */
#include "gadget/daemon_parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/parse.h"
#include "gadget/profile.h"
#include "gadget/restore.h"
#include "gadget/scheduling.h"

static bool same_file(const struct medium_info *a, const struct engine_medium *b)
{
    return a->inode && a->device == b->device && a->inode == b->inode;
}

static struct medium_info info_of(const struct engine_medium *m)
{
    return (struct medium_info){.device = m->device, .inode = m->inode, .size = m->size, .storage = m->storage, .backing = m->backing};
}

/* Which image is it that the kernel shows? Compared by device and inode; by path only what we never opened. */
static image_key recognise(struct unit *u, const struct engine_result *r)
{
    struct daemon *d = u->daemon;
    if (!r->medium.present) return 0;
    if (u->opened_image && same_file(&u->opened, &r->medium)) {
        struct operation *op = operations_by_key(d->operations, u->acting.op);
        bool ours = r->what == DO_INSERT || r->what == DO_SWAP;
        if (ours) u->medium = u->opened;
        if (ours) u->medium.inserted_real = clock_real_ms();
        if (ours && op) snprintf(u->medium.by, sizeof u->medium.by, "%s", op->by);
        if (ours) return u->opened_image;
    }
    if (u->machine.medium.image && same_file(&u->medium, &r->medium)) return u->machine.medium.image;
    image_key key = images_intern_path(d->images, r->medium.path);
    if (key == u->machine.medium.image && (r->medium.deleted || !r->medium.inode)) return key;
    u->medium = info_of(&r->medium);
    return key;
}

/* The image that was opened is still on its way in: for an operation that was neither cancelled nor has failed, or in a
 * call that nobody waits for any more and that may come back all the same. */
static bool is_coming(const struct unit *u)
{
    const struct drive *m = &u->machine;
    bool wanted = m->queue_len && m->queue[0].rq.action == OP_INSERT && m->queue[0].rq.image == u->opened_image;
    return u->opened_image && (wanted || m->outstanding == DO_INSERT || m->outstanding == DO_SWAP);
}

/* One image is in at most one drive for writing, and then in no other. */
static const struct unit *who_has(const struct unit *u, const struct engine_medium *m)
{
    const struct daemon *d = u->daemon;
    for (size_t i = 0; i < d->units_len; i++) {
        const struct unit *other = &d->units[i];
        if (other == u) continue;
        bool in = other->machine.medium.image && same_file(&other->medium, m);
        bool coming = is_coming(other) && same_file(&other->opened, m);
        if ((in && (!other->machine.medium.readonly || !u->opened_readonly)) ||
            (coming && (!other->opened_readonly || !u->opened_readonly)))
            return other;
    }
    return NULL;
}

static void on_open(struct unit *u, struct engine_result *r)
{
    if (r->outcome != OUTCOME_OK) return;
    const struct unit *other = who_has(u, &r->medium);
    u->opened = info_of(&r->medium);
    if (!other) return;
    r->outcome = OUTCOME_ERROR;
    err_set(&r->err, ERR_IMAGE_IN_USE, "The image is in drive %s, and one of the two would be writable", other->config->name);
}

static const char *outcome_name(const struct engine_result *r)
{
    return r->outcome == OUTCOME_OK ? "done" : r->outcome == OUTCOME_BUSY ? "busy" : err_name(r->err.code);
}

static void on_result(void *owner, size_t drive, const struct engine_result *result)
{
    struct daemon *d = owner;
    struct unit *u = &d->units[drive];
    struct engine_result r = *result;
    FAULT_POINT("result.arrived");
    if (r.ticket == TICKET_NOBODY) return;
    if (r.ticket == TICKET_REATTACH) {
        u->reattach_seen_known = r.medium_known;
        u->reattach_seen = (struct drive_medium){.image = recognise(u, &r), .readonly = r.medium.present && r.medium.readonly};
        u->reattach_seen_real = r.seen_real;
        reattach_ejected(d);
        return;
    }
    bool current = r.ticket == u->machine.ticket;
    u->seen_real = r.seen_real;
    if (r.what == DO_OPEN && current) on_open(u, &r);
    u->last_error = r.outcome == OUTCOME_ERROR ? r.err : (struct err){0};

    struct drive_event ev = {.kind = DRIVE_RESULT, .result = {.ticket = r.ticket, .outcome = r.outcome, .code = r.err.code}};
    bool was_writable = u->machine.medium.image && !u->machine.medium.readonly;
    if (r.medium_known && r.what != DO_OPEN) {
        ev.result.medium_known = true;
        ev.result.medium = (struct drive_medium){.image = recognise(u, &r), .readonly = r.medium.present && r.medium.readonly};
    }
    struct operation *op = operations_by_key(d->operations, u->acting.op);
    if (op && current)
        operation_step_end(op, outcome_name(&r), clock_boot_ms());
    /* A sync after the cut proves nothing: the error for what was lost is told once, and not always to us. */
    bool cut = u->machine.queue_len && u->machine.queue[0].facts & FACT_CUT;
    if (op && current && r.what == DO_SYNC && r.outcome == OUTCOME_OK && !cut) op->durable_real = clock_real_ms();
    if (!u->machine.observed && ev.result.medium_known) daemon_doubt_the_host(u, was_writable, !r.medium.present);
    daemon_feed(u, &ev);
    u->seen_real = 0;
    bool opening = u->machine.queue_len && u->machine.queue[0].rq.image == u->opened_image;
    if (!opening) u->opened_image = 0;
    reattach_look(d);
}

static void assume_the_worst(struct daemon *d)
{
    log_warning("there is a gadget, but no record of what was done with it: its empty drives are quarantined");
    for (size_t i = 0; i < d->units_len; i++)
        drive_restore(&d->units[i].machine, d->units[i].machine.policy.type == DRIVE_DISK,
                      clock_boot_ms() + d->units[i].clock.quarantine, 0, 0);
}

static void new_incarnation(struct daemon *d)
{
    uint8_t random[8];
    if (getrandom(random, sizeof random, 0) != sizeof random) memcpy(random, &(msec){clock_real_ms()}, sizeof random);
    parse_to_hex(random, sizeof random, d->incarnation);
}

static void on_started(struct daemon *d, const struct gadget_result *r)
{
    d->started = true;
    d->found = r->found;
    snprintf(d->differences, sizeof d->differences, "%s", r->differences);
    if (!r->ok) {
        d->start_error = r->err;
        log_error("%s", r->err.text);
        daemon_tell_system(d);
        return;
    }
    if (r->bound) d->attachment = ATTACHMENT_WANTED;
    if (d->attachment == ATTACHMENT_PAUSED) reattach_resume(d);
    bool was_there = r->found == FOUND_AS_PLANNED || r->found == FOUND_DIFFERENT;
    if (was_there && !d->incarnation[0]) assume_the_worst(d);
    if (!was_there || !d->incarnation[0]) new_incarnation(d);
    static const char *const how[] = {"built", "adopted as it was", "completed", "adopted, but it differs", "not ours"};
    log_info("gadget %s: %s%s", d->config->name, how[r->found], r->bound ? "" : ", no controller yet");
    for (size_t i = 0; i < d->units_len; i++) {
        struct unit *u = &d->units[i];
        struct drive_event ev = {.kind = DRIVE_HINT_CLOSED};
        daemon_feed(u, &ev);
    }
    daemon_tell_system(d);
    scheduling_look(d);
    restore_look(d);
}

/* Taken down, and made as the configuration says now. */
static void on_rebuilt(struct daemon *d, const struct gadget_result *r)
{
    d->found = r->found;
    snprintf(d->differences, sizeof d->differences, "%s", r->differences);
    new_incarnation(d);
    d->start_error = r->ok ? (struct err){0} : r->err;
    if (r->ok) log_info("gadget %s: built anew", d->config->name);
}

static void on_gadget(void *owner, const struct gadget_result *r)
{
    struct daemon *d = owner;
    FAULT_POINT("gadget.arrived");
    bool starts = r->order == GADGET_START || r->order == GADGET_START_UNBOUND;
    if (starts && !d->started) {
        on_started(d, r);
        return;
    }
    if (starts) on_rebuilt(d, r);
    reattach_result(d, r);
}

/* The host has reset the device: it was configured, is not suspended or unplugged in between, and is configured again. */
static bool was_reset(struct daemon *d, const struct engine_link *l)
{
    bool again = d->enumerated && l->configured && !d->link.configured && strcmp(d->link.state, "suspended") != 0;
    if (!l->bound || strcmp(l->state, "not attached") == 0) d->enumerated = false;
    if (l->configured) d->enumerated = true;
    return again;
}

static void on_link(void *owner, const struct engine_link *l)
{
    struct daemon *d = owner;
    msec now = clock_boot_ms();
    bool reset = was_reset(d, l);
    FAULT_POINT("link.arrived");
    /* Only an unbound time that was seen counts: a gadget that is bound at our start may have been so all the while,
     * unless an earlier process had written down when it would bind. */
    msec unbound_until = d->bind_ordered ? d->bind_ordered : d->link_seen ? now : d->unbound_since;
    bool held = l->bound && d->unbound_since && unbound_until - d->unbound_since >= d->config->reattach_hold;
    d->link = *l;
    d->link_seen = true;
    if (l->bound)
        d->unbound_since = d->bind_ordered = 0;
    else if (!d->unbound_since)
        d->unbound_since = now;
    for (size_t i = 0; i < d->units_len; i++) {
        struct drive_event ev = {.kind = DRIVE_LINK, .attached = l->bound, .host_present = l->bound && l->configured};
        daemon_feed(&d->units[i], &ev);
        struct drive_event seen = {.kind = DRIVE_REENUMERATED};
        struct drive_event cleared = {.kind = DRIVE_CLEARED, .cleared = CLEARED_BY_HOST};
        if (reset && !held) daemon_feed(&d->units[i], &cleared);
        if (!held) continue;
        d->units[i].host_is_new = true;
        daemon_feed(&d->units[i], &seen);
    }
    daemon_tell_system(d);
    if (host_resets_look(&d->resets, l, reattach_under_way(d), now)) scheduling_host_reset(d);
    reattach_look(d);
}

static void on_closed(void *owner, size_t drive)
{
    struct daemon *d = owner;
    struct drive_event ev = {.kind = DRIVE_HINT_CLOSED};
    daemon_feed(&d->units[drive], &ev);
}

static void on_active(void *owner, size_t drive)
{
    struct daemon *d = owner;
    struct drive_event ev = {.kind = DRIVE_EVIDENCE};
    daemon_feed(&d->units[drive], &ev);
}

static void on_held(void *owner, size_t drive)
{
    struct daemon *d = owner;
    log_warning("%s: a call of an earlier trayd-gadget is still under way in the kernel", d->units[drive].config->name);
    struct drive_event ev = {.kind = DRIVE_HELD};
    daemon_feed(&d->units[drive], &ev);
}

struct engine_sink daemon_sink(struct daemon *d)
{
    return (struct engine_sink){.owner = d, .result = on_result, .gadget = on_gadget, .link = on_link,
                                .closed = on_closed, .active = on_active, .store = stores_on_result, .cut = daemon_on_cut, .held = on_held};
}
