/*
 * JSON from outside: what is accepted can be written and read again as the same; and, read as a message to
 * trayd-gadget, it is refused or becomes a request within its limits.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "gadget/request.h"

#define BODY_MAX 65536

static void check_round_trip(const json_t *value)
{
    struct err e;
    char *text = json_write(value, true);
    if (!text) abort();
    json_t *again = json_parse_object(text, strlen(text), SIZE_MAX, &e);
    if (!again) abort();
    char *same = json_write(again, true);
    if (!same || strcmp(text, same) != 0) abort();
    free(text);
    free(same);
    json_decref(again);
}

/* As much of the daemon as reading a request takes: two drives, a store, no operations. */
static struct daemon *small_daemon(void)
{
    static struct gadget_config config = {
        .drives = {{.name = "cd0", .type = DRIVE_CDROM}, {.name = "usb0", .type = DRIVE_DISK}}, .drives_count = 2};
    static const struct store_list stores = {.items = {{.name = "main", .path = "/nowhere"}}, .count = 1};
    static struct daemon d = {.config = &config, .units_len = 2, .incarnation = "0123456789abcdef"};
    for (size_t i = 0; i < d.units_len; i++) d.units[i].config = &config.drives[i];
    d.images = images_new(&stores);
    d.operations = operations_new(d.images, 8);
    return &d;
}

static void check_request(const json_t *message)
{
    struct err e;
    struct gadget_request rq;
    struct daemon *d = small_daemon();
    if (gadget_request_read(d, message, &rq, &e) == 0) {
        if (rq.drive >= d->units_len || rq.rq.patience < 0 || rq.rq.patience > PATIENCE_MAX) abort();
        if (rq.rq.action == OP_INSERT && strcmp(rq.what, "insert") == 0) {
            const struct image_ref *image = images_ref(d->images, rq.rq.image);
            if (!image || strchr(image->name, '/') || image->name[0] == '.') abort();
        }
    }
    operations_free(d->operations);
    images_free(d->images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct err e;
    json_t *value = json_parse_object((const char *)data, len, BODY_MAX, &e);
    if (!value) return 0;
    check_round_trip(value);
    check_request(value);
    json_decref(value);
    return 0;
}
