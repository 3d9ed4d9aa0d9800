/*
 * walk.h - the names of all images in a store and its folders.
 */
#pragma once

#include "images/listing.h"

struct walk_folder {
    char path[FOLDER_PATH_MAX]; /* beneath the store's directory; "" is that */
    char ref[STORE_REF_MAX];
    int level;
};

struct walk_item {
    struct order_item at;             /* at.name lies in the walk, at.store is folder->ref */
    const struct walk_folder *folder;
};

struct walk_block; /* of names */

struct walk {
    struct walk_item *items; /* in no order */
    size_t count, room;
    struct walk_folder **folders;
    size_t folders_count;
    struct walk_block *names;
    bool cut;
    unsigned skipped;
};

/* Collects what matches `search` (NULL: all) and comes behind `after` (NULL: from the start) in the order of q. */
int walk_store(struct walk *w, const char *store, const struct store_entry *in, const struct listing_query *q,
               const struct search *search, const struct order_item *after, struct err *e);
void walk_done(struct walk *w);
