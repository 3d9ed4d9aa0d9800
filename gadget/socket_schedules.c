#include "gadget/socket_parts.h"

#include <string.h>

#include "gadget/schedule_request.h"
#include "gadget/scheduling.h"

static const char *const changes[] = {"schedule_add", "schedule_change", "schedule_cancel", NULL};

struct reply {                     /* to a change of a schedule, when that is on the disk */
    struct gadget_socket *socket;
    size_t place;
    uint64_t serial;
    int64_t id;
};

static void on_schedule_done(void *owner, const struct schedule *s, const struct err *e)
{
    struct reply *r = owner;
    struct client *c = socket_client(r->socket, r->place, r->serial);
    if (c && s)
        socket_answer(c, r->id, "ok", json_pack("{s:o}", "schedule", schedule_view(r->socket->daemon, s)));
    else if (c)
        socket_answer_error(c, r->id, e, NULL);
    free(r);
}

void socket_schedules_list(struct client *c, int64_t id)
{
    const struct daemon *d = c->socket->daemon;
    struct err e;
    if (scheduling_ready(d, &e) < 0) {
        socket_answer_error(c, id, &e, NULL);
        return;
    }
    json_t *all = json_array();
    for (size_t i = 0; i < d->kept.table.len; i++) /* newest first */
        json_array_insert_new(all, 0, schedule_view(d, &d->kept.table.items[i]));
    socket_answer(c, id, "ok", json_pack("{s:o}", "schedules", all));
}

static void change(struct client *c, int64_t id, const json_t *message, const char *what)
{
    struct gadget_socket *s = c->socket;
    struct daemon *d = s->daemon;
    struct schedule_request rq = {0};
    struct err e = {0};
    struct reply *r = malloc(sizeof *r);
    bool adding = strcmp(what, "schedule_add") == 0, changing = strcmp(what, "schedule_change") == 0;
    int result = -1;
    if (!r)
        err_set(&e, ERR_UNAVAILABLE, "Out of memory");
    else if (adding)
        result = schedule_request_add(d, message, &rq, &e);
    else
        result = changing ? schedule_request_change(message, &rq, &e) : schedule_request_cancel(message, &rq, &e);
    if (result == 0) {
        *r = (struct reply){.socket = s, .place = (size_t)(c - s->clients), .serial = c->serial, .id = id};
        result = (adding ? scheduling_add : changing ? scheduling_change : scheduling_cancel)(d, &rq, on_schedule_done, r, &e);
    }
    json_decref(rq.request);
    if (result == 0) return;
    free(r);
    socket_answer_error(c, id, &e, NULL);
}

bool socket_schedules_change(struct client *c, int64_t id, const json_t *message)
{
    const char *what = json_text(message, "do");
    if (word_index(changes, what) < 0) return false;
    change(c, id, message, what);
    return true;
}

/* ---- before they were read --------------------------------------------------------------------------------------- */

bool socket_schedules_early(struct client *c, json_t *message)
{
    struct gadget_socket *s = c->socket;
    const char *what = json_text(message, "do");
    if (strcmp(what, "schedules") != 0 && word_index(changes, what) < 0) return false;
    if (s->daemon->kept.loaded || s->daemon->kept.trouble[0]) return false;
    for (size_t i = 0; i < EARLY_MAX; i++) {
        if (s->early[i].message) continue;
        s->early[i] = (struct early){json_incref(message), (size_t)(c - s->clients), c->serial};
        return true;
    }
    return false;
}

void gadget_socket_schedules_read(struct gadget_socket *s)
{
    for (size_t i = 0; s && i < EARLY_MAX; i++) {
        cleanup_json json_t *message = take_ptr(s->early[i].message);
        struct client *c = message ? socket_client(s, s->early[i].place, s->early[i].serial) : NULL;
        if (c) socket_take(c, message);
    }
}

void socket_schedules_forget(struct gadget_socket *s)
{
    for (size_t i = 0; i < EARLY_MAX; i++) json_decref(s->early[i].message);
}
