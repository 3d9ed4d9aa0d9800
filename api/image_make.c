#include "api/image_make.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/images.h"
#include "api/query.h"
#include "api/transfer_work.h"
#include "images/make.h"
#include "images/unpack_name.h"

struct make_sink {
    struct api_sink sink; /* first: the transport's pointer is ours */
    struct api *api;
    struct library_piece *piece;
    struct prefer prefer;
    char id[TRANSFER_ID_MAX];
};

bool image_make_wanted(const struct api_request *rq)
{
    for (size_t i = 0; i < rq->query_len; i++)
        if (strcmp(rq->query[i].name, "make") == 0) return true;
    return false;
}

static int disc_name(const char *name, int kind, char ret[NAME_BYTES_MAX + 1], struct err *e)
{
    static const char *const endings[] = {[MAKE_ISO9660] = ".iso", [MAKE_FAT32] = ".img"};
    size_t len = strlen(name), zip = strlen(".zip");
    bool packed = len > zip && strcasecmp(name + len - zip, ".zip") == 0;
    if (len > NAME_BYTES_MAX) return err_set(e, ERR_INVALID_NAME, "The name is too long");
    snprintf(ret, NAME_BYTES_MAX + 1, "%.*s", (int)(packed ? len - zip : len), name);
    if (packed && !unpack_name_is_image(ret)) strcat(ret, endings[kind]); /* as long as ".zip" */
    return 0;
}

int image_make_work(const char *kind, const char *label, const char *name, char ret_work[CONVERT_WORK_MAX],
                    char ret_name[NAME_BYTES_MAX + 1], struct err *e)
{
    int k;
    char checked[MAKE_LABEL_MAX + 1];
    if (make_kind(kind, &k, e) < 0 || make_label((enum make_kind)k, label, checked, e) < 0) return -1;
    snprintf(ret_work, CONVERT_WORK_MAX, "%s %s", make_names[k], checked);
    return disc_name(name, k, ret_name, e);
}

/* ---- the body ---- */

static int sink_write(struct api_sink *s, const void *data, size_t len, struct err *e)
{
    return library_piece_write(((struct make_sink *)s)->piece, data, len, e);
}

/* Whoever sent it does not know its id, so what cannot be made is of no use to anybody. */
static void sink_finish(struct api_sink *s, struct api_response *rs)
{
    struct make_sink *sink = (struct make_sink *)s;
    struct err e = {0};
    json_t *image = NULL;
    cleanup_free struct library_partial_status *status = malloc(sizeof *status);
    int64_t left = library_piece_left(sink->piece);
    int result = -1;
    if (!status || left > 0) {
        library_piece_abort(sink->piece);
        if (!status) err_set(&e, ERR_UNAVAILABLE, "Out of memory");
        else err_set(&e, ERR_BAD_REQUEST, "%lld bytes less came than were announced", (long long)left);
    } else {
        result = library_piece_end(sink->piece, true, status, &image, &e);
    }
    if (result == 0) result = convert_begin(sink->api->makers.converter, sink->id, &e);
    json_decref(image);
    if (result == 0) {
        transfer_work_wait(sink->api, &sink->prefer, sink->id, transfer_work_image, rs);
    } else {
        library_partial_delete(sink->api->library, sink->id, NULL);
        api_problem(rs, &e);
    }
    free(sink);
}

static void sink_abort(struct api_sink *s)
{
    struct make_sink *sink = (struct make_sink *)s;
    library_piece_abort(sink->piece);
    library_partial_delete(sink->api->library, sink->id, NULL);
    free(sink);
}

/* ---- its beginning ---- */

static int create(struct api *a, const struct api_request *rq, struct make_sink *sink, struct err *e)
{
    struct library_upload_request up = {0};
    char hex[SHA256_HEX_SIZE], etag[ETAG_MAX], name[NAME_BYTES_MAX + 1], work[CONVERT_WORK_MAX];
    const char *kind = "", *label = "";
    bool unpack, unpack_given = false;
    const struct query_param params[] = {
        {.name = "make", .kind = QUERY_TEXT, .ret = &kind}, {.name = "label", .kind = QUERY_TEXT, .ret = &label},
        {.name = "unpack", .kind = QUERY_FLAG, .ret = &unpack, .ret_given = &unpack_given},
    };
    cleanup_free struct library_partial_status *status = malloc(sizeof *status);
    if (!status) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (query_read(rq, params, ARRAY_LEN(params), e) < 0 ||
        image_make_work(kind, label, rq->params[0], work, name, e) < 0 ||
        image_upload_request(a, rq, &up, name, hex, etag, e) < 0)
        return -1;
    if (unpack_given) return err_set(e, ERR_BAD_REQUEST, "Give unpack or make, not both");
    if (rq->content_length < 0)
        return err_set(e, ERR_LENGTH_REQUIRED, "What a disc is made of cannot come chunked: its room is reserved first");
    up.work = work;
    if (library_partial_create(a->library, &up, CONVERT_METHOD_PUT, "", status, e) < 0) return -1;
    snprintf(sink->id, sizeof sink->id, "%s", status->id);
    sink->piece = library_piece_begin(a->library, status->id, 0, false, &up.interrupt, e);
    if (sink->piece) return 0;
    library_partial_delete(a->library, status->id, NULL);
    return -1;
}

struct api_sink *image_make_open(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    struct err e = {0};
    struct make_sink *sink = calloc(1, sizeof *sink);
    if (!sink) {
        api_json(rs, 201, NULL);
        return NULL;
    }
    *sink = (struct make_sink){{sink_write, sink_finish, sink_abort}, .api = a};
    sink->prefer = prefer_parse(rq->header(rq, "Prefer"));
    if (create(a, rq, sink, &e) == 0) return &sink->sink;
    free(sink);
    api_problem(rs, &e);
    return NULL;
}
