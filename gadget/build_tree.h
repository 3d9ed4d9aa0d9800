/*
 * build_tree.h - a plan and the directory in configfs: read what stands there, carry a plan out, take it down.
 *
 * Blocking calls, for a worker process. `dir` is the gadget's directory. Errors say what was to be done, to which file,
 * and what the kernel's errno means there.
 */
#pragma once

#include "gadget/plan.h"

#define BUILD_TREE_PATH_MAX 1024 /* mount point, gadget's name and a step's path at their longest */

/*
 * Fills *ret with what stands in `dir`; ret->tree.udc is what the caller says, and stays. Values are read where
 * `wanted` has some. While the gadget is bound nothing is read that could block behind the host or the storage: neither
 * `file` nor `UDC`. Returns 0, or -1 with *e. Release ret->tree with plan_done() in either case.
 */
int build_tree_read(const char *dir, const struct plan *wanted, struct plan_found *ret, struct err *e);

/* Carries out those steps that do not stand as planned already; each value is read back. */
int build_tree_make(const char *dir, const struct plan *p, struct err *e);

/* Removes what `tree` lists, from its end. The gadget must not be bound. */
int build_tree_remove(const char *dir, const struct plan *tree, struct err *e);
