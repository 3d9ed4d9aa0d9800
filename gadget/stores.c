#include "gadget/stores.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "gadget/daemon.h"
#include "gadget/socket.h"
#include "gadget/state_file.h"

static struct departure_time now_is(void)
{
    return (struct departure_time){.boot = clock_boot_ms(), .real = clock_real_ms()};
}

static const char *name_of(const struct daemon *d, size_t store)
{
    return d->config->stores.items[store].name;
}

/* ---- who uses it ------------------------------------------------------------------------------------------------- */

/* The index of the store that the image lies in; the number of stores where it lies in none. */
static size_t store_of(const struct daemon *d, image_key image)
{
    const struct image_ref *ref = images_ref(d->images, image);
    for (size_t i = 0; ref && i < d->config->stores.count; i++) {
        size_t len = strlen(name_of(d, i));
        if (strncmp(ref->store, name_of(d, i), len) == 0 && (ref->store[len] == '\0' || ref->store[len] == '/')) return i;
    }
    return d->config->stores.count;
}

int stores_may_use(const struct daemon *d, image_key image, struct err *e)
{
    size_t store = store_of(d, image);
    if (store == d->config->stores.count || d->stores[store].state.stage == STORE_ATTACHED) return 0;
    return err_set(e, ERR_STORE_DETACHED, "The store \"%s\" was taken away by %s", name_of(d, store),
                   d->stores[store].state.by);
}

/* The image that a drive has, waits for or has opened in that store; NULL: none. */
static const struct image_ref *image_in_use(const struct unit *u, size_t store)
{
    const struct daemon *d = u->daemon;
    const struct drive *m = &u->machine;
    image_key keys[DRIVE_QUEUE_MAX + 2] = {m->medium.image, m->outstanding == DO_NOTHING ? 0 : u->opened_image};
    size_t count = 2;
    for (size_t i = 0; i < m->queue_len; i++) keys[count++] = m->queue[i].rq.image;
    for (size_t i = 0; i < count; i++)
        if (keys[i] && store_of(d, keys[i]) == store) return images_ref(d->images, keys[i]);
    return NULL;
}

static int check_unused(const struct daemon *d, size_t store, struct err *e)
{
    for (size_t i = 0; i < d->units_len; i++) {
        const struct image_ref *image = image_in_use(&d->units[i], store);
        if (image)
            return err_set(e, ERR_IMAGE_IN_USE, "\"%s\" of the store \"%s\" is in drive %s, or waits for it", image->name,
                           name_of(d, store), d->units[i].config->name);
    }
    return 0;
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* Saves, gives the engine what is to be done next, and tells. */
static void go_on(struct store_departure *s)
{
    struct daemon *d = s->daemon;
    state_file_save(d); /* before the step: whoever comes after us must know what was begun */
    loop_timer_set(d->loop, &s->timer, departure_is_under_way(&s->state) ? s->state.deadline : MSEC_NEVER);
    if (departure_is_under_way(&s->state) && s->given != s->state.ticket) {
        const struct store_order o = {.step = s->state.step, .ticket = s->state.ticket, .mount = s->state.mount};
        s->given = s->state.ticket;
        FAULT_POINT("store.give");
        d->engine->class->store(d->engine, s->store, &o);
        FAULT_POINT("store.given");
    }
    FAULT_POINT("store.tell");
    gadget_socket_tell(d->socket, "store", stores_view(d, s->store));
    FAULT_POINT("store.told");
}

static void log_end(const struct store_departure *s, bool failed)
{
    const struct departure *state = &s->state;
    const char *name = name_of(s->daemon, s->store);
    if (failed)
        log_warning("the store %s is %s: \"%s\" failed: %s", name, departure_stage_names[state->stage],
                    departure_step_names[state->failed], state->err.text);
    else if (!departure_is_under_way(state))
        log_info("the store %s is %s%s, by %s", name, departure_stage_names[state->stage],
                 state->unmounted ? " and unmounted" : "", state->by);
}

void stores_on_result(void *owner, size_t store, const struct store_result *r)
{
    struct daemon *d = owner;
    struct store_departure *s = &d->stores[store];
    const struct departure_time now = now_is();
    FAULT_POINT("store.arrived");
    if (r->ticket != s->state.ticket || !departure_is_under_way(&s->state)) return;
    departure_step_done(&s->state, r->ticket, r->mount_known ? &r->mount : NULL, &r->err, &now);
    log_end(s, s->state.failed != STEP_NOTHING && !departure_is_under_way(&s->state));
    go_on(s);
}

static void on_deadline(struct loop_timer *t, attr_unused msec at)
{
    struct store_departure *s = t->owner;
    const struct departure_time now = now_is();
    departure_look(&s->state, &now);
    log_end(s, s->state.failed != STEP_NOTHING && !departure_is_under_way(&s->state));
    go_on(s);
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

int stores_detach(struct daemon *d, size_t store, bool unmount, const char *by, struct err *e)
{
    struct store_departure *s = &d->stores[store];
    const struct departure_time now = now_is();
    if (check_unused(d, store, e) < 0 || departure_leave(&s->state, unmount, by, &now, e) < 0) return -1;
    go_on(s);
    return 0;
}

int stores_attach(struct daemon *d, size_t store, const char *by, struct err *e)
{
    struct store_departure *s = &d->stores[store];
    const struct departure_time now = now_is();
    if (departure_come(&s->state, by, &now, e) < 0) return -1;
    go_on(s);
    return 0;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

void stores_init(struct daemon *d)
{
    for (size_t i = 0; i < d->config->stores.count; i++) {
        d->stores[i].daemon = d;
        d->stores[i].store = i;
        loop_timer_init(&d->stores[i].timer, on_deadline, &d->stores[i]);
    }
}

void stores_resume(struct daemon *d)
{
    const struct departure_time now = now_is();
    for (size_t i = 0; i < d->config->stores.count; i++) {
        struct store_departure *s = &d->stores[i];
        if (!departure_is_under_way(&s->state)) continue;
        log_info("the store %s was %s when an earlier process ended: going on with \"%s\"", name_of(d, i),
                 departure_stage_names[s->state.stage], departure_step_names[s->state.step]);
        departure_resume(&s->state, &now);
        go_on(s);
    }
}

/* ---- as JSON ----------------------------------------------------------------------------------------------------- */

static json_t *failure_json(const struct departure *s)
{
    if (s->failed == STEP_NOTHING) return NULL;
    json_t *o = json_object();
    json_put_text(o, "step", departure_step_names[s->failed]);
    json_put_text(o, "code", err_name(s->err.code));
    json_put_text(o, "detail", s->err.text);
    return o;
}

json_t *stores_view(const struct daemon *d, size_t store)
{
    const struct departure *s = &d->stores[store].state;
    json_t *o = json_object();
    json_put_text(o, "name", name_of(d, store));
    json_put_text(o, "stage", departure_stage_names[s->stage]);
    json_put_text(o, "step", departure_is_under_way(s) ? departure_step_names[s->step] : NULL);
    json_put_flag(o, "unmounted", s->unmounted);
    json_put_flag(o, "safe_to_remove", s->safe);
    json_put_time(o, "since", s->since_real);
    json_put_text(o, "by", s->by[0] ? s->by : NULL);
    json_put(o, "failed", failure_json(s));
    return o;
}

json_t *stores_view_all(const struct daemon *d)
{
    json_t *all = json_array();
    for (size_t i = 0; i < d->config->stores.count; i++) json_array_append_new(all, stores_view(d, i));
    return all;
}

static json_t *mount_json(const struct store_mount *m)
{
    if (!m->there) return NULL;
    json_t *o = json_object();
    json_put_flag(o, "part", m->part);
    json_put_int(o, "major", m->major);
    json_put_int(o, "minor", m->minor);
    json_put_int(o, "flags", (int64_t)m->flags);
    json_put_text(o, "source", m->source);
    json_put_text(o, "type", m->type);
    json_put_text(o, "options", m->options);
    return o;
}

static struct store_mount mount_of(const json_t *o)
{
    struct store_mount m = {.there = json_is_object(o), .part = json_flag(o, "part")};
    m.major = (uint32_t)json_int(o, "major", 0);
    m.minor = (uint32_t)json_int(o, "minor", 0);
    m.block = m.major != 0;
    m.flags = (uint64_t)json_int(o, "flags", 0);
    snprintf(m.source, sizeof m.source, "%s", json_text(o, "source"));
    snprintf(m.type, sizeof m.type, "%s", json_text(o, "type"));
    snprintf(m.options, sizeof m.options, "%s", json_text(o, "options"));
    return m;
}

json_t *stores_save(const struct daemon *d)
{
    json_t *all = json_object();
    for (size_t i = 0; i < d->config->stores.count; i++) {
        const struct departure *s = &d->stores[i].state;
        if (s->stage == STORE_ATTACHED) continue;
        json_t *o = json_object();
        json_put_text(o, "stage", departure_stage_names[s->stage]);
        json_put_text(o, "before", departure_stage_names[s->before]);
        json_put_text(o, "step", departure_step_names[s->step]);
        json_put_flag(o, "unmount", s->unmount);
        json_put_flag(o, "unmounted", s->unmounted);
        json_put_flag(o, "safe", s->safe);
        json_put_int(o, "since", s->since_real);
        json_put_text(o, "by", s->by);
        json_put(o, "mount", mount_json(&s->mount));
        json_put_text(o, "failed", departure_step_names[s->failed]);
        json_put_text(o, "code", err_name(s->err.code));
        json_put_text(o, "detail", s->err.text);
        json_put(all, name_of(d, i), o);
    }
    return all;
}

void stores_load(struct daemon *d, const json_t *saved)
{
    for (size_t i = 0; i < d->config->stores.count; i++) {
        struct departure *s = &d->stores[i].state;
        const json_t *o = json_object_get(saved, name_of(d, i));
        int stage = word_index(departure_stage_names, json_text(o, "stage"));
        int before = word_index(departure_stage_names, json_text(o, "before"));
        int step = word_index(departure_step_names, json_text(o, "step"));
        int failed = word_index(departure_step_names, json_text(o, "failed"));
        if (stage <= STORE_ATTACHED || before < 0 || step < 0 || failed < 0) continue;
        *s = (struct departure){.stage = (enum departure_stage)stage, .before = (enum departure_stage)before,
                                .step = (enum departure_step)step, .failed = (enum departure_step)failed,
                                .unmount = json_flag(o, "unmount"), .unmounted = json_flag(o, "unmounted"),
                                .safe = json_flag(o, "safe"), .since_real = json_int(o, "since", 0),
                                .mount = mount_of(json_object_get(o, "mount"))};
        snprintf(s->by, sizeof s->by, "%s", json_text(o, "by"));
        s->err.code = failed == STEP_NOTHING ? ERR_NONE : err_from_name(json_text(o, "code"));
        snprintf(s->err.text, sizeof s->err.text, "%s", json_text(o, "detail"));
    }
}
