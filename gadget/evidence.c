#include "gadget/evidence.h"

#define POLLS_APART 500     /* ms; commands closer together are one look: nobody polls more often than every second */
#define POLLING_PERIOD 5000 /* ms; Linux polls every 2 s, Windows every second */

bool evidence_sample(struct evidence *ev, const struct engine_sample *s, msec now)
{
    bool first = !ev->known, moved = false;
    ev->known = s->known;
    if (!s->known) return false;
    if (first) ev->sampled_before = now;
    if (!ev->based) { /* what happened before us is not this medium's */
        ev->base_read = s->bytes_read;
        ev->base_written = s->bytes_written;
        ev->based = true;
    }
    if (first && ev->sampled_at == 0) {
        ev->read = s->bytes_read;
        ev->written = s->bytes_written;
        ev->commands = s->commands;
    }
    if (s->bytes_read != ev->read) ev->last_read_at = now, moved = true;
    if (s->bytes_written != ev->written) ev->last_write_at = now, moved = true;
    if (s->commands != ev->commands) {
        ev->commands_at = now;
        if (!moved && now - ev->poll_at >= POLLS_APART) ev->polls++, ev->poll_at = now;
    }
    ev->read = s->bytes_read;
    ev->written = s->bytes_written;
    ev->commands = s->commands;
    ev->sampled_at = now;
    return moved;
}

void evidence_mark(struct evidence *ev)
{
    ev->mark_read = ev->read;
    ev->mark_written = ev->written;
}

void evidence_restart(struct evidence *ev, msec now)
{
    ev->polls = 0;
    ev->poll_at = now;
    ev->base_read = ev->mark_read;
    ev->base_written = ev->mark_written;
    ev->last_read_at = ev->read != ev->base_read ? now : 0;
    ev->last_write_at = ev->written != ev->base_written ? now : 0;
}

struct drive_evidence evidence_view(const struct evidence *ev, const struct engine_sample *s)
{
    return (struct drive_evidence){
        .known = ev->known,
        .shared = s->shared,
        .bytes_read = ev->read - ev->base_read,
        .bytes_written = ev->written - ev->base_written,
        .last_read_at = ev->last_read_at,
        .last_write_at = ev->last_write_at,
        .waiting_for = s->known ? s->waiting_for : WAITING_UNKNOWN,
        .noticed = ev->polls >= EVIDENCE_NOTICED,
    };
}

int evidence_polling(const struct evidence *ev, msec now)
{
    if (!ev->known) return -1;
    if (ev->commands_at && now - ev->commands_at <= POLLING_PERIOD) return 1;
    return now - ev->sampled_before > POLLING_PERIOD ? 0 : -1;
}
