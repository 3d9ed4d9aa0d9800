#include "gadget/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/cond.h"
#include "gadget/client_state.h"

#define SETTLED_WITHIN 1000 /* ms from the end of an operation to the news of its drive, which are sent together */

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
    else if (!c->packet || c->wake_fd < 0 || (error = pthread_create(&c->thread, NULL, client_thread_run, c)) != 0)
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

json_t *gadget_client_store(struct gadget_client *c, const char *name)
{
    return share(c, mirror_store, name);
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

json_t *gadget_client_wait_store(struct gadget_client *c, const char *name, msec deadline)
{
    msec left;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        const json_t *store = mirror_store(&c->mirror, name);
        bool rests = c->live && (!store || !json_text(store, "step")[0]);
        if (c->stopping || (rests && !c->telling) || (left = deadline - clock_boot_ms()) <= 0) break;
        cond_wait_ms(&c->changed, &c->lock, left);
    }
    json_t *store = json_incref(mirror_store(&c->mirror, name));
    pthread_mutex_unlock(&c->lock);
    return store;
}
