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
#include "api/image_make.h"
#include "api/images.h"
#include "api/query.h"
#include "images/unpack_name.h"
#include "images/unpacker.h"

struct image_sink {
    struct api_sink sink; /* first: the transport's pointer is ours */
    struct api *api;
    struct library_upload *upload;
    struct unpacker *unpacker; /* before it, where the image comes packed; NULL otherwise, */
    int64_t length;            /* and what will come; -1: unknown */
    char sha256[SHA256_HEX_SIZE]; /* what that must have; "": nobody said */
};

static void sink_free(struct image_sink *sink)
{
    unpacker_free(sink->unpacker);
    free(sink);
}

static int take_unpacked(void *owner, const void *data, size_t len, struct err *e)
{
    struct image_sink *sink = owner;
    return library_upload_write(sink->upload, data, len, e);
}

static int sink_write(struct api_sink *s, const void *data, size_t len, struct err *e)
{
    struct image_sink *sink = (struct image_sink *)s;
    if (!sink->unpacker) return library_upload_write(sink->upload, data, len, e);
    if (library_upload_check(sink->upload, e) < 0 || unpacker_write(sink->unpacker, data, len, e) < 0) return -1;
    library_upload_source(sink->upload, unpacker_received(sink->unpacker), sink->length);
    return 0;
}

static int finish_unpacking(struct image_sink *sink, struct err *e)
{
    if (!sink->unpacker) return 0;
    if (unpacker_finish(sink->unpacker, e) < 0) return -1;
    const char *sha256 = unpacker_sha256(sink->unpacker);
    if (sink->sha256[0] && strcmp(sink->sha256, sha256) != 0)
        return err_set(e, ERR_DIGEST_MISMATCH, "What was sent has the SHA-256 %s, not %s", sha256, sink->sha256);
    library_upload_add(sink->upload, "unpacked", unpacker_json(sink->unpacker));
    return 0;
}

static void sink_finish(struct api_sink *s, struct api_response *rs)
{
    struct image_sink *sink = (struct image_sink *)s;
    struct err e = {0};
    bool replaced = false;
    json_t *image = NULL;
    if (finish_unpacking(sink, &e) < 0)
        library_upload_fail(sink->upload, &e);
    else
        image = library_upload_finish(sink->upload, &replaced, &e);
    if (image) {
        if (!replaced) images_add_location(sink->api, image, rs);
        api_json(rs, replaced ? 200 : 201, image);
    } else {
        api_problem(rs, &e);
    }
    sink_free(sink);
}

static void sink_abort(struct api_sink *s)
{
    struct image_sink *sink = (struct image_sink *)s;
    library_upload_abort(sink->upload);
    sink_free(sink);
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

/* By default as the name says; then the name is what is left of it. */
static int read_unpack(const struct api_request *rq, char name[NAME_BYTES_MAX + 1], bool *ret, struct err *e)
{
    const struct query_param params[] = {{.name = "unpack", .kind = QUERY_FLAG, .ret = ret}};
    *ret = unpack_name_is_packed(rq->params[0]);
    if (query_read(rq, params, ARRAY_LEN(params), e) < 0) return -1;
    if (strlen(rq->params[0]) > NAME_BYTES_MAX) return err_set(e, ERR_INVALID_NAME, "The name is too long");
    if (*ret) return unpack_name(rq->params[0], name, NAME_BYTES_MAX + 1, e);
    strcpy(name, rq->params[0]);
    return 0;
}

int image_upload_request(struct api *a, const struct api_request *rq, struct library_upload_request *up,
                         const char *name, char hex[SHA256_HEX_SIZE], char etag[ETAG_MAX], struct err *e)
{
    struct etag_list list;
    const char *if_none_match = rq->header(rq, "If-None-Match");
    up->name = name;
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

/* The digest that the client gave is of what it sends, and the length too. */
static void begin_unpacking(struct image_sink *sink, struct library_upload_request *up, struct err *e)
{
    if (up->sha256) memcpy(sink->sha256, up->sha256, sizeof sink->sha256);
    up->sha256 = NULL;
    up->length = -1;
    sink->unpacker = unpacker_new(sink->api->makers.fetch->largest, take_unpacked, sink, e);
}

/* PUT /api/v1/images/{image} */
struct api_sink *api_put_image(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    if (image_make_wanted(rq)) return image_make_open(a, rq, rs);
    struct err e = {0};
    struct library_upload_request up = {0};
    char hex[SHA256_HEX_SIZE], etag[ETAG_MAX], name[NAME_BYTES_MAX + 1];
    bool exists = false, unpack = false;
    if (read_unpack(rq, name, &unpack, &e) < 0 || image_upload_request(a, rq, &up, name, hex, etag, &e) < 0) {
        api_problem(rs, &e);
        return NULL;
    }
    struct image_sink *sink = calloc(1, sizeof *sink);
    if (!sink) {
        api_json(rs, 201, NULL);
        return NULL;
    }
    *sink = (struct image_sink){{sink_write, sink_finish, sink_abort}, .api = a, .length = rq->content_length};
    if (unpack) begin_unpacking(sink, &up, &e);
    if (!unpack || sink->unpacker) sink->upload = library_upload_begin(a->library, &up, &exists, &e);
    if (sink->upload) return &sink->sink;

    sink_free(sink);
    json_t *image = exists ? library_get(a->library, up.store, up.name, &e) : NULL;
    if (image)
        api_json(rs, 200, image);
    else
        api_problem(rs, &e);
    return NULL;
}
