/*
 * assets.h - the browser UI, compiled into the binary.
 *
 * The table is made at build time from web/ (web/gen_assets.py), and ends with path == NULL.
 */
#pragma once

#include <stddef.h>

struct web_asset {
    const char *path; /* as in a URL: "/" or "/app.js" */
    const char *type; /* Content-Type */
    const char *etag; /* strong, with its quotes */
    const unsigned char *data;
    size_t len;
};

extern const struct web_asset web_assets[];

/* NULL where there is none of that path. */
const struct web_asset *assets_find(const char *path);
