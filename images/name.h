/*
 * name.h - names of images and references to stores, as they come from outside.
 *
 * The name of an image passes name_check() and is in Unicode's normalization form C: the same letters are always the
 * same bytes, so two images cannot look alike and be different. A store reference is "" (the default store), "main"
 * or "main/sub/folder", where each folder is a name of the same kind.
 */
#pragma once

#include <stdbool.h>

#include "base/parse.h"
#include "base/store_config.h"

#define FOLDER_LEVELS_MAX 8 /* deeper than people sort images; bounds a listing's walk and the length of a reference */
#define FOLDER_PATH_MAX (FOLDER_LEVELS_MAX * (NAME_BYTES_MAX + 1))
#define STORE_REF_MAX (STORE_NAME_MAX + FOLDER_PATH_MAX)

struct store_ref {
    char store[STORE_NAME_MAX];
    char folder[FOLDER_PATH_MAX]; /* "" or "sub/folder" */
};

/* Returns 0, or -1 with *e (invalid_name). */
int image_name_check(const char *name, struct err *e);

/* Whether an existing file's name is one that image_name_check() accepts; quick for ASCII. */
bool image_name_usable(const char *name);

/* text may be NULL. Returns 0, or -1 with *e (invalid_name). Whether there is such a store is not looked at. */
int store_ref_parse(const char *text, struct store_ref *ret, struct err *e);

/* "main" or "main/sub/folder"; returns ret_text. */
const char *store_ref_format(const char *store, const char *folder, char ret_text[STORE_REF_MAX]);
