/*
 * store_config.h - what both processes must agree on about stores, read from the same section of trayd.conf.
 *
 * A store is a directory that holds images. trayd writes images into it; trayd-gadget opens them by its own reading
 * of this list, so that a path from the network-facing process proves nothing.
 */
#pragma once

#include "base/config.h"

#define STORES_MAX 16 /* directories on an appliance: internal, SD card, some sticks and shares */
#define STORE_NAME_MAX 32
#define STORE_PATH_MAX 256

struct store_config {
    char name[STORE_NAME_MAX]; /* letters, digits, '-', '_' */
    char path[STORE_PATH_MAX]; /* absolute */
    bool readonly;
    int line;
};

struct store_list {
    struct store_config items[STORES_MAX];
    size_t count;
};

/* Keys of an item of `stores`, for the CONFIG_LIST entry in each process's table. */
extern const struct config_key store_config_keys[];

/* Puts the default (main at /srv/trayd/images) where no store is configured; refuses bad names, doubled names and
 * relative paths. */
int store_list_check(struct store_list *list, const char *config_path, struct err *e);

/* The store of that name ("" is the first, which is the default); NULL if there is none. */
const struct store_config *store_list_find(const struct store_list *list, const char *name);
