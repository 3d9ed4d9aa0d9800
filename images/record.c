#include "images/record.h"

#include <gnutls/crypto.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define VERSION 1
#define CHECK_BYTES 6 /* of a SHA-256: against accidents, not against people */
#define MARK_TEXT_MAX 52

char *record_format(const struct record *r)
{
    cleanup_json json_t *json = json_object();
    if (!json) return NULL;
    json_put_int(json, "version", VERSION);
    json_put_text(json, "name", r->name);
    json_put_text(json, "folder", r->folder);
    json_put_int(json, "size", r->size);
    json_put_text(json, "sha256", r->sha256);
    json_put_flag(json, "replace", r->replace);
    json_put_text(json, "if_match", r->if_match);
    json_put_int(json, "started", r->started);
    json_put_int(json, "inode", (int64_t)r->inode);
    json_put_text(json, "method", r->method);
    json_put_text(json, "user", r->user);
    json_put_text(json, "peer", r->peer);
    if (r->work[0]) json_put_text(json, "work", r->work);
    json_put_text(json, "note", r->note);
    return json_write(json, false);
}

static int check(const struct record *r, int64_t version, struct err *e)
{
    struct store_ref ref;
    char text[STORE_REF_MAX];
    uint8_t digest[SHA256_BYTES];
    if (version != VERSION) return err_set(e, ERR_BAD_REQUEST, "It is of version %" PRId64, version);
    if (image_name_check(r->name, e) < 0) return -1;
    if (store_ref_parse(store_ref_format("main", r->folder, text), &ref, e) < 0) return -1;
    if (r->sha256[0] && parse_hex(r->sha256, digest, sizeof digest) < 0)
        return err_set(e, ERR_BAD_REQUEST, "Its digest is none");
    return 0;
}

int record_parse(const char *text, size_t len, struct record *ret, struct err *e)
{
    struct record r = {0};
    int64_t version = 0, inode = 0;
    const struct json_member members[] = {
        {.name = "version", .kind = JSON_NUMBER, .ret = &version, .max = INT32_MAX, .required = true},
        {.name = "name", .kind = JSON_TEXT, .ret = r.name, .size = sizeof r.name, .required = true},
        {.name = "folder", .kind = JSON_TEXT, .ret = r.folder, .size = sizeof r.folder, .required = true},
        {.name = "size", .kind = JSON_NUMBER, .ret = &r.size, .max = INT64_MAX, .required = true},
        {.name = "sha256", .kind = JSON_TEXT, .ret = r.sha256, .size = sizeof r.sha256},
        {.name = "replace", .kind = JSON_FLAG, .ret = &r.replace},
        {.name = "if_match", .kind = JSON_TEXT, .ret = r.if_match, .size = sizeof r.if_match},
        {.name = "started", .kind = JSON_NUMBER, .ret = &r.started, .min = INT64_MIN, .max = INT64_MAX},
        {.name = "inode", .kind = JSON_NUMBER, .ret = &inode, .min = INT64_MIN, .max = INT64_MAX},
        {.name = "method", .kind = JSON_TEXT, .ret = r.method, .size = sizeof r.method},
        {.name = "user", .kind = JSON_TEXT, .ret = r.user, .size = sizeof r.user},
        {.name = "peer", .kind = JSON_TEXT, .ret = r.peer, .size = sizeof r.peer},
        {.name = "work", .kind = JSON_TEXT, .ret = r.work, .size = sizeof r.work},
        {.name = "note", .kind = JSON_TEXT, .ret = r.note, .size = sizeof r.note},
    };
    cleanup_json json_t *json = json_parse_object(text, len, RECORD_TEXT_MAX, e);
    if (!json || json_read(json, members, ARRAY_LEN(members), e) < 0 || check(&r, version, e) < 0) return -1;
    r.inode = (uint64_t)inode;
    *ret = r;
    return 0;
}

static void check_of(const char *text, size_t len, char ret[2 * CHECK_BYTES + 1])
{
    uint8_t digest[SHA256_BYTES] = {0};
    gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, digest);
    parse_to_hex(digest, CHECK_BYTES, ret);
}

static size_t mark_text(const struct record_mark *m, char text[MARK_TEXT_MAX])
{
    return (size_t)snprintf(text, MARK_TEXT_MAX, "offset %020" PRId64 " %020" PRIu64 " ", m->offset, m->number);
}

/* 49 + 12 + 1 bytes; the rest is blanks. */
void record_mark_format(const struct record_mark *m, char ret[RECORD_MARK_BYTES + 1])
{
    char text[MARK_TEXT_MAX], sum[2 * CHECK_BYTES + 1];
    check_of(text, mark_text(m, text), sum);
    snprintf(ret, RECORD_MARK_BYTES + 1, "%s%-*s\n", text, RECORD_MARK_BYTES - 1 - (int)strlen(text), sum);
}

bool record_mark_parse(const char text[RECORD_MARK_BYTES], struct record_mark *ret)
{
    char copy[RECORD_MARK_BYTES + 1], again[RECORD_MARK_BYTES + 1];
    struct record_mark m;
    memcpy(copy, text, RECORD_MARK_BYTES);
    copy[RECORD_MARK_BYTES] = '\0';
    if (sscanf(copy, "offset %20" SCNd64 " %20" SCNu64, &m.offset, &m.number) != 2 || m.offset < 0) return false;
    record_mark_format(&m, again);
    if (memcmp(copy, again, RECORD_MARK_BYTES) != 0) return false;
    *ret = m;
    return true;
}
