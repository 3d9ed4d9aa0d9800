#include "server/http_origin.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"

struct authority {
    char name[HTTP_HOST_MAX]; /* lower case, without brackets' port and a trailing dot */
    uint16_t port;            /* 0: none given */
};

/* "name", "name:port", "[v6]", "[v6]:port" */
static bool split(const char *text, struct authority *ret)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-._";
    uint64_t port = 0;
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    if (text[0] == '[' && !end) return false;
    const char *colon = strchr(end ? end : text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    if (len == 0 || len >= sizeof ret->name || (end && len != (size_t)(end + 1 - text))) return false;
    if (colon && (parse_u64(colon + 1, &port) < 0 || port == 0 || port > UINT16_MAX)) return false;
    for (size_t i = 0; i < len; i++) ret->name[i] = (char)tolower((unsigned char)text[i]);
    ret->name[len] = '\0';
    ret->port = (uint16_t)port;
    if (end) return strspn(ret->name + 1, "0123456789abcdef:.") == len - 2;
    if (strspn(ret->name, allowed) != len) return false;
    if (len > 1 && ret->name[len - 1] == '.') ret->name[len - 1] = '\0';
    return true;
}

bool http_origin_is_host(const char *host)
{
    struct authority a;
    return split(host, &a);
}

static bool is_loopback(const char *name)
{
    size_t len = strlen(name);
    if (strcmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0) return true;
    if (len > 10 && strcmp(name + len - 10, ".localhost") == 0) return true; /* loopback, always: RFC 6761 */
    return strncmp(name, "127.", 4) == 0 && strspn(name, "0123456789.") == len;
}

#define HTTP_PORT 80

static bool host_is_ours(const struct http_origin *o, const struct authority *a)
{
    uint16_t port = a->port ? a->port : HTTP_PORT;
    if (is_loopback(a->name) && (o->port == 0 || port == o->port)) return true;
    for (size_t i = 0; i < o->hosts_len; i++) {
        struct authority known;
        if (split(o->hosts[i], &known) && strcmp(known.name, a->name) == 0 && (!known.port || known.port == port))
            return true;
    }
    return false;
}

/* An Origin is a scheme and an authority; which scheme a proxy in front of us speaks is not ours to know. */
static bool origin_is_host(const char *origin, const struct authority *host)
{
    struct authority a;
    bool tls = strncasecmp(origin, "https://", 8) == 0;
    if (!tls && strncasecmp(origin, "http://", 7) != 0) return false;
    if (!split(origin + (tls ? 8 : 7), &a)) return false;
    uint16_t standard = tls ? 443 : HTTP_PORT;
    return strcmp(a.name, host->name) == 0 && (a.port ? a.port : standard) == (host->port ? host->port : standard);
}

static bool is_read(enum api_method m)
{
    return m == API_GET || m == API_HEAD || m == API_OPTIONS;
}

static bool is_visit(const char *path, const struct http_fields *f)
{
    const char *mode = http_fields_get(f, "Sec-Fetch-Mode"), *dest = http_fields_get(f, "Sec-Fetch-Dest");
    return strcmp(path, "/") == 0 && mode && strcmp(mode, "navigate") == 0 && dest && strcmp(dest, "document") == 0;
}

int http_origin_check(const struct http_origin *o, enum api_method m, const char *path, const struct http_fields *f,
                      struct err *e)
{
    struct authority authority = {0};
    const char *host = http_fields_get(f, "Host"), *origin = http_fields_get(f, "Origin");
    const char *site = http_fields_get(f, "Sec-Fetch-Site");
    if (host && !split(host, &authority)) return err_set(e, ERR_BAD_REQUEST, "The Host \"%.80s\" is malformed", host);
    if (host && !host_is_ours(o, &authority))
        return err_set(e, ERR_MISDIRECTED, "\"%.120s\" is not a name that this service knows itself by", host);
    if (origin && !is_read(m) && (!host || !origin_is_host(origin, &authority)))
        return err_set(e, ERR_FORBIDDEN, "A page from \"%.120s\" may not change anything here", origin);
    if (!site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0) return 0;
    if (is_read(m) && (strcmp(site, "same-site") == 0 || is_visit(path, f))) return 0;
    return err_set(e, ERR_FORBIDDEN, "A page from elsewhere (Sec-Fetch-Site: %.40s) may not do this", site);
}
