#include <string.h>

#include "base/log.h"
#include "images/library_state.h"

/* What the stores and the uploads under way gave, before it is cut to one page. */
struct gathered {
    struct listing_page pages[STORES_MAX];
    struct listing_item uploads[SLOTS_MAX];
    size_t uploads_count;
    struct listing_item *all; /* borrowed from the above */
    size_t count;
    bool more;
    unsigned skipped;
};

static void gathered_done(struct gathered *g)
{
    for (size_t i = 0; i < STORES_MAX; i++) listing_page_done(&g->pages[i]);
    for (size_t i = 0; i < g->uploads_count; i++) json_decref(g->uploads[i].json);
    free(g->all);
}

static int prepare(const struct library_query *q, struct listing_query *ret, struct err *e)
{
    *ret = (struct listing_query){.limit = (size_t)q->limit};
    if (q->limit < 1 || q->limit > LISTING_LIMIT_MAX)
        return err_set(e, ERR_BAD_REQUEST, "limit must be from 1 to %d, not %d", LISTING_LIMIT_MAX, q->limit);
    if (order_parse(q->sort, &ret->order, e) < 0) return -1;
    if (q->search) {
        size_t len = strlen(q->search);
        if (len > SEARCH_BYTES_MAX || !parse_is_utf8(q->search, len))
            return err_set(e, ERR_BAD_REQUEST, "The search text must be UTF-8, at most %d bytes", SEARCH_BYTES_MAX);
        memcpy(ret->search, q->search, len);
    }
    if (!q->after) return 0;
    struct order_item after;
    char room[ORDER_CURSOR_MAX];
    if (order_cursor_parse(ret->order, q->after, room, &after, e) < 0) return -1;
    strcpy(ret->cursor, q->after);
    return 0;
}

/* Asks that store, or all of them at once. A store that fails is left out where there are others to answer. */
static int gather_stores(struct library *l, const struct library_place *place, const struct listing_query *q,
                         struct gathered *g, struct err *e)
{
    bool named = place->store;
    size_t first = named ? (size_t)(place->store - l->stores) : 0, last = named ? first + 1 : l->stores_count;
    bool single = last - first == 1;
    msec deadline = clock_boot_ms() + (single ? STORE_PATIENCE : ALL_STORES_PATIENCE);
    struct listing_job *jobs[STORES_MAX];
    struct err closed[STORES_MAX] = {0};
    for (size_t i = first; i < last; i++) {
        bool open = store_may_enter(&l->stores[i], &closed[i]) == 0;
        jobs[i] = open ? listing_job_new(&l->stores[i].config, q, l->looks, e) : NULL;
        if (jobs[i]) store_thread_post(l->stores[i].thread, &jobs[i]->job);
    }
    int result = 0;
    for (size_t i = first; i < last; i++) {
        struct listing_job *j = jobs[i];
        struct err why = {.code = ERR_UNAVAILABLE, .text = "Out of memory"};
        if (closed[i].code) why = closed[i];
        if (j && store_thread_wait(l->stores[i].thread, &j->job, deadline, NULL, &why) < 0) j = NULL;
        if (j && j->result < 0) why = j->err;
        if (j && j->result == 0) {
            g->pages[i] = j->page;
            j->page = (struct listing_page){0};
        } else if (single && (named || !closed[i].code)) { /* what was taken away is nobody's trouble */
            if (e) *e = why;
            result = -1;
        } else {
            log_debug("A list without store \"%s\": %s", l->stores[i].config.name, why.text);
        }
        if (j) j->job.drop(&j->job);
    }
    return result;
}

static int compare_items(const void *a, const void *b, void *order)
{
    return order_compare(*(const struct order *)order, &((const struct listing_item *)a)->at,
                         &((const struct listing_item *)b)->at);
}

/* An upload can have become visible between the two looks: then the image counts. */
static bool is_on_page(const struct listing_page *pages, const struct order_item *at)
{
    for (size_t i = 0; i < STORES_MAX; i++)
        for (size_t k = 0; k < pages[i].count; k++)
            if (strcmp(pages[i].items[k].at.name, at->name) == 0 && strcmp(pages[i].items[k].at.store, at->store) == 0)
                return true;
    return false;
}

static int sort_together(struct library *l, struct gathered *g, struct order order, struct err *e)
{
    size_t room = g->uploads_count;
    for (size_t i = 0; i < l->stores_count; i++) room += g->pages[i].count;
    g->all = calloc(MAX(room, 1), sizeof *g->all);
    if (!g->all) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    for (size_t i = 0; i < g->uploads_count; i++)
        if (!is_on_page(g->pages, &g->uploads[i].at)) g->all[g->count++] = g->uploads[i];
    for (size_t i = 0; i < l->stores_count; i++) {
        const struct listing_page *page = &g->pages[i];
        if (page->count) memcpy(g->all + g->count, page->items, page->count * sizeof *g->all);
        g->count += page->count;
        g->more |= page->more;
        g->skipped += page->skipped;
        if (page->cut)
            log_warning("Store \"%s\" has more folders or files than are listed", l->stores[i].config.name);
    }
    if (g->count) qsort_r(g->all, g->count, sizeof *g->all, compare_items, &order);
    return 0;
}

static json_t *page_json(struct library *l, const struct gathered *g, const struct listing_query *q)
{
    json_t *json = json_object(), *images = json_array();
    size_t count = MIN(g->count, q->limit);
    for (size_t i = 0; i < count; i++) {
        library_add_use(l, g->all[i].json);
        json_array_append(images, g->all[i].json);
    }
    json_put(json, "images", images);
    char cursor[ORDER_CURSOR_MAX];
    bool more = count > 0 && (g->more || g->count > count);
    if (more) order_cursor_format(q->order, &g->all[count - 1].at, cursor);
    json_put_text(json, "next", more ? cursor : NULL);
    if (g->skipped) json_put_int(json, "skipped", g->skipped);
    return json;
}

json_t *library_list(struct library *l, const struct library_query *q, struct err *e)
{
    struct library_place place = {0}; /* .store NULL: everywhere */
    struct listing_query query;
    if (prepare(q, &query, e) < 0 || (q->store && library_place(l, q->store, NULL, &place, e) < 0)) return NULL;
    strcpy(query.folder, place.folder);
    struct gathered g = {0};
    json_t *json = NULL;
    g.uploads_count = library_slot_list(l, &place, &query, g.uploads); /* first: see is_on_page() */
    if (gather_stores(l, &place, &query, &g, e) == 0 && sort_together(l, &g, query.order, e) == 0)
        json = page_json(l, &g, &query);
    gathered_done(&g);
    return json;
}
