/*
 * unpack_child.c - trayd-helper's role "unpack".
 *
 *   order    largest
 *   events   end      format; the bytes of the image were sent
 *            failed   code, text
 */
#include <string.h>

#include "images/helper_child.h"
#include "images/unpack_stream.h"

static int write_output(attr_unused void *owner, const void *data, size_t len, attr_unused struct err *e)
{
    child_put(data, len);
    return 0;
}

int unpack_run(const json_t *order, struct err *e)
{
    int64_t largest = 0;
    const char *format;
    const struct json_member members[] = {
        {.name = "largest", .kind = JSON_NUMBER, .ret = &largest, .max = INT64_MAX, .required = true},
    };
    if (json_read(order, members, ARRAY_LEN(members), e) < 0) return -1;
    const struct unpack_io io = {.read = child_input.read, .write = write_output, .largest = (uint64_t)largest};
    if (unpack_stream(&io, &format, e) < 0) return -1;
    json_t *event = json_object();
    json_put_text(event, "event", "end");
    json_put_text(event, "format", format);
    child_tell(event);
    return 0;
}
