#include "server/assets.h"

#include <string.h>

const struct web_asset *assets_find(const char *path)
{
    for (const struct web_asset *a = web_assets; a->path; a++)
        if (strcmp(a->path, path) == 0) return a;
    return NULL;
}
