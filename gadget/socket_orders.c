#include "gadget/socket_parts.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "gadget/stores.h"
#include "gadget/view.h"

void socket_hello(struct client *c, int64_t id)
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
    if (!socket_answer(c, id, "ok", ok)) return;
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
        socket_answer_error(c, s->order.id, e, NULL);
        return;
    }
    json_t *ok = json_object();
    json_put(ok, "system", view_system(s->daemon));
    socket_answer(c, s->order.id, "ok", ok);
}

void socket_order(struct client *c, int64_t id, const struct gadget_request *rq)
{
    static const char *const orders[] = {"reattach", "detach", "attach", "rebuild", NULL}; /* as enum reattach_order */
    struct daemon *d = c->socket->daemon;
    struct err e;
    int order = word_index(orders, rq->order);
    if (order < 0) {
        err_set(&e, ERR_BAD_REQUEST, "\"order\" is \"%s\"; it must be \"reattach\", \"detach\", \"attach\" or \"rebuild\"", rq->order);
        socket_answer_error(c, id, &e, NULL);
        return;
    }
    if (order == REATTACH_REBUILD && d->started && !d->start_error.code && !d->differences[0]) { /* it is as it should be */
        json_t *ok = json_object();
        json_put(ok, "system", view_system(d));
        socket_answer(c, id, "ok", ok);
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
    socket_answer_error(c, id, &e, NULL);
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

void socket_store(struct client *c, int64_t id, const struct gadget_request *rq)
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
        socket_answer_error(c, id, &e, NULL);
    else
        socket_answer(c, id, "ok", json_pack("{s:o}", "store", stores_view(d, rq->store)));
}

void socket_break(struct client *c, int64_t id, const struct gadget_request *rq)
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
        socket_answer_error(c, id, &e, &d->units[rq->drive].machine.evidence);
        return;
    }
    if (rq->then_eject && daemon_submit(d, rq->drive, &rq->rq, rq->by, &op, &e) < 0) {
        socket_answer_error(c, id, &e, &d->units[rq->drive].machine.evidence);
        return;
    }
    log_info("break-io on %s by %s: it waited for %s", d->units[rq->drive].config->name, rq->by, waiting_for_names[found]);
    describe_break(d, did, sees, sizeof sees);
    json_t *ok = json_object();
    json_put_text(ok, "found", waiting_for_names[found]);
    json_put_text(ok, "did", ways[did]);
    json_put_text(ok, "host_sees", sees);
    json_put(ok, "operation", op ? view_operation(d, op) : NULL);
    socket_answer(c, id, "ok", ok);
}
