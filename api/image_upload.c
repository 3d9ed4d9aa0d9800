/*
 * image_upload.c - PUT of an image: the body goes to the library while it arrives.
 *
 * All that can be known beforehand is decided in api_put_image(), so that a refused upload costs no transfer.
 */
#include <string.h>
#include <strings.h>

#include "api/conditions.h"
#include "api/digest.h"
#include "api/handlers.h"
#include "api/images.h"
#include "api/query.h"
#include "api/uri.h"

struct image_sink {
    struct api_sink sink; /* first: the transport's pointer is ours */
    struct api *api;
    struct library_upload *upload;
};

static void add_location(struct api *a, const json_t *image, struct api_response *rs)
{
    const char *store = json_text(image, "store");
    cleanup_free char *name = uri_encode(json_text(image, "name"), false);
    cleanup_free char *where = uri_encode(store, true);
    if (!name || !where) return;
    if (strcmp(store, a->default_store) == 0)
        api_header(rs, "Location", "/api/v1/images/%s", name);
    else
        api_header(rs, "Location", "/api/v1/images/%s?store=%s", name, where);
}

static int sink_write(struct api_sink *s, const void *data, size_t len, struct err *e)
{
    return library_upload_write(((struct image_sink *)s)->upload, data, len, e);
}

static void sink_finish(struct api_sink *s, struct api_response *rs)
{
    struct image_sink *sink = (struct image_sink *)s;
    struct err e;
    bool replaced = false;
    json_t *image = library_upload_finish(sink->upload, &replaced, &e);
    if (image) {
        if (!replaced) add_location(sink->api, image, rs);
        api_json(rs, replaced ? 200 : 201, image);
    } else {
        api_problem(rs, &e);
    }
    free(sink);
}

static void sink_abort(struct api_sink *s)
{
    struct image_sink *sink = (struct image_sink *)s;
    library_upload_abort(sink->upload);
    free(sink);
}

/* Takes the digest from ?sha256=, Repr-Digest and Content-Digest (the same thing here: there are no ranges and no
 * encodings); those that are given must agree. "" where none is. */
static int read_digest(const struct api_request *rq, char ret_hex[SHA256_HEX_SIZE], struct err *e)
{
    static const char *const fields[] = {"Repr-Digest", "Content-Digest"};
    const char *query = NULL;
    const struct query_param params[] = {{.name = "sha256", .kind = QUERY_TEXT, .ret = &query}};
    ret_hex[0] = '\0';
    if (query_read(rq, params, ARRAY_LEN(params), e) < 0) return -1;
    if (query) {
        if (strlen(query) != SHA256_HEX_SIZE - 1 || strspn(query, "0123456789abcdefABCDEF") != SHA256_HEX_SIZE - 1)
            return err_set(e, ERR_BAD_REQUEST, "sha256=%.80s must be 64 hexadecimal digits", query);
        for (size_t i = 0; i < SHA256_HEX_SIZE; i++) /* to lower case, with the NUL */
            ret_hex[i] = (char)(query[i] >= 'A' && query[i] <= 'F' ? query[i] + ('a' - 'A') : query[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        char hex[SHA256_HEX_SIZE];
        const char *value = rq->header(rq, fields[i]);
        int found = value ? digest_parse(fields[i], value, hex, e) : 0;
        if (found < 0) return -1;
        if (!found) continue;
        if (ret_hex[0] && strcmp(ret_hex, hex) != 0)
            return err_set(e, ERR_BAD_REQUEST, "%s contradicts the other digest of the request", fields[i]);
        memcpy(ret_hex, hex, sizeof hex);
    }
    return 0;
}

/* What would store something else than the image's bytes. */
static int check_framing(const struct api_request *rq, struct err *e)
{
    const char *type = rq->header(rq, "Content-Type"), *encoding = rq->header(rq, "Content-Encoding");
    if (rq->content_length < 0 && !rq->header(rq, "Transfer-Encoding"))
        return err_set(e, ERR_LENGTH_REQUIRED, "There is no body: neither Content-Length nor chunked");
    if (rq->header(rq, "Content-Range"))
        return err_set(e, ERR_BAD_REQUEST, "An image is uploaded whole: Content-Range does not apply to PUT");
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return err_set(e, ERR_MEDIA_TYPE, "The content is encoded as '%.40s'; send the plain bytes", encoding);
    if (type && strncasecmp(type, "multipart/", strlen("multipart/")) == 0)
        return err_set(e, ERR_MEDIA_TYPE, "The content is a form ('%.40s'); send the plain bytes, like curl -T", type);
    return 0;
}

static int read_request(struct api *a, const struct api_request *rq, struct library_upload_request *up,
                        char hex[SHA256_HEX_SIZE], char etag[ETAG_MAX], struct err *e)
{
    struct etag_list list;
    const char *if_none_match = rq->header(rq, "If-None-Match");
    up->name = rq->params[0];
    up->user = rq->user;
    up->peer = rq->peer;
    up->interrupt = (struct library_interrupt){.owner = rq->transport, .run = rq->interrupt};
    up->length = rq->content_length;
    if (check_framing(rq, e) < 0 || images_store(rq, &up->store, e) < 0 || read_digest(rq, hex, e) < 0 ||
        images_if_match(a, rq, up->store, up->name, etag, e) < 0)
        return -1;
    if (hex[0]) up->sha256 = hex;
    if (etag[0]) {
        if (images_usage_known(a, e) < 0) return -1;
        up->if_match = etag;
    }
    if (if_none_match) {
        if (etag_list_parse("If-None-Match", if_none_match, &list, e) < 0) return -1;
        if (!list.any) return err_set(e, ERR_BAD_REQUEST, "If-None-Match of an upload can only be *");
        up->must_not_exist = true;
    }
    return 0;
}

/* PUT /api/v1/images/{image} */
struct api_sink *api_put_image(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e = {0};
    struct library_upload_request up = {0};
    char hex[SHA256_HEX_SIZE], etag[ETAG_MAX];
    bool exists = false;
    if (read_request(a, rq, &up, hex, etag, &e) < 0) {
        api_problem(rs, &e);
        return NULL;
    }
    struct image_sink *sink = calloc(1, sizeof *sink);
    if (!sink) {
        api_json(rs, 201, NULL);
        return NULL;
    }
    *sink = (struct image_sink){{sink_write, sink_finish, sink_abort}, a, NULL};
    sink->upload = library_upload_begin(a->library, &up, &exists, &e);
    if (sink->upload) return &sink->sink;

    free(sink);
    json_t *image = exists ? library_get(a->library, up.store, up.name, &e) : NULL;
    if (image)
        api_json(rs, 200, image);
    else
        api_problem(rs, &e);
    return NULL;
}
