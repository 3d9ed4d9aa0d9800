/*
 * mirror.h - what trayd knows of the drives: a copy that is kept up to date by trayd-gadget's messages.
 *
 * No thread, no lock, no I/O: client.c has those. The values in it are shared and never changed, only replaced.
 */
#pragma once

#include "base/json.h"

struct mirror {
    json_t *system;     /* NULL until the first hello */
    json_t *drives;     /* array, in the order of the configuration; NULL until then */
    json_t *stores;     /* array; the same */
    json_t *operations; /* array, oldest first: their ids sort by time */
};

void mirror_done(struct mirror *m);

/* Is this the `ok` of a hello: system, drives with names, operations with ids? 0, or -1 with *e. */
int mirror_check(const json_t *hello, struct err *e);

/* Replaces everything by what a checked hello says. */
void mirror_reset(struct mirror *m, const json_t *hello);

void mirror_set_system(struct mirror *m, json_t *system);       /* borrowed, as in the next three */
void mirror_set_drive(struct mirror *m, json_t *drive);
void mirror_set_store(struct mirror *m, json_t *store);
void mirror_set_operation(struct mirror *m, json_t *operation); /* drops the oldest finished beyond those kept */

json_t *mirror_drive(const struct mirror *m, const char *name);     /* borrowed; NULL if unknown */
json_t *mirror_operation(const struct mirror *m, const char *id);
json_t *mirror_store(const struct mirror *m, const char *name);

bool mirror_is_finished(const json_t *operation);

/* Finished, and its drive does not show it as under way any more: the drive is seen as the operation left it. */
bool mirror_is_settled(const struct mirror *m, const json_t *operation);
