/*
 * detach_steps.c - the steps of taking a store away, in the thread of their own.
 */
#include <string.h>

#include "api/detach_state.h"
#include "api/insert.h"
#include "base/cond.h"
#include "gadget/mirror.h"
#include "gadget/words.h"

#define PATIENCE_DEFAULT 25000   /* ms, for transfers; as a drive's for its eject */
#define EJECT_MARGIN 120000      /* ms that an eject may take beyond its patience: rungs of the ladder, a sync */
#define LEAVE_WITHIN 900000      /* ms; trayd-gadget's steps are bounded (gadget/departure.h), and it may be restarted */
#define LOOK_EVERY 50            /* ms; no event tells that a descriptor was closed */

const char *const detach_transfers_names[] = {[TRANSFERS_DRAIN] = "drain", [TRANSFERS_CANCEL] = "cancel", NULL};

static const char *const gadget_steps[] = {"sync", "unmount", "check", "mount", NULL}; /* as gadget/departure.h names them */

static void note_step(struct detach *d, const char *step)
{
    pthread_mutex_lock(&d->all->lock);
    d->step = step;
    pthread_mutex_unlock(&d->all->lock);
}

static void set_step(struct detach *d, const char *step)
{
    note_step(d, step);
    detach_publish(d);
}

/* ---- the steps: in the thread ------------------------------------------------------------------------------------- */

static bool is_stopped(struct detach *d)
{
    pthread_mutex_lock(&d->all->lock);
    bool stop = d->stop;
    pthread_mutex_unlock(&d->all->lock);
    return stop;
}

static int check_stop(struct detach *d, struct err *e)
{
    return is_stopped(d) ? err_set(e, ERR_CANCELLED, "The store \"%s\" is to stay", d->store) : 0;
}

static bool names_store(const json_t *item, const char *store)
{
    const char *ref = json_text(item, "store");
    size_t len = strlen(store);
    return strncmp(ref, store, len) == 0 && (ref[len] == '\0' || ref[len] == '/');
}

static bool uses(const json_t *drive, const char *store)
{
    size_t i;
    const json_t *operation;
    if (names_store(json_object_get(drive, "medium"), store)) return true;
    if (names_store(json_object_get(drive, "operation"), store)) return true;
    json_array_foreach(json_object_get(drive, "queue"), i, operation)
        if (names_store(operation, store)) return true;
    return false;
}

static json_t *eject_request(const struct detach_wish *w, const char *drive)
{
    json_t *request = json_object();
    json_put_text(request, "do", "eject");
    json_put_text(request, "drive", drive);
    put_given_text(request, "mode", w->mode);
    put_given_text(request, "on_timeout", w->on_timeout);
    put_given_text(request, "lock_policy", w->lock_policy);
    put_given_flag(request, "allow_collateral", w->allow_collateral);
    if (w->has_patience) json_put_seconds(request, "patience", w->patience);
    json_put_text(request, "by", w->by);
    return request;
}

/* The reason, with whom it is about. */
static int failed_at(struct detach *d, const json_t *about, json_t *more)
{
    static const char *const members[] = {"drive", "evidence"};
    json_t *all = more ? more : json_object();
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_t *value = json_object_get(about, members[i]);
        if (value && !json_is_null(value)) json_object_set(all, members[i], value);
    }
    if (json_text(about, "id")[0]) json_put_text(all, "operation", json_text(about, "id"));
    pthread_mutex_lock(&d->all->lock);
    json_decref(d->more);
    d->more = all;
    pthread_mutex_unlock(&d->all->lock);
    return -1;
}

/* All at once: their patience runs at the same time. */
static int begin_ejects(struct detach *d, json_t *operations, struct err *e)
{
    struct api *a = d->all->api;
    cleanup_json json_t *drives = gadget_client_drives(a->gadget);
    size_t i;
    json_t *drive;
    if (!drives) return err_set(e, ERR_UNAVAILABLE, "trayd-gadget, which owns the drives, cannot be reached");
    json_array_foreach(drives, i, drive) {
        json_t *problem;
        if (!uses(drive, d->store)) continue;
        cleanup_json json_t *ok = gadget_client_call(a->gadget, eject_request(&d->wish, json_text(drive, "name")), &problem, e);
        if (ok) {
            json_array_append(operations, json_object_get(ok, "operation"));
            continue;
        }
        cleanup_json json_t *about = json_object();
        json_put_text(about, "drive", json_text(drive, "name"));
        return failed_at(d, about, problem);
    }
    return 0;
}

static int judge(struct detach *d, const json_t *operation, struct err *e)
{
    const char *state = json_text(operation, "state"), *detail = json_text(operation, "detail");
    enum err_code code = err_from_name(json_text(operation, "code"));
    if (strcmp(state, op_state_names[OP_DONE]) == 0) return 0;
    if (check_stop(d, e) < 0) return -1;
    if (!mirror_is_finished(operation)) code = ERR_DRIVE_STUCK;
    if (strcmp(state, op_state_names[OP_CANCELLED]) == 0) code = ERR_CANCELLED;
    if (code == ERR_NONE) code = ERR_INTERNAL;
    err_set(e, code, "%s", detail[0] ? detail : err_title(code));
    return failed_at(d, operation, NULL);
}

void detach_cancel_ejects(struct api *a, const json_t *operations, const char *by)
{
    size_t i;
    const json_t *operation;
    json_array_foreach(operations, i, operation) {
        json_t *request = json_object();
        json_put_text(request, "do", "cancel");
        json_put_text(request, "operation", json_text(operation, "id"));
        json_put_text(request, "by", by);
        json_decref(gadget_client_call(a->gadget, request, NULL, NULL)); /* what is finished stays so */
    }
}

static int await_ejects(struct detach *d, const json_t *operations, struct err *e)
{
    struct api *a = d->all->api;
    msec deadline = clock_boot_ms() + (d->wish.has_patience ? d->wish.patience : PATIENCE_DEFAULT) + EJECT_MARGIN;
    size_t i;
    json_t *operation;
    json_array_foreach(operations, i, operation) {
        cleanup_json json_t *now = gadget_client_wait(a->gadget, json_text(operation, "id"), deadline);
        if (!now)
            return err_set(e, ERR_INTERRUPTED, "trayd-gadget was restarted while %s was ejected",
                           json_text(operation, "drive"));
        if (judge(d, now, e) < 0) return -1;
    }
    return 0;
}

static int eject_all(struct detach *d, struct err *e)
{
    cleanup_json json_t *operations = json_array();
    int result = begin_ejects(d, operations, e);
    pthread_mutex_lock(&d->all->lock);
    d->operations = json_incref(operations); /* whoever stops us cancels them */
    pthread_mutex_unlock(&d->all->lock);
    if (result == 0) result = await_ejects(d, operations, e);
    pthread_mutex_lock(&d->all->lock);
    json_decref(d->operations);
    d->operations = NULL;
    pthread_mutex_unlock(&d->all->lock);
    if (result < 0) detach_cancel_ejects(d->all->api, operations, d->wish.by);
    return result;
}

static int end_transfers(struct detach *d, struct err *e)
{
    struct library *l = d->all->api->library;
    char what[400] = "";
    size_t open;
    msec deadline = clock_boot_ms() + (d->wish.has_patience ? d->wish.patience : PATIENCE_DEFAULT);
    if (strcmp(d->wish.transfers, detach_transfers_names[TRANSFERS_CANCEL]) == 0) library_end_transfers(l, d->store);
    while ((open = library_open_files(l, d->store, what, sizeof what)) > 0) {
        if (check_stop(d, e) < 0) return -1;
        if (clock_boot_ms() >= deadline)
            return err_set(e, ERR_STORE_IN_USE, "%zu files of the store \"%s\" are still being sent, received or read, "
                           "one is %s", open, d->store, what);
        pthread_mutex_lock(&d->all->lock);
        cond_wait_ms(&d->all->changed, &d->all->lock, LOOK_EVERY);
        pthread_mutex_unlock(&d->all->lock);
    }
    return 0;
}

/* What trayd-gadget has made of it. Where it was away meanwhile, its word when it is back. */
static int judge_store(struct detach *d, const json_t *seen, const struct err *call, struct err *e)
{
    const json_t *failed = json_object_get(seen, "failed");
    bool unmounted = json_flag(seen, "unmounted") || !d->wish.unmount;
    if (strcmp(json_text(seen, "stage"), "detached") == 0 && unmounted) return 0;
    if (json_is_object(failed)) {
        note_step(d, gadget_steps[MAX(word_index(gadget_steps, json_text(failed, "step")), 0)]);
        return err_set(e, err_from_name(json_text(failed, "code")), "%s", json_text(failed, "detail"));
    }
    if (call->code) {
        *e = *call;
        return -1;
    }
    return err_set(e, ERR_UNAVAILABLE, "What trayd-gadget has made of it is not known: it cannot be reached, or the "
                   "storage hangs");
}

static int leave(struct detach *d, struct err *e)
{
    struct api *a = d->all->api;
    struct err call = {0};
    json_t *request = json_object();
    json_put_text(request, "do", "store");
    json_put_text(request, "order", "detach");
    json_put_text(request, "store", d->store);
    json_put_flag(request, "unmount", d->wish.unmount);
    json_put_text(request, "by", d->wish.by);
    pthread_mutex_lock(&d->all->lock);
    d->in_gadget = !d->stop;
    d->step = gadget_steps[0];
    pthread_mutex_unlock(&d->all->lock);
    if (check_stop(d, e) < 0) {
        json_decref(request);
        return -1;
    }
    cleanup_json json_t *ok = gadget_client_call(a->gadget, request, NULL, &call);
    if (!ok && call.code != ERR_UNAVAILABLE) { /* refused: unavailable may mean that only the answer was lost */
        *e = call;
        if (call.code == ERR_IMAGE_IN_USE) note_step(d, DETACH_FIRST_STEP);
        return -1;
    }
    cleanup_json json_t *seen = gadget_client_wait_store(a->gadget, d->store, clock_boot_ms() + LEAVE_WITHIN);
    return judge_store(d, seen, &call, e);
}

int detach_take_away(struct detach *d, struct err *e)
{
    struct library *l = d->all->api->library;
    library_use_lock(l); /* the door is closed to what is new; an insert that was before is seen by what follows */
    library_use_unlock(l);
    set_step(d, DETACH_FIRST_STEP);
    if (eject_all(d, e) < 0) return -1;
    set_step(d, "transfers");
    if (end_transfers(d, e) < 0) return -1;
    library_set_door(l, d->store, LIBRARY_CLOSED);
    if (end_transfers(d, e) < 0) return -1; /* who came in to end something */
    return leave(d, e);
}
