#include "server/config.h"

#include <stdio.h>
#include <string.h>

#include "gadget/config.h"
#include "images/digests.h"

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
    KEY(digests, CONFIG_CHOICE, .choices = digests_mode_names, .help = "images whose SHA-256 is computed unasked"),
    {0},
};

#define FETCH(k, member, kind_, ...)                                                                                 \
    {.name = k, .kind = kind_, .offset = offsetof(struct server_config, fetch.member), __VA_ARGS__}

static const struct config_key fetch_keys[] = {
    FETCH("private", private_addresses, CONFIG_FLAG, .help = "addresses of the own network may be contacted"),
    FETCH("link_local", link_local, CONFIG_FLAG, .help = "so may those without a router, and a cloud's metadata service"),
    FETCH("loopback", loopback, CONFIG_FLAG, .help = "so may this machine itself"),
    FETCH("largest", largest, CONFIG_SIZE, .help = "of an image that is fetched or unpacked"),
    FETCH("rate", rate, CONFIG_SIZE, .help = "bytes per second of a download; 0 B: as fast as it comes"),
    FETCH("stall_timeout", stall_timeout, CONFIG_DURATION, .min = 200, .max = 600000,
          .help = "a server that sends next to nothing for so long has failed"),
    FETCH("retries", retries, CONFIG_NUMBER, .max = 1000, .help = "failures in a row"),
    FETCH("retry_pause", retry_pause, CONFIG_DURATION, .min = 10, .max = 60000,
          .help = "after the first failure; doubled each time, up to a minute"),
    FETCH("ca_file", ca_file, CONFIG_TEXT, .size = sizeof(((struct fetch_config *)0)->ca_file), LINE(ca_file_line),
          .help = "certificates to trust instead of the system's"),
    {0},
};

static const struct config_key keys[] = {
    {.name = "fetch", .kind = CONFIG_GROUP, .keys = fetch_keys},
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
        .digests = DIGESTS_NEW,
        .stores.items[0] = store_defaults,
        .header_timeout = 20000,
        .body_timeout = 30000,
        .fetch = {
            .private_addresses = true, /* an appliance's images lie in the network that it stands in */
            .stall_timeout = 30000,
            .retries = 8,              /* with pauses of 1 s, 2 s, ... 60 s: about four minutes without a server */
            .retry_pause = 1000,
            .largest = (uint64_t)128 << 30,
        },
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
    if (c->fetch.ca_file[0] && c->fetch.ca_file[0] != '/')
        return err_set(e, ERR_BAD_REQUEST, "%s:%d: ca_file must be an absolute path, not \"%s\"", path,
                       c->ca_file_line, c->fetch.ca_file);
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
