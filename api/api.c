/*
 * api.c - the service's start and end, and what flows through it unasked: the gadget's news to the history and the
 * listeners, the images' news to the listeners, and the answer to "who uses this image?".
 */
#include "api/api.h"

#include <stdio.h>
#include <string.h>

#include "api/system.h"
#include "base/log.h"
#include "gadget/mirror.h"
#include "gadget/words.h"

#define RECONCILE_PAGE 100

/* ---- the gadget's news ---- */

static void on_drive(void *owner, const json_t *drive)
{
    const struct api *a = owner;
    events_publish(a->events, "drive", drive);
}

/* A call that came back after its operation had failed took the medium. */
static bool took_late(const json_t *before, const json_t *operation)
{
    return mirror_is_finished(operation) && json_is_object(json_object_get(operation, "taken")) &&
           !json_is_object(json_object_get(before, "taken"));
}

/* The history is written when a state changes, not with each step: flash wears out. */
static void on_operation(void *owner, const json_t *operation)
{
    const struct api *a = owner;
    const struct api_history *h = &a->history;
    cleanup_json json_t *before = h->get(h->owner, json_text(operation, "id"));
    bool news = !before || strcmp(json_text(before, "state"), json_text(operation, "state")) != 0;
    unclean_marks_note(a->marks, operation); /* first: what is in the history counts as done with */
    if (news || took_late(before, operation)) h->put(h->owner, operation);
    if (news && mirror_is_finished(operation)) audit_operation(a, operation);
    events_publish(a->events, "operation", operation);
}

static void on_system(void *owner, const json_t *system)
{
    const struct api *a = owner;
    cleanup_json json_t *all = system_describe(a, system);
    events_publish(a->events, "system", all);
}

static void on_schedule(void *owner, const json_t *schedule)
{
    const struct api *a = owner;
    events_publish(a->events, "schedule", schedule);
}

static void on_gadget_store(void *owner, const json_t *store)
{
    const struct api *a = owner;
    detach_on_store(a->detaches, store);
}

static void on_host_ejected(void *owner, const json_t *event)
{
    const struct api *a = owner;
    cleanup_json json_t *data = json_object();
    json_put_text(data, "drive", json_text(event, "drive"));
    json_put_text(data, "image", json_text(event, "image"));
    json_put_text(data, "store", json_text(event, "store"));
    events_publish(a->events, "host_ejected", data);
    audit_host_ejected(a, data);
}

static void publish_members(const struct api *a, const char *kind, const json_t *event, const char *const *members)
{
    cleanup_json json_t *data = json_object();
    for (size_t i = 0; members[i]; i++) json_put_text(data, members[i], json_text(event, members[i]));
    events_publish(a->events, kind, data);
}

static void on_storage_cut(void *owner, const json_t *event)
{
    const struct api *a = owner;
    library_doubt(a->library, json_text(event, "store"), json_text(event, "image"));
    publish_members(a, "storage_cut", event, (const char *const[]){"drive", "image", "store", "how", NULL});
}

static void on_storage_gone(void *owner, const json_t *event)
{
    const struct api *a = owner;
    library_look(a->library, json_text(event, "store"));
    publish_members(a, "storage_gone", event, (const char *const[]){"drive", "image", "store", NULL});
}

static void mark_interrupted(const struct api *a, const json_t *operation)
{
    cleanup_json json_t *ended = json_copy((json_t *)(uintptr_t)operation);
    json_put_text(ended, "state", op_state_names[OP_FAILED]);
    json_put_text(ended, "code", err_name(ERR_INTERRUPTED));
    json_put_text(ended, "detail", "trayd-gadget was restarted, and does not know this operation any more");
    json_put(ended, "waits_for", NULL);
    json_put(ended, "next", NULL);
    json_put_time(ended, "finished_at", clock_real_ms());
    a->history.put(a->history.owner, ended);
    audit_operation(a, ended);
    events_publish(a->events, "operation", ended);
}

static bool is_known(const json_t *operations, const char *id)
{
    size_t i;
    json_t *operation;
    json_array_foreach(operations, i, operation)
        if (strcmp(json_text(operation, "id"), id) == 0) return true;
    return false;
}

/* Ends in the history what has one of the states of an unfinished operation there, but is unknown to trayd-gadget. */
static void reconcile(const struct api *a, const char *state, const json_t *known)
{
    char after[32] = "";
    for (;;) {
        struct err e;
        cleanup_json json_t *page =
            a->history.list(a->history.owner, NULL, state, RECONCILE_PAGE, after[0] ? after : NULL, &e);
        if (!page) {
            log_error("Cannot compare the history with trayd-gadget: %s", e.text);
            return;
        }
        size_t i;
        json_t *operation;
        json_array_foreach(page, i, operation) {
            snprintf(after, sizeof after, "%s", json_text(operation, "id"));
            if (!is_known(known, after)) mark_interrupted(a, operation);
        }
        if (json_array_size(page) < RECONCILE_PAGE) return;
    }
}

static void on_synced(void *owner, const json_t *operations)
{
    for (int state = OP_QUEUED; state < OP_DONE; state++) reconcile(owner, op_state_names[state], operations);
}

/* ---- images ---- */

static void on_image(void *owner, const json_t *image)
{
    const struct api *a = owner;
    events_publish(a->events, "image", image);
}

static void on_store(void *owner, const json_t *store)
{
    const struct api *a = owner;
    if (json_flag(store, "attached")) unclean_marks_retry(a->marks);
    cleanup_json json_t *described = json_copy((json_t *)(uintptr_t)store);
    detach_describe(a->detaches, described);
    events_publish(a->events, "store", described);
}

static void on_transfer(void *owner, const json_t *transfer)
{
    const struct api *a = owner;
    events_publish(a->events, "transfer", transfer);
}

static const char *store_or_default(const struct api *a, const char *store)
{
    return store && store[0] ? store : a->default_store;
}

/* Is `item` (a medium, or an operation) about this image? */
static bool names_image(const struct api *a, const json_t *item, const char *store, const char *name)
{
    return strcmp(json_text(item, "image"), name) == 0 &&
           strcmp(store_or_default(a, json_text(item, "store")), store_or_default(a, store)) == 0;
}

static void add_user(json_t *drives, const char *drive)
{
    size_t i;
    json_t *item;
    json_array_foreach(drives, i, item)
        if (strcmp(json_string_value(item), drive) == 0) return;
    if (drives) json_array_append_new(drives, json_string(drive));
}

struct use {
    const struct api *api;
    const char *store, *name;
    json_t *drives;
    bool used, writable;
};

static void look_at(struct use *u, const json_t *item, const char *drive)
{
    if (!names_image(u->api, item, u->store, u->name)) return;
    u->used = true;
    u->writable |= !json_flag(item, "readonly");
    add_user(u->drives, drive);
}

/* What is in a drive, or on its way into one. While that was never known, everything counts as in use: a medium that
 * an earlier life of this service inserted may well be there. */
static bool image_in_use(void *owner, const char *store, const char *name, json_t *ret_drives, bool *ret_writable)
{
    const struct api *a = owner;
    cleanup_json json_t *drives = gadget_client_drives(a->gadget);
    cleanup_json json_t *operations = gadget_client_operations(a->gadget);
    struct use use = {a, store, name, ret_drives, .used = !drives, .writable = !drives};
    size_t i;
    json_t *item;
    json_array_foreach(drives, i, item) {
        look_at(&use, json_object_get(item, "medium"), json_text(item, "name"));
        /* An insert may be reported as done just before the drive shows what is in: until then this does. */
        look_at(&use, json_object_get(item, "operation"), json_text(item, "name"));
    }
    json_array_foreach(operations, i, item)
        if (!mirror_is_finished(item)) look_at(&use, item, json_text(item, "drive"));
    if (ret_writable) *ret_writable = use.writable;
    return use.used;
}

/* ---- start and end ---- */

struct api *api_new(const char *gadget_socket, struct library *lib, const struct api_history *history,
                    const struct api_audit *audit, const struct api_marks *marks, struct err *e)
{
    struct api *a = calloc(1, sizeof *a);
    if (a) a->events = events_new();
    if (a && a->events) a->detaches = detaches_new(a);
    if (!a || !a->detaches) {
        if (a) events_free(a->events);
        free(a);
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    a->history = *history;
    a->audit = *audit;
    a->started_at = clock_boot_ms();
    a->version = TRAYD_VERSION;
    cleanup_json json_t *stores = library_stores(lib); /* the first is the default */
    snprintf(a->default_store, sizeof a->default_store, "%s", json_text(json_array_get(stores, 0), "name"));

    a->library = lib;
    a->marks = unclean_marks_new(lib, marks, e);
    if (!a->marks) {
        api_free(a);
        return NULL;
    }

    /* From here on the client's thread calls us; it needs no more than stands above. */
    const struct gadget_listener listener = {a, on_drive, on_operation, on_system, on_schedule, on_gadget_store, on_host_ejected,
                                             on_storage_cut, on_storage_gone, on_synced};
    a->gadget = gadget_client_new(gadget_socket, &listener, e);
    if (!a->gadget) {
        api_free(a);
        return NULL;
    }
    library_set_usage(lib, &(struct library_usage){a, image_in_use});
    library_set_listener(lib, on_image, a);
    if (library_observe(lib, on_store, a, e) < 0) log_warning("%s; changes from elsewhere show when somebody looks", e->text);
    transfers_set_listener(library_transfers(lib), on_transfer, a);
    return a;
}

void api_set_makers(struct api *a, const struct api_makers *makers)
{
    a->makers = *makers;
}

void api_stop(struct api *a)
{
    events_stop(a->events);
    transfers_stop(library_transfers(a->library));
    gadget_client_stop(a->gadget);
    detaches_stop(a->detaches);
}

void api_free(struct api *a)
{
    if (!a) return;
    if (a->library) {
        library_observe(a->library, NULL, NULL, NULL);
        transfers_set_listener(library_transfers(a->library), NULL, NULL);
        library_set_listener(a->library, NULL, NULL);
        library_set_usage(a->library, &(struct library_usage){0});
    }
    gadget_client_free(a->gadget);
    unclean_marks_free(a->marks);
    detaches_free(a->detaches);
    events_free(a->events);
    free(a);
}
