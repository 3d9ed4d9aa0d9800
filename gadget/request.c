#include "gadget/request.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"

struct wire {                      /* all members that any request may have, as they come */
    int64_t id;
    char what[16], by[OPERATION_BY_MAX], drive[DRIVE_NAME_MAX], image[NAME_BYTES_MAX + 1], store[IMAGE_STORE_MAX];
    char mode[16], on_timeout[16], lock_policy[32], swap[16], type[16], if_match[64], operation[32], order[16], then[16];
    bool readonly, readonly_given, accept_stale_host, reattach, allow_collateral, if_empty, patience_given, unmount;
    msec patience;
};

static int choose(const char *const *names, const char *member, const char *word, int otherwise, int *ret, struct err *e)
{
    *ret = word[0] ? word_index(names, word) : otherwise;
    if (*ret >= 0) return 0;
    char all[128] = "";
    for (size_t i = 0; names[i]; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s\"%s\"", i ? ", " : "", names[i]);
    return err_set(e, ERR_BAD_REQUEST, "\"%s\" is \"%s\"; it must be one of %s", member, word, all);
}

/* An ETag of /medium is "INCARNATION-GENERATION" (view.c). One of another incarnation matches nothing. */
static int read_if_match(const struct daemon *d, const char *text, uint64_t *ret, struct err *e)
{
    char ours[64];
    if (!text[0]) return 0;
    size_t len = (size_t)snprintf(ours, sizeof ours, "\"%s-", d->incarnation), all = strlen(text);
    char number[24] = "";
    if (strncmp(text, ours, len) == 0 && all > len + 1 && all - len < sizeof number && text[all - 1] == '"')
        memcpy(number, text + len, all - len - 1);
    if (parse_u64(number, ret) == 0 && *ret != 0) return 0;
    return err_set(e, ERR_PRECONDITION, "The medium is not the one with the ETag %s", text);
}

static int read_drive(const struct daemon *d, const struct wire *w, size_t *ret, struct err *e)
{
    int i = daemon_find_drive(d, w->drive);
    if (i < 0) return err_set(e, ERR_NOT_FOUND, "There is no drive \"%s\"", w->drive);
    *ret = (size_t)i;
    return 0;
}

static int read_eject(const struct daemon *d, const struct wire *w, struct gadget_request *ret, struct err *e)
{
    int mode, on_timeout, lock_policy;
    if (read_drive(d, w, &ret->drive, e) < 0) return -1;
    const struct drive_config *c = &d->config->drives[ret->drive];
    if (choose(eject_mode_names, "mode", w->mode, EJECT_ORDERLY, &mode, e) < 0 ||
        choose(on_timeout_names, "on_timeout", w->on_timeout, ON_TIMEOUT_FAIL, &on_timeout, e) < 0 ||
        choose(lock_policy_names, "lock_policy", w->lock_policy, c->lock_policy, &lock_policy, e) < 0)
        return -1;
    ret->rq = (struct drive_request){
        .action = OP_EJECT, .mode = (enum eject_mode)mode, .on_timeout = (enum on_timeout)on_timeout,
        .lock_policy = (enum lock_policy)lock_policy, .patience = w->patience_given ? w->patience : c->patience,
        .allow_collateral = w->allow_collateral};
    return read_if_match(d, w->if_match, &ret->rq.only_if_medium, e);
}

static int read_insert(struct daemon *d, const struct wire *w, struct gadget_request *ret, struct err *e)
{
    if (read_eject(d, w, ret, e) < 0) return -1;
    enum drive_type type = (enum drive_type)d->config->drives[ret->drive].type;
    if (w->type[0] && strcmp(w->type, drive_type_names[type]) != 0)
        return err_set(e, ERR_DRIVE_TYPE_DIFFERS, "Drive %s is of type %s, not %s", w->drive, drive_type_names[type], w->type);
    if (w->swap[0] && strcmp(w->swap, "direct") != 0)
        return err_set(e, ERR_BAD_REQUEST, "\"swap\" is \"%s\"; it must be \"direct\"", w->swap);
    if (type == DRIVE_CDROM && w->readonly_given && !w->readonly)
        return err_set(e, ERR_BAD_REQUEST, "Drive %s is a CD drive: nothing can be written there, so \"readonly\" cannot be false",
                       w->drive);
    ret->rq.action = OP_INSERT;
    ret->rq.readonly = type == DRIVE_CDROM || w->readonly;
    ret->rq.swap_direct = w->swap[0] != '\0';
    ret->rq.accept_stale_host = w->accept_stale_host;
    ret->rq.reattach = w->reattach;
    ret->rq.only_if_empty = w->if_empty;
    ret->rq.image = images_intern(d->images, w->store, w->image, e);
    return ret->rq.image ? 0 : -1;
}

static int read_operation(struct daemon *d, const struct wire *w, struct gadget_request *ret, struct err *e)
{
    ret->operation = operations_by_id(d->operations, w->operation);
    return ret->operation ? 0 : err_set(e, ERR_NOT_FOUND, "There is no operation \"%s\"", w->operation);
}

static int read_nothing(attr_unused struct daemon *d, attr_unused const struct wire *w,
                        attr_unused struct gadget_request *ret, attr_unused struct err *e)
{
    return 0;
}

static int read_eject_only(struct daemon *d, const struct wire *w, struct gadget_request *ret, struct err *e)
{
    return read_eject(d, w, ret, e);
}

static int read_order(attr_unused struct daemon *d, const struct wire *w, struct gadget_request *ret, attr_unused struct err *e)
{
    strcpy(ret->order, w->order);
    ret->rq.allow_collateral = w->allow_collateral;
    return 0;
}

static int read_store(struct daemon *d, const struct wire *w, struct gadget_request *ret, struct err *e)
{
    const struct store_config *store = w->store[0] ? store_list_find(&d->config->stores, w->store) : NULL;
    if (!store) return err_set(e, ERR_NOT_FOUND, "There is no store \"%.300s\"", w->store);
    ret->store = (size_t)(store - d->config->stores.items);
    ret->unmount = w->unmount;
    strcpy(ret->order, w->order);
    return 0;
}

/* The eject that may follow is a forced one. */
static int read_break(struct daemon *d, const struct wire *w, struct gadget_request *ret, struct err *e)
{
    static const char *const thens[] = {"nothing", "eject", NULL};
    int then;
    if (read_eject(d, w, ret, e) < 0 || choose(thens, "then", w->then, 0, &then, e) < 0) return -1;
    ret->rq.mode = EJECT_FORCED;
    ret->then_eject = then == 1;
    return 0;
}

static const struct {
    const char *what;
    int (*read)(struct daemon *d, const struct wire *w, struct gadget_request *ret, struct err *e);
} kinds[] = {
    {"hello", read_nothing},     {"schedules", read_nothing}, {"insert", read_insert},    {"eject", read_eject_only},
    {"cancel", read_operation},  {"force", read_operation},  {"gadget", read_order},
    {"break", read_break},       {"store", read_store},
};

int gadget_request_read(struct daemon *d, const json_t *message, struct gadget_request *ret, struct err *e)
{
    struct wire w = {0};
#define TEXT(m) {.name = #m, .kind = JSON_TEXT, .ret = w.m, .size = sizeof w.m}
#define FLAG(m) {.name = #m, .kind = JSON_FLAG, .ret = &w.m}
    const struct json_member members[] = {
        {.name = "id", .kind = JSON_NUMBER, .ret = &w.id, .max = INT64_MAX, .required = true},
        {.name = "do", .kind = JSON_TEXT, .ret = w.what, .size = sizeof w.what, .required = true},
        {.name = "patience", .kind = JSON_DURATION, .ret = &w.patience, .max = PATIENCE_MAX, .ret_given = &w.patience_given},
        {.name = "readonly", .kind = JSON_FLAG, .ret = &w.readonly, .ret_given = &w.readonly_given},
        TEXT(by), TEXT(drive), TEXT(image), TEXT(store), TEXT(mode), TEXT(on_timeout), TEXT(lock_policy), TEXT(swap),
        TEXT(type), TEXT(if_match), TEXT(operation), TEXT(order), TEXT(then),
        FLAG(accept_stale_host), FLAG(reattach), FLAG(allow_collateral), FLAG(if_empty), FLAG(unmount),
    };
    if (json_read(message, members, ARRAY_LEN(members), e) < 0) return -1;
    *ret = (struct gadget_request){0};
    strcpy(ret->what, w.what);
    snprintf(ret->by, sizeof ret->by, "%s", w.by[0] ? w.by : "unknown");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].what, w.what) == 0) return kinds[i].read(d, &w, ret, e);
    return err_set(e, ERR_BAD_REQUEST, "\"do\" is \"%s\", which is no request", w.what);
}
