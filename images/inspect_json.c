#include "images/inspect_json.h"

#include "images/partitions.h"

static bool any(struct inspect_boot b)
{
    return b.bios || b.uefi;
}

/* Null where it is not known, or where a drive would not show what is inside. */
static json_t *bootable_json(const struct inspect_summary *s, uint64_t size)
{
    if (!s->deep || s->format == INSPECT_COMPRESSED || s->format == INSPECT_FOREIGN) return NULL;
    struct inspect_boot boot = inspect_bootable(s, size);
    json_t *json = json_object(), *as = json_array();
    json_put_flag(json, "bios", boot.bios);
    json_put_flag(json, "uefi", boot.uefi);
    if (any(s->cdrom) && inspect_fits_cdrom(size)) json_array_append_new(as, json_string("cdrom"));
    if (any(s->disk)) json_array_append_new(as, json_string("disk"));
    json_put(json, "from", as);
    return json;
}

void inspect_json_summary(json_t *image, const struct inspect_summary *s, uint64_t size)
{
    struct inspect_suggestion suggestion = {0};
    if (s) inspect_suggest(s, size, &suggestion);
    /* A glance does not know what is neither a disc nor a container. */
    bool known = s && (s->deep || s->format != INSPECT_UNKNOWN);
    json_put_text(image, "format", known ? inspect_format_name(s->format) : NULL);
    json_put(image, "bootable", s ? bootable_json(s, size) : NULL);
    json_put(image, "filesystem_dirty", s && s->dirty ? json_boolean(s->dirty == INSPECT_DIRTY) : NULL);
    json_put_text(image, "suggested_type", suggestion.type);
    json_put_text(image, "suggested_reason", s ? suggestion.reason : NULL);
}

static json_t *partition_json(const struct inspect_partition *p)
{
    char type[37];
    json_t *json = json_object();
    partitions_type_text(p, type);
    json_put_int(json, "number", p->number);
    json_put_text(json, "type", type);
    json_put_text(json, "type_name", partitions_type_name(p));
    json_put_int(json, "start", (int64_t)MIN(p->start, INT64_MAX));
    json_put_int(json, "size", (int64_t)MIN(p->size, INT64_MAX));
    json_put_flag(json, "active", p->active);
    json_put_text(json, "filesystem", p->filesystem);
    json_put_text(json, "label", p->label[0] ? p->label : NULL);
    return json;
}

static json_t *partitions_json(const struct inspect_result *r)
{
    if (r->table == INSPECT_TABLE_NONE) return NULL;
    json_t *json = json_object(), *list = json_array();
    json_put_text(json, "table", r->table == INSPECT_TABLE_GPT ? "gpt" : "mbr");
    for (size_t i = 0; i < r->partitions_count; i++) json_array_append_new(list, partition_json(&r->partitions[i]));
    json_put(json, "list", list);
    json_put_flag(json, "more", r->partitions_more);
    return json;
}

void inspect_json_details(json_t *image, const struct inspect_result *r)
{
    json_t *warnings = json_array();
    for (size_t i = 0; i < r->warnings_count; i++) {
        json_t *json = json_object();
        json_put_text(json, "code", inspect_warning_name(r->warnings[i].code));
        json_put_text(json, "text", r->warnings[i].text);
        json_array_append_new(warnings, json);
    }
    json_put_text(image, "container", r->container);
    json_put_text(image, "filesystem", r->filesystem);
    json_put_text(image, "label", r->label[0] ? r->label : NULL);
    json_put_text(image, "installer", r->installer[0] ? r->installer : NULL);
    json_put(image, "partitions", partitions_json(r));
    json_put(image, "warnings", warnings);
}
