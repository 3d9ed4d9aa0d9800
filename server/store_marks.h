/*
 * store_marks.h - which operations left an image unclean (struct api_marks) on SQLite.
 *
 * The newest MARKS_KEPT are remembered, whether they wait or were kept with their image, so that none is marked twice.
 */
#pragma once

#include "api/unclean.h"
#include "server/store_db.h"

#define MARKS_KEPT 1000    /* trayd-gadget tells of the newest few dozen operations again */
#define MARKS_TRIM_EVERY 16

/* The table of functions; `owner` is the database, which must outlive it. */
struct api_marks store_marks(struct store_db *db);
