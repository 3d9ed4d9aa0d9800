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

/* Who answers for the storage under a store, and so what may be cut when it hangs (gadget/backing.h). */
#define STORE_CUT_TABLE(X)                                                                                        \
    X(CUT_NEVER, "never") X(CUT_NBD, "nbd") X(CUT_FUSE, "fuse") X(CUT_DEVICE_MAPPER, "device-mapper")

#define X(sym, name) sym,
enum store_cut { STORE_CUT_TABLE(X) };
#undef X
extern const char *const store_cut_names[]; /* NULL-terminated */

struct store_config {
    char name[STORE_NAME_MAX]; /* letters, digits, '-', '_' */
    char path[STORE_PATH_MAX]; /* absolute */
    bool readonly;
    bool mount;                /* a place where something is mounted: without that the store is not there */
    int cut;                   /* enum store_cut */
    bool flush;                /* what hosts write is brought to the storage at once (gadget/flusher.h) */
    uint64_t write_speed;      /* bytes a second that the storage takes at least */
    uint64_t reserve;          /* bytes that what trayd receives leaves free */
    int line;
};

struct store_list {
    struct store_config items[STORES_MAX];
    size_t count;
};

/* What an item of `stores` begins with: put it into the first slot before config_load(). */
extern const struct store_config store_defaults;

/* Keys of an item of `stores`, for the CONFIG_LIST entry in each process's table. */
extern const struct config_key store_config_keys[];

/* Puts the default (main at /srv/trayd/images) where no store is configured; refuses bad names, doubled names and
 * relative paths. */
int store_list_check(struct store_list *list, const char *config_path, struct err *e);

/* The innermost store that `path` lies in, or is; list->count where it is in none. */
size_t store_list_of_path(const struct store_list *list, const char *path);

/* The store of that name ("" is the first, which is the default); NULL if there is none. */
const struct store_config *store_list_find(const struct store_list *list, const char *name);
