/*
 * sim_store.h - the simulated storage under the stores: every store is a stick of its own, and does each step when it is told
 * to, unless a test said that it fails or hangs there. Nothing is really unmounted. Pure but for syncfs(2).
 */
#pragma once

#include "gadget/engine.h"

struct sim_store {
    enum departure_step fails, hangs; /* at that step; STEP_NOTHING: well */
    struct store_order order;         /* outstanding; step STEP_NOTHING: none */
};

/* Does the outstanding step, which is over then. False where it hangs. */
bool sim_store_perform(struct sim_store *s, const char *path, struct store_result *ret);

/* "well", "fail-STEP" or "hang-STEP". 0, or -1 with *e. */
int sim_store_tell(struct sim_store *s, const char *word, struct err *e);
