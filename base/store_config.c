#include "base/store_config.h"

#include <string.h>

#define X(sym, name) name,
const char *const store_cut_names[] = {STORE_CUT_TABLE(X) NULL};
#undef X

#define WRITE_SPEED_MIN (64 << 10) /* bytes/s: a share over a bad radio link; with less nothing can be promised */

#define KEY(k, kind_, ...) {.name = #k, .kind = kind_, .offset = offsetof(struct store_config, k), __VA_ARGS__}

const struct config_key store_config_keys[] = {
    KEY(name, CONFIG_TEXT, .size = STORE_NAME_MAX, .required = true, .line_offset = offsetof(struct store_config, line),
        .help = "name in URLs: letters, digits, '-' and '_'"),
    KEY(path, CONFIG_TEXT, .size = STORE_PATH_MAX, .required = true, .help = "absolute path of the directory"),
    KEY(readonly, CONFIG_FLAG, .help = "true: trayd never writes here"),
    KEY(mount, CONFIG_FLAG, .help = "true: without something mounted at the path there is no store"),
    KEY(cut, CONFIG_CHOICE, .choices = store_cut_names, .help = "what may be cut when the storage hangs"),
    KEY(flush, CONFIG_FLAG, .help = "what hosts write is brought to the storage at once"),
    KEY(write_speed, CONFIG_SIZE, .min = WRITE_SPEED_MIN, .help = "bytes a second that the storage takes at least"),
    KEY(reserve, CONFIG_SIZE, .help = "bytes that are left free by what is received"),
    {0},
};

/* A write speed that the slowest memory cards keep up (speed class 4); room for the logs and updates of an appliance
 * whose images lie beside its system. */
const struct store_config store_defaults = {
    .cut = CUT_NEVER, .flush = true, .write_speed = 4 << 20, .reserve = 64 << 20};

static int check_one(const struct store_config *s, const char *config_path, struct err *e)
{
    if (!s->name[0] || strspn(s->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(s->name))
        return err_set(e, ERR_BAD_REQUEST, "%s:%d: the store's name \"%s\" may have only letters, digits, '-' and '_'",
                       config_path, s->line, s->name);
    if (s->path[0] != '/')
        return err_set(e, ERR_BAD_REQUEST, "%s:%d: the path of store \"%s\" must be absolute, not \"%s\"", config_path,
                       s->line, s->name, s->path);
    return 0;
}

int store_list_check(struct store_list *list, const char *config_path, struct err *e)
{
    if (list->count == 0) {
        list->items[0] = store_defaults;
        strcpy(list->items[0].name, "main");
        strcpy(list->items[0].path, "/srv/trayd/images");
        list->count = 1;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (check_one(&list->items[i], config_path, e) < 0) return -1;
        for (size_t k = 0; k < i; k++)
            if (strcmp(list->items[i].name, list->items[k].name) == 0)
                return err_set(e, ERR_BAD_REQUEST, "%s:%d: there are two stores named \"%s\"", config_path,
                               list->items[i].line, list->items[i].name);
    }
    return 0;
}

static bool is_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/') len--;
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || !path[len] || len == 1);
}

size_t store_list_of_path(const struct store_list *list, const char *path)
{
    size_t best = list->count;
    for (size_t i = 0; i < list->count; i++)
        if (is_in(path, list->items[i].path) &&
            (best == list->count || strlen(list->items[i].path) > strlen(list->items[best].path)))
            best = i;
    return best;
}

const struct store_config *store_list_find(const struct store_list *list, const char *name)
{
    if (!name[0]) return list->count ? &list->items[0] : NULL;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, name) == 0) return &list->items[i];
    return NULL;
}
