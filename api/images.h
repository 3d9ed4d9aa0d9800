/*
 * images.h - what the handlers of images share.
 */
#pragma once

#include "api/api.h"
#include "api/conditions.h"
#include "api/digest.h"

/* The query's `store`, "" where it is absent: the default. Returns 0, or -1 with *e. */
int images_store(const struct api_request *rq, const char **ret, struct err *e);

/*
 * If-Match for a change of an image, as the one ETag (or "*") that the library compares under its lock. Puts "" where
 * there is no such header. A list is judged here, by the content as it is now. Returns 0, or -1 with *e.
 */
int images_if_match(struct api *a, const struct api_request *rq, const char *store, const char *name,
                    char ret_etag[80], struct err *e);

/* Whether an image is in a drive is known only once trayd-gadget was reached; until then none is deleted or
 * replaced. Returns 0, or -1 with *e. */
int images_usage_known(struct api *a, struct err *e);

/*
 * What PUT says of the image that comes, under that name: digest, conditions, store. *up borrows from the request, `hex` and
 * `etag`. Returns 0, or -1 with *e.
 */
int image_upload_request(struct api *a, const struct api_request *rq, struct library_upload_request *up,
                         const char *name, char hex[SHA256_HEX_SIZE], char etag[ETAG_MAX], struct err *e);

/* Adds the Location of an image, from its JSON. */
void images_add_location(const struct api *a, const json_t *image, struct api_response *rs);
