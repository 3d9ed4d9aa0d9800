/*
 * uri.h - percent-encoding of what goes into a Location or a header parameter. Pure.
 */
#pragma once

#include <stdbool.h>

/* All but the unreserved characters of RFC 3986 are encoded ('/' stays where keep_slash). malloc'd; NULL: no memory. */
char *uri_encode(const char *text, bool keep_slash);
