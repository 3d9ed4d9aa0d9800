#include "images/library_state.h"

static json_t *store_json(const struct store *s, const struct store_entry *in)
{
    json_t *json = json_object();
    if (!json) return NULL;
    bool attached = in->root_fd >= 0;
    json_put_text(json, "name", s->config.name);
    json_put_text(json, "path", s->config.path);
    json_put_flag(json, "readonly", s->config.readonly || in->readonly);
    json_put_flag(json, "attached", attached);
    json_put(json, "size", attached ? json_integer((json_int_t)in->size) : NULL);
    json_put_int(json, "reserve", (int64_t)MIN(s->config.reserve, (uint64_t)INT64_MAX));
    json_put(json, "free", attached ? json_integer((json_int_t)in->free) : NULL);
    return json;
}

json_t *library_stores(struct library *l)
{
    json_t *list = json_array();
    msec deadline = clock_boot_ms() + ALL_STORES_PATIENCE;
    struct enter_job *jobs[STORES_MAX];
    for (size_t i = 0; i < l->stores_count; i++) jobs[i] = store_enter_begin(&l->stores[i], "", NULL);
    for (size_t i = 0; i < l->stores_count; i++) {
        struct store_entry in cleanup_store = STORE_OUTSIDE;
        if (jobs[i]) store_enter_end(&l->stores[i], jobs[i], deadline, &in, NULL); /* else it is not attached */
        json_array_append_new(list, store_json(&l->stores[i], &in));
    }
    return list;
}

json_t *library_store(struct library *l, const char *name, struct err *e)
{
    struct library_place place;
    if (library_place(l, name, NULL, &place, e) < 0) return NULL;
    if (place.folder[0]) {
        err_set(e, ERR_NOT_FOUND, "\"%.300s\" is a folder, not a store", place.ref);
        return NULL;
    }
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    store_enter(place.store, "", &in, NULL); /* or it is not attached */
    return store_json(place.store, &in);
}

void library_doubt(struct library *l, const char *store, const char *image)
{
    struct library_place place;
    if (library_place(l, store, image, &place, NULL) == 0) store_doubt(place.store, place.folder, place.name);
}
