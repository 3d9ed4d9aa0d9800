/*
 * stores.h - stores that are taken away, in trayd-gadget: who may still use them, and what is done in their workers.
 *
 * trayd has every drive ejected, and lets go of its own files, before it asks for this; all of that is checked again here.
 * From the moment that a store begins to leave no insert from it is accepted, whoever asks: trayd, a schedule, or what is to
 * be restored. It stays so over the end of either process, and ends with the appliance's (state_file.h).
 */
#pragma once

#include "base/json.h"
#include "base/loop.h"
#include "gadget/departure.h"
#include "gadget/engine.h"
#include "gadget/images.h"

struct daemon;

struct store_departure {
    struct daemon *daemon;
    size_t store;              /* of the configuration */
    struct departure state;
    uint32_t given;            /* the ticket that the engine has, or had */
    struct loop_timer timer;   /* the step's deadline */
};

void stores_init(struct daemon *d);

/* Goes on with what an earlier process had begun. The engine is there. */
void stores_resume(struct daemon *d);

/* 0, or -1 with *e: may an image of that store be put into a drive now? store_detached. */
int stores_may_use(const struct daemon *d, image_key image, struct err *e);

/* Orders. 0, or -1 with *e: image_in_use (a drive has an image from it, or waits for one), too_late. */
int stores_detach(struct daemon *d, size_t store, bool unmount, const char *by, struct err *e);
int stores_attach(struct daemon *d, size_t store, const char *by, struct err *e);

/* The engine's answer (engine.h). */
void stores_on_result(void *owner, size_t store, const struct store_result *r);

/* ---- as JSON ---- */

json_t *stores_view(const struct daemon *d, size_t store);   /* for trayd (protocol.md) */
json_t *stores_view_all(const struct daemon *d);
json_t *stores_save(const struct daemon *d);                 /* for the state file: those that are not simply attached */
void stores_load(struct daemon *d, const json_t *saved);
