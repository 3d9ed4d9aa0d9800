/*
 * detach.h - taking a store away, in order: what the API does of it, and what it says of it.
 *
 *   eject      nothing new begins in the store; every drive that has an image from it, or waits for one, is told to eject
 *   transfers  what is under way there ends: waited for, or cancelled
 *   sync, unmount, check   trayd-gadget's part (gadget/departure.h)
 *
 * The first step that fails ends it, with the store attached as before; what was ejected stays ejected. Until trayd-gadget
 * has its part all of it is in this process's memory: where that ends the store is simply attached. Afterwards
 * trayd-gadget's word is what counts, for this process too: it tells when it is connected to, and with each change.
 *
 * One thread for each store that is being taken away. Thread-safe.
 */
#pragma once

#include "api/http.h"

struct detaches;

struct detaches *detaches_new(struct api *a); /* NULL: out of memory */

/* Ends all waiting, for good; what is under way fails. The gadget's client has been stopped. */
void detaches_stop(struct detaches *all);
void detaches_free(struct detaches *all);

/* trayd-gadget's news of a store: opens or closes it here, and publishes it. On the client's thread. */
void detach_on_store(struct detaches *all, const json_t *store);

/* Adds "detached" and "detach_failed" to the library's JSON of a store. */
void detach_describe(struct detaches *all, json_t *store);
