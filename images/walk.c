#include "images/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "images/note.h"

#define BLOCK_BYTES 65536

struct walk_block {
    struct walk_block *next;
    size_t used;
    char bytes[BLOCK_BYTES];
};

struct walker { /* what one walk needs at hand */
    struct walk *w;
    const char *store;
    const struct store_entry *in;
    struct order order;
    const struct search *search;
    const struct order_item *after;
    struct err *e;
};

static int no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "Out of memory");
}

static const char *keep_name(struct walk *w, const char *name)
{
    size_t len = strlen(name) + 1;
    if (!w->names || BLOCK_BYTES - w->names->used < len) {
        struct walk_block *block = malloc(sizeof *block);
        if (!block) return NULL;
        block->next = w->names;
        block->used = 0;
        w->names = block;
    }
    char *kept = w->names->bytes + w->names->used;
    memcpy(kept, name, len);
    w->names->used += len;
    return kept;
}

static int add_item(struct walker *k, const struct walk_folder *folder, const struct order_item *at)
{
    struct walk *w = k->w;
    if (w->count == LISTING_IMAGES_MAX) {
        w->cut = true;
        return 0;
    }
    if (w->count == w->room) {
        size_t room = w->room ? 2 * w->room : 256;
        struct walk_item *items = reallocarray(w->items, room, sizeof *items);
        if (!items) return no_memory(k->e);
        w->items = items;
        w->room = room;
    }
    const char *name = keep_name(w, at->name);
    if (!name) return no_memory(k->e);
    w->items[w->count++] =
        (struct walk_item){.at = {.name = name, .store = at->store, .key = at->key}, .folder = folder};
    return 0;
}

static int add_folder(struct walker *k, const struct walk_folder *parent, const char *name)
{
    struct walk *w = k->w;
    if (parent && parent->level == FOLDER_LEVELS_MAX) return 0;
    if (w->folders_count == LISTING_FOLDERS_MAX) {
        w->cut = true;
        return 0;
    }
    if (!w->folders && !(w->folders = calloc(LISTING_FOLDERS_MAX, sizeof *w->folders))) return no_memory(k->e);
    struct walk_folder *f = malloc(sizeof *f);
    if (!f) return no_memory(k->e);
    const char *above = parent ? parent->path : "";
    /* A query may begin FOLDER_LEVELS_MAX levels deep, and `parent` is above that: so it fits. */
    if ((size_t)snprintf(f->path, sizeof f->path, "%s%s%s", above, *above ? "/" : "", name) >= sizeof f->path) {
        free(f);
        return 0;
    }
    store_ref_format(k->store, f->path, f->ref);
    f->level = 0;
    for (const char *p = f->path; *p; p++) f->level += p == f->path || *p == '/';
    w->folders[w->folders_count++] = f;
    return 0;
}

/* DT_REG, DT_DIR or something else; 0 also where it cannot be found out. */
static unsigned char kind_of(int dir_fd, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN) return entry->d_type;
    struct stat st;
    if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) return 0;
    return (unsigned char)IFTODT(st.st_mode);
}

/* The file's place in the order; -1 where it has gone. */
static int look_up_key(const struct walker *k, int dir_fd, const char *name, int64_t *ret)
{
    *ret = 0;
    if (k->order.by == ORDER_NAME) return 0;
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    *ret = k->order.by == ORDER_SIZE ? st.st_size : st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return 0;
}

static bool note_matches(const struct search *search, int dir_fd, const char *name)
{
    char note[NOTE_BYTES_MAX + 1];
    note_read_at(dir_fd, name, note);
    return note[0] && search_matches(search, note);
}

static int visit(struct walker *k, const struct walk_folder *folder, int dir_fd, const struct dirent *entry)
{
    const char *name = entry->d_name;
    if (name[0] == '.') return 0;
    unsigned char kind = kind_of(dir_fd, entry);
    if (kind != DT_REG && kind != DT_DIR) return 0;
    if (!image_name_usable(name)) {
        k->w->skipped++;
        return 0;
    }
    if (kind == DT_DIR) return add_folder(k, folder, name);
    if (k->search && !search_matches(k->search, name) && !note_matches(k->search, dir_fd, name)) return 0;
    struct order_item at = {.name = name, .store = folder->ref};
    if (look_up_key(k, dir_fd, name, &at.key) < 0) return 0;
    if (k->after && order_compare(k->order, &at, k->after) <= 0) return 0;
    return add_item(k, folder, &at);
}

/* A folder that cannot be read is left out, unless it is the store that went away. */
static int failed(const struct walker *k, int errnum, const struct walk_folder *folder)
{
    enum err_code code = store_code_for_errno(errnum);
    if (code != ERR_STORE_DETACHED && code != ERR_UNAVAILABLE) return 0;
    return err_set_errno(k->e, code, errnum, "Cannot read \"%.256s\"", folder->ref);
}

static int visit_folder(struct walker *k, const struct walk_folder *folder)
{
    int fd = fd_open_beneath(k->in->root_fd, *folder->path ? folder->path : ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return failed(k, errno, folder);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return no_memory(k->e);
    }
    int result = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno) result = failed(k, errno, folder);
            break;
        }
        result = visit(k, folder, fd, entry);
        if (result < 0 || k->w->cut) break;
    }
    closedir(dir);
    return result;
}

int walk_store(struct walk *w, const char *store, const struct store_entry *in, const struct listing_query *q,
               const struct search *search, const struct order_item *after, struct err *e)
{
    struct walker k = {
        .w = w, .store = store, .in = in, .order = q->order, .search = search, .after = after, .e = e};
    if (add_folder(&k, NULL, q->folder) < 0) return -1;
    for (size_t i = 0; i < w->folders_count; i++)
        if (visit_folder(&k, w->folders[i]) < 0) return -1;
    return 0;
}

void walk_done(struct walk *w)
{
    for (size_t i = 0; i < w->folders_count; i++) free(w->folders[i]);
    free(w->folders);
    free(w->items);
    while (w->names) {
        struct walk_block *block = w->names;
        w->names = block->next;
        free(block);
    }
}
