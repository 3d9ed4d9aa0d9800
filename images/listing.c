#include "images/listing.h"

#include <fcntl.h>
#include <string.h>

#include "base/fd.h"
#include "images/image.h"
#include "images/walk.h"

static int no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "Out of memory");
}

struct listing_item listing_item_of(struct order order, json_t *image, int64_t key)
{
    return (struct listing_item){
        .at = {.name = json_text(image, "name"), .store = json_text(image, "store"),
               .key = order.by == ORDER_NAME ? 0 : key},
        .json = image,
    };
}

void listing_page_done(struct listing_page *page)
{
    for (size_t i = 0; i < page->count; i++) json_decref(page->items[i].json);
    free(page->items);
    *page = (struct listing_page){0};
}

static int compare_items(const void *a, const void *b, void *order)
{
    return order_compare(*(const struct order *)order, &((const struct walk_item *)a)->at,
                         &((const struct walk_item *)b)->at);
}

/* The image as JSON, or NULL where it has gone meanwhile or cannot be read. *folder_fd: opened for *folder. */
static json_t *look_at(const struct store_entry *in, const struct walk_item *item, const struct walk_folder **folder,
                       int *folder_fd, struct look_cache *cache)
{
    if (*folder != item->folder) {
        util_close_fd(folder_fd);
        const char *path = *item->folder->path ? item->folder->path : ".";
        *folder_fd = fd_open_beneath(in->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
        *folder = item->folder;
    }
    if (*folder_fd < 0) return NULL;
    struct stat st;
    cleanup_close int fd = image_open_at(*folder_fd, item->at.name, &st, NULL);
    if (fd < 0) return NULL;
    struct image image;
    image_glance(fd, &st, in->readonly, cache, &image);
    return image_json(&image, item->at.store, item->at.name);
}

static int fill_page(const struct walk *w, const struct store_entry *in, const struct listing_query *q,
                     struct look_cache *cache, struct listing_page *page, struct err *e)
{
    page->items = calloc(MAX(MIN(q->limit, w->count), 1), sizeof *page->items);
    if (!page->items) return no_memory(e);
    const struct walk_folder *folder = NULL;
    cleanup_close int folder_fd = -1;
    size_t i = 0;
    for (; i < w->count && page->count < q->limit; i++) {
        json_t *json = look_at(in, &w->items[i], &folder, &folder_fd, cache);
        if (json) page->items[page->count++] = listing_item_of(q->order, json, w->items[i].at.key);
    }
    page->more = i < w->count;
    page->cut = w->cut;
    page->skipped = w->skipped;
    return 0;
}

int listing_read(const char *store, const struct store_entry *in, const struct listing_query *q,
                 struct look_cache *cache, struct listing_page *ret, struct err *e)
{
    struct order_item after;
    char room[ORDER_CURSOR_MAX];
    if (*q->cursor && order_cursor_parse(q->order, q->cursor, room, &after, e) < 0) return -1;
    struct search *search = NULL;
    if (*q->search && !(search = search_new(q->search))) return no_memory(e);
    struct walk walk = {0};
    struct listing_page page = {0};
    int result = walk_store(&walk, store, in, q, search, *q->cursor ? &after : NULL, e);
    if (result == 0) {
        struct order order = q->order;
        if (walk.count) qsort_r(walk.items, walk.count, sizeof *walk.items, compare_items, &order);
        result = fill_page(&walk, in, q, cache, &page, e);
    }
    walk_done(&walk);
    search_free(search);
    if (result == 0) *ret = page;
    return result;
}

static void listing_job_run(struct store_job *job)
{
    struct listing_job *j = (struct listing_job *)job;
    struct store_entry in cleanup_store = STORE_OUTSIDE;
    j->result = store_enter_directly(&j->config, j->query.folder, &in, &j->err);
    if (j->result == 0) j->result = listing_read(j->config.name, &in, &j->query, j->cache, &j->page, &j->err);
}

static void listing_job_drop(struct store_job *job)
{
    struct listing_job *j = (struct listing_job *)job;
    listing_page_done(&j->page);
    look_cache_unref(j->cache);
    free(j);
}

struct listing_job *listing_job_new(const struct store_config *store, const struct listing_query *q,
                                    struct look_cache *cache, struct err *e)
{
    struct listing_job *j = malloc(sizeof *j);
    if (!j) {
        no_memory(e);
        return NULL;
    }
    *j = (struct listing_job){
        .job = {.run = listing_job_run, .drop = listing_job_drop},
        .config = *store,
        .query = *q,
        .cache = look_cache_ref(cache),
    };
    return j;
}
