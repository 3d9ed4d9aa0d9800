/*
 * tree_iso9660.h - directories of ISO 9660: plain, with Joliet, or with Rock Ridge's names. Pure.
 */
#pragma once

#include "images/tree.h"

void tree_iso9660_list(const struct tree *t, const struct tree_place *directory, tree_visitor *visit, void *owner);
size_t tree_iso9660_read(const struct tree *t, const struct tree_place *file, void *data, size_t len);
