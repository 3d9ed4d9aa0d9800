/*
 * uploads.c - uploads that can be continued: the tus protocol 1.0 on top of the library's pieces.
 *
 * What is acknowledged, in the answer to a piece as in that to HEAD, is on the disk. A connection that breaks loses what
 * had not reached us; HEAD tells where to go on.
 *
 * What comes packed (by its name, or as `unpack` in the metadata says) and what a disc is to be made of (`make`) is received as
 * it is; after the last byte its transfer goes on as a conversion (images/convert.h), which nobody has to wait for.
 */
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/conditions.h"
#include "api/handlers.h"
#include "api/image_make.h"
#include "api/images.h"
#include "api/tus.h"
#include "images/unpack_name.h"

struct upload_sink {
    struct api_sink sink; /* first: the transport's pointer is ours */
    struct api *api;
    struct library_piece *piece;
    struct tus_checksum wanted;
    gnutls_hash_hd_t hash;  /* NULL: no checksum was given */
    bool created;           /* by this request: its client does not know the id yet */
    char id[TRANSFER_ID_MAX];
};

/* All bytes are here, and nobody makes the image of them yet. It rests where that cannot begin now: HEAD tries again. */
static int begin_conversion(struct api *a, const struct library_partial_status *status, struct err *e)
{
    if (!status->packed || status->converting) return 0;
    if (convert_begin(a->makers.converter, status->id, e) == 0) return 0;
    return e->code == ERR_UPLOAD_BUSY || e->code == ERR_NOT_FOUND ? 0 : -1; /* somebody else does it, or has done it */
}

/* ---- answers ---- */

static void problem(struct api_response *rs, const struct err *e)
{
    api_problem(rs, e);
    api_header(rs, "Tus-Resumable", TUS_VERSION);
}

static void add_status(struct api_response *rs, const struct library_partial_status *status)
{
    char date[HTTP_DATE_MAX];
    api_header(rs, "Tus-Resumable", TUS_VERSION);
    api_header(rs, "Upload-Offset", "%lld", (long long)status->offset);
    if (!status->finished) api_header(rs, "Upload-Expires", "%s", http_date_format(status->expires, date));
}

static void created(struct api_response *rs, const struct library_partial_status *status)
{
    rs->status = 201;
    add_status(rs, status);
    api_header(rs, "Location", "/api/v1/uploads/%s", status->id);
}

/* The version is not optional: who does not send it may mean something else. */
static bool check_version(const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    const char *version = rq->header(rq, "Tus-Resumable");
    if (version && strcmp(version, TUS_VERSION) == 0) return true;
    if (version)
        err_set(&e, ERR_PRECONDITION, "Tus-Resumable must be " TUS_VERSION ", not \"%.40s\"", version);
    else
        err_set(&e, ERR_PRECONDITION, "The header field Tus-Resumable: " TUS_VERSION " is missing");
    problem(rs, &e);
    api_header(rs, "Tus-Version", TUS_VERSION);
    return false;
}

/* OPTIONS /api/v1/uploads */
void api_describe_uploads(struct api *a, attr_unused const struct api_request *rq, struct api_response *rs)
{
    rs->status = 204;
    api_header(rs, "Tus-Resumable", TUS_VERSION);
    api_header(rs, "Tus-Version", TUS_VERSION);
    api_header(rs, "Tus-Extension", TUS_EXTENSIONS);
    api_header(rs, "Tus-Checksum-Algorithm", TUS_ALGORITHMS);
    api_header(rs, "Tus-Max-Size", "%lld", (long long)library_upload_max(a->library));
}

/* ---- a piece ---- */

static int sink_write(struct api_sink *s, const void *data, size_t len, struct err *e)
{
    struct upload_sink *sink = (struct upload_sink *)s;
    if (sink->hash) gnutls_hash(sink->hash, data, len);
    return library_piece_write(sink->piece, data, len, e);
}

static bool checksum_is_good(struct upload_sink *sink)
{
    uint8_t bytes[TUS_CHECKSUM_MAX];
    if (!sink->hash) return true;
    gnutls_hash_deinit(take_ptr(sink->hash), bytes);
    return memcmp(bytes, sink->wanted.bytes, sink->wanted.len) == 0;
}

static void sink_free(struct upload_sink *sink)
{
    if (sink->hash) gnutls_hash_deinit(sink->hash, NULL);
    free(sink);
}

/* An upload whose client never learnt its id is of no use. */
static void forget_created(const struct upload_sink *sink)
{
    if (sink->created) library_partial_delete(sink->api->library, sink->id, NULL);
}

static void sink_finish(struct api_sink *s, struct api_response *rs)
{
    struct upload_sink *sink = (struct upload_sink *)s;
    struct library_partial_status status;
    struct err e;
    json_t *image = NULL;
    bool good = checksum_is_good(sink);
    int result = library_piece_end(sink->piece, good, &status, &image, &e);
    if (result == 0) result = begin_conversion(sink->api, &status, &e);
    if (result == 0 && !good)
        result = err_set(&e, ERR_CHECKSUM_MISMATCH, "The bytes from %lld on do not have the checksum of Upload-Checksum",
                         (long long)status.offset);
    if (result < 0) {
        forget_created(sink);
        problem(rs, &e);
    } else if (sink->created) {
        created(rs, &status);
    } else {
        rs->status = 204;
        add_status(rs, &status);
    }
    json_decref(image);
    sink_free(sink);
}

static void sink_abort(struct api_sink *s)
{
    struct upload_sink *sink = (struct upload_sink *)s;
    library_piece_abort(sink->piece);
    forget_created(sink);
    sink_free(sink);
}

static int begin_hash(struct upload_sink *sink, struct err *e)
{
    static const gnutls_digest_algorithm_t digests[] = {
        [TUS_SHA256] = GNUTLS_DIG_SHA256, [TUS_SHA1] = GNUTLS_DIG_SHA1, [TUS_MD5] = GNUTLS_DIG_MD5,
    };
    if (sink->wanted.algorithm == TUS_NO_CHECKSUM) return 0;
    if (gnutls_hash_init(&sink->hash, digests[sink->wanted.algorithm]) == 0) return 0;
    sink->hash = NULL;
    return err_set(e, ERR_UNAVAILABLE, "This checksum cannot be computed here");
}

static int begin_piece(struct upload_sink *sink, const struct api_request *rq, int64_t offset, struct err *e)
{
    const struct library_interrupt interrupt = {.owner = rq->transport, .run = rq->interrupt};
    if (tus_checksum_parse(rq->header(rq, "Upload-Checksum"), &sink->wanted, e) < 0 || begin_hash(sink, e) < 0)
        return -1;
    sink->piece = library_piece_begin(sink->api->library, sink->id, offset, sink->hash, &interrupt, e);
    if (!sink->piece) return -1;
    int64_t left = library_piece_left(sink->piece);
    if (rq->content_length <= left) return 0;
    library_piece_abort(take_ptr(sink->piece));
    return err_set(e, ERR_TOO_LARGE, "The piece has %lld bytes; %lld are missing", (long long)rq->content_length,
                   (long long)left);
}

/* NULL with *e. */
static struct upload_sink *sink_new(struct api *a, const struct api_request *rq, const char *id, int64_t offset,
                                    struct err *e)
{
    struct upload_sink *sink = calloc(1, sizeof *sink);
    if (!sink) {
        err_set(e, ERR_UNAVAILABLE, "Out of memory");
        return NULL;
    }
    sink->sink = (struct api_sink){sink_write, sink_finish, sink_abort};
    sink->api = a;
    snprintf(sink->id, sizeof sink->id, "%s", id);
    if (begin_piece(sink, rq, offset, e) == 0) return sink;
    sink_free(sink);
    return NULL;
}

static int check_type(const struct api_request *rq, struct err *e)
{
    const char *type = rq->header(rq, "Content-Type"), *encoding = rq->header(rq, "Content-Encoding");
    if (!type || strcasecmp(type, TUS_PIECE_TYPE) != 0)
        return err_set(e, ERR_MEDIA_TYPE, "The Content-Type must be " TUS_PIECE_TYPE ", not \"%.80s\"", type ? type : "");
    if (encoding && strcasecmp(encoding, "identity") != 0)
        return err_set(e, ERR_MEDIA_TYPE, "The content is encoded as '%.40s'; send the plain bytes", encoding);
    return 0;
}

/* PATCH /api/v1/uploads/{upload} */
struct api_sink *api_continue_upload(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    int64_t offset;
    struct upload_sink *sink = NULL;
    if (!check_version(rq, rs)) return NULL;
    if (check_type(rq, &e) == 0 && tus_number("Upload-Offset", rq->header(rq, "Upload-Offset"), &offset, &e) == 0)
        sink = sink_new(a, rq, rq->params[0], offset, &e);
    if (!sink) {
        problem(rs, &e);
        return NULL;
    }
    return &sink->sink;
}

/* ---- a new upload ---- */

/* What is to be done with it, and what it will be called then. */
struct creation {
    struct tus_metadata metadata;
    char name[NAME_BYTES_MAX + 1], work[CONVERT_WORK_MAX], etag[ETAG_MAX];
};

static int read_work(struct creation *c, struct err *e)
{
    const struct tus_metadata *m = &c->metadata;
    bool unpack = unpack_name_is_packed(m->name);
    if (m->unpack[0] && parse_bool(m->unpack, &unpack) < 0)
        return err_set(e, ERR_BAD_REQUEST, "\"unpack\" in Upload-Metadata must be true or false");
    if (m->make[0] && m->unpack[0]) return err_set(e, ERR_BAD_REQUEST, "Give unpack or make, not both");
    if (m->make[0]) return image_make_work(m->make, m->label, m->name, c->work, c->name, e);
    if (m->label[0]) return err_set(e, ERR_BAD_REQUEST, "A label belongs to a disc that is made");
    if (unpack) strcpy(c->work, CONVERT_UNPACK);
    if (unpack) return unpack_name(m->name, c->name, sizeof c->name, e);
    strcpy(c->name, m->name);
    return 0;
}

static int read_creation(struct api *a, const struct api_request *rq, struct creation *c,
                         struct library_upload_request *up, struct err *e)
{
    const struct tus_metadata *metadata = &c->metadata;
    if (rq->header(rq, "Upload-Defer-Length"))
        return err_set(e, ERR_BAD_REQUEST, "Upload-Defer-Length is not supported: room is reserved before the first byte");
    if (tus_number("Upload-Length", rq->header(rq, "Upload-Length"), &up->length, e) < 0 ||
        tus_metadata_parse(rq->header(rq, "Upload-Metadata"), &c->metadata, e) < 0)
        return -1;
    if (!metadata->name[0])
        return err_set(e, ERR_BAD_REQUEST, "Upload-Metadata must have a \"filename\" or a \"name\"");
    if (read_work(c, e) < 0) return -1;
    up->name = c->name;
    up->work = c->work[0] ? c->work : NULL;
    up->store = metadata->store;
    up->sha256 = metadata->sha256[0] ? metadata->sha256 : NULL;
    up->user = rq->user;
    up->peer = rq->peer;
    if (images_if_match(a, rq, up->store, up->name, c->etag, e) < 0) return -1;
    if (!c->etag[0]) return 0;
    up->if_match = c->etag;
    return images_usage_known(a, e);
}

static bool has_body(const struct api_request *rq)
{
    return rq->content_length > 0 || rq->header(rq, "Transfer-Encoding");
}

static int create(struct api *a, const struct api_request *rq, struct library_partial_status *ret, struct err *e)
{
    struct creation c = {0};
    struct library_upload_request up = {0};
    const char *note = rq->header(rq, "Upload-Metadata");
    if (has_body(rq) && check_type(rq, e) < 0) return -1;
    if (read_creation(a, rq, &c, &up, e) < 0) return -1;
    return library_partial_create(a->library, &up, "tus", note, ret, e);
}

/* POST /api/v1/uploads */
struct api_sink *api_create_upload(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    struct library_partial_status status;
    if (!check_version(rq, rs)) return NULL;
    if (create(a, rq, &status, &e) < 0) {
        problem(rs, &e);
        return NULL;
    }
    if (status.length > 0 && !has_body(rq)) {
        created(rs, &status);
        return NULL;
    }
    struct upload_sink *sink = sink_new(a, rq, status.id, 0, &e); /* of an empty image, the end comes at once */
    if (!sink) {
        library_partial_delete(a->library, status.id, NULL);
        problem(rs, &e);
        return NULL;
    }
    sink->created = true;
    return &sink->sink;
}

/* ---- one that is there ---- */

/* HEAD /api/v1/uploads/{upload} */
void api_look_at_upload(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    struct library_partial_status status;
    if (!check_version(rq, rs)) return;
    if (library_partial_status(a->library, rq->params[0], &status, &e) < 0 || begin_conversion(a, &status, &e) < 0) {
        problem(rs, &e);
        return;
    }
    add_status(rs, &status);
    api_header(rs, "Upload-Length", "%lld", (long long)status.length);
    if (status.note[0]) api_header(rs, "Upload-Metadata", "%s", status.note);
}

/* DELETE /api/v1/uploads/{upload} */
void api_delete_upload(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e;
    if (!check_version(rq, rs)) return;
    if (library_partial_delete(a->library, rq->params[0], &e) < 0) {
        problem(rs, &e);
        return;
    }
    rs->status = 204;
    api_header(rs, "Tus-Resumable", TUS_VERSION);
}
