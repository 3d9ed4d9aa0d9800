/*
 * observer_look.h - a job for a store's thread: finds the store's folders, and watches each by inotify.
 */
#pragma once

#include "images/listing.h"
#include "images/store.h"

struct observed_folder {
    int wd;                   /* of inotify */
    char path[];              /* beneath the store; "" is the store's own directory */
};

struct observer_look {
    struct store_job job;
    struct store_config config; /* a copy: a look that got stuck can outlive the store */
    int inotify_fd;           /* a copy */
    bool closed;              /* the store's door was, at that time: it is not entered */
    bool there;               /* the store could be entered */
    bool remote;              /* inotify tells only of this machine's own doings */
    uint64_t signature;       /* of all folders, what they are, and their times: differs when an entry was added, removed or renamed */
    struct observed_folder **folders; /* allocated, as the array is */
    size_t count;
};

/* NULL when out of memory, or out of descriptors. Post it, wait, and drop it. */
struct observer_look *observer_look_new(struct store *store, int inotify_fd);
