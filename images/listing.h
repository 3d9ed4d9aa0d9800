/*
 * listing.h - one page of the images that are in one store, read from its directories.
 *
 * Nothing is remembered between two pages but what images are (look_cache.h). All names are read and sorted; only the
 * images of the page are opened. Skipped without a word are what is hidden, no regular file, or not readable; files
 * whose names cannot be used (name.h) are skipped and counted. Folders are walked FOLDER_LEVELS_MAX levels deep, not
 * through symbolic links.
 */
#pragma once

#include "base/json.h"
#include "images/look_cache.h"
#include "images/order.h"
#include "images/search.h"
#include "images/store.h"

#define LISTING_LIMIT_MAX 1000      /* images on a page */
#define LISTING_FOLDERS_MAX 1024    /* walked; more is not a collection of images, but somebody's home */
#define LISTING_IMAGES_MAX 200000   /* looked at: some 20 MB of names while it lasts */

struct listing_query {
    char folder[FOLDER_PATH_MAX];   /* "" or where to begin */
    char search[SEARCH_BYTES_MAX + 1];
    struct order order;
    size_t limit;
    char cursor[ORDER_CURSOR_MAX];  /* "" for the first page; checked by order_cursor_parse() */
};

struct listing_item {
    struct order_item at; /* texts of `json` */
    json_t *json;
};

struct listing_page {
    struct listing_item *items; /* sorted */
    size_t count;
    bool more;                  /* than these */
    bool cut;                   /* a LISTING_..._MAX was reached */
    unsigned skipped;           /* names that cannot be used */
};

void listing_page_done(struct listing_page *page);

/* For the store's thread. Returns 0, or -1 with *e. */
int listing_read(const char *store, const struct store_entry *in, const struct listing_query *q,
                 struct look_cache *cache, struct listing_page *ret, struct err *e);

/* The same as a job: post it, wait, look at `result`, `err` and `page`, drop it. NULL with *e when out of memory. */
struct listing_job {
    struct store_job job;
    struct store_config config;
    struct listing_query query;
    struct look_cache *cache; /* a reference of its own */
    struct listing_page page;
    int result;
    struct err err;
};

struct listing_job *listing_job_new(const struct store_config *store, const struct listing_query *q,
                                    struct look_cache *cache, struct err *e);

/* Used by listings of other sources as well: makes an item of an image's JSON (taken). */
struct listing_item listing_item_of(struct order order, json_t *image, int64_t key);
