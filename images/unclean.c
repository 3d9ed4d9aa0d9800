#include "images/unclean.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "images/store.h"

#define ATTRIBUTE "user.trayd.unclean"

json_t *unclean_json(const struct unclean *mark)
{
    if (!mark->at) return NULL;
    json_t *json = json_object();
    json_put_time(json, "at", mark->at);
    json_put_text(json, "by", mark->by);
    json_put_text(json, "operation", mark->operation);
    json_put_text(json, "reason", mark->reason);
    return json;
}

int unclean_parse(const json_t *json, struct unclean *ret, struct err *e)
{
    struct unclean mark = {0};
    char at[CLOCK_TEXT_MAX] = "";
#define TEXT(member, array) {.name = member, .kind = JSON_TEXT, .ret = array, .size = sizeof array, .required = true}
    const struct json_member members[] = {TEXT("at", at), TEXT("by", mark.by), TEXT("operation", mark.operation),
                                          TEXT("reason", mark.reason)};
#undef TEXT
    if (json_read(json, members, ARRAY_LEN(members), e) < 0) return -1;
    if (clock_parse_rfc3339(at, &mark.at) < 0 || mark.at <= 0)
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" is no time", at);
    *ret = mark;
    return 0;
}

void unclean_read(int fd, struct unclean *ret)
{
    char text[UNCLEAN_BYTES_MAX];
    *ret = (struct unclean){0};
    ssize_t len = fgetxattr(fd, ATTRIBUTE, text, sizeof text);
    if (len <= 0) return;
    cleanup_json json_t *json = json_parse_object(text, (size_t)len, sizeof text, NULL);
    if (json) unclean_parse(json, ret, NULL);
}

int unclean_write(const struct fileops *ops, int fd, const struct unclean *mark, struct err *e)
{
    cleanup_json json_t *json = mark ? unclean_json(mark) : NULL;
    cleanup_free char *text = json ? json_write(json, true) : NULL;
    if (mark && !text) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (text && strlen(text) > UNCLEAN_BYTES_MAX) return err_set(e, ERR_BAD_REQUEST, "The mark is too long");
    if (ops->set_xattr(fd, ATTRIBUTE, text ? text : "", text ? strlen(text) : 0) < 0) {
        if (errno == EOPNOTSUPP && !mark) return 0; /* there can be none */
        if (errno == EOPNOTSUPP) return err_set(e, ERR_STORE_CANNOT, "The store's file system cannot keep marks");
        return err_set_errno(e, store_code_for_errno(errno), errno, "Cannot change the mark");
    }
    return ops->sync(fd) < 0 ? err_set_errno(e, store_code_for_errno(errno), errno, "Cannot change the mark") : 0;
}
