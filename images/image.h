/*
 * image.h - one image as it is on the disk: found, opened safely, known, and as JSON.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/json.h"
#include "images/inspect.h"
#include "images/look_cache.h"
#include "images/note.h"
#include "images/stored_digest.h"
#include "images/unclean.h"

#define IMAGE_ETAG_MAX 40 /* a quote, 32 hexadecimal digits, a quote */

struct image {
    struct stat st;
    bool readonly;                  /* nobody may write to the file, or to its store */
    char etag[IMAGE_ETAG_MAX];
    char sha256[SHA256_TEXT_MAX];   /* "": unknown */
    char note[NOTE_BYTES_MAX + 1];  /* "": none */
    struct unclean unclean;
    bool detailed;                  /* by image_look(): otherwise only the summary of `found` is there */
    struct inspect_result found;
};

/*
 * Opens the image for reading, never waiting for a FIFO or touching a device. Returns the descriptor, or -1 with *e:
 * image_missing (also for what is no regular file), store_detached, ...
 */
int image_open_at(int folder_fd, const char *name, struct stat *ret, struct err *e);

/* Does the name exist, as anything? 1 with *ret, 0, or -1 with *e. */
int image_stat_at(int folder_fd, const char *name, struct stat *ret, struct err *e);

/* A strong validator of the content: from the device, the inode, the size and the time of modification to the
 * nanosecond, hashed so that it tells nothing about the disk. */
void image_etag(const struct stat *st, char ret[IMAGE_ETAG_MAX]);

/* All that can be known of it, with some dozen reads; remembered in the cache (which may be NULL). */
void image_look(int fd, const struct stat *st, bool store_readonly, struct look_cache *cache, struct image *ret);

/* What a list shows of it: what the cache knows, or else what two short reads tell. */
void image_glance(int fd, const struct stat *st, bool store_readonly, struct look_cache *cache, struct image *ret);

/* After a glance without the details. Without "drives" (an empty array stands there), and with the mark alone in
 * "unclean": the library adds the rest. NULL when out of memory. */
json_t *image_json(const struct image *image, const char *store, const char *name);

msec image_modified(const struct stat *st); /* real time */
