#include "gadget/view.h"

#include <stdio.h>
#include <string.h>

#include "gadget/forecast.h"

/* A boot time as the time of day that it was, or will be. */
static msec to_real(msec boot)
{
    return boot ? clock_real_ms() + (boot - clock_boot_ms()) : 0;
}

json_t *view_evidence(const struct drive_evidence *ev)
{
    json_t *o = json_object();
    json_put_text(o, "lock", lock_state_names[ev->lock]);
    json_put_time(o, "lock_seen_at", to_real(ev->lock_seen_at));
    json_put_time(o, "last_read_at", to_real(ev->last_read_at));
    json_put_time(o, "last_write_at", to_real(ev->last_write_at));
    json_put_int(o, "bytes_read", (json_int_t)ev->bytes_read);
    json_put_int(o, "bytes_written", (json_int_t)ev->bytes_written);
    json_put_text(o, "waiting_for", waiting_for_names[ev->known ? ev->waiting_for : WAITING_UNKNOWN]);
    json_put_flag(o, "shared", ev->shared);
    return o;
}

/* ---- operations -------------------------------------------------------------------------------------------------- */

/* By name, so that somebody who reads it years later knows whom it hit. */
static json_t *view_collateral(const struct daemon *d, size_t drive, enum collateral c)
{
    if (c == COLLATERAL_NONE) return NULL;
    const struct gadget_config *config = d->config;
    json_t *o = json_object(), *drives = json_array(), *functions = json_array();
    const char *function = gadget_config_function(config, drive);
    for (size_t i = 0; i < d->units_len; i++) {
        bool touched = c == COLLATERAL_GADGET || strcmp(gadget_config_function(config, i), function) == 0;
        if (i != drive && touched) json_array_append_new(drives, json_string(config->drives[i].name));
    }
    for (size_t i = 0; c == COLLATERAL_GADGET && i < config->functions_count; i++)
        json_array_append_new(functions, json_string(config->functions[i].name));
    json_put_flag(o, "disconnect", c == COLLATERAL_GADGET);
    json_put(o, "drives", drives);
    json_put(o, "functions", functions);
    return o;
}

static json_t *view_steps(const struct daemon *d, const struct operation *op)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < op->steps_len; i++) {
        const struct operation_step *s = &op->steps[i];
        char detail[32];
        json_t *o = json_object();
        json_put_text(o, "rung", s->rung);
        json_put_text(o, "outcome", s->outcome);
        json_put_time(o, "started_at", s->started_real);
        if (s->outcome)
            json_put_seconds(o, "duration", s->duration);
        else
            json_put(o, "duration", NULL);
        snprintf(detail, sizeof detail, "%u times", s->times);
        json_put_text(o, "detail", s->times > 1 ? detail : NULL);
        json_put(o, "evidence", s->seen_known ? view_evidence(&s->seen) : NULL);
        json_put(o, "collateral", view_collateral(d, op->drive, s->collateral));
        json_array_append_new(steps, o);
    }
    return steps;
}

/* The machine's own entry for an operation that is not finished. */
static const struct drive_op *in_queue(const struct daemon *d, const struct operation *op)
{
    const struct drive *m = &d->units[op->drive].machine;
    for (size_t i = 0; i < m->queue_len; i++)
        if (m->queue[i].rq.op == op->key) return &m->queue[i];
    return NULL;
}

static void put_outcome(json_t *o, const struct operation *op)
{
    static const struct {
        const char *name;
        enum drive_fact fact;
    } flags[] = {
        {"forced", FACT_FORCED},         {"lock_overridden", FACT_LOCK_OVERRIDDEN},
        {"broke_io", FACT_BROKE_IO},        {"stale_host", FACT_STALE_HOST}, {"raced_with_write", FACT_RACED_WITH_WRITE},
        {"reattached", FACT_REATTACHED}, {"unchanged", FACT_UNCHANGED}, {"storage_cut", FACT_CUT},
    };
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) json_put_flag(o, flags[i].name, op->facts & flags[i].fact);
    bool synced = op->durable_real != 0, failed = op->facts & FACT_NOT_DURABLE;
    json_put(o, "durable", synced || failed ? json_boolean(synced) : NULL);
    json_put_flag(o, "data_may_be_lost", op->facts & (FACT_STALE_HOST | FACT_RACED_WITH_WRITE | FACT_NOT_DURABLE));
}

static json_t *view_taken(const struct daemon *d, const struct operation *op)
{
    const struct taken_medium *t = &op->taken;
    const struct image_ref *image = images_ref(d->images, t->image);
    if (!image) return NULL;
    json_t *o = json_object();
    json_put_text(o, "image", image->name);
    json_put_text(o, "store", image->store);
    json_put_flag(o, "readonly", t->readonly);
    json_put(o, "bytes_written", t->written_known ? json_integer((json_int_t)t->written) : NULL);
    json_put_text(o, "unclean", operation_is_finished(op) ? operation_unclean(op) : NULL);
    return o;
}

static void put_next(json_t *o, const struct daemon *d, const struct operation *op)
{
    const struct drive *m = &d->units[op->drive].machine;
    bool head = m->queue_len && m->queue[0].rq.op == op->key;
    struct forecast f = head ? forecast_of(m, clock_boot_ms()) : (struct forecast){.next = NEXT_NOTHING};
    if (f.next == NEXT_NOTHING && f.then == NEXT_NOTHING) {
        json_put(o, "next", NULL);
        return;
    }
    json_t *next = json_object();
    json_put_text(next, "what", next_step_names[f.next]);
    json_put_time(next, "at", f.at == MSEC_NEVER ? 0 : to_real(f.at));
    json_put_text(next, "then", f.then == NEXT_NOTHING ? NULL : next_step_names[f.then]);
    json_put_time(next, "then_at", f.then_at == MSEC_NEVER ? 0 : to_real(f.then_at));
    json_put(o, "next", next);
}

json_t *view_operation(const struct daemon *d, const struct operation *op)
{
    const struct image_ref *image = images_ref(d->images, op->rq.image);
    const struct drive_op *live = in_queue(d, op);
    bool waits = live && drive_op_state(live) != OP_QUEUED;
    json_t *o = json_object();
    json_put_text(o, "id", op->id);
    json_put_text(o, "drive", d->units[op->drive].config->name);
    json_put_text(o, "action", op_action_names[op->rq.action]);
    json_put_text(o, "state", op_state_names[op->state]);
    json_put_text(o, "code", op->err.code ? err_name(op->err.code) : NULL);
    json_put_text(o, "detail", op->err.code ? op->err.text : NULL);
    json_put_text(o, "waits_for", live ? op_phase_names[live->phase] : NULL);
    put_next(o, d, op);
    json_put_text(o, "mode", eject_mode_names[live ? live->rq.mode : op->rq.mode]);
    json_put_seconds(o, "patience", op->rq.patience);
    json_put_text(o, "on_timeout", on_timeout_names[op->rq.on_timeout]);
    json_put_text(o, "image", image ? image->name : NULL);
    json_put_text(o, "store", image ? image->store : NULL);
    json_put(o, "readonly", op->rq.action == OP_INSERT ? json_boolean(op->rq.readonly) : NULL);
    json_put_text(o, "by", op->by);
    json_put_time(o, "accepted_at", op->accepted_real);
    json_put_time(o, "started_at", op->started_real);
    json_put_time(o, "finished_at", op->finished_real);
    json_put_time(o, "emptied_at", op->emptied_real);
    json_put_time(o, "durable_at", op->durable_real);
    json_put_time(o, "patience_until", waits ? to_real(live->patience_until) : 0);
    put_outcome(o, op);
    json_put(o, "taken", view_taken(d, op));
    json_put(o, "evidence", op->state == OP_QUEUED ? NULL : view_evidence(&op->evidence));
    json_put(o, "steps", view_steps(d, op));
    return o;
}

/* ---- drives ------------------------------------------------------------------------------------------------------ */

static json_t *view_medium(const struct daemon *d, const struct unit *u)
{
    const struct drive *m = &u->machine;
    const struct image_ref *image = images_ref(d->images, m->medium.image);
    char etag[64];
    if (!m->medium.image) return NULL;
    json_t *o = json_object();
    json_put_text(o, "image", image ? image->name : "(a file outside the stores)");
    json_put_text(o, "store", image ? image->store : "");
    json_put_int(o, "size", (json_int_t)u->medium.size);
    json_put_flag(o, "readonly", m->medium.readonly);
    json_put_time(o, "inserted_at", u->medium.inserted_real);
    json_put_text(o, "inserted_by", u->medium.by[0] ? u->medium.by : NULL);
    json_put_flag(o, "storage_gone", u->storage_gone);
    snprintf(etag, sizeof etag, "\"%s-%llu\"", d->incarnation, (unsigned long long)m->generation);
    json_put_text(o, "etag", etag);
    return o;
}

static json_t *view_host(const struct daemon *d, const struct unit *u, msec now)
{
    json_t *o = json_object();
    int polling = u->machine.medium.image || u->evidence.known ? evidence_polling(&u->evidence, now) : -1;
    json_put_text(o, "link", d->link.bound ? d->link.state : "detached");
    json_put_text(o, "speed", d->link.bound && d->link.configured ? d->link.speed : NULL);
    json_put(o, "polling", polling < 0 ? NULL : json_boolean(polling));
    json_put_flag(o, "dropped", d->dropped.dropped);
    return o;
}

static json_t *view_capabilities(const struct daemon *d, const struct unit *u)
{
    struct engine_capabilities can;
    d->engine->class->capabilities(d->engine, u->index, &can);
    json_t *o = json_object();
    json_put_flag(o, "forced_eject", can.forced_eject);
    json_put_flag(o, "break_io", can.break_io);
    json_put_flag(o, "signal", can.signal);
    json_put_text(o, "reattach", reattach_policy_names[d->config->reattach]);
    json_put_text(o, "cut", store_cut_names[u->machine.policy.can_cut ? u->medium.backing.how : CUT_NEVER]);
    json_put_int(o, "max_cdrom_bytes", (json_int_t)can.max_cdrom_bytes);
    return o;
}

static void stuck_sentence(const struct unit *u, msec now, char *ret, size_t size)
{
    const struct drive *m = &u->machine;
    static const char *const on[] = {[WAITING_UNKNOWN] = "something unknown", [WAITING_NOTHING] = "nothing that can be seen",
                                     [WAITING_HOST] = "the host", [WAITING_STORAGE] = "the storage under the image"};
    snprintf(ret, size, "The kernel has not answered \"%s\" for %lld s; it waits for %s", drive_do_names[m->outstanding],
             (long long)(now - m->outstanding_since) / 1000, on[m->evidence.known ? m->evidence.waiting_for : WAITING_UNKNOWN]);
}

/* Everything that a reset by the host takes along. */
static void all_functions(const struct daemon *d, char *ret, size_t size)
{
    for (size_t i = 0; i < d->units_len; i++)
        snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", i ? ", " : "", d->units[i].config->name);
    for (size_t i = 0; i < d->config->functions_count; i++)
        snprintf(ret + strlen(ret), size - strlen(ret), ", %s", d->config->functions[i].name);
}

static json_t *view_stall(const struct daemon *d, const struct unit *u, msec now)
{
    char what[700], names[500] = "";
    if (!u->stall_told || !u->machine.medium.image) return NULL;
    msec until = stall_patience_until(&u->stall, &u->clock), cut_at = stall_cut_at(&u->stall, &u->clock);
    bool cuts = cut_at && u->machine.policy.can_cut && !u->machine.cut_at;
    const char *how = store_cut_names[u->medium.backing.how];
    all_functions(d, names, sizeof names);
    if (cuts)
        snprintf(what, sizeof what, "Before that the storage is cut (%s), so that the host gets an I/O error instead of silence", how);
    else
        snprintf(what, sizeof what, "%s the whole device: %s", now < until ? "The host resets" : "The host has most likely reset", names);
    json_t *o = json_object();
    json_put_text(o, "waiting_for", waiting_for_names[u->stall.waiting_for]);
    json_put_time(o, "since", to_real(u->stall.since));
    json_put_time(o, "host_patience_until", to_real(until));
    json_put_text(o, "what_happens", what);
    json_put_flag(o, "shared", u->sample.shared);
    return o;
}

static json_t *view_cut(const struct unit *u)
{
    if (!u->cut.at_real || !u->machine.medium.image) return NULL;
    json_t *o = json_object();
    json_put_text(o, "how", store_cut_names[u->cut.how]);
    json_put_time(o, "at", u->cut.at_real);
    json_put_text(o, "error", u->cut.err.code ? u->cut.err.text : NULL);
    return o;
}

json_t *view_drive(struct daemon *d, size_t drive, msec now)
{
    struct unit *u = &d->units[drive];
    const struct drive *m = &u->machine;
    char label[48], stuck[200];
    json_t *o = json_object(), *queue = json_array();
    const struct operation *head = m->queue_len ? operations_by_key(d->operations, m->queue[0].rq.op) : NULL;
    for (size_t i = 1; i < m->queue_len; i++) {
        const struct operation *op = operations_by_key(d->operations, m->queue[i].rq.op);
        if (op) json_array_append_new(queue, view_operation(d, op));
    }
    snprintf(label, sizeof label, "%s %s", u->config->type == DRIVE_CDROM ? "CD-ROM" : "Disk", u->config->name);
    stuck_sentence(u, now, stuck, sizeof stuck);
    json_put_text(o, "name", u->config->name);
    json_put_text(o, "label", label);
    json_put_text(o, "type", drive_type_names[u->config->type]);
    json_put_text(o, "state", drive_state_names[drive_state(m)]);
    json_put_int(o, "generation", (json_int_t)m->generation);
    json_put(o, "medium", view_medium(d, u));
    json_put(o, "host", view_host(d, u, now));
    json_put(o, "evidence", view_evidence(&m->evidence));
    json_put(o, "operation", head ? view_operation(d, head) : NULL);
    json_put(o, "queue", queue);
    json_put_time(o, "quarantine_until", m->quarantine ? to_real(m->quarantine_until) : 0);
    json_put_flag(o, "stale_host", m->stale_host);
    json_put_flag(o, "unannounced", m->unannounced);
    json_put_text(o, "stuck", m->stuck ? stuck : NULL);
    json_put(o, "stall", view_stall(d, u, now));
    json_put(o, "storage_cut", view_cut(u));
    json_put(o, "capabilities", view_capabilities(d, u));
    return o;
}

json_t *view_system(const struct daemon *d)
{
    static const char *const found[] = {"built", "adopted", "completed", "differs", "foreign"};
    json_t *o = json_object();
    json_put_text(o, "version", TRAYD_VERSION);
    json_put_text(o, "engine", d->engine->class->name);
    json_put_text(o, "name", d->config->name);
    json_put_text(o, "found", d->started ? found[d->found] : NULL);
    json_put_text(o, "differences", d->differences[0] ? d->differences : NULL);
    json_put_text(o, "error", d->start_error.code ? d->start_error.text : NULL);
    json_put_flag(o, "bound", d->link.bound);
    json_put_text(o, "udc", d->link.udc[0] ? d->link.udc : NULL);
    json_put_text(o, "state", d->link.state[0] ? d->link.state : NULL);
    json_put_text(o, "speed", d->link.speed[0] ? d->link.speed : NULL);
    json_put_text(o, "state_trouble", d->kept.trouble[0] ? d->kept.trouble : d->kept.aside[0] ? d->kept.aside : NULL);
    json_put_flag(o, "host_dropped", d->dropped.dropped);
    json_put_flag(o, "reattaching", reattach_under_way(d));
    json_put_text(o, "incarnation", d->incarnation);
    json_put_text(o, "boot_id", d->boot_id);
    return o;
}

/* ---- sentences --------------------------------------------------------------------------------------------------- */

static void ago(char *ret, size_t size, const char *what, msec at, msec now)
{
    if (at) snprintf(ret + strlen(ret), size - strlen(ret), "; %s %.1f s ago", what, (double)(now - at) / 1000);
}

static void explain_in_use(const struct unit *u, const struct operation *op, char *ret, size_t size)
{
    const struct drive_evidence *ev = &u->machine.evidence;
    msec now = clock_boot_ms();
    double patience = (double)op->rq.patience / 1000;
    if (ev->lock == LOCK_LOCKED)
        snprintf(ret, size, "The host keeps the medium in %s locked; asked for %g s", u->config->name, patience);
    else if (drive_lock_is_lost(&u->machine))
        snprintf(ret, size, "The host may have %s in use: a signal to its function cleared the lock, and nobody can see "
                 "whether it was held", u->config->name);
    else if (!ev->known)
        snprintf(ret, size, "What the host does with %s cannot be seen, so a writable medium was not taken; waited %g s",
                 u->config->name, patience);
    else
        snprintf(ret, size, "The host is still writing to %s; waited %g s", u->config->name, patience);
    ago(ret, size, "it last wrote", ev->last_write_at, now);
    ago(ret, size, "it last read", ev->last_read_at, now);
}

void view_explain(const struct daemon *d, const struct operation *op, enum err_code code, char *ret, size_t size)
{
    const struct unit *u = &d->units[op->drive];
    const char *drive = u->config->name;
    const struct image_ref *image = images_ref(d->images, op->rq.image);
    const char *name = image ? image->name : "the image";
    msec now = clock_boot_ms();
    if (code == ERR_MEDIUM_IN_USE)
        explain_in_use(u, op, ret, size);
    else if (code == ERR_DRIVE_STUCK && u->machine.stuck)
        stuck_sentence(u, now, ret, size);
    else if (code == ERR_STALE_HOST)
        snprintf(ret, size, "A writable medium was taken from %s by force; what the host still holds for it could be written to %s",
                 drive, name);
    else if (code == ERR_QUARANTINE)
        snprintf(ret, size, "%s must stay empty for %lld s more: the host may still hold commands for the old medium", drive,
                 (long long)MAX(u->machine.quarantine_until - now, 0) / 1000);
    else if (code == ERR_EARLIER_FAILED)
        snprintf(ret, size, "An operation on %s that was asked for earlier failed, so this one was not begun", drive);
    else if (code == ERR_FORCED_UNAVAILABLE)
        snprintf(ret, size, "This kernel has no forced_eject, or the configuration switches it off");
    else if (code == ERR_GADGET_DETACHED)
        snprintf(ret, size, "No USB device controller is bound, so no host could see %s in %s", name, drive);
    else if (code == ERR_MEDIUM_DIFFERS)
        snprintf(ret, size, "%s is in %s already, but %s", name, drive, op->rq.readonly ? "writable" : "read-only");
    else if (code == ERR_PRECONDITION)
        snprintf(ret, size, "%s holds %s", drive, u->machine.medium.image ? "another medium than the one named" : "no medium any more");
    else if (code == ERR_CANCELLED)
        snprintf(ret, size, "Cancelled while it waited for %s", op_phase_names[op->phase]);
    else if (code == ERR_TOO_MANY_REQUESTS)
        snprintf(ret, size, "%d operations wait for %s already", DRIVE_QUEUE_MAX, drive);
    else if (code == ERR_UNAVAILABLE)
        snprintf(ret, size, "The store of %s did not answer within %lld s", name, (long long)u->config->stuck_after / 1000);
    else if (code == ERR_REATTACH_NOT_ALLOWED)
        snprintf(ret, size, "The configuration says reattach = \"never\"");
    else
        snprintf(ret, size, "%s (%s)", err_title(code), drive);
}
