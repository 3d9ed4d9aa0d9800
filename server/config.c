#include "server/config.h"

#include <stdio.h>
#include <string.h>

#include "gadget/config.h"

#define KEY(k, kind_, ...) {.name = #k, .kind = kind_, .offset = offsetof(struct server_config, k), __VA_ARGS__}
#define TEXT(k, ...) KEY(k, CONFIG_TEXT, .size = sizeof(((struct server_config *)0)->k), __VA_ARGS__)
#define LINE(l) .line_offset = offsetof(struct server_config, l)

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL}; /* enum log_level */

static const struct config_key server_keys[] = {
    TEXT(listen, LINE(listen_line), .help = "\"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/run/trayd/http.sock\""),
    KEY(hosts, CONFIG_TEXTS, .size = HTTP_HOST_MAX, .count = HTTP_HOSTS_MAX, LINE(hosts_line),
        .count_offset = offsetof(struct server_config, hosts_count),
        .help = "names that clients may use in Host besides loopback: \"kvm.example.org\", \"kvm:8080\""),
    TEXT(database, LINE(database_line), .help = "where the history of operations is kept"),
    TEXT(user, .help = "what trayd becomes when it is started as root"),
    KEY(log_level, CONFIG_CHOICE, .choices = log_levels, .help = "the most talkative messages that are printed"),
    KEY(header_timeout, CONFIG_DURATION, .min = 500, .max = 600000, .help = "for the head of a request"),
    KEY(body_timeout, CONFIG_DURATION, .min = 500, .max = 600000,
        .help = "for a JSON body, and for each 64 KiB of an upload"),
    KEY(upload_max, CONFIG_SIZE, .help = "the largest image that is received; 0: whatever the store has room for"),
    KEY(upload_expires, CONFIG_DURATION, .min = 1000, .max = (msec)365 * 24 * 60 * 60 * 1000,
        .help = "how long an unfinished upload is kept after its last byte"),
    {0},
};

static const struct config_key keys[] = {
    {.name = "server", .kind = CONFIG_GROUP, .keys = server_keys},
    {.name = "stores", .kind = CONFIG_LIST, .offset = offsetof(struct server_config, stores.items),
     .size = sizeof(struct store_config), .count = STORES_MAX, .keys = store_config_keys,
     .count_offset = offsetof(struct server_config, stores.count)},
    {.name = "gadget", .kind = CONFIG_FOREIGN},
    {.name = "drives", .kind = CONFIG_FOREIGN},
    {.name = "functions", .kind = CONFIG_FOREIGN},
    {0},
};

void server_config_defaults(struct server_config *c)
{
    *c = (struct server_config){
        .listen = "127.0.0.1:8080",
        .database = "/var/lib/trayd/trayd.db",
        .user = "trayd",
        .log_level = LOG_LEVEL_INFO,
        .header_timeout = 20000,
        .body_timeout = 30000,
        .upload_expires = (msec)24 * 60 * 60 * 1000,
    };
}

static int check(const char *path, const struct server_config *c, struct err *e)
{
    struct address address;
    if (address_parse(c->listen, &address, e) < 0) return err_prefix(e, "%s:%d", path, c->listen_line);
    if (c->database[0] != '/')
        return err_set(e, ERR_BAD_REQUEST, "%s:%d: database must be an absolute path, not \"%s\"", path,
                       c->database_line, c->database);
    for (size_t i = 0; i < c->hosts_count; i++)
        if (!http_origin_is_host(c->hosts[i]))
            return err_set(e, ERR_BAD_REQUEST, "%s:%d: \"%.100s\" in hosts is neither \"name\" nor \"name:port\"", path,
                           c->hosts_line, c->hosts[i]);
    return 0;
}

static int load_gadget(const char *path, struct server_config *c, struct err *e)
{
    cleanup_free struct gadget_config *g = calloc(1, sizeof *g); /* some tens of KiB */
    if (!g) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    if (gadget_config_load(path, g, e) < 0) return -1;
    snprintf(c->gadget_socket, sizeof c->gadget_socket, "%s", g->socket);
    snprintf(c->runtime_dir, sizeof c->runtime_dir, "%s", g->runtime_dir);
    return 0;
}

int server_config_load(const char *path, struct server_config *ret, struct err *e)
{
    server_config_defaults(ret);
    if (config_load(path, keys, ret, e) < 0 || check(path, ret, e) < 0 || store_list_check(&ret->stores, path, e) < 0)
        return -1;
    return load_gadget(path, ret, e);
}
