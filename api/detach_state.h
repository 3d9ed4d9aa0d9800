/*
 * detach_state.h - what detach.c (records and requests) and detach_steps.c (the steps) share; for them only.
 */
#pragma once

#include <pthread.h>

#include "api/api.h"

struct detach_wish {                    /* of who wants it */
    char mode[16], on_timeout[16], lock_policy[32], transfers[16], by[64];
    msec patience;
    bool has_patience, allow_collateral, unmount;
};

struct detach {
    struct detaches *all;
    char store[STORE_NAME_MAX];  /* "": a free place */
    struct detach_wish wish;
    bool running;                /* the steps of take_away() are under way */
    bool thread;                 /* ... and their thread is there */
    bool stop;                   /* somebody attaches it, or the service ends */
    bool in_gadget;              /* trayd-gadget has its part, and cannot be stopped any more */
    const char *step;            /* while it runs, and not in_gadget */
    json_t *seen;                /* trayd-gadget's word of it; NULL: it has said nothing yet */
    unsigned serial;             /* of runs that have ended */
    msec since, failed_at;       /* real */
    const char *failed;          /* step; NULL: the last run did not fail */
    struct err err;
    json_t *more;                /* members for the problem document */
    json_t *operations;          /* ids of the ejects */
};

struct detaches {
    struct api *api;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct detach items[STORES_MAX];
    bool stopped;
};

/* ---- detach_steps.c ---- */

enum detach_transfers { TRANSFERS_DRAIN, TRANSFERS_CANCEL };
extern const char *const detach_transfers_names[]; /* end with NULL */

#define DETACH_FIRST_STEP "eject"

/* All steps, in the thread of the run. Returns 0, or -1 with *e and d->step; d->more may have members for the problem. */
int detach_take_away(struct detach *d, struct err *e);

/* Cancels those of the operations that still wait; what is finished stays so. */
void detach_cancel_ejects(struct api *a, const json_t *operations, const char *by);

/* ---- detach.c ---- */

bool detach_is_attached(const json_t *seen); /* trayd-gadget's word of a store; NULL: it has none */

/* Tells the listeners. On the client's thread only where the door is not open: the store is not entered then. */
void detach_publish(const struct detach *d);
