/*
 * search.h - does a name contain what somebody typed, whatever the case of its letters?
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SEARCH_BYTES_MAX 255 /* nothing longer can be part of a name */

struct search; /* what is looked for, prepared once */

/* text: UTF-8 of at most SEARCH_BYTES_MAX bytes. NULL when out of memory. */
struct search *search_new(const char *text);
void search_free(struct search *s);

/* Unicode's full case folding, where either text is not ASCII. */
bool search_matches(const struct search *s, const char *name);
