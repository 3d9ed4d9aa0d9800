#include "server/store_schema.h"

#include "base/util.h"

const char *const store_schema_steps[] = {
    /* 1: the history of operations. `position` orders them by acceptance and never repeats; `body` is the operation
     * as the API shows it; drive and state are copies that can be searched. */
    "CREATE TABLE operations ("
    "  position INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  id TEXT NOT NULL UNIQUE,"
    "  drive TEXT NOT NULL,"
    "  state TEXT NOT NULL,"
    "  body TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX operations_by_drive ON operations (drive, position);",
    /* 2: the audit log; `body` is the entry as the API shows it, without its id, which is the position. */
    "CREATE TABLE audit (position INTEGER PRIMARY KEY AUTOINCREMENT, by TEXT, body TEXT NOT NULL) STRICT;",
    /* 3: operations that left an image unclean; `body` is the mark; it waits until it is kept with the image. */
    "CREATE TABLE marks ("
    "  position INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  operation TEXT NOT NULL UNIQUE,"
    "  store TEXT NOT NULL,"
    "  image TEXT NOT NULL,"
    "  waits INTEGER NOT NULL DEFAULT 1,"
    "  body TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX marks_that_wait ON marks (position) WHERE waits;",
};

const int store_schema_version = ARRAY_LEN(store_schema_steps);
