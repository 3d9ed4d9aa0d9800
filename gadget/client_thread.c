/*
 * client_thread.c - the connection to trayd-gadget: made, kept, and made again; and what comes in over it.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cond.h"
#include "base/log.h"
#include "gadget/client_state.h"

/* Attempts are repeated after a quarter of the time that it has been away, so that at start, when both processes come
 * up together, and after a restart, nobody waits much longer than he must; and no more often than this, in ms: */
#define RECONNECT_SOONEST 10
#define RECONNECT_LATEST 2000
#define STEADY_AFTER 2000 /* ms; a connection that ends sooner counts as another attempt that failed */
#define WORTH_TELLING 1000 /* ms of being away: at start trayd-gadget is always a little later */
#define HELLO_ID 0          /* calls begin with 1 */

enum change { CHANGE_DRIVE, CHANGE_OPERATION, CHANGE_SYSTEM, CHANGE_STORE };

static void apply(struct gadget_client *c, enum change kind, json_t *value)
{
    const struct gadget_listener *l = &c->listener;
    pthread_mutex_lock(&c->lock);
    switch (kind) {
    case CHANGE_DRIVE: mirror_set_drive(&c->mirror, value); break;
    case CHANGE_OPERATION: mirror_set_operation(&c->mirror, value); break;
    case CHANGE_SYSTEM: mirror_set_system(&c->mirror, value); break;
    case CHANGE_STORE: mirror_set_store(&c->mirror, value); break;
    }
    c->telling = true;
    pthread_mutex_unlock(&c->lock);

    switch (kind) {
    case CHANGE_DRIVE: l->drive(l->owner, value); break;
    case CHANGE_OPERATION: l->operation(l->owner, value); break;
    case CHANGE_SYSTEM: l->system(l->owner, value); break;
    case CHANGE_STORE: l->store(l->owner, value); break;
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
    json_t *system = json_object_get(message, "system"), *store = json_object_get(message, "store");
    if (strcmp(kind, "drive") == 0 && json_text(drive, "name")[0])
        apply(c, CHANGE_DRIVE, drive);
    else if (strcmp(kind, "operation") == 0 && json_text(operation, "id")[0])
        apply(c, CHANGE_OPERATION, operation);
    else if (strcmp(kind, "system") == 0 && json_is_object(system))
        apply(c, CHANGE_SYSTEM, system);
    else if (strcmp(kind, "store") == 0 && json_text(store, "name")[0])
        apply(c, CHANGE_STORE, store);
    else if (strcmp(kind, "schedule") == 0 && json_is_object(json_object_get(message, "schedule")))
        c->listener.schedule(c->listener.owner, json_object_get(message, "schedule"));
    else if (strcmp(kind, "host_ejected") == 0 && json_is_string(drive))
        c->listener.host_ejected(c->listener.owner, message);
    else if (strcmp(kind, "storage_cut") == 0 && json_is_string(drive))
        c->listener.storage_cut(c->listener.owner, message);
    else if (strcmp(kind, "storage_gone") == 0 && json_is_string(drive))
        c->listener.storage_gone(c->listener.owner, message);
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

    json_array_foreach(json_object_get(hello, "stores"), i, item) l->store(l->owner, item);
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
    json_t *store = json_object_get(ok, "store");
    const char *name = json_text(operation, "id");
    if (name[0] && !mirror_operation(&c->mirror, name)) apply(c, CHANGE_OPERATION, operation);
    if (json_is_object(system)) apply(c, CHANGE_SYSTEM, system);
    if (json_text(store, "name")[0]) apply(c, CHANGE_STORE, store);

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

/* Greets, then takes packets until the connection is over or the client stops. */
static void converse(struct gadget_client *c, int fd)
{
    static const char hello[] = "{\"id\":0,\"do\":\"hello\"}";
    struct err e = {0};
    msec greeting_ends = clock_boot_ms() + ANSWER_WITHIN;
    if (send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) < 0)
        err_set_errno(&e, ERR_UNAVAILABLE, errno, "it does not take hello");
    while (!e.code) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = c->wake_fd, .events = POLLIN}};
        msec left = c->live ? -1 : MAX(greeting_ends - clock_boot_ms(), 0);
        int n = poll(fds, ARRAY_LEN(fds), (int)left);
        if (n < 0 && errno == EINTR) continue;
        if (fds[1].revents) return;
        if (n == 0)
            err_set(&e, ERR_UNAVAILABLE, "no answer to hello within %d s", ANSWER_WITHIN / 1000);
        else if (n < 0)
            err_set_errno(&e, ERR_INTERNAL, errno, "waiting for it failed");
        else
            receive(c, fd, &e);
    }
    log_warning("Lost trayd-gadget: %s", e.text);
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
        int error = errno;
        if (error == c->last_errno || clock_boot_ms() - c->away_since < WORTH_TELLING) return -1;
        log_warning("Cannot reach trayd-gadget at %s: %s", c->address.sun_path, err_strerror(error));
        c->last_errno = error;
        return -1;
    }
    return take_fd(&fd);
}

/* Returns when the connection is over, or could not be made. */
static void connect_and_converse(struct gadget_client *c)
{
    int fd = connect_once(c);
    if (fd < 0) return;
    pthread_mutex_lock(&c->lock);
    c->fd = fd;
    pthread_mutex_unlock(&c->lock);
    converse(c, fd);
    hang_up(c);
}

void *client_thread_run(void *arg)
{
    struct gadget_client *c = arg;
    struct pollfd stop = {.fd = c->wake_fd, .events = POLLIN};
    msec pause;
    c->away_since = clock_boot_ms();
    do {
        msec begun = clock_boot_ms();
        connect_and_converse(c);
        msec now = clock_boot_ms();
        if (now - begun > STEADY_AFTER) c->away_since = now;
        pause = MAX(RECONNECT_SOONEST, MIN((now - c->away_since) / 4, RECONNECT_LATEST));
    } while (poll(&stop, 1, (int)pause) <= 0);
    return NULL;
}
