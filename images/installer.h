/*
 * installer.h - whose installer or live system is in a directory tree, by the files that it is known by. Pure.
 */
#pragma once

#include "images/tree.h"

/* A text for people, such as "Windows installer" or what a Debian disc says of itself; "" where there is none. */
void installer_find(const struct tree *t, char ret[INSPECT_INSTALLER_MAX]);
