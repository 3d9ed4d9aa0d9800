#include "gadget/restore.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "gadget/daemon.h"
#include "gadget/request.h"
#include "gadget/work.h"

enum restore_state { RESTORE_UNDECIDED, RESTORE_NOTHING, RESTORE_ATTACHING, RESTORE_LOOKING, RESTORE_MARKING };

struct restoring {               /* of one drive */
    struct restore *r;
    size_t drive;
    enum restore_state state;
    bool asked;                  /* the worker is looking */
    msec give_up_at;
    uint64_t version;            /* MARKING: of the file that has the mark */
    struct loop_timer timer;
};

struct restore {
    struct daemon *daemon;
    struct restoring drives[DRIVES_MAX];
    struct worker *worker;
};

struct task {
    struct worker_job job; /* first: the worker's pointer is ours */
    struct work work;
    struct restoring *g;
};

/* ---- the note ---------------------------------------------------------------------------------------------------- */

void restore_note(struct unit *u, bool by_operation)
{
    struct daemon *d = u->daemon;
    struct kept_medium *m = &d->kept.media[u->index], now = {0};
    const struct image_ref *image = images_ref(d->images, u->machine.medium.image);
    if (!u->config->restore || (u->machine.medium.image && !by_operation)) image = NULL;
    if (image) {
        now = (struct kept_medium){.there = true, .readonly = u->machine.medium.readonly};
        snprintf(now.store, sizeof now.store, "%s", image->store);
        snprintf(now.image, sizeof now.image, "%s", image->name);
        snprintf(now.boot_id, sizeof now.boot_id, "%s", d->boot_id);
    }
    now.touched = true;
    d->restore->drives[u->index].state = RESTORE_NOTHING;
    if (!m->there && !now.there && d->kept.loaded) return;
    *m = now;
    kept_changed(d);
}

/* ---- putting back ------------------------------------------------------------------------------------------------ */

static void mark(struct restoring *g)
{
    struct daemon *d = g->r->daemon;
    struct kept_medium *m = &d->kept.media[g->drive];
    snprintf(m->boot_id, sizeof m->boot_id, "%s", d->boot_id);
    g->state = RESTORE_MARKING;
    g->version = kept_changed(d);
}

static void put_back(struct restoring *g)
{
    struct daemon *d = g->r->daemon;
    const struct kept_medium *m = &d->kept.media[g->drive];
    struct gadget_request rq;
    struct operation *op;
    struct err e;
    cleanup_json json_t *message = json_object();
    g->state = RESTORE_NOTHING;
    json_put_int(message, "id", 1);
    json_put_text(message, "do", op_action_names[OP_INSERT]);
    json_put_text(message, "drive", d->config->drives[g->drive].name);
    json_put_text(message, "store", m->store);
    json_put_text(message, "image", m->image);
    json_put_flag(message, "readonly", m->readonly);
    json_put_flag(message, "if_empty", true);
    json_put_text(message, "by", RESTORE_BY);
    log_info("%s: putting %s back, which was in before the reboot", d->config->drives[g->drive].name, m->image);
    if (gadget_request_read(d, message, &rq, &e) < 0 || daemon_submit(d, rq.drive, &rq.rq, rq.by, &op, &e) < 0)
        log_warning("%s: %s is not put back: %s", d->config->drives[g->drive].name, m->image, e.text);
}

void restore_saved(struct daemon *d, uint64_t version)
{
    for (size_t i = 0; i < d->units_len; i++) {
        struct restoring *g = &d->restore->drives[i];
        if (g->state == RESTORE_MARKING && g->version <= version) put_back(g);
    }
}

/* ---- is the image there yet? ------------------------------------------------------------------------------------- */

static bool may_come_yet(enum err_code code)
{
    return code == ERR_IMAGE_MISSING || code == ERR_STORE_DETACHED || code == ERR_NOT_FOUND;
}

static void on_looked(struct worker_job *job, enum worker_end end, const void *answer, attr_unused int fds[PACKET_FDS_MAX])
{
    struct task *t = (struct task *)job;
    struct restoring *g = t->g;
    const struct work_answer *a = answer;
    free(t);
    g->asked = false;
    if (end == WORKER_CANCELLED || g->state != RESTORE_LOOKING) return;
    bool absent = end != WORKER_ANSWERED || (a->result.outcome != OUTCOME_OK && may_come_yet(a->result.err.code));
    if (absent && clock_boot_ms() < g->give_up_at)
        loop_timer_set(g->r->daemon->loop, &g->timer, clock_boot_ms() + RESTORE_LOOK);
    else
        mark(g);
}

static void ask(struct restoring *g)
{
    struct daemon *d = g->r->daemon;
    const struct kept_medium *m = &d->kept.media[g->drive];
    const char *below;
    struct err e;
    image_key key = images_intern(d->images, m->store, m->image, &e);
    struct task *t = key ? calloc(1, sizeof *t) : NULL;
    if (!t) {
        mark(g); /* the operation will say why */
        return;
    }
    t->g = g;
    t->work = (struct work){.kind = WORK_OPEN, .drive = g->drive,
                            .lun = {.type = (enum drive_type)d->config->drives[g->drive].type, .readonly = m->readonly}};
    const struct store_config *store = images_location(d->images, key, &below);
    t->work.store_readonly = store->readonly;
    t->work.store_mount = store->mount;
    snprintf(t->work.store_path, sizeof t->work.store_path, "%s", store->path);
    snprintf(t->work.name, sizeof t->work.name, "%s", below);
    t->job = (struct worker_job){.request = &t->work, .fds = {-1, -1}, .done = on_looked};
    g->asked = true;
    worker_submit(g->r->worker, &t->job);
}

/* Also where a look does not come back: then the operation is begun, and ends as any that the store does not answer. */
static void on_timer(struct loop_timer *timer, msec now)
{
    struct restoring *g = timer->owner;
    if (g->state != RESTORE_LOOKING) return;
    if (now >= g->give_up_at)
        mark(g);
    else if (!g->asked)
        ask(g);
    if (g->state == RESTORE_LOOKING) loop_timer_set(g->r->daemon->loop, timer, g->give_up_at);
}

/* ---- which ------------------------------------------------------------------------------------------------------- */

static void decide(struct restoring *g)
{
    struct daemon *d = g->r->daemon;
    const struct kept_medium *m = &d->kept.media[g->drive];
    bool wanted = d->config->drives[g->drive].restore && m->there && d->boot_id[0] && strcmp(m->boot_id, d->boot_id) != 0;
    g->state = wanted ? RESTORE_ATTACHING : RESTORE_NOTHING;
}

static void begin(struct restoring *g)
{
    const struct drive *machine = &g->r->daemon->units[g->drive].machine;
    if (!machine->observed || !machine->attached) return;
    if (machine->medium.image) { /* somebody was quicker */
        g->state = RESTORE_NOTHING;
        return;
    }
    g->state = RESTORE_LOOKING;
    g->give_up_at = clock_boot_ms() + RESTORE_WAIT;
    loop_timer_set(g->r->daemon->loop, &g->timer, clock_boot_ms());
}

void restore_look(struct daemon *d)
{
    if (!d->kept.loaded || !d->started || d->start_error.code) return;
    for (size_t i = 0; i < d->units_len; i++) {
        struct restoring *g = &d->restore->drives[i];
        if (g->state == RESTORE_UNDECIDED) decide(g);
        if (g->state == RESTORE_ATTACHING) begin(g);
    }
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct restore *restore_new(struct daemon *d)
{
    const struct worker_spec spec = {.name = "worker that looks for images to put back", .request_size = sizeof(struct work),
                                     .answer_size = sizeof(struct work_answer), .serve = work_serve, .context = d->config,
                                     .replace_after = RESTORE_LOOK};
    struct restore *r = calloc(1, sizeof *r);
    struct err e;
    if (!r) return NULL;
    r->daemon = d;
    for (size_t i = 0; i < DRIVES_MAX; i++) {
        r->drives[i].r = r;
        r->drives[i].drive = i;
        loop_timer_init(&r->drives[i].timer, on_timer, &r->drives[i]);
    }
    r->worker = worker_new(d->loop, &spec, &e);
    if (r->worker) return r;
    free(r);
    return NULL;
}

void restore_free(struct restore *r)
{
    if (!r) return;
    for (size_t i = 0; i < DRIVES_MAX; i++) loop_timer_set(r->daemon->loop, &r->drives[i].timer, MSEC_NEVER);
    worker_free(r->worker);
    free(r);
}
