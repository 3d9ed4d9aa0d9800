/*
 * unclean.h - images that operations left unclean are marked so, once for each operation.
 *
 * What trayd-gadget tells of an operation says whether the image that it took is unclean (`taken`); it keeps that for a
 * trayd that was away, and tells the newest operations again with each connection. So each is written down here first,
 * by the operation's id, and only one that was not known is marked. A thread brings the mark to the image; until it is
 * there (the store may be away, or hang) or where there is no place for it (FAT, exFAT), it is shown from here.
 *
 *   unknown --note--> waiting --kept with the image--> settled
 *                        \--the image was deleted or replaced, the mark taken away--> settled
 *
 * An image that is not where it was may come back with its store: its mark waits.
 *
 * Thread-safe.
 */
#pragma once

#include "images/library.h"

/* Durable; implemented by server/store_marks.c. Thread-safe. */
struct api_marks {
    void *owner;
    /* A new one waits. 1: it was not known, 0: it was, -1: it cannot be kept (logged). */
    int (*add)(void *owner, const char *operation, const char *store, const char *image, const json_t *mark);
    /* All that wait, oldest first: [{"operation", "store", "image", "mark": {...}}]. NULL where they cannot be read
     * (logged). */
    json_t *(*waiting)(void *owner);
    void (*settle)(void *owner, const char *operation);
    void (*rename)(void *owner, const char *operation, const char *image);
};

struct unclean_marks;

/* Becomes the library's marks (library_set_marks). Both must live longer. NULL with *e. */
struct unclean_marks *unclean_marks_new(struct library *l, const struct api_marks *kept, struct err *e);
void unclean_marks_free(struct unclean_marks *u); /* waits for a mark that is being made; NULL is fine */

/* An operation, as trayd-gadget told it. Returns soon. */
void unclean_marks_note(struct unclean_marks *u, const json_t *operation);

/* A store may be back: tries again what waits. Returns at once. */
void unclean_marks_retry(struct unclean_marks *u);
