/*
 * daemon_storage.c - storage that is slow or hangs under the media: the watchdog's looks, the flusher's pace, the cut.
 */
#include "gadget/daemon_parts.h"

#include <string.h>

#include "base/device.h"
#include "base/fault.h"
#include "base/log.h"
#include "gadget/build.h"
#include "gadget/socket.h"
#include "gadget/state_file.h"
#include "gadget/view.h"

#define STALL_OLD 60000        /* ms; a host has long done what it does about it: looking every few seconds is enough */
#define STALL_OLD_LOOK 5000
#define LOOKS_WITHOUT_COMMAND 3 /* of a host that does not even poll; then inotify wakes us */

/* That something has become of the storage under a medium. */
static void announce(const struct unit *u, const char *kind)
{
    const struct image_ref *image = images_ref(u->daemon->images, u->machine.medium.image);
    json_t *event = json_object();
    json_put_text(event, "drive", u->config->name);
    json_put_text(event, "image", image ? image->name : "");
    json_put_text(event, "store", image ? image->store : "");
    if (u->cut.at_real) json_put_text(event, "how", store_cut_names[u->cut.how]);
    gadget_socket_announce(u->daemon->socket, kind, event);
}

/* ---- the watchdog ------------------------------------------------------------------------------------------------ */

void daemon_note_stall(struct unit *u, msec now)
{
    const struct engine_sample *s = &u->sample;
    const struct stall_look look = {.known = s->known, .waiting_for = s->waiting_for, .flushing = s->flushing,
                                    .bytes = s->bytes_read + s->bytes_written};
    stall_note(&u->stall, &look, now);
    bool told = u->machine.medium.image && stall_is_told(&u->stall, now);
    bool ended = told && now >= stall_patience_until(&u->stall, &u->clock);
    if (told == u->stall_told && ended == u->patience_told) return;
    bool begins = told && !u->stall_told;
    u->stall_told = told;
    u->patience_told = ended;
    u->untold = true;
    u->told_at = 0; /* at once */
    if (!begins) return;
    log_warning("%s: a command of the host's waits for %s and gets no further", u->config->name,
                waiting_for_names[u->stall.waiting_for]);
}

void daemon_note_dropped(struct daemon *d, msec now)
{
    struct host_dropped_sight sight = {.seen_at = now};
    if (!d->link_seen) return;
    for (size_t i = 0; i < d->units_len; i++) {
        const struct unit *u = &d->units[i];
        sight.hangs |= u->stall.since && u->stall.waiting_for == WAITING_STORAGE;
        sight.activity += u->evidence.commands + u->evidence.read + u->evidence.written;
        if (u->evidence.known) sight.seen_at = MIN(sight.seen_at, u->evidence.sampled_at);
    }
    if (!host_dropped_look(&d->dropped, &d->link, &sight, now)) return;
    if (d->dropped.dropped)
        log_warning("the host has most likely dropped the device: storage hung while it configured it; reattach it when the "
                    "storage is back");
    else
        log_info("the host is no longer taken to have dropped the device");
    state_file_save(d);
    daemon_tell_system(d);
    for (size_t i = 0; i < d->units_len; i++) daemon_tell_drive(&d->units[i]);
}

/* All drives at the same moments. */
static msec next_look(const struct unit *u, msec now)
{
    msec every = host_look_every(&u->clock);
    return (now / every + 1) * every;
}

static msec stall_look_at(const struct unit *u, msec now)
{
    const struct daemon *d = u->daemon;
    if (!u->machine.medium.image) return MSEC_NEVER;
    if (u->stall.since && now - u->stall.since < STALL_OLD) {
        msec told_at = u->stall.since + STALL_TOLD_AFTER, at = now + d->config->sample_interval;
        return told_at > now ? MIN(told_at, at) : at;
    }
    if (u->stall.since) return now + STALL_OLD_LOOK;
    bool commands = u->evidence.commands_at &&
                    now - u->evidence.commands_at < LOOKS_WITHOUT_COMMAND * host_look_every(&u->clock);
    return d->link.configured && commands ? next_look(u, now) : MSEC_NEVER;
}

msec daemon_storage_look_at(const struct unit *u, msec now)
{
    const struct host_dropped *h = &u->daemon->dropped;
    msec at = stall_look_at(u, now);
    if (h->asked_at) return MIN(at, now + HOST_DROPPED_LOOK);
    return h->dropped ? MIN(at, next_look(u, now)) : at;
}

/* ---- storage that went by itself --------------------------------------------------------------------------------- */

void daemon_note_gone(struct unit *u)
{
    bool gone = u->machine.medium.image && u->medium.storage && device_is_gone("/sys", u->medium.storage);
    if (gone == u->storage_gone) return;
    u->storage_gone = gone;
    u->untold = true;
    u->told_at = 0; /* at once */
    if (!gone) return;
    log_warning("%s: the storage under its medium has gone", u->config->name);
    announce(u, "storage_gone");
}

/* ---- what the host writes ---------------------------------------------------------------------------------------- */

void daemon_flush(struct unit *u, msec now)
{
    struct daemon *d = u->daemon;
    const struct drive *m = &u->machine;
    if (!m->medium.image || m->medium.readonly || u->evidence.written == u->flushed_written) return;
    if (now - u->flushed_at < d->config->sample_interval) return; /* the next sample is that far away */
    u->flushed_written = u->evidence.written;
    u->flushed_at = now;
    d->engine->class->flush(d->engine, u->index);
}

/* ---- the cut ----------------------------------------------------------------------------------------------------- */

/* Which of a function's media its thread hangs in cannot be seen: all of them must lie on the same storage. */
bool daemon_may_cut(const struct unit *u)
{
    const struct daemon *d = u->daemon;
    if (u->machine.cut_at) return true; /* it was */
    if (u->medium.backing.how == CUT_NEVER) return false;
    size_t function = build_function_index(d->config, u->index);
    for (size_t i = 0; i < d->units_len; i++) {
        const struct unit *other = &d->units[i];
        if (build_function_index(d->config, i) != function || !other->machine.medium.image) continue;
        if (!backing_equal(&other->medium.backing, &u->medium.backing)) return false;
    }
    return true;
}

/* Other drives whose media lie on the same storage lose it with this one. */
void daemon_cut(struct unit *u, msec now)
{
    struct daemon *d = u->daemon;
    struct operation *op = u->machine.queue_len ? operations_by_key(d->operations, u->machine.queue[0].rq.op) : NULL;
    enum store_cut how = (enum store_cut)u->medium.backing.how;
    log_warning("%s: its storage hangs and is cut (%s)", u->config->name, store_cut_names[how]);
    if (op) operation_step_insert(op, "cut", store_cut_names[how], &u->machine.evidence, COLLATERAL_NONE, now);
    for (size_t i = 0; i < d->units_len; i++) {
        struct unit *hit = &d->units[i];
        if (!hit->machine.medium.image || !backing_equal(&hit->medium.backing, &u->medium.backing)) continue;
        hit->cut = (struct storage_cut){.at_real = clock_real_ms(), .how = how};
        if (hit != u) drive_was_cut(&hit->machine, now);
        hit->untold = true;
        announce(hit, "storage_cut");
    }
    FAULT_POINT("cut.give");
    d->engine->class->cut(d->engine, u->index, &u->medium.backing);
    FAULT_POINT("cut.given");
}

void daemon_on_cut(void *owner, size_t drive, const struct err *e)
{
    struct daemon *d = owner;
    struct unit *u = &d->units[drive];
    if (e->code)
        log_error("%s: %s", u->config->name, e->text);
    else
        log_info("%s: its storage is cut", u->config->name);
    for (size_t i = 0; i < d->units_len; i++) {
        struct storage_cut *cut = &d->units[i].cut;
        if (!cut->at_real || !backing_equal(&d->units[i].medium.backing, &u->medium.backing)) continue;
        cut->done = !e->code;
        cut->err = *e;
    }
    struct drive_event ev = {.kind = DRIVE_EVIDENCE};
    daemon_feed(u, &ev);
    daemon_tell_drive(u);
}
