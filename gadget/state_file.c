#include "gadget/state_file.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "gadget/client.h"
#include "gadget/view.h"

#define STATE_FILE_MAX (1 << 20) /* 16 drives with full queues and long names */
#define STATE_VERSION 1

static void path_of(const struct daemon *d, char path[STORE_PATH_MAX + 16])
{
    snprintf(path, STORE_PATH_MAX + 16, "%s/gadget.state", d->config->runtime_dir);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static json_t *medium_json(const struct unit *u, const struct images *images)
{
    const struct image_ref *ref = images_ref(images, u->machine.medium.image);
    if (!u->machine.medium.image) return NULL;
    json_t *m = json_object();
    json_put_text(m, "store", ref ? ref->store : "");
    json_put_text(m, "name", ref ? ref->name : "");
    json_put_flag(m, "readonly", u->machine.medium.readonly);
    json_put_int(m, "device", (json_int_t)u->medium.device);
    json_put_int(m, "inode", (json_int_t)u->medium.inode);
    json_put_int(m, "size", (json_int_t)u->medium.size);
    json_put_int(m, "storage", (json_int_t)u->medium.storage);
    json_put_int(m, "inserted_real", u->medium.inserted_real);
    json_put_text(m, "by", u->medium.by);
    json_put_int(m, "base_read", (json_int_t)u->evidence.base_read);
    json_put_int(m, "base_written", (json_int_t)u->evidence.base_written);
    json_put_text(m, "backing", store_cut_names[u->medium.backing.how]);
    json_put_int(m, "backing_number", (json_int_t)u->medium.backing.number);
    json_put_int(m, "backing_sectors", (json_int_t)u->medium.backing.sectors);
    json_put_int(m, "cut_at", u->cut.done ? u->machine.cut_at : 0);
    json_put_int(m, "cut_real", u->cut.done ? u->cut.at_real : 0);
    return m;
}

static json_t *taken_json(const struct daemon *d, const struct taken_medium *t)
{
    const struct image_ref *ref = images_ref(d->images, t->image);
    if (!ref) return NULL;
    json_t *o = json_object();
    json_put_text(o, "store", ref->store);
    json_put_text(o, "name", ref->name);
    json_put_flag(o, "readonly", t->readonly);
    json_put_int(o, "written", t->written_known ? (json_int_t)t->written : -1);
    return o;
}

static json_t *operation_json(const struct daemon *d, const struct operation *op, unsigned facts)
{
    const struct image_ref *ref = images_ref(d->images, op->rq.image);
    json_t *o = json_object();
    json_put_text(o, "id", op->id);
    json_put_text(o, "by", op->by);
    json_put_int(o, "action", op->rq.action);
    json_put_int(o, "mode", op->rq.mode);
    json_put_int(o, "accepted_real", op->accepted_real);
    json_put_int(o, "started_real", op->started_real);
    json_put_flag(o, "readonly", op->rq.readonly);
    json_put_text(o, "store", ref ? ref->store : "");
    json_put_text(o, "name", ref ? ref->name : "");
    json_put_int(o, "facts", facts);
    json_put(o, "taken", taken_json(d, &op->taken));
    return o;
}

static json_t *drive_json(struct daemon *d, const struct unit *u)
{
    json_t *drive = json_object(), *queue = json_array();
    json_put_int(drive, "generation", (json_int_t)u->machine.generation);
    json_put_flag(drive, "stale_host", u->machine.stale_host);
    json_put_int(drive, "quarantine_until", u->machine.quarantine ? u->machine.quarantine_until : 0);
    json_put_int(drive, "broken_at", u->machine.broken_at);
    json_put_int(drive, "cleared", u->machine.cleared);
    json_put_flag(drive, "lock_lost", u->machine.lock_lost);
    json_put_flag(drive, "unannounced", u->machine.unannounced);
    /* Until the kernel was seen, what an earlier process was doing is what its state may come from. */
    json_put_int(drive, "doing", u->machine.observed ? u->machine.outstanding : u->resumed_doing);
    /* So that the host's patience is known after a restart, too. Only of a stall that lasts: the others change all the time. */
    json_put_int(drive, "stalled_since", u->stall_told ? u->stall.since : 0);
    json_put_int(drive, "stalled_bytes", u->stall_told ? (json_int_t)u->stall.bytes : 0);
    json_put(drive, "medium", medium_json(u, d->images));
    const struct operation *resumed = u->resumed[0] ? operations_by_id(d->operations, u->resumed) : NULL;
    if (resumed) json_array_append_new(queue, operation_json(d, resumed, resumed->facts));
    for (size_t i = 0; i < u->machine.queue_len; i++) {
        const struct operation *op = operations_by_key(d->operations, u->machine.queue[i].rq.op);
        if (op) json_array_append_new(queue, operation_json(d, op, u->machine.queue[i].facts));
    }
    json_put(drive, "operations", queue);
    return drive;
}

/* Finished, and not heard of by trayd: oldest first. */
static json_t *outcomes_json(const struct daemon *d)
{
    json_t *outcomes = d->outcomes_unheard ? json_copy(d->outcomes) : json_array();
    size_t earlier = json_array_size(outcomes);
    for (const struct operation *op = operations_first(d->operations); op; op = op->next)
        if (op->unheard) json_array_insert_new(outcomes, earlier, view_operation(d, op));
    while (json_array_size(outcomes) > GADGET_OPERATIONS_KEPT) json_array_remove(outcomes, 0);
    return outcomes;
}

void state_file_save(struct daemon *d)
{
    cleanup_json json_t *state = json_object();
    json_t *drives = json_object();
    json_put_int(state, "version", STATE_VERSION);
    json_put_text(state, "boot_id", d->boot_id);
    json_put_text(state, "incarnation", d->incarnation);
    json_put_int(state, "attachment", d->attachment);
    json_put_int(state, "unbound_since", d->unbound_since);
    json_put_int(state, "bind_ordered", d->bind_ordered);
    json_put_flag(state, "host_dropped", d->dropped.dropped);
    json_put(state, "outcomes", outcomes_json(d));
    for (size_t i = 0; i < d->units_len; i++) json_put(drives, d->units[i].config->name, drive_json(d, &d->units[i]));
    json_put(state, "drives", drives);
    json_put(state, "stores", stores_save(d));

    char *text = json_write(state, true);
    if (!text || (d->saved_state && strcmp(text, d->saved_state) == 0)) {
        free(text);
        return;
    }
    char path[STORE_PATH_MAX + 16];
    struct err e;
    path_of(d, path);
    FAULT_POINT("state.write");
    if (fd_replace_file(path, text, strlen(text), false, &e) < 0) {
        log_error("%s", e.text);
        free(text);
        return;
    }
    FAULT_POINT("state.written");
    free(d->saved_state);
    d->saved_state = text;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static void load_medium(struct daemon *d, struct unit *u, const json_t *m)
{
    const char *name = json_text(m, "name");
    image_key key = *name ? images_intern(d->images, json_text(m, "store"), name, NULL) : IMAGE_FOREIGN;
    if (!key) key = IMAGE_FOREIGN; /* its store is no longer configured */
    u->machine.medium = (struct drive_medium){.image = key, .readonly = json_flag(m, "readonly")};
    images_hold(d->images, key);
    u->held_image = key;
    u->machine.loaded_since = clock_boot_ms(); /* nothing is known of the time between; the late side is safe */
    u->medium.device = (uint64_t)json_int(m, "device", 0);
    u->medium.inode = (uint64_t)json_int(m, "inode", 0);
    u->medium.size = (uint64_t)json_int(m, "size", 0);
    u->medium.storage = (uint64_t)json_int(m, "storage", 0);
    u->medium.inserted_real = json_int(m, "inserted_real", 0);
    snprintf(u->medium.by, sizeof u->medium.by, "%s", json_text(m, "by"));
    u->evidence.base_read = (uint64_t)json_int(m, "base_read", 0);
    u->evidence.base_written = (uint64_t)json_int(m, "base_written", 0);
    u->evidence.based = true;
}

/* What may be cut was found when the image was opened, and cannot be looked for again while it hangs. */
static void load_backing(struct daemon *d, struct unit *u, const json_t *m)
{
    char name[STORE_NAME_MAX];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(json_text(m, "store"), "/"), json_text(m, "store"));
    const struct store_config *store = name[0] ? store_list_find(&d->config->stores, name) : NULL;
    int how = word_index(store_cut_names, json_text(m, "backing"));
    if (!store || how <= CUT_NEVER || how != store->cut) return;
    u->medium.backing = (struct backing){.how = how, .number = (uint64_t)json_int(m, "backing_number", 0),
                                         .sectors = (uint64_t)json_int(m, "backing_sectors", 0)};
    u->machine.cut_at = json_int(m, "cut_at", 0);
    u->cut = (struct storage_cut){.at_real = json_int(m, "cut_real", 0), .how = (enum store_cut)how, .done = u->machine.cut_at != 0};
}

static void load_taken(struct daemon *d, struct operation *op, const json_t *o)
{
    int64_t written = json_int(o, "written", -1);
    image_key key = json_is_object(o) ? images_intern(d->images, json_text(o, "store"), json_text(o, "name"), NULL) : 0;
    const struct taken_medium taken = {.image = key, .readonly = json_flag(o, "readonly"),
                                       .written_known = written >= 0, .written = (uint64_t)MAX(written, 0)};
    operation_took(d->operations, op, &taken);
}

static void load_operation(struct daemon *d, struct unit *u, const json_t *o, bool first)
{
    struct drive_request rq = {
        .action = json_int(o, "action", 0) == OP_INSERT ? OP_INSERT : OP_EJECT,
        .mode = json_int(o, "mode", 0) == EJECT_FORCED ? EJECT_FORCED : EJECT_ORDERLY,
        .readonly = json_flag(o, "readonly"),
    };
    const char *id = json_text(o, "id");
    if (strlen(id) != OPERATION_ID_LEN) return;
    if (rq.action == OP_INSERT) rq.image = images_intern(d->images, json_text(o, "store"), json_text(o, "name"), NULL);
    struct operation *op = operations_restore(d->operations, id, u->index, &rq, json_text(o, "by"));
    if (!op) return;
    op->accepted_real = json_int(o, "accepted_real", 0);
    op->started_real = json_int(o, "started_real", 0);
    op->facts = (unsigned)json_int(o, "facts", 0);
    load_taken(d, op, json_object_get(o, "taken"));
    if (first) {
        snprintf(u->resumed, sizeof u->resumed, "%s", id);
    } else {
        err_set(&op->err, ERR_INTERRUPTED, "trayd-gadget was restarted before it was this operation's turn");
        operations_finish(d->operations, op, OP_FAILED, clock_boot_ms());
    }
}

static void load_drive(struct daemon *d, struct unit *u, const json_t *drive)
{
    drive_restore(&u->machine, json_flag(drive, "stale_host"), json_int(drive, "quarantine_until", 0),
                  (uint64_t)json_int(drive, "generation", 0), json_int(drive, "broken_at", 0));
    int64_t cleared = json_int(drive, "cleared", CLEARED_NOT);
    bool known = cleared > CLEARED_NOT && cleared <= CLEARED_BY_BREAK;
    u->machine.cleared = known ? (enum drive_clearing)cleared : CLEARED_NOT;
    u->machine.lock_lost = json_flag(drive, "lock_lost");
    u->machine.unannounced = json_flag(drive, "unannounced");
    int64_t doing = json_int(drive, "doing", DO_NOTHING);
    u->resumed_doing = doing > DO_NOTHING && doing <= DO_ANNOUNCE /* the last */ ? (enum drive_do)doing : DO_NOTHING;
    const json_t *medium = json_object_get(drive, "medium"), *op;
    u->stall.since = json_int(drive, "stalled_since", 0);
    u->stall.bytes = (uint64_t)json_int(drive, "stalled_bytes", 0);
    u->stall.seen = u->stall.since != 0;
    if (json_is_object(medium)) {
        load_medium(d, u, medium);
        load_backing(d, u, medium);
    }
    u->resumed_writable = u->machine.medium.image && !u->machine.medium.readonly;
    size_t i;
    json_array_foreach(json_object_get(drive, "operations"), i, op) load_operation(d, u, op, i == 0);
}

static void load_outcomes(struct daemon *d, const json_t *outcomes)
{
    size_t i;
    json_t *outcome;
    json_array_foreach(outcomes, i, outcome)
        if (json_text(outcome, "id")[0] && json_array_size(d->outcomes) < GADGET_OPERATIONS_KEPT)
            json_array_append(d->outcomes, outcome);
    d->outcomes_unheard = json_array_size(d->outcomes) > 0;
}

bool state_file_load(struct daemon *d)
{
    char path[STORE_PATH_MAX + 16];
    struct err e;
    path_of(d, path);
    cleanup_free char *text = malloc(STATE_FILE_MAX);
    ssize_t len = text ? fd_read_text(path, text, STATE_FILE_MAX) : -1;
    if (len < 0) return false;
    cleanup_json json_t *state = json_parse_object(text, (size_t)len, STATE_FILE_MAX, &e);
    if (!state) log_warning("%s: %s; it is ignored", path, e.text);
    if (!state || json_int(state, "version", 0) != STATE_VERSION || strcmp(json_text(state, "boot_id"), d->boot_id) != 0)
        return false;
    snprintf(d->incarnation, sizeof d->incarnation, "%s", json_text(state, "incarnation"));
    int64_t attachment = json_int(state, "attachment", ATTACHMENT_WANTED);
    bool away = attachment == ATTACHMENT_PAUSED || attachment == ATTACHMENT_ENDED;
    d->attachment = away ? (enum attachment)attachment : ATTACHMENT_WANTED;
    d->unbound_since = json_int(state, "unbound_since", 0);
    d->bind_ordered = json_int(state, "bind_ordered", 0);
    d->dropped.dropped = json_flag(state, "host_dropped");
    load_outcomes(d, json_object_get(state, "outcomes"));
    stores_load(d, json_object_get(state, "stores"));
    for (size_t i = 0; i < d->units_len; i++) {
        const json_t *drive = json_object_get(json_object_get(state, "drives"), d->units[i].config->name);
        if (drive) load_drive(d, &d->units[i], drive);
    }
    return true;
}
