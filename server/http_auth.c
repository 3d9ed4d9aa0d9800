#include "server/http_auth.h"

int http_auth_check(const struct http_fields *f, enum api_role needed, const char **ret_user, struct err *e)
{
    (void)f;
    const enum api_role given = API_ADMIN;
    if (needed > given) return err_set(e, ERR_FORBIDDEN, "This needs a higher role");
    *ret_user = "local";
    return 0;
}
