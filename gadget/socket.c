#include "gadget/socket.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "gadget/client.h"
#include "gadget/request.h"
#include "gadget/schedule_request.h"
#include "gadget/scheduling.h"
#include "gadget/view.h"

struct client {
    struct gadget_socket *socket;
    struct loop_watch watch;
    int fd;                        /* -1: this place is free */
    bool hello;                    /* wants events */
    uint64_t serial;               /* of the connection: its place may be another's by now */
};

#define EARLY_MAX 16               /* requests that came before the schedules were read: a moment at the start */

struct early {
    json_t *message;               /* NULL: a free place */
    size_t place;
    uint64_t serial;
};

struct reply {                     /* to a change of a schedule, when that is on the disk */
    struct gadget_socket *socket;
    size_t place;
    uint64_t serial;
    int64_t id;
};

struct waiting_order {             /* the gadget order under way, and who is told when it is done */
    struct client *client;
    int64_t id;
};

struct gadget_socket {
    struct daemon *daemon;
    int fd;
    uid_t peer;
    char path[108];
    struct loop_watch watch;
    struct client clients[GADGET_CLIENTS_MAX];
    struct waiting_order order;
    uint64_t last_serial;
    struct early early[EARLY_MAX];
    char *packet;                  /* GADGET_MESSAGE_MAX bytes */
};

static void close_client(struct client *c)
{
    loop_remove(c->socket->daemon->loop, &c->watch);
    close(c->fd);
    c->fd = -1;
    c->hello = false;
    if (c->socket->order.client == c) c->socket->order.client = NULL;
}

/* A client that does not read is let go: it will come back and say hello, and then knows all again. */
static bool send_text(struct client *c, const char *text)
{
    if (send(c->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    log_warning("a client of the gadget's socket does not read its messages (%s); it is disconnected", strerror(errno));
    close_client(c);
    return false;
}

static bool answer(struct client *c, int64_t id, const char *member, json_t *body)
{
    cleanup_json json_t *message = json_object();
    json_put_int(message, "id", id);
    json_put(message, member, body);
    cleanup_free char *text = json_write(message, false);
    return text && send_text(c, text);
}

static void answer_error(struct client *c, int64_t id, const struct err *e, const struct drive_evidence *evidence)
{
    json_t *body = json_object();
    json_put_text(body, "code", err_name(e->code));
    json_put_text(body, "detail", e->text);
    if (evidence) json_put(body, "evidence", view_evidence(evidence));
    answer(c, id, "error", body);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

bool gadget_socket_announce(struct gadget_socket *s, const char *kind, json_t *message)
{
    bool heard = false;
    cleanup_json json_t *owned = message;
    json_put_text(owned, "event", kind);
    cleanup_free char *text = NULL;
    for (size_t i = 0; s && i < GADGET_CLIENTS_MAX; i++) {
        if (s->clients[i].fd < 0 || !s->clients[i].hello) continue;
        if (!text) text = json_write(owned, false);
        if (text && send_text(&s->clients[i], text)) heard = true;
    }
    return heard;
}

bool gadget_socket_tell(struct gadget_socket *s, const char *kind, json_t *body)
{
    json_t *message = json_object();
    json_put(message, kind, body);
    return gadget_socket_announce(s, kind, message);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static json_t *with_operation(const struct daemon *d, const struct operation *op)
{
    json_t *ok = json_object();
    json_put(ok, "operation", view_operation(d, op));
    return ok;
}

static void do_hello(struct client *c, int64_t id)
{
    struct daemon *d = c->socket->daemon;
    json_t *ok = json_object(), *drives = json_array(), *operations = json_array();
    for (size_t i = 0; i < d->units_len; i++) json_array_append_new(drives, view_drive(d, i, clock_boot_ms()));
    for (const struct operation *op = operations_first(d->operations); op; op = op->next)
        json_array_insert_new(operations, 0, view_operation(d, op));
    json_t *earlier = json_copy(d->outcomes);
    json_array_extend(earlier, operations);
    json_decref(operations);
    json_put(ok, "system", view_system(d));
    json_put(ok, "drives", drives);
    json_put(ok, "stores", stores_view_all(d));
    json_put(ok, "operations", earlier);
    c->hello = true;
    if (!answer(c, id, "ok", ok)) return;
    for (struct operation *op = operations_first(d->operations); op; op = op->next) op->unheard = false;
    d->outcomes_unheard = false;
}

static void on_order_done(void *owner, const struct err *e)
{
    struct gadget_socket *s = owner;
    struct client *c = s->order.client;
    s->order.client = NULL;
    if (!c) return;
    if (e->code) {
        answer_error(c, s->order.id, e, NULL);
        return;
    }
    json_t *ok = json_object();
    json_put(ok, "system", view_system(s->daemon));
    answer(c, s->order.id, "ok", ok);
}

static void do_order(struct client *c, int64_t id, const struct gadget_request *rq)
{
    static const char *const orders[] = {"reattach", "detach", "attach", "rebuild", NULL}; /* as enum reattach_order */
    struct daemon *d = c->socket->daemon;
    struct err e;
    int order = word_index(orders, rq->order);
    if (order < 0) {
        err_set(&e, ERR_BAD_REQUEST, "\"order\" is \"%s\"; it must be \"reattach\", \"detach\", \"attach\" or \"rebuild\"", rq->order);
        answer_error(c, id, &e, NULL);
        return;
    }
    if (order == REATTACH_REBUILD && d->started && !d->start_error.code && !d->differences[0]) { /* it is as it should be */
        json_t *ok = json_object();
        json_put(ok, "system", view_system(d));
        answer(c, id, "ok", ok);
        return;
    }
    if (!reattach_under_way(d)) snprintf(d->reattach.by, sizeof d->reattach.by, "%s", rq->by);
    struct waiting_order before = c->socket->order;
    c->socket->order = (struct waiting_order){.client = c, .id = id};
    if (reattach_begin(d, (enum reattach_order)order, NO_DRIVE, false, rq->rq.allow_collateral, on_order_done, c->socket, &e) == 0) {
        log_info("%s of the gadget, by %s", rq->order, rq->by);
        return;
    }
    c->socket->order = before;
    answer_error(c, id, &e, NULL);
}

/* What the host will see of it, for the person who ordered it. */
static void describe_break(const struct daemon *d, enum engine_break did, char *ret, size_t size)
{
    if (did == BREAK_NOT) {
        snprintf(ret, size, "Nothing");
        return;
    }
    if (did == BREAK_BY_CUT) {
        snprintf(ret, size, "I/O errors of the medium: its storage was cut, and stays dead until somebody sets it up again");
        return;
    }
    size_t n = (size_t)snprintf(ret, size, "The command that was interrupted may end only at the host's own timeout (30 s on Linux), "
                                "with a reset of the whole device:");
    for (size_t i = 0; i < d->units_len && n < size; i++)
        n += (size_t)snprintf(ret + n, size - n, "%s %s", i ? "," : "", d->units[i].config->name);
    for (size_t i = 0; i < d->config->functions_count && n < size; i++)
        n += (size_t)snprintf(ret + n, size - n, ", %s", d->config->functions[i].name);
}

static void do_store(struct client *c, int64_t id, const struct gadget_request *rq)
{
    struct daemon *d = c->socket->daemon;
    struct err e;
    int result = -1;
    if (strcmp(rq->order, "detach") == 0)
        result = stores_detach(d, rq->store, rq->unmount, rq->by, &e);
    else if (strcmp(rq->order, "attach") == 0)
        result = stores_attach(d, rq->store, rq->by, &e);
    else
        err_set(&e, ERR_BAD_REQUEST, "\"order\" is \"%s\"; it must be \"detach\" or \"attach\"", rq->order);
    if (result < 0)
        answer_error(c, id, &e, NULL);
    else
        answer(c, id, "ok", json_pack("{s:o}", "store", stores_view(d, rq->store)));
}

static void do_break(struct client *c, int64_t id, const struct gadget_request *rq)
{
    static const char *const ways[] = {[BREAK_BY_ATTRIBUTE] = "break_io", [BREAK_BY_SIGNAL] = "signal",
                                       [BREAK_BY_CUT] = "cut", [BREAK_NOT] = "nothing"};
    struct daemon *d = c->socket->daemon;
    enum waiting_for found;
    enum engine_break did;
    struct operation *op = NULL;
    struct err e;
    char sees[600];
    daemon_break(d, rq->drive, &found, &did, &e);
    if (e.code) {
        answer_error(c, id, &e, &d->units[rq->drive].machine.evidence);
        return;
    }
    if (rq->then_eject && daemon_submit(d, rq->drive, &rq->rq, rq->by, &op, &e) < 0) {
        answer_error(c, id, &e, &d->units[rq->drive].machine.evidence);
        return;
    }
    log_info("break-io on %s by %s: it waited for %s", d->units[rq->drive].config->name, rq->by, waiting_for_names[found]);
    describe_break(d, did, sees, sizeof sees);
    json_t *ok = json_object();
    json_put_text(ok, "found", waiting_for_names[found]);
    json_put_text(ok, "did", ways[did]);
    json_put_text(ok, "host_sees", sees);
    json_put(ok, "operation", op ? view_operation(d, op) : NULL);
    answer(c, id, "ok", ok);
}

/* ---- schedules --------------------------------------------------------------------------------------------------- */

static void on_schedule_done(void *owner, const struct schedule *s, const struct err *e)
{
    struct reply *r = owner;
    struct client *c = &r->socket->clients[r->place];
    if (c->fd >= 0 && c->serial == r->serial) {
        if (s)
            answer(c, r->id, "ok", json_pack("{s:o}", "schedule", schedule_view(r->socket->daemon, s)));
        else
            answer_error(c, r->id, e, NULL);
    }
    free(r);
}

static void list_schedules(struct client *c, int64_t id)
{
    const struct daemon *d = c->socket->daemon;
    struct err e;
    if (scheduling_ready(d, &e) < 0) {
        answer_error(c, id, &e, NULL);
        return;
    }
    json_t *all = json_array();
    for (size_t i = 0; i < d->kept.table.len; i++) /* newest first */
        json_array_insert_new(all, 0, schedule_view(d, &d->kept.table.items[i]));
    answer(c, id, "ok", json_pack("{s:o}", "schedules", all));
}

static void change_schedule(struct client *c, int64_t id, const json_t *message, const char *what)
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
    answer_error(c, id, &e, NULL);
}

/* ---- dispatch ----------------------------------------------------------------------------------------------------- */

static void do_request(struct client *c, int64_t id, const struct gadget_request *rq)
{
    struct daemon *d = c->socket->daemon;
    struct operation *op = rq->operation;
    struct err e;
    int result;
    if (strcmp(rq->what, "hello") == 0) {
        do_hello(c, id);
        return;
    }
    if (strcmp(rq->what, "schedules") == 0) {
        list_schedules(c, id);
        return;
    }
    if (strcmp(rq->what, "gadget") == 0) {
        do_order(c, id, rq);
        return;
    }
    if (strcmp(rq->what, "break") == 0) {
        do_break(c, id, rq);
        return;
    }
    if (strcmp(rq->what, "store") == 0) {
        do_store(c, id, rq);
        return;
    }
    if (strcmp(rq->what, "cancel") == 0)
        result = daemon_cancel(d, op, &e);
    else if (strcmp(rq->what, "force") == 0)
        result = daemon_hurry(d, op, &e);
    else
        result = daemon_submit(d, rq->drive, &rq->rq, rq->by, &op, &e);
    if (result < 0)
        answer_error(c, id, &e, op ? &d->units[op->drive].machine.evidence : &d->units[rq->drive].machine.evidence);
    else
        answer(c, id, "ok", with_operation(d, op));
}

static const char *const schedule_changes[] = {"schedule_add", "schedule_change", "schedule_cancel", NULL};

static bool is_about_schedules(const char *what)
{
    return strcmp(what, "schedules") == 0 || word_index(schedule_changes, what) >= 0;
}

/* Keeps a request until the schedules are read, or cannot be. Returns false where it is to be answered now. */
static bool keep_for_later(struct client *c, json_t *message)
{
    struct gadget_socket *s = c->socket;
    if (s->daemon->kept.loaded || s->daemon->kept.trouble[0]) return false;
    for (size_t i = 0; i < EARLY_MAX; i++) {
        if (s->early[i].message) continue;
        s->early[i] = (struct early){.message = json_incref(message), .place = (size_t)(c - s->clients), .serial = c->serial};
        return true;
    }
    return false;
}

static void take_message(struct client *c, json_t *message)
{
    struct gadget_request rq;
    struct err e;
    int64_t id = json_int(message, "id", -1);
    const char *what = json_text(message, "do");
    if (is_about_schedules(what) && keep_for_later(c, message)) return;
    if (word_index(schedule_changes, what) >= 0)
        change_schedule(c, id, message, what);
    else if (gadget_request_read(c->socket->daemon, message, &rq, &e) < 0)
        answer_error(c, id, &e, NULL);
    else
        do_request(c, id, &rq);
}

void gadget_socket_schedules_read(struct gadget_socket *s)
{
    for (size_t i = 0; s && i < EARLY_MAX; i++) {
        cleanup_json json_t *message = take_ptr(s->early[i].message);
        struct client *c = &s->clients[s->early[i].place];
        if (message && c->fd >= 0 && c->serial == s->early[i].serial) take_message(c, message);
    }
}

static void on_message(struct client *c, const char *text, size_t len)
{
    struct err e;
    cleanup_json json_t *message = json_parse_object(text, len, GADGET_MESSAGE_MAX, &e);
    if (message)
        take_message(c, message);
    else
        answer_error(c, -1, &e, NULL);
}

static void on_readable(struct loop_watch *w, attr_unused uint32_t events)
{
    struct client *c = w->owner;
    ssize_t n = recv(c->fd, c->socket->packet, GADGET_MESSAGE_MAX, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0)
        close_client(c);
    else
        on_message(c, c->socket->packet, (size_t)n);
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static bool may_connect(const struct gadget_socket *s, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) return false;
    if (peer.uid == 0 || peer.uid == s->peer || peer.uid == geteuid()) return true;
    log_warning("uid %u may not use the gadget's socket", (unsigned)peer.uid);
    return false;
}

static void enlarge_buffer(int fd)
{
    int size = GADGET_MESSAGE_MAX;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* without privilege: as much as we may */
}

static void on_connection(struct loop_watch *w, attr_unused uint32_t events)
{
    struct gadget_socket *s = w->owner;
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    struct client *c = s->clients;
    while (c < s->clients + GADGET_CLIENTS_MAX && c->fd >= 0) c++;
    if (c == s->clients + GADGET_CLIENTS_MAX || !may_connect(s, fd)) {
        close(fd);
        return;
    }
    enlarge_buffer(fd);
    *c = (struct client){.socket = s, .fd = fd, .serial = ++s->last_serial};
    if (loop_add(s->daemon->loop, &c->watch, fd, EPOLLIN, on_readable, c) < 0) close_client(c);
}

static int listen_on(struct gadget_socket *s, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, s->path, sizeof a.sun_path);
    s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot make a socket");
    unlink(s->path); /* main.c holds the lock: nobody else is listening there */
    mode_t before = umask(0117);
    int bound = bind(s->fd, (struct sockaddr *)&a, sizeof a);
    umask(before);
    if (bound < 0 || listen(s->fd, GADGET_CLIENTS_MAX) < 0)
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot listen on %s", s->path);
    struct passwd *user = getpwnam(s->daemon->config->user);
    s->peer = user ? user->pw_uid : (uid_t)-1;
    if (user && geteuid() == 0 && chown(s->path, (uid_t)-1, user->pw_gid) < 0)
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot give %s to the group of %s", s->path, user->pw_name);
    return 0;
}

struct gadget_socket *gadget_socket_new(struct daemon *d, struct err *e)
{
    struct gadget_socket *s = calloc(1, sizeof *s);
    if (s) s->packet = malloc(GADGET_MESSAGE_MAX);
    if (!s || !s->packet) {
        free(s);
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    s->daemon = d;
    s->fd = -1;
    for (size_t i = 0; i < GADGET_CLIENTS_MAX; i++) s->clients[i].fd = -1;
    snprintf(s->path, sizeof s->path, "%s", d->config->socket);
    if (listen_on(s, e) < 0) {
        gadget_socket_free(s);
        return NULL;
    }
    if (loop_add(d->loop, &s->watch, s->fd, EPOLLIN, on_connection, s) < 0) {
        err_set_errno(e, ERR_INTERNAL, errno, "Cannot watch %s", s->path);
        gadget_socket_free(s);
        return NULL;
    }
    return s;
}

void gadget_socket_free(struct gadget_socket *s)
{
    if (!s) return;
    for (size_t i = 0; i < GADGET_CLIENTS_MAX; i++)
        if (s->clients[i].fd >= 0) close_client(&s->clients[i]);
    for (size_t i = 0; i < EARLY_MAX; i++) json_decref(s->early[i].message);
    if (s->fd >= 0) {
        loop_remove(s->daemon->loop, &s->watch);
        close(s->fd);
        unlink(s->path);
    }
    free(s->packet);
    free(s);
}
