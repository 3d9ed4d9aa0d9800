/*
 * inspect_json.h - what an inspection found, as members of an image's JSON.
 */
#pragma once

#include "base/json.h"
#include "images/inspect.h"

/* What lists show: "format", "bootable", "filesystem_dirty", "suggested_type", "suggested_reason". NULL: nothing is known
 * yet. */
void inspect_json_summary(json_t *image, const struct inspect_summary *s, uint64_t size);

/* The rest: "container", "label", "filesystem", "installer", "partitions", "warnings". */
void inspect_json_details(json_t *image, const struct inspect_result *r);
