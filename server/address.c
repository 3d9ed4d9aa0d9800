#include "server/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/parse.h"

#define BACKLOG 256 /* as many as are served at once: beyond it, the kernel lets clients wait for a second */

static int parse_unix(const char *path, struct address *ret, struct err *e)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (path[0] != '/') return err_set(e, ERR_BAD_REQUEST, "the path in \"unix:%s\" must be absolute", path);
    if (strlen(path) >= sizeof sun.sun_path)
        return err_set(e, ERR_BAD_REQUEST, "the path of a unix socket has at most %zu bytes", sizeof sun.sun_path - 1);
    strcpy(sun.sun_path, path);
    ret->local = sun;
    ret->len = sizeof sun;
    return 0;
}

static int not_an_address(const char *text, struct err *e)
{
    return err_set(
        e, ERR_BAD_REQUEST,
        "\"%s\" is not an address such as \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/run/trayd/http.sock\"%s", text,
        strncmp(text, "localhost", 9) == 0 ? " (names are not resolved)" : "");
}

static bool is_loopback(const struct address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

int address_parse(const char *text, struct address *ret, struct err *e)
{
    char host[64];
    uint64_t port;
    if (strncmp(text, "unix:", 5) == 0) return parse_unix(text + 5, ret, e);
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host || parse_u64(colon + 1, &port) < 0 || port > UINT16_MAX)
        return not_an_address(text, e);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';

    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    size_t len = strlen(host);
    struct address a = {0};
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &in6.sin6_addr) != 1) return not_an_address(text, e);
        memcpy(&a.storage, &in6, sizeof in6);
        a.len = sizeof in6;
    } else {
        if (inet_pton(AF_INET, host, &in.sin_addr) != 1) return not_an_address(text, e);
        memcpy(&a.storage, &in, sizeof in);
        a.len = sizeof in;
    }
    if (!is_loopback(&a))
        return err_set(
            e, ERR_BAD_REQUEST,
            "\"%s\" can be reached from the network, and there is no authentication yet: listen on 127.0.0.1, "
            "[::1] or a unix socket",
            text);
    *ret = a;
    return 0;
}

uint16_t address_port(const struct address *a)
{
    if (a->any.sa_family == AF_INET) return ntohs(((const struct sockaddr_in *)(const void *)a)->sin_port);
    if (a->any.sa_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)(const void *)a)->sin6_port);
    return 0;
}

const char *address_host(const struct address *a, char text[ADDRESS_TEXT_MAX])
{
    if (a->any.sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, text, ADDRESS_TEXT_MAX);
    else if (a->any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, text, ADDRESS_TEXT_MAX);
    else
        strcpy(text, "local");
    return text;
}

const char *address_url(const struct address *a, char text[ADDRESS_TEXT_MAX])
{
    char host[ADDRESS_TEXT_MAX];
    if (a->any.sa_family == AF_UNIX)
        snprintf(text, ADDRESS_TEXT_MAX, "unix:%s", a->local.sun_path);
    else
        snprintf(text, ADDRESS_TEXT_MAX, a->any.sa_family == AF_INET6 ? "http://[%.64s]:%u" : "http://%.64s:%u",
                 address_host(a, host), address_port(a));
    return text;
}

/* A socket file outlives its process. It is taken away only when nobody answers there. */
static int remove_stale(const struct address *a, struct err *e)
{
    struct stat st;
    if (lstat(a->local.sun_path, &st) < 0) return 0;
    cleanup_close int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!S_ISSOCK(st.st_mode)) return err_set(e, ERR_EXISTS, "%s exists and is not a socket", a->local.sun_path);
    if (probe >= 0 && connect(probe, &a->any, a->len) == 0)
        return err_set(e, ERR_EXISTS, "Another process listens on %s", a->local.sun_path);
    unlink(a->local.sun_path);
    return 0;
}

int address_listen(struct address *a, struct err *e)
{
    char text[ADDRESS_TEXT_MAX];
    bool local = a->any.sa_family == AF_UNIX;
    cleanup_close int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot make a socket for %s", address_url(a, text));
    if (local && remove_stale(a, e) < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, &a->any, a->len) < 0 || listen(fd, BACKLOG) < 0)
        return err_set_errno(e, ERR_UNAVAILABLE, errno, "Cannot listen on %s", address_url(a, text));
    /* Who may connect is decided by the directory's permissions and the group. */
    if (local) {
        if (chmod(a->local.sun_path, 0660) < 0)
            return err_set_errno(e, ERR_INTERNAL, errno, "Cannot set the mode of %s", a->local.sun_path);
    } else {
        a->len = sizeof a->storage;
        getsockname(fd, &a->any, &a->len);
    }
    return take_fd(&fd);
}
