/*
 * body.h - the JSON body of a request.
 */
#pragma once

#include "api/http.h"

/*
 * Parses the body, which must be declared as JSON if it is declared at all. Where there is none and it is not
 * `required`, an empty object. A new reference, or NULL with *e (bad_request, unsupported_media_type). The
 * transport has checked its size.
 */
json_t *body_parse(const struct api_request *rq, bool required, struct err *e);
