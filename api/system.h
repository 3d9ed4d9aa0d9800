/*
 * system.h - the System object of openapi.json.
 */
#pragma once

#include "api/api.h"

/* gadget: what trayd-gadget says of itself, or NULL while it cannot be reached. A new object. */
json_t *system_describe(const struct api *a, const json_t *gadget);

/* The same, as it is now. */
json_t *system_now(const struct api *a);
