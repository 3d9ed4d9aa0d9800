/*
 * client.c - the connection to trayd-gadget.
 *
 *     +--> away --connected--> greeting --hello answered--> live --+
 *     |     ^  (back-off)          |                                |
 *     |     +----------------------+  no answer, or nonsense        |
 *     +--------------------------------------------------------- lost
 *
 * The thread is the only one that reads the socket, changes the mirror and calls the listener. Requests are sent by
 * their callers' threads; `pending` is where their answers are awaited. A change reaches the mirror first, then the
 * listener, then those who wait: so whoever was told that an operation is finished finds it finished everywhere.
 */
#include "gadget/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cond.h"
#include "base/log.h"
#include "gadget/mirror.h"

#define ANSWER_WITHIN 10000 /* ms; trayd-gadget never blocks, so this means that it is stopped or lost */
#define SETTLED_WITHIN 1000 /* ms from the end of an operation to the news of its drive, which are sent together */
#define RECONNECT_FIRST 200 /* ms; a restart takes less than that */
#define RECONNECT_MOST 2000
#define HELLO_ID 0          /* calls begin with 1 */

struct pending {
    json_int_t id;
    json_t *answer;
    bool lost;              /* the connection ended first */
    struct pending *next;
};

struct gadget_client {
    struct sockaddr_un address;
    struct gadget_listener listener;
    pthread_t thread;
    int wake_fd;            /* readable: stop */
    char *packet;           /* the thread's */
    int last_errno;         /* the thread's: why it could not connect, so that each reason is logged once */

    pthread_mutex_t lock;   /* for all that follows */
    pthread_cond_t changed;
    int fd;                 /* -1 while away; closed by the thread only, under the lock */
    bool live, stopping;
    bool telling;           /* the mirror is ahead of the listener */
    struct mirror mirror;
    struct pending *pending;
    json_int_t last_id;
};

/* ---- what comes in: the thread's part ---- */

enum change { CHANGE_DRIVE, CHANGE_OPERATION, CHANGE_SYSTEM };

static void apply(struct gadget_client *c, enum change kind, json_t *value)
{
    const struct gadget_listener *l = &c->listener;
    pthread_mutex_lock(&c->lock);
    switch (kind) {
    case CHANGE_DRIVE: mirror_set_drive(&c->mirror, value); break;
    case CHANGE_OPERATION: mirror_set_operation(&c->mirror, value); break;
    case CHANGE_SYSTEM: mirror_set_system(&c->mirror, value); break;
    }
    c->telling = true;
    pthread_mutex_unlock(&c->lock);

    switch (kind) {
    case CHANGE_DRIVE: l->drive(l->owner, value); break;
    case CHANGE_OPERATION: l->operation(l->owner, value); break;
    case CHANGE_SYSTEM: l->system(l->owner, value); break;
    }
    pthread_mutex_lock(&c->lock);
    c->telling = false;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static int take_event(struct gadget_client *c, const char *kind, const json_t *message, struct err *e)
{
    json_t *drive = json_object_get(message, "drive");
    json_t *operation = json_object_get(message, "operation");
    json_t *system = json_object_get(message, "system");
    if (strcmp(kind, "drive") == 0 && json_text(drive, "name")[0])
        apply(c, CHANGE_DRIVE, drive);
    else if (strcmp(kind, "operation") == 0 && json_text(operation, "id")[0])
        apply(c, CHANGE_OPERATION, operation);
    else if (strcmp(kind, "system") == 0 && json_is_object(system))
        apply(c, CHANGE_SYSTEM, system);
    else if (strcmp(kind, "host_ejected") == 0 && json_is_string(drive))
        c->listener.host_ejected(c->listener.owner, message);
    else
        return err_set(e, ERR_INTERNAL, "an event that cannot be understood: \"%.40s\"", kind);
    return 0;
}

static int take_hello(struct gadget_client *c, const json_t *answer, struct err *e)
{
    const struct gadget_listener *l = &c->listener;
    const json_t *hello = json_object_get(answer, "ok");
    size_t i;
    json_t *item;
    if (mirror_check(hello, e) < 0) return -1;
    pthread_mutex_lock(&c->lock);
    mirror_reset(&c->mirror, hello);
    c->live = c->telling = true;
    cleanup_json json_t *operations = json_copy(c->mirror.operations); /* in the order in which they were asked for */
    pthread_mutex_unlock(&c->lock);

    json_array_foreach(json_object_get(hello, "drives"), i, item) l->drive(l->owner, item);
    json_array_foreach(operations, i, item) l->operation(l->owner, item);
    l->system(l->owner, json_object_get(hello, "system"));
    l->synced(l->owner, operations);

    pthread_mutex_lock(&c->lock);
    c->telling = false;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    log_info("Connected to trayd-gadget at %s", c->address.sun_path);
    c->last_errno = 0;
    return 0;
}

/* An answer that brings an operation which no event has named yet is its first news. */
static void take_answer(struct gadget_client *c, json_int_t id, json_t *answer)
{
    const json_t *ok = json_object_get(answer, "ok");
    json_t *operation = json_object_get(ok, "operation"), *system = json_object_get(ok, "system");
    const char *name = json_text(operation, "id");
    if (name[0] && !mirror_operation(&c->mirror, name)) apply(c, CHANGE_OPERATION, operation);
    if (json_is_object(system)) apply(c, CHANGE_SYSTEM, system);

    pthread_mutex_lock(&c->lock);
    for (struct pending *p = c->pending; p; p = p->next)
        if (p->id == id && !p->answer) p->answer = json_incref(answer);
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static int take_packet(struct gadget_client *c, const char *text, size_t len, struct err *e)
{
    cleanup_json json_t *message = json_parse_object(text, len, GADGET_MESSAGE_MAX, e);
    if (!message) return -1;
    const char *kind = json_text(message, "event");
    if (kind[0]) return c->live ? take_event(c, kind, message, e) : 0; /* hello will tell it */
    json_int_t id = json_int(message, "id", -1);
    if (id < 0) return err_set(e, ERR_INTERNAL, "a message that is neither an event nor an answer");
    if (id == HELLO_ID) return take_hello(c, message, e);
    take_answer(c, id, message);
    return 0;
}

/* Reads one packet and takes it. Returns 0, or -1 with *e: the connection is over. */
static int receive(struct gadget_client *c, int fd, struct err *e)
{
    ssize_t n = recv(fd, c->packet, GADGET_MESSAGE_MAX, MSG_TRUNC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n < 0) return err_set_errno(e, ERR_UNAVAILABLE, errno, "receiving failed");
    if (n == 0) return err_set(e, ERR_UNAVAILABLE, "it closed the connection");
    if (n > GADGET_MESSAGE_MAX) return err_set(e, ERR_INTERNAL, "a message of %zd bytes", n);
    return take_packet(c, c->packet, (size_t)n, e);
}

/* Greets, then takes packets until the connection is over or the client stops. Returns whether hello was answered. */
static bool converse(struct gadget_client *c, int fd)
{
    static const char hello[] = "{\"id\":0,\"do\":\"hello\"}";
    struct err e = {0};
    msec greeting_ends = clock_boot_ms() + ANSWER_WITHIN;
    if (send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) < 0) return false;
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = c->wake_fd, .events = POLLIN}};
        msec left = c->live ? -1 : MAX(greeting_ends - clock_boot_ms(), 0);
        int n = poll(fds, ARRAY_LEN(fds), (int)left);
        if (n < 0 && errno == EINTR) continue;
        if (fds[1].revents) return c->live;
        if (n == 0) err_set(&e, ERR_UNAVAILABLE, "no answer to hello within %d s", ANSWER_WITHIN / 1000);
        if (n <= 0 || receive(c, fd, &e) < 0) {
            log_warning("Lost trayd-gadget: %s", e.text);
            return c->live;
        }
    }
}

static void hang_up(struct gadget_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool was_live = c->live, stopping = c->stopping;
    close(c->fd);
    c->fd = -1;
    c->live = false;
    for (struct pending *p = c->pending; p; p = p->next) p->lost = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (was_live && !stopping) c->listener.system(c->listener.owner, NULL);
}

static int connect_once(struct gadget_client *c)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&c->address, sizeof c->address) < 0) {
        if (errno != c->last_errno)
            log_warning("Cannot reach trayd-gadget at %s: %s", c->address.sun_path, err_strerror(errno));
        c->last_errno = errno;
        return -1;
    }
    return take_fd(&fd);
}

static void *run(void *arg)
{
    struct gadget_client *c = arg;
    msec pause = RECONNECT_FIRST;
    struct pollfd stop = {.fd = c->wake_fd, .events = POLLIN};
    do {
        int fd = connect_once(c);
        if (fd >= 0) {
            pthread_mutex_lock(&c->lock);
            c->fd = fd;
            pthread_mutex_unlock(&c->lock);
            pause = converse(c, fd) ? RECONNECT_FIRST : MIN(pause * 2, RECONNECT_MOST);
            hang_up(c);
        } else {
            pause = MIN(pause * 2, RECONNECT_MOST);
        }
    } while (poll(&stop, 1, (int)pause) <= 0);
    return NULL;
}

/* ---- the callers' part ---- */

struct gadget_client *gadget_client_new(const char *socket_path, const struct gadget_listener *l, struct err *e)
{
    struct gadget_client *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    c->listener = *l;
    c->fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    cond_init(&c->changed);
    c->packet = malloc(GADGET_MESSAGE_MAX);
    c->wake_fd = eventfd(0, EFD_CLOEXEC);
    c->address.sun_family = AF_UNIX;
    int len = snprintf(c->address.sun_path, sizeof c->address.sun_path, "%s", socket_path);
    int error = 0;
    if ((size_t)len >= sizeof c->address.sun_path)
        err_set(e, ERR_BAD_REQUEST, "The socket's path is too long: %s", socket_path);
    else if (!c->packet || c->wake_fd < 0 || (error = pthread_create(&c->thread, NULL, run, c)) != 0)
        err_set_errno(e, ERR_INTERNAL, error ? error : errno, "Cannot start the client of trayd-gadget");
    else
        return c;
    if (c->wake_fd >= 0) close(c->wake_fd);
    c->wake_fd = -1;
    gadget_client_free(c);
    return NULL;
}

void gadget_client_stop(struct gadget_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool first = !c->stopping;
    c->stopping = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    if (!first || c->wake_fd < 0) return;
    eventfd_write(c->wake_fd, 1);
    pthread_join(c->thread, NULL);
}

void gadget_client_free(struct gadget_client *c)
{
    if (!c) return;
    gadget_client_stop(c);
    if (c->wake_fd >= 0) close(c->wake_fd);
    mirror_done(&c->mirror);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c->packet);
    free(c);
}

bool gadget_client_connected(struct gadget_client *c)
{
    pthread_mutex_lock(&c->lock);
    bool live = c->live;
    pthread_mutex_unlock(&c->lock);
    return live;
}

/* Takes a reference under the lock. Lists are copied, since the thread changes them; what is in them it replaces. */
static json_t *share(struct gadget_client *c, json_t *(*get)(const struct mirror *m, const char *key), const char *key)
{
    pthread_mutex_lock(&c->lock);
    json_t *value = json_incref(get(&c->mirror, key));
    if (json_is_array(value)) {
        json_t *copy = json_copy(value);
        json_decref(value);
        value = copy;
    }
    pthread_mutex_unlock(&c->lock);
    return value;
}

static json_t *get_drives(const struct mirror *m, attr_unused const char *key) { return m->drives; }
static json_t *get_operations(const struct mirror *m, attr_unused const char *key) { return m->operations; }
static json_t *get_system(const struct mirror *m, attr_unused const char *key) { return m->system; }

json_t *gadget_client_drives(struct gadget_client *c)
{
    return share(c, get_drives, NULL);
}

json_t *gadget_client_operations(struct gadget_client *c)
{
    return share(c, get_operations, NULL);
}

json_t *gadget_client_system(struct gadget_client *c)
{
    return share(c, get_system, NULL);
}

json_t *gadget_client_drive(struct gadget_client *c, const char *name)
{
    return share(c, mirror_drive, name);
}

json_t *gadget_client_operation(struct gadget_client *c, const char *id)
{
    return share(c, mirror_operation, id);
}

/* With the lock held. Returns 0, or -1 with *e. */
static int send_request(struct gadget_client *c, const char *text, struct err *e)
{
    size_t len = strlen(text);
    if (len > GADGET_MESSAGE_MAX) return err_set(e, ERR_TOO_LARGE, "The request has %zu bytes for trayd-gadget", len);
    /* Not waiting: a packet that does not fit means that trayd-gadget has not read for long, and will not soon. */
    if (send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return err_set_errno(e, ERR_UNAVAILABLE, errno, "trayd-gadget does not take the request");
    return 0;
}

/* With the lock held: waits for the answer to `text`, which carries `id`. */
static json_t *ask(struct gadget_client *c, json_int_t id, const char *text, struct err *e)
{
    struct pending me = {.id = id, .next = c->pending};
    if (send_request(c, text, e) < 0) return NULL;
    c->pending = &me;
    msec deadline = clock_boot_ms() + ANSWER_WITHIN, left;
    while (!me.answer && !me.lost && !c->stopping && (left = deadline - clock_boot_ms()) > 0)
        cond_wait_ms(&c->changed, &c->lock, left);
    struct pending **link = &c->pending;
    while (*link != &me) link = &(*link)->next;
    *link = me.next;
    if (!me.answer)
        err_set(e, ERR_UNAVAILABLE, "%s; the request may have been carried out",
                me.lost || c->stopping ? "The connection to trayd-gadget ended before it answered"
                                       : "trayd-gadget did not answer in time");
    return me.answer;
}

static json_t *read_answer(const json_t *answer, json_t **ret_problem, struct err *e)
{
    json_t *ok = json_object_get(answer, "ok");
    if (json_is_object(ok)) return json_incref(ok);
    const json_t *error = json_object_get(answer, "error");
    enum err_code code = err_from_name(json_text(error, "code"));
    err_set(e, code == ERR_NONE ? ERR_INTERNAL : code, "%s",
            json_text(error, "detail")[0] ? json_text(error, "detail") : "trayd-gadget gave no reason");
    if (ret_problem && json_is_object(error)) {
        *ret_problem = json_copy((json_t *)(uintptr_t)error);
        json_object_del(*ret_problem, "code");
        json_object_del(*ret_problem, "detail");
    }
    return NULL;
}

json_t *gadget_client_call(struct gadget_client *c, json_t *request, json_t **ret_problem, struct err *e)
{
    if (ret_problem) *ret_problem = NULL;
    pthread_mutex_lock(&c->lock);
    json_int_t id = ++c->last_id;
    bool live = c->live && !c->stopping;
    pthread_mutex_unlock(&c->lock);

    json_put_int(request, "id", id);
    cleanup_free char *text = json_write(request, false);
    json_decref(request);
    if (!live || !text) {
        err_set(e, ERR_UNAVAILABLE, live ? "Out of memory" : "trayd-gadget, which owns the drives, cannot be reached");
        return NULL;
    }
    pthread_mutex_lock(&c->lock);
    cleanup_json json_t *answer = NULL;
    if (c->live)
        answer = ask(c, id, text, e);
    else
        err_set(e, ERR_UNAVAILABLE, "trayd-gadget, which owns the drives, cannot be reached");
    pthread_mutex_unlock(&c->lock);
    return answer ? read_answer(answer, ret_problem, e) : NULL;
}

/* With the lock held: how long is there still to wait for `operation`, which may be NULL? */
static msec left_to_wait(const struct gadget_client *c, const json_t *operation, msec deadline, msec *settled_by)
{
    msec now = clock_boot_ms();
    if (c->stopping) return 0;
    if (c->telling || (operation ? !mirror_is_finished(operation) : !c->live)) return deadline - now;
    if (!operation || mirror_is_settled(&c->mirror, operation)) return 0;
    if (!*settled_by) *settled_by = now + SETTLED_WITHIN;
    return MIN(*settled_by, deadline) - now;
}

json_t *gadget_client_wait(struct gadget_client *c, const char *id, msec deadline)
{
    json_t *operation;
    msec left, settled_by = 0;
    pthread_mutex_lock(&c->lock);
    while (operation = mirror_operation(&c->mirror, id), (left = left_to_wait(c, operation, deadline, &settled_by)) > 0)
        cond_wait_ms(&c->changed, &c->lock, left);
    json_incref(operation);
    pthread_mutex_unlock(&c->lock);
    return operation;
}
