/*
 * library_leave.c - a store is taken away: its door, and who is still inside.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "images/library_state.h"

int library_store_name(struct library *l, const char *store, char ret[STORE_NAME_MAX], struct err *e)
{
    struct library_place place;
    if (library_place(l, store, NULL, &place, e) < 0) return -1;
    if (place.folder[0]) return err_set(e, ERR_NOT_FOUND, "\"%.300s\" is a folder, not a store", place.ref);
    memcpy(ret, place.store->config.name, STORE_NAME_MAX);
    return 0;
}

static struct store *find(struct library *l, const char *name)
{
    struct library_place place;
    return library_place(l, name, NULL, &place, NULL) == 0 ? place.store : NULL;
}

void library_set_door(struct library *l, const char *name, enum library_door door)
{
    static const enum store_door doors[] = {STORE_OPEN, STORE_ENDING, STORE_CLOSED};
    struct store *s = find(l, name);
    if (!s) return;
    bool changes = atomic_exchange(&s->door, doors[door]) != doors[door];
    if (changes && door != LIBRARY_ENDING) library_look(l, name);
}

int library_may_use(struct library *l, const char *store, struct err *e)
{
    struct library_place place;
    if (library_place(l, store, NULL, &place, e) < 0) return -1;
    return store_may_enter(place.store, e);
}

/* ---- who is inside ------------------------------------------------------------------------------------------------ */

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* As the kernel names it, without asking the store itself: its directory may hang. */
static void kernel_path(const char *path, char ret[PATH_MAX])
{
    char parent[PATH_MAX];
    snprintf(ret, PATH_MAX, "%s", path);
    snprintf(parent, sizeof parent, "%s", path);
    for (size_t len = strlen(parent); len > 1 && parent[len - 1] == '/';) parent[--len] = '\0';
    char *last = strrchr(parent, '/');
    if (!last || last == parent) return;
    *last = '\0';
    cleanup_free char *real = realpath(parent, NULL);
    if (real) snprintf(ret, PATH_MAX, "%.2000s/%.2000s", strcmp(real, "/") == 0 ? "" : real, last + 1);
}

size_t library_open_files(struct library *l, const char *name, char *ret_what, size_t size)
{
    char dir[PATH_MAX];
    size_t count = 0;
    const struct store *s = find(l, name);
    DIR *fds = s ? opendir("/proc/self/fd") : NULL;
    if (!fds) return 0;
    kernel_path(s->config.path, dir);
    for (const struct dirent *entry; (entry = readdir(fds));) {
        char path[PATH_MAX];
        ssize_t n = readlinkat(dirfd(fds), entry->d_name, path, sizeof path - 1);
        if (n < 0) continue;
        path[n] = '\0';
        if (!is_below(path, dir)) continue;
        if (count++ == 0 && ret_what) snprintf(ret_what, size, "%s", path);
    }
    closedir(fds);
    return count;
}

/* ---- ending it ---------------------------------------------------------------------------------------------------- */

/* The transfers whose image lies there: an array of {"id", "method"}. */
static json_t *transfers_of(struct library *l, const char *name)
{
    size_t i;
    json_t *transfer, *found = json_array();
    cleanup_json json_t *all = transfers_list(l->transfers);
    json_array_foreach(json_object_get(all, "transfers"), i, transfer) {
        bool over = json_is_string(json_object_get(transfer, "finished_at"));
        if (!over && is_below(json_text(transfer, "store"), name)) json_array_append(found, transfer);
    }
    return found;
}

void library_end_transfers(struct library *l, const char *name)
{
    size_t i;
    json_t *transfer;
    cleanup_json json_t *all = transfers_of(l, name);
    json_array_foreach(all, i, transfer) {
        const char *id = json_text(transfer, "id");
        struct library_partial_status status;
        if (strcmp(json_text(transfer, "method"), "tus") == 0)
            library_partial_status(l, id, &status, NULL); /* who asks where it stands ends the piece that is coming */
        else
            transfers_cancel(l->transfers, id, NULL);
    }
}
