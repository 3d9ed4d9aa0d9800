/*
 * image_create.c - POST of images: made of what nobody uploads.
 *
 *   from url     fetched (images/downloads.h): a transfer, for which the request waits as Prefer says
 *   from blank   empty, or with an empty file system (images/blank.h): done at once
 *
 * Files do not fit into JSON: a disc of files is made by PUT or by a tus upload (image_make.c, uploads.c).
 */
#include <string.h>

#include "api/body.h"
#include "api/handlers.h"
#include "api/images.h"
#include "api/transfer_work.h"
#include "images/blank.h"
#include "images/fetch_url.h"
#include "images/stored_digest.h"

/* ---- from a URL ---- */

struct url_body {
    char from[8], url[FETCH_URL_MAX], name[NAME_BYTES_MAX + 1], store[STORE_REF_MAX], sha256[SHA256_TEXT_MAX];
    char sha256_url[FETCH_URL_MAX], username[FETCH_CREDENTIAL_MAX], password[FETCH_CREDENTIAL_MAX];
    bool unpack;
    struct {
        bool name, sha256, sha256_url, username, password, unpack;
    } given;
};

#define TEXT(b, m, ...) {.name = #m, .kind = JSON_TEXT, .ret = (b)->m, .size = sizeof (b)->m, __VA_ARGS__}
#define MAYBE(b, m) TEXT(b, m, .ret_given = &(b)->given.m)

static int read_url(const json_t *body, struct url_body *b, struct err *e)
{
    const struct json_member members[] = {
        TEXT(b, from, .required = true), TEXT(b, url, .required = true), TEXT(b, store), MAYBE(b, name),
        MAYBE(b, sha256), MAYBE(b, sha256_url), MAYBE(b, username), MAYBE(b, password),
        {.name = "unpack", .kind = JSON_FLAG, .ret = &b->unpack, .ret_given = &b->given.unpack},
    };
    return json_read(body, members, ARRAY_LEN(members), e);
}

static void from_url(struct api *a, const struct api_request *rq, const json_t *body, struct api_response *rs)
{
    struct err e = {0};
    char id[TRANSFER_ID_MAX];
    json_t *image = NULL;
    struct url_body *b = calloc(1, sizeof *b);
    if (!b) {
        api_json(rs, 201, NULL);
        return;
    }
    int result = read_url(body, b, &e);
    const struct download_request down = {
        .url = b->url, .store = b->store, .user = rq->user, .peer = rq->peer,
        .name = b->given.name ? b->name : NULL, .sha256 = b->given.sha256 ? b->sha256 : NULL,
        .sha256_url = b->given.sha256_url ? b->sha256_url : NULL, .username = b->given.username ? b->username : NULL,
        .password = b->given.password ? b->password : NULL, .unpack = b->given.unpack ? b->unpack : -1,
    };
    if (result == 0) result = downloads_begin(a->makers.downloads, &down, id, &image, &e);
    explicit_bzero(b, sizeof *b);
    free(b);
    if (result < 0)
        api_problem(rs, &e);
    else if (result == 1)
        api_json(rs, 200, image);
    else
        transfer_work_answer(a, rq, id, transfer_work_image, rs);
}

/* ---- blank ---- */

static void from_blank(struct api *a, const struct api_request *rq, const json_t *body, struct api_response *rs)
{
    struct err e = {0};
    char from[8], name[NAME_BYTES_MAX + 1], store[STORE_REF_MAX] = "", label[64] = "", filesystem[16] = "none";
    struct blank_request blank = {.name = name, .store = store, .label = label, .user = rq->user, .peer = rq->peer};
    const struct json_member members[] = {
        {.name = "from", .kind = JSON_TEXT, .ret = from, .size = sizeof from, .required = true},
        {.name = "name", .kind = JSON_TEXT, .ret = name, .size = sizeof name, .required = true},
        {.name = "size", .kind = JSON_NUMBER, .ret = &blank.size, .max = INT64_MAX, .required = true},
        {.name = "store", .kind = JSON_TEXT, .ret = store, .size = sizeof store},
        {.name = "filesystem", .kind = JSON_TEXT, .ret = filesystem, .size = sizeof filesystem},
        {.name = "label", .kind = JSON_TEXT, .ret = label, .size = sizeof label},
    };
    json_t *image = NULL;
    int kind = 0;
    if (json_read(body, members, ARRAY_LEN(members), &e) == 0) {
        while (blank_names[kind] && strcmp(blank_names[kind], filesystem) != 0) kind++;
        blank.filesystem = (enum blank_filesystem)kind;
        if (!blank_names[kind])
            err_set(&e, ERR_BAD_REQUEST, "\"filesystem\" must be \"fat32\", \"exfat\" or \"none\"");
        else
            image = blank_make(a->library, &blank, &e);
    }
    if (!image) {
        api_problem(rs, &e);
        return;
    }
    images_add_location(a, image, rs);
    api_json(rs, 201, image);
}

/* POST /api/v1/images */
void api_create_image(struct api *a, const struct api_request *rq, struct api_response *rs)
{
    static const struct {
        const char *from;
        void (*make)(struct api *a, const struct api_request *rq, const json_t *body, struct api_response *rs);
    } kinds[] = {{"url", from_url}, {"blank", from_blank}};
    struct err e;
    cleanup_json json_t *body = body_parse(rq, true, &e);
    const char *from = json_text(body, "from");
    for (size_t i = 0; body && i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].from, from) == 0) {
            kinds[i].make(a, rq, body, rs);
            return;
        }
    if (body && strcmp(from, "files") == 0)
        err_set(&e, ERR_BAD_REQUEST, "Files come as a ZIP archive: PUT it to /api/v1/images/NAME?make=iso9660 or make=fat32");
    else if (body)
        err_set(&e, ERR_BAD_REQUEST, "\"from\" must be \"url\" or \"blank\", not \"%.40s\"", from);
    api_problem(rs, &e);
}
