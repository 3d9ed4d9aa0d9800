#include "gadget/mirror.h"

#include <string.h>

#include "gadget/client.h"
#include "gadget/words.h"

void mirror_done(struct mirror *m)
{
    json_decref(m->system);
    json_decref(m->drives);
    json_decref(m->stores);
    json_decref(m->operations);
    *m = (struct mirror){0};
}

static int check_items(const json_t *list, const char *what, const char *key, struct err *e)
{
    size_t i;
    json_t *item;
    if (!json_is_array(list)) return err_set(e, ERR_INTERNAL, "hello has no list of %s", what);
    json_array_foreach(list, i, item)
        if (!json_text(item, key)[0]) return err_set(e, ERR_INTERNAL, "hello has one of the %s without %s", what, key);
    return 0;
}

int mirror_check(const json_t *hello, struct err *e)
{
    if (!json_is_object(json_object_get(hello, "system"))) return err_set(e, ERR_INTERNAL, "hello has no system");
    if (check_items(json_object_get(hello, "drives"), "drives", "name", e) < 0) return -1;
    const json_t *stores = json_object_get(hello, "stores");
    if (stores && check_items(stores, "stores", "name", e) < 0) return -1;
    return check_items(json_object_get(hello, "operations"), "operations", "id", e);
}

void mirror_reset(struct mirror *m, const json_t *hello)
{
    size_t i;
    json_t *operation;
    mirror_done(m);
    m->system = json_incref(json_object_get(hello, "system"));
    m->drives = json_copy(json_object_get(hello, "drives"));
    const json_t *stores = json_object_get(hello, "stores");
    m->stores = stores ? json_copy((json_t *)(uintptr_t)stores) : json_array();
    m->operations = json_array();
    json_array_foreach(json_object_get(hello, "operations"), i, operation) mirror_set_operation(m, operation);
}

void mirror_set_system(struct mirror *m, json_t *system)
{
    json_decref(m->system);
    m->system = json_incref(system);
}

static void set_named(json_t *list, json_t *item)
{
    size_t i;
    json_t *old;
    json_array_foreach(list, i, old)
        if (strcmp(json_text(old, "name"), json_text(item, "name")) == 0) {
            json_array_set(list, i, item);
            return;
        }
    json_array_append(list, item);
}

void mirror_set_drive(struct mirror *m, json_t *drive)
{
    set_named(m->drives, drive);
}

void mirror_set_store(struct mirror *m, json_t *store)
{
    set_named(m->stores, store);
}

bool mirror_is_finished(const json_t *operation)
{
    return word_index(op_state_names, json_text(operation, "state")) >= OP_DONE;
}

static void forget_oldest_finished(json_t *operations)
{
    size_t finished = 0, oldest = 0;
    for (size_t i = json_array_size(operations); i-- > 0;)
        if (mirror_is_finished(json_array_get(operations, i))) {
            finished++;
            oldest = i;
        }
    if (finished > GADGET_OPERATIONS_KEPT) json_array_remove(operations, oldest);
}

void mirror_set_operation(struct mirror *m, json_t *operation)
{
    size_t at = json_array_size(m->operations); /* nearly always a newest one: search from the end */
    for (; at > 0; at--) {
        int order = strcmp(json_text(json_array_get(m->operations, at - 1), "id"), json_text(operation, "id"));
        if (order == 0) {
            json_array_set(m->operations, at - 1, operation);
            forget_oldest_finished(m->operations);
            return;
        }
        if (order < 0) break;
    }
    json_array_insert(m->operations, at, operation);
    forget_oldest_finished(m->operations);
}

static json_t *find(const json_t *list, const char *key, const char *value)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
        if (strcmp(json_text(item, key), value) == 0) return item;
    return NULL;
}

json_t *mirror_drive(const struct mirror *m, const char *name)
{
    return find(m->drives, "name", name);
}

json_t *mirror_store(const struct mirror *m, const char *name)
{
    return find(m->stores, "name", name);
}

json_t *mirror_operation(const struct mirror *m, const char *id)
{
    return find(m->operations, "id", id);
}

bool mirror_is_settled(const struct mirror *m, const json_t *operation)
{
    const json_t *drive = mirror_drive(m, json_text(operation, "drive"));
    const char *under_way = json_text(json_object_get(drive, "operation"), "id");
    return mirror_is_finished(operation) && strcmp(under_way, json_text(operation, "id")) != 0;
}
