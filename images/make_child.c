/*
 * make_child.c - trayd-helper's role "make": a ZIP archive on its standard input, a file, becomes a disc.
 *
 *   order    kind       "iso9660", "fat32"
 *            label      "" for none
 *            now        s since 1970
 *            largest    bytes that may come out
 *   events   size       bytes: so many will come out
 *            end        files: so many are in it; the bytes of the image were sent
 *            failed     code, text
 */
#include <string.h>

#include "images/files_archive.h"
#include "images/helper_child.h"

static const struct make_maker *const makers[MAKE_COUNT] = {
    [MAKE_ISO9660] = &make_iso9660, [MAKE_FAT32] = &make_fat32,
};

static int write_output(attr_unused void *owner, const void *data, size_t len, attr_unused struct err *e)
{
    child_put(data, len);
    return 0;
}

static void tell(const char *event, const char *name, int64_t value)
{
    json_t *json = json_object();
    json_put_text(json, "event", event);
    json_put_int(json, name, value);
    child_tell(json);
}

static int write_image(const struct make_maker *maker, struct make_layout *layout, struct make_request *rq,
                       struct err *e)
{
    struct make_out out = {.write = write_output};
    struct files_archive *archive = files_archive_open(&child_input, e);
    if (!archive) return -1;
    rq->owner = archive;
    int result = maker->write(layout, &out, e);
    files_archive_close(archive);
    return result;
}

static int make(struct files *files, enum make_kind kind, const char *label, int64_t now, uint64_t largest, struct err *e)
{
    const struct make_maker *maker = makers[kind];
    struct make_request rq = {.files = files, .label = label, .now = now, .content = files_archive_content};
    uint64_t bytes = 0;
    if (files_archive_list(&child_input, files, e) < 0) return -1;
    files->list[FILES_ROOT].modified = now;
    struct make_layout *layout = maker->plan(&rq, &bytes, e);
    if (!layout) return -1;
    int result = 0;
    if (bytes > largest)
        result = err_set(e, ERR_TOO_LARGE, "The disc would have %llu bytes; %llu are allowed (fetch.largest)",
                         (unsigned long long)bytes, (unsigned long long)largest);
    if (result == 0) {
        tell("size", "size", (int64_t)bytes);
        result = write_image(maker, layout, &rq, e);
    }
    maker->free(layout);
    return result;
}

int make_run(const json_t *order, struct err *e)
{
    char kind[16], label[64], checked[MAKE_LABEL_MAX + 1];
    int64_t now = 0, largest = 0;
    const struct json_member members[] = {
        {.name = "kind", .kind = JSON_TEXT, .ret = kind, .size = sizeof kind, .required = true},
        {.name = "label", .kind = JSON_TEXT, .ret = label, .size = sizeof label, .required = true},
        {.name = "now", .kind = JSON_NUMBER, .ret = &now, .max = INT64_MAX, .required = true},
        {.name = "largest", .kind = JSON_NUMBER, .ret = &largest, .max = INT64_MAX, .required = true},
    };
    struct files files;
    int kind_at;
    if (json_read(order, members, ARRAY_LEN(members), e) < 0) return -1;
    if (make_kind(kind, &kind_at, e) < 0 || make_label((enum make_kind)kind_at, label, checked, e) < 0 ||
        files_init(&files, e) < 0)
        return -1;
    int result = make(&files, (enum make_kind)kind_at, checked, now, (uint64_t)largest, e);
    uint32_t count = files.count - 1;
    files_done(&files);
    if (result < 0) return -1;
    tell("end", "files", count);
    return 0;
}
