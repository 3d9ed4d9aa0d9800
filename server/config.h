/*
 * config.h - trayd's part of trayd.conf: the sections `server` and `fetch`, and the stores.
 *
 * etc/trayd.conf documents each key; the table in config.c is what accepts them. The section `gadget` belongs to
 * trayd-gadget; of it trayd needs where its socket and its runtime directory are, and reads both with
 * gadget/config.h's own reader, so that --check-config checks the whole file.
 */
#pragma once

#include "base/log.h"
#include "base/store_config.h"
#include "images/fetch_config.h"
#include "server/address.h"
#include "server/http_origin.h"

#define CONFIG_PATH_DEFAULT "/etc/trayd/trayd.conf"

struct server_config {
    char listen[128];              /* as address.h reads it */
    char hosts[HTTP_HOSTS_MAX][HTTP_HOST_MAX]; /* names that clients may use besides loopback */
    size_t hosts_count;
    char database[STORE_PATH_MAX];
    char user[32];                 /* what trayd becomes when it is started as root */
    int log_level;                 /* enum log_level */
    msec header_timeout, body_timeout;
    uint64_t upload_max;           /* bytes of one image; 0: any */
    msec upload_expires;
    int digests;                   /* enum digests_mode */
    int listen_line, hosts_line, database_line;
    struct store_list stores;
    struct fetch_config fetch;
    int ca_file_line;
    char gadget_socket[108];       /* gadget.socket */
    char runtime_dir[STORE_PATH_MAX]; /* gadget.runtime_dir */
};

void server_config_defaults(struct server_config *c);

/* Reads and checks both processes' parts of `path`. Returns 0, or -1 with *e = "FILE:LINE: what is wrong". */
int server_config_load(const char *path, struct server_config *ret, struct err *e);
