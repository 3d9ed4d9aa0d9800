/*
 * list_child.c - trayd-helper's role "list": what is in a folder of the disc on its standard input, a file.
 *
 *   order    path, after, limit (disc_archive.h)
 *   events   file     name, type, size, modified
 *            end      more: there are others behind
 *            failed   code, text
 */
#include "images/disc_archive.h"
#include "images/helper_child.h"

static void found(attr_unused void *owner, json_t *file)
{
    json_put_text(file, "event", "file");
    child_tell(file);
}

int list_run(const json_t *order, struct err *e)
{
    bool more = false;
    const struct disc_query query = {
        .path = json_text(order, "path"), .after = json_text(order, "after"), .limit = (size_t)json_int(order, "limit", 1),
    };
    if (query.limit < 1 || query.limit > DISC_PAGE_MAX) return err_set(e, ERR_INTERNAL, "The order is malformed");
    if (disc_archive_list(&child_input, &query, found, NULL, &more, e) < 0) return -1;
    json_t *event = json_object();
    json_put_text(event, "event", "end");
    json_put_flag(event, "more", more);
    child_tell(event);
    return 0;
}
