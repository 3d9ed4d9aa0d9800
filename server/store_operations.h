/*
 * store_operations.h - the durable history of operations (struct api_history) on SQLite.
 *
 * The newest OPERATIONS_KEPT are kept. An operation that is put again unchanged writes nothing. Where the database
 * fails, operations go on: the failure is logged, and the history has a gap.
 */
#pragma once

#include "api/api.h"
#include "server/store_db.h"

#define OPERATIONS_KEPT 10000    /* years of a desk, months of a lab; some 10 MiB */
#define OPERATIONS_TRIM_EVERY 64 /* rows that may be over it, so that not every insert deletes */

/* The table of functions; `owner` is the database, which must outlive it. */
struct api_history store_operations_history(struct store_db *db);
