/*
 * main.c - trayd: from the command line to a running service, and back.
 *
 * The order matters. As root: directories, the listening socket and the keeper of trayd-gadget come first; then root
 * is given up; only then is anything read that a client can reach.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "images/digests.h"
#include "images/helper.h"
#include "server/config.h"
#include "server/directories.h"
#include "server/gadget_process.h"
#include "server/http.h"
#include "server/keeper.h"
#include "server/notify.h"
#include "server/options.h"
#include "server/privileges.h"
#include "server/program.h"
#include "server/simulation.h"
#include "server/store_audit.h"
#include "server/store_marks.h"
#include "server/store_operations.h"

#define END_PATIENCE_S 10 /* a thread may hang in a store that is gone; nothing needs it any more */

struct service {
    struct options options;
    struct server_config config;
    struct simulation simulation;
    const char *config_path;
    struct identity identity;  /* what we become */
    bool dropping;             /* we are root, and become it */
    struct address address;
    int listen_fd;
    struct keeper keeper;
    struct store_db *db;
    struct library *library;
    struct jobs *jobs;
    struct downloads *downloads;
    struct digests *digests;
    struct converter converter;
    struct api *api;
    struct http_server *http;
};

static int choose_identity(struct service *s, struct err *e)
{
    s->dropping = geteuid() == 0;
    if (!s->dropping) {
        privileges_current(&s->identity);
        return 0;
    }
    /* A simulation must run where nobody has made a user yet. */
    if (privileges_find(s->config.user, &s->identity, e) == 0) return 0;
    return s->options.simulate ? privileges_find("nobody", &s->identity, e) : -1;
}

static int read_config(struct service *s, struct err *e)
{
    server_config_defaults(&s->config);
    s->config_path = s->options.config ? s->options.config : CONFIG_PATH_DEFAULT;
    if (s->options.simulate && !s->options.config) {
        if (choose_identity(s, e) < 0 || simulation_make(s->dropping ? &s->identity : NULL, &s->simulation, e) < 0)
            return -1;
        s->config_path = s->simulation.config;
    }
    if (server_config_load(s->config_path, &s->config, e) < 0) return -1;
    if (s->options.listen) snprintf(s->config.listen, sizeof s->config.listen, "%s", s->options.listen);
    if (address_parse(s->config.listen, &s->address, e) < 0) return err_prefix(e, "--listen");
    log_init("trayd", (enum log_level)s->config.log_level);
    return choose_identity(s, e);
}

static int make_directories(struct service *s, struct err *e)
{
    const struct identity *owner = s->dropping ? &s->identity : NULL;
    if (directories_make_for(s->config.database, owner, 0750, e) < 0) return -1;
    for (size_t i = 0; i < s->config.stores.count; i++) {
        struct err why;
        const struct store_config *store = &s->config.stores.items[i];
        /* One that is missing is shown as detached; the others work. */
        if (!store->readonly && directories_make(store->path, owner, 0755, &why) < 0)
            log_warning("Store %s: %s", store->name, why.text);
    }
    return 0;
}

static int listen_on(struct service *s, struct err *e)
{
    s->listen_fd = address_listen(&s->address, e);
    if (s->listen_fd < 0) return -1;
    if (s->dropping && s->address.any.sa_family == AF_UNIX &&
        chown(s->address.local.sun_path, s->identity.uid, s->identity.gid) < 0)
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot give the socket to %s", s->identity.name);
    return 0;
}

static int keep_gadget(struct service *s, int program_fd, struct err *e)
{
    char host_socket[STORE_PATH_MAX + 16]; /* where a test plays the host */
    const char *arguments[] = {"--config", s->config_path, s->options.simulate ? "--simulate" : NULL, host_socket,
                               NULL};
    snprintf(host_socket, sizeof host_socket, "%s/host.sock", s->config.runtime_dir);
    struct keeper_config c = {
        .program_fd = program_fd,
        .listening_fd = s->listen_fd,
        .arguments = arguments,
        .end_with_parent = s->options.simulate,
        .remove_directory = s->simulation.directory[0] ? s->simulation.directory : NULL,
    };
    return keeper_start(&c, &s->keeper, e);
}

/* Without it everything works but fetching and unpacking, which say so. */
static void find_helper(void)
{
    struct err why;
    int fd = program_find("trayd-helper", &why);
    if (fd < 0) log_warning("%s: images cannot be fetched or unpacked", why.text);
    helper_use(fd);
}

/* Real drives are kept by root, a simulation by whom we become. */
static int start_gadget_and_drop(struct service *s, struct err *e)
{
    const struct identity *become = s->dropping ? &s->identity : NULL;
    int program_fd = -1;
    bool wanted = s->options.simulate || (!s->options.no_gadget && s->dropping);
    if (wanted && !s->options.simulate && gadget_process_answers(s->config.gadget_socket)) {
        log_info("trayd-gadget runs already, on %s", s->config.gadget_socket);
        wanted = false;
    }
    if (wanted && (program_fd = gadget_process_find(e)) < 0) return -1;
    if (wanted && !s->options.simulate && keep_gadget(s, program_fd, e) < 0) return -1;
    find_helper();
    if (privileges_drop(become, e) < 0) return -1;
    return s->options.simulate ? keep_gadget(s, program_fd, e) : 0;
}

static int start_service(struct service *s, struct err *e)
{
    s->db = store_db_open(s->config.database, e);
    if (!s->db) return -1;
    struct api_history history = store_operations_history(s->db);
    struct api_audit audit = store_audit_log(s->db);
    const struct library_limits limits = {
        .upload_max = s->config.upload_max ? (int64_t)MIN(s->config.upload_max, (uint64_t)INT64_MAX) : INT64_MAX,
        .upload_expires = s->config.upload_expires,
    };
    s->library = library_new_limited(&s->config.stores, &limits, e);
    if (!s->library) return -1;
    struct api_marks marks = store_marks(s->db);
    s->api = api_new(s->config.gadget_socket, s->library, &history, &audit, &marks, e);
    if (!s->api) return -1;
    s->jobs = jobs_new();
    s->downloads = s->jobs ? downloads_new(s->library, s->jobs, &s->config.fetch) : NULL;
    if (!s->downloads) return err_set(e, ERR_UNAVAILABLE, "Out of memory");
    s->converter = (struct converter){s->library, s->jobs, &s->config.fetch};
    api_set_makers(s->api, &(struct api_makers){s->jobs, s->downloads, &s->config.fetch, &s->converter});
    downloads_resume(s->downloads);
    convert_resume(&s->converter);
    if (s->config.digests != DIGESTS_NEVER &&
        !(s->digests = digests_new(s->library, s->jobs, (enum digests_mode)s->config.digests, e)))
        return -1;
    struct http_config http = {
        .origin = {.port = address_port(&s->address), .hosts_len = s->config.hosts_count},
        .header_timeout = s->config.header_timeout,
        .body_timeout = s->config.body_timeout,
    };
    memcpy(http.origin.hosts, s->config.hosts, sizeof http.origin.hosts);
    s->http = http_server_new(take_fd(&s->listen_fd), &http, s->api, e);
    return s->http ? 0 : -1;
}

static void too_late(int sig attr_unused)
{
    static const char text[] = "trayd: a request does not end; it is left behind\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    _exit(EXIT_SUCCESS);
}

/* In the reverse order of starting; whatever was not started is skipped. */
static void stop_service(struct service *s)
{
    signal(SIGALRM, too_late);
    alarm(END_PATIENCE_S);
    if (s->api) api_stop(s->api);
    jobs_stop(s->jobs);
    http_server_free(s->http);
    downloads_free(s->downloads);
    api_free(s->api);
    digests_free(s->digests); /* nobody has news for it any more */
    jobs_free(s->jobs);
    library_free(s->library);
    store_db_close(s->db);
    if (s->listen_fd >= 0) close(s->listen_fd);
    if (s->address.any.sa_family == AF_UNIX)
        unlink(s->address.local.sun_path); /* where we may; a stale one is replaced */
    keeper_stop(&s->keeper);
    if (s->simulation.directory[0]) directories_remove(s->simulation.directory); /* where the keeper was never started */
}

static int run(struct service *s, const sigset_t *ends, struct err *e)
{
    char url[ADDRESS_TEXT_MAX];
    if (make_directories(s, e) < 0 || listen_on(s, e) < 0 || start_gadget_and_drop(s, e) < 0 || start_service(s, e) < 0)
        return -1;
    printf("trayd " TRAYD_VERSION ": %s\n", address_url(&s->address, url));
    fflush(stdout);
    notify_systemd("READY=1");
    int sig;
    sigwait(ends, &sig);
    notify_systemd("STOPPING=1");
    return 0;
}

static int check_config(const char *path, struct err *e)
{
    struct server_config c;
    if (server_config_load(path, &c, e) < 0) return -1;
    printf("ok\n");
    return 0;
}

int main(int argc, char *argv[])
{
    struct err e;
    struct service s = {.listen_fd = -1};
    sigset_t ends;
    log_init("trayd", LOG_LEVEL_INFO);
    if (options_parse(argc, argv, &s.options, &e) < 0) {
        fprintf(stderr, "trayd: %s\n", e.text);
        return 2;
    }
    if (s.options.help) {
        options_help(stdout);
        return 0;
    }
    if (s.options.version) {
        printf("trayd " TRAYD_VERSION "\n");
        return 0;
    }
    if (s.options.check_config) {
        if (check_config(s.options.config ? s.options.config : CONFIG_PATH_DEFAULT, &e) == 0) return 0;
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    /* Blocked before the first thread and child, so that sigwait() is the only place where they arrive. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    int result = read_config(&s, &e);
    if (result == 0) result = run(&s, &ends, &e);
    if (result < 0) log_error("%s", e.text);
    stop_service(&s);
    return result < 0;
}
