#include "gadget/daemon_parts.h"

#include <string.h>

#include "base/fault.h"
#include "base/fd.h"
#include "gadget/client.h"
#include "gadget/profile.h"
#include "gadget/restore.h"
#include "gadget/scheduling.h"
#include "gadget/socket.h"
#include "gadget/state_file.h"
#include "gadget/view.h"

/* ---- requests ---------------------------------------------------------------------------------------------------- */

int daemon_find_drive(const struct daemon *d, const char *name)
{
    for (size_t i = 0; i < d->units_len; i++)
        if (strcmp(d->units[i].config->name, name) == 0) return (int)i;
    return -1;
}

static int refuse(struct daemon *d, const struct operation *op, enum err_code code, struct err *e)
{
    char text[ERR_TEXT_MAX];
    view_explain(d, op, code, text, sizeof text);
    return err_set(e, code, "%s", text);
}

int daemon_submit(struct daemon *d, size_t drive, const struct drive_request *rq, const char *by, struct operation **ret,
                  struct err *e)
{
    struct unit *u = &d->units[drive];
    struct drive_output out;
    if (d->start_error.code) {
        *e = d->start_error;
        return -1;
    }
    if (!d->started) return err_set(e, ERR_UNAVAILABLE, "The gadget is not built yet");
    if (rq->action == OP_INSERT && stores_may_use(d, rq->image, e) < 0) return -1;
    struct operation *op = operations_add(d->operations, drive, rq, by);
    if (!op) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    struct drive_event ev = {.kind = DRIVE_REQUEST, .request = op->rq};
    daemon_turn(u, &ev, &out);
    if (out.refused != ERR_NONE) {
        refuse(d, op, out.refused, e);
        operations_drop(d->operations, op);
        return -1;
    }
    if (out.joined) {
        operations_drop(d->operations, op);
        op = operations_by_key(d->operations, out.joined);
    }
    *ret = op;
    return 0;
}

static int change(struct daemon *d, struct operation *op, enum drive_event_kind kind, struct err *e)
{
    struct drive_output out;
    if (operation_is_finished(op)) return err_set(e, ERR_TOO_LATE, "The operation is finished: %s", op_state_names[op->state]);
    struct drive_event ev = {.kind = kind, .op = op->key};
    daemon_turn(&d->units[op->drive], &ev, &out);
    return out.refused == ERR_NONE ? 0 : refuse(d, op, out.refused, e);
}

void daemon_break(struct daemon *d, size_t drive, enum waiting_for *ret_found, enum engine_break *ret_did, struct err *e)
{
    struct drive_output out;
    struct drive_event ev = {.kind = DRIVE_BREAK};
    daemon_turn(&d->units[drive], &ev, &out);
    *ret_found = out.found;
    *ret_did = out.break_io ? d->units[drive].broke : out.cut ? BREAK_BY_CUT : BREAK_NOT;
    *e = out.break_io ? d->units[drive].break_error : (struct err){0};
}

int daemon_cancel(struct daemon *d, struct operation *op, struct err *e)
{
    return change(d, op, DRIVE_CANCEL, e);
}

int daemon_hurry(struct daemon *d, struct operation *op, struct err *e)
{
    return change(d, op, DRIVE_HURRY, e);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void init_unit(struct daemon *d, size_t i)
{
    struct unit *u = &d->units[i];
    const struct drive_config *c = &d->config->drives[i];
    u->clock = host_profile_for((enum host_kind)c->host, &c->clock);
    const struct drive_policy policy = {
        .type = (enum drive_type)c->type, .lock_policy = (enum lock_policy)c->lock_policy,
        .reattach = (enum reattach_policy)d->config->reattach, .quiet = c->quiet, .release_quiet = c->release_quiet,
        .dwell = c->dwell, .stuck_after = c->stuck_after,
        .break_after = u->clock.break_after,
        .cut_after = MAX(u->clock.break_after, MIN(host_cut_after(u->clock.command), c->stuck_after / 2)),
        .quarantine_for = u->clock.quarantine,
    };
    u->daemon = d;
    u->index = i;
    u->config = c;
    drive_init(&u->machine, &policy);
    loop_timer_init(&u->wake, daemon_on_wake, u);
    loop_timer_init(&u->sample_timer, daemon_on_wake, u);
}

struct daemon *daemon_new(const struct gadget_config *c, struct loop *l, const char *simulation, struct err *e)
{
    struct daemon *d = calloc(1, sizeof *d);
    if (!d) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    d->config = c;
    d->loop = l;
    d->units_len = c->drives_count;
    d->images = images_new(&c->stores);
    d->outcomes = json_array();
    d->operations = d->images ? operations_new(d->images, GADGET_OPERATIONS_KEPT) : NULL;
    d->scheduling = d->operations ? scheduling_new(d) : NULL;
    d->restore = d->scheduling ? restore_new(d) : NULL;
    if (!d->restore || !d->outcomes) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        daemon_free(d);
        return NULL;
    }
    if (fd_read_line("/proc/sys/kernel/random/boot_id", d->boot_id, sizeof d->boot_id) < 0) d->boot_id[0] = '\0';
    for (size_t i = 0; i < d->units_len; i++) init_unit(d, i);
    reattach_init(d);
    stores_init(d);
    state_file_load(d);

    const struct engine_sink sink = daemon_sink(d);
    d->engine = simulation ? engine_sim_new(c, l, &sink, simulation, e) : engine_kernel_new(c, l, &sink, e);
    if (d->engine) d->socket = gadget_socket_new(d, e);
    if (!d->engine || !d->socket || kept_init(d, e) < 0) {
        daemon_free(d);
        return NULL;
    }
    FAULT_POINT("gadget.give");
    d->engine->class->gadget(d->engine, d->attachment == ATTACHMENT_WANTED ? GADGET_START : GADGET_START_UNBOUND);
    FAULT_POINT("gadget.given");
    stores_resume(d);
    return d;
}

void daemon_free(struct daemon *d)
{
    if (!d) return;
    scheduling_free(d->scheduling);
    restore_free(d->restore);
    kept_done(d);
    gadget_socket_free(d->socket);
    if (d->engine) d->engine->class->free(d->engine);
    operations_free(d->operations);
    images_free(d->images);
    json_decref(d->outcomes);
    free(d->saved_state);
    free(d);
}
