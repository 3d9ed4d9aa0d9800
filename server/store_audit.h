/*
 * store_audit.h - the audit log (struct api_audit) on SQLite.
 *
 * The newest AUDIT_KEPT entries are kept. Where the database fails, what was asked for is done all the same: the
 * failure is logged, with the entry, and the log has a gap there.
 */
#pragma once

#include "api/audit.h"
#include "server/store_db.h"

#define AUDIT_KEPT 50000     /* some 15 MiB; at a hundred changes a day more than a year */
#define AUDIT_TRIM_EVERY 128 /* rows that may be over it, so that not every insert deletes */

/* The table of functions; `owner` is the database, which must outlive it. */
struct api_audit store_audit_log(struct store_db *db);
