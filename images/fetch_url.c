#include "images/fetch_url.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

static const struct {
    const char *prefix, *port;
} schemes[] = {{"http://", ":80"}, {"https://", ":443"}};

static int read_user(const char *text, size_t len, struct fetch_url *u, struct err *e)
{
    const char *colon = memchr(text, ':', len);
    size_t user = colon ? (size_t)(colon - text) : len;
    if (memchr(text, '@', len) || parse_percent(text, user, u->username, sizeof u->username) < 0 ||
        (colon && parse_percent(colon + 1, len - user - 1, u->password, sizeof u->password) < 0))
        return err_set(e, ERR_BAD_REQUEST, "The user name or password in the url is malformed");
    return 0;
}

static void read_name(const char *path, size_t len, struct fetch_url *u)
{
    size_t from = len;
    while (from > 0 && path[from - 1] != '/') from--;
    if (parse_percent(path + from, len - from, u->name, sizeof u->name) < 0 || name_check(u->name, NULL) < 0)
        u->name[0] = '\0';
}

static int check_characters(const char *text, struct err *e)
{
    if (strlen(text) >= FETCH_URL_MAX)
        return err_set(e, ERR_BAD_REQUEST, "The url is longer than %d bytes", FETCH_URL_MAX - 1);
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p >= 0x7f || strchr("\\\"<>^`{|}", *p))
            return err_set(e, ERR_BAD_REQUEST, "The url has a character in it that must be percent-encoded");
    return 0;
}

/* With the port, so that "http://a" and "http://a:80" are the same. */
static void make_origin(struct fetch_url *u, size_t scheme, const char *host, size_t len)
{
    const char *bracket = memchr(host, ']', len), *from = bracket ? bracket : host;
    bool has_port = memchr(from, ':', len - (size_t)(from - host)) != NULL;
    snprintf(u->origin, sizeof u->origin, "%s%.*s%s", schemes[scheme].prefix, (int)len, host,
             has_port ? "" : schemes[scheme].port);
    for (char *p = u->origin; *p; p++) *p = (char)tolower((unsigned char)*p);
}

int fetch_url_parse(const char *text, struct fetch_url *ret, struct err *e)
{
    struct fetch_url u = {0};
    size_t scheme = 0;
    if (check_characters(text, e) < 0) return -1;
    while (scheme < ARRAY_LEN(schemes) && strncasecmp(text, schemes[scheme].prefix, strlen(schemes[scheme].prefix)) != 0)
        scheme++;
    if (scheme == ARRAY_LEN(schemes)) return err_set(e, ERR_BAD_REQUEST, "The url must begin with http:// or https://");

    const char *authority = text + strlen(schemes[scheme].prefix);
    size_t len = strcspn(authority, "/?#");
    const char *path = authority + len, *at = memrchr(authority, '@', len), *host = at ? at + 1 : authority;
    size_t host_len = (size_t)(path - host), shown = strcspn(path, "?#"), kept = strcspn(path, "#");
    if (at && read_user(authority, (size_t)(at - authority), &u, e) < 0) return -1;
    if (host_len == 0 || host[0] == ':') return err_set(e, ERR_BAD_REQUEST, "The url names no server");
    make_origin(&u, scheme, host, host_len);
    const char *slash = *path == '/' ? "" : "/";
    snprintf(u.text, sizeof u.text, "%s%.*s%s%.*s", schemes[scheme].prefix, (int)host_len, host, slash, (int)kept, path);
    snprintf(u.shown, sizeof u.shown, "%s%.*s%s%.*s", schemes[scheme].prefix, (int)host_len, host, slash, (int)shown,
             path);
    read_name(path, shown, &u);
    *ret = u;
    return 0;
}
