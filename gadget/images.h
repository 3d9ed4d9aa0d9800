/*
 * images.h - images as numbers: the drive machine compares keys, people see store and name.
 *
 * The image's reference is a store ("main", or "main/sub/folder") and a name. The same image always has the same key
 * while it is in use. Keys are given out again when nothing refers to them any more.
 */
#pragma once

#include "base/store_config.h"
#include "gadget/drive.h"

#define IMAGES_KNOWN_MAX 1024      /* drives, queues and kept operations refer to far fewer at a time */
#define IMAGE_STORE_MAX 1024       /* a store and eight folders */

struct image_ref {
    char store[IMAGE_STORE_MAX];
    char name[256];
};

struct images;

struct images *images_new(const struct store_list *stores);
void images_free(struct images *i);

/* Checks the reference as root must: an existing store, each part a name, nothing that leaves the store. `store` may
 * be "": the default store. Returns the key, or 0 with *e. */
image_key images_intern(struct images *i, const char *store, const char *name, struct err *e);

/* The key of the file at an absolute path; IMAGE_FOREIGN where it is in none of our stores. */
image_key images_intern_path(struct images *i, const char *path);

const struct image_ref *images_ref(const struct images *i, image_key key); /* NULL for 0 and IMAGE_FOREIGN */

/* Its store as root configured it, and the path below that, which is valid until the next call. */
const struct store_config *images_location(struct images *i, image_key key, const char **ret_below);

void images_hold(struct images *i, image_key key);
void images_release(struct images *i, image_key key);
