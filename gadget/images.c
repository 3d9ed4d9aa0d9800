#include "gadget/images.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"

struct image_entry {
    struct image_ref ref;
    unsigned holders;
};

struct images {
    const struct store_list *stores;
    struct image_entry *entries[IMAGES_KNOWN_MAX]; /* key - 1 */
    char below[IMAGE_STORE_MAX + 256];
};

struct images *images_new(const struct store_list *stores)
{
    struct images *i = calloc(1, sizeof *i);
    if (i) i->stores = stores;
    return i;
}

void images_free(struct images *i)
{
    if (!i) return;
    for (size_t k = 0; k < IMAGES_KNOWN_MAX; k++) free(i->entries[k]);
    free(i);
}

static const struct store_config *split_store(const struct images *i, const char *store, const char **ret_folder)
{
    char first[STORE_NAME_MAX];
    const char *slash = strchr(store, '/');
    size_t len = slash ? (size_t)(slash - store) : strlen(store);
    if (len >= sizeof first || (slash && len == 0)) return NULL; /* only "" is the default store */
    memcpy(first, store, len);
    first[len] = '\0';
    *ret_folder = slash ? slash + 1 : "";
    return store_list_find(i->stores, first);
}

static int check_folder(const char *folder, struct err *e)
{
    while (*folder) {
        char part[NAME_BYTES_MAX + 2];
        size_t len = strcspn(folder, "/");
        if (len > NAME_BYTES_MAX) return err_set(e, ERR_INVALID_NAME, "A folder's name is too long");
        memcpy(part, folder, len);
        part[len] = '\0';
        if (name_check(part, e) < 0) return -1;
        folder += len;
        if (*folder == '/' && !*++folder) return err_set(e, ERR_INVALID_NAME, "The store ends with a '/'");
    }
    return 0;
}

static image_key find_or_add(struct images *i, const char *store, const char *name, struct err *e)
{
    size_t unused = IMAGES_KNOWN_MAX;
    for (size_t k = 0; k < IMAGES_KNOWN_MAX; k++) {
        const struct image_entry *entry = i->entries[k];
        if (!entry || !entry->holders) {
            unused = MIN(unused, k);
            if (!entry) continue;
        }
        if (strcmp(entry->ref.name, name) == 0 && strcmp(entry->ref.store, store) == 0) return (image_key)(k + 1);
    }
    if (unused == IMAGES_KNOWN_MAX) {
        err_set(e, ERR_TOO_MANY_REQUESTS, "More than %d images are in use at once", IMAGES_KNOWN_MAX);
        return 0;
    }
    if (!i->entries[unused] && !(i->entries[unused] = calloc(1, sizeof *i->entries[unused]))) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return 0;
    }
    struct image_ref *ref = &i->entries[unused]->ref;
    snprintf(ref->store, sizeof ref->store, "%s", store);
    snprintf(ref->name, sizeof ref->name, "%s", name);
    return (image_key)(unused + 1);
}

image_key images_intern(struct images *i, const char *store, const char *name, struct err *e)
{
    const char *folder;
    const struct store_config *s = split_store(i, store, &folder);
    char full[IMAGE_STORE_MAX];
    if (!s) {
        err_set(e, ERR_NOT_FOUND, "There is no store \"%s\"", store);
        return 0;
    }
    if (name_check(name, e) < 0 || check_folder(folder, e) < 0) return 0;
    if ((size_t)snprintf(full, sizeof full, "%s%s%s", s->name, *folder ? "/" : "", folder) >= sizeof full) {
        err_set(e, ERR_INVALID_NAME, "The store's folders have too long names");
        return 0;
    }
    return find_or_add(i, full, name, e);
}

image_key images_intern_path(struct images *i, const char *path)
{
    for (size_t s = 0; s < i->stores->count; s++) {
        const struct store_config *store = &i->stores->items[s];
        size_t len = strlen(store->path);
        if (strncmp(path, store->path, len) != 0 || path[len] != '/') continue;
        char folder[IMAGE_STORE_MAX];
        const char *below = path + len + 1, *last = strrchr(below, '/');
        const char *name = last ? last + 1 : below;
        snprintf(folder, sizeof folder, "%s%s%.*s", store->name, last ? "/" : "", last ? (int)(last - below) : 0, below);
        image_key key = images_intern(i, folder, name, NULL);
        if (key) return key;
    }
    return IMAGE_FOREIGN;
}

static struct image_entry *entry_of(const struct images *i, image_key key)
{
    return key == 0 || key > IMAGES_KNOWN_MAX ? NULL : i->entries[key - 1];
}

const struct image_ref *images_ref(const struct images *i, image_key key)
{
    const struct image_entry *entry = entry_of(i, key);
    return entry ? &entry->ref : NULL;
}

const struct store_config *images_location(struct images *i, image_key key, const char **ret_below)
{
    const struct image_ref *ref = images_ref(i, key);
    const char *folder;
    const struct store_config *s = split_store(i, ref->store, &folder);
    snprintf(i->below, sizeof i->below, "%s%s%s", folder, *folder ? "/" : "", ref->name);
    *ret_below = i->below;
    return s;
}

void images_hold(struct images *i, image_key key)
{
    struct image_entry *entry = entry_of(i, key);
    if (entry) entry->holders++;
}

void images_release(struct images *i, image_key key)
{
    struct image_entry *entry = entry_of(i, key);
    if (entry && entry->holders) entry->holders--;
}
