#include "gadget/socket_parts.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "gadget/view.h"

struct client *socket_client(struct gadget_socket *s, size_t place, uint64_t serial)
{
    struct client *c = &s->clients[place];
    return c->fd >= 0 && c->serial == serial ? c : NULL;
}

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

bool socket_answer(struct client *c, int64_t id, const char *member, json_t *body)
{
    cleanup_json json_t *message = json_object();
    json_put_int(message, "id", id);
    json_put(message, member, body);
    cleanup_free char *text = json_write(message, false);
    return text && send_text(c, text);
}

void socket_answer_error(struct client *c, int64_t id, const struct err *e, const struct drive_evidence *evidence)
{
    json_t *body = json_object();
    json_put_text(body, "code", err_name(e->code));
    json_put_text(body, "detail", e->text);
    if (evidence) json_put(body, "evidence", view_evidence(evidence));
    socket_answer(c, id, "error", body);
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

static void do_request(struct client *c, int64_t id, const struct gadget_request *rq)
{
    struct daemon *d = c->socket->daemon;
    struct operation *op = rq->operation;
    struct err e;
    int result;
    if (strcmp(rq->what, "hello") == 0) {
        socket_hello(c, id);
        return;
    }
    if (strcmp(rq->what, "schedules") == 0) {
        socket_schedules_list(c, id);
        return;
    }
    if (strcmp(rq->what, "gadget") == 0) {
        socket_order(c, id, rq);
        return;
    }
    if (strcmp(rq->what, "break") == 0) {
        socket_break(c, id, rq);
        return;
    }
    if (strcmp(rq->what, "store") == 0) {
        socket_store(c, id, rq);
        return;
    }
    if (strcmp(rq->what, "cancel") == 0)
        result = daemon_cancel(d, op, &e);
    else if (strcmp(rq->what, "force") == 0)
        result = daemon_hurry(d, op, &e);
    else
        result = daemon_submit(d, rq->drive, &rq->rq, rq->by, &op, &e);
    if (result < 0)
        socket_answer_error(c, id, &e, op ? &d->units[op->drive].machine.evidence : &d->units[rq->drive].machine.evidence);
    else
        socket_answer(c, id, "ok", with_operation(d, op));
}

void socket_take(struct client *c, json_t *message)
{
    struct gadget_request rq;
    struct err e;
    int64_t id = json_int(message, "id", -1);
    if (socket_schedules_early(c, message) || socket_schedules_change(c, id, message)) return;
    if (gadget_request_read(c->socket->daemon, message, &rq, &e) < 0)
        socket_answer_error(c, id, &e, NULL);
    else
        do_request(c, id, &rq);
}

static void on_message(struct client *c, const char *text, size_t len)
{
    struct err e;
    cleanup_json json_t *message = json_parse_object(text, len, GADGET_MESSAGE_MAX, &e);
    if (message)
        socket_take(c, message);
    else
        socket_answer_error(c, -1, &e, NULL);
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
    socket_schedules_forget(s);
    if (s->fd >= 0) {
        loop_remove(s->daemon->loop, &s->watch);
        close(s->fd);
        unlink(s->path);
    }
    free(s->packet);
    free(s);
}
