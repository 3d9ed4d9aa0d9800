/*
 * trayd-gadget: the one owner of the gadget. Root, no network, one event loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/log.h"
#include "gadget/daemon.h"
#include "gadget/priority.h"

#define DEFAULT_CONFIG "/etc/trayd/trayd.conf"

static void usage(FILE *to)
{
    fprintf(to,
            "trayd-gadget [OPTION]...  plays the drives of trayd through Linux's USB mass-storage gadget\n"
            "  -c, --config FILE       configuration (" DEFAULT_CONFIG ")\n"
            "      --check-config      read it, say what is wrong with it, and end\n"
            "      --simulate SOCKET   a host and a kernel in memory, driven through SOCKET; needs no root\n"
            "      --take-down         remove the gadget from the kernel, and end\n"
            "      --log-level LEVEL   error, warning, info (the default) or debug\n"
            "      --version           print the version\n"
            "      --help              print this\n");
}

struct options {
    const char *config, *simulation;
    bool check, take_down;
    int log_level;
};

enum { OPT_CHECK = 256, OPT_SIMULATE, OPT_TAKE_DOWN, OPT_LEVEL, OPT_VERSION, OPT_HELP };

/* Returns -1 to go on, or the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},         {"check-config", no_argument, NULL, OPT_CHECK},
        {"simulate", required_argument, NULL, OPT_SIMULATE}, {"take-down", no_argument, NULL, OPT_TAKE_DOWN},
        {"log-level", required_argument, NULL, OPT_LEVEL}, {"version", no_argument, NULL, OPT_VERSION},
        {"help", no_argument, NULL, OPT_HELP},            {0},
    };
    *o = (struct options){.config = DEFAULT_CONFIG, .log_level = LOG_LEVEL_INFO};
    for (int opt; (opt = getopt_long(argc, argv, "c:", known, NULL)) != -1;) {
        switch (opt) {
        case 'c': o->config = optarg; break;
        case OPT_CHECK: o->check = true; break;
        case OPT_SIMULATE: o->simulation = optarg; break;
        case OPT_TAKE_DOWN: o->take_down = true; break;
        case OPT_LEVEL:
            o->log_level = log_level_from_name(optarg);
            if (o->log_level >= 0) break;
            fprintf(stderr, "trayd-gadget: \"%s\" is no log level\n", optarg);
            return 2;
        case OPT_VERSION: printf("trayd-gadget %s\n", TRAYD_VERSION); return 0;
        case OPT_HELP: usage(stdout); return 0;
        default: usage(stderr); return 2;
        }
    }
    if (optind == argc) return -1;
    fprintf(stderr, "trayd-gadget: what is \"%s\"?\n", argv[optind]);
    return 2;
}

static void on_signal(struct loop_watch *w, attr_unused uint32_t events)
{
    struct signalfd_siginfo info;
    if (read(w->fd, &info, sizeof info) == sizeof info) loop_stop(w->owner);
}

/* Two owners of one gadget can deadlock the kernel: one lock, held as long as we live. */
static int lock_runtime_dir(const struct gadget_config *c, struct err *e)
{
    char path[STORE_PATH_MAX + 16];
    if (mkdir(c->runtime_dir, 0755) < 0 && errno != EEXIST)
        return err_set_errno(e, ERR_INTERNAL, errno, "Cannot make %s", c->runtime_dir);
    snprintf(path, sizeof path, "%s/daemon.lock", c->runtime_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return err_set_errno(e, ERR_INTERNAL, errno, "Cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return err_set(e, ERR_INTERNAL, "Another trayd-gadget is running: it holds %s", path);
    }
    return fd;
}

static int run(const struct gadget_config *c, const struct options *o, struct err *e)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (!o->simulation) priority_first();
    struct loop *l = loop_new(e);
    if (!l) return -1;
    struct loop_watch on_end;
    cleanup_close int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    int result = -1;
    struct daemon *d = daemon_new(c, l, o->simulation, e);
    if (d && loop_add(l, &on_end, signal_fd, EPOLLIN, on_signal, l) == 0) result = loop_run(l);
    if (d && result < 0) err_set_errno(e, ERR_INTERNAL, errno, "The event loop failed");
    daemon_free(d); /* the gadget and its media stay in the kernel */
    loop_free(l);
    return result;
}

/* ---- taking the gadget down -------------------------------------------------------------------------------------- */

struct take_down {
    struct loop *loop;
    struct gadget_result result;
};

static void on_removed(void *owner, const struct gadget_result *r)
{
    struct take_down *t = owner;
    t->result = *r;
    loop_stop(t->loop);
}

static void ignore_result(attr_unused void *o, attr_unused size_t d, attr_unused const struct engine_result *r) {}
static void ignore_link(attr_unused void *o, attr_unused const struct engine_link *l) {}
static void ignore_drive(attr_unused void *o, attr_unused size_t d) {}

static void ignore_cut(attr_unused void *o, attr_unused size_t d, attr_unused const struct err *e) {}

static int take_down(const struct gadget_config *c, struct err *e)
{
    struct take_down t = {.loop = loop_new(e)};
    if (!t.loop) return -1;
    const struct engine_sink sink = {.cut = ignore_cut, .owner = &t, .result = ignore_result, .gadget = on_removed, .link = ignore_link,
                                     .closed = ignore_drive, .active = ignore_drive, .held = ignore_drive};
    struct engine *engine = engine_kernel_new(c, t.loop, &sink, e);
    if (engine) {
        engine->class->gadget(engine, GADGET_REMOVE);
        loop_run(t.loop);
        *e = t.result.err;
        engine->class->free(engine);
    }
    loop_free(t.loop);
    return engine && t.result.ok ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct options o;
    struct err e = {0};
    int status = read_options(argc, argv, &o);
    if (status >= 0) return status;
    log_init("trayd-gadget", (enum log_level)o.log_level);
    FAULT_POINT("start");
    static struct gadget_config config; /* static: 100 KB */
    if (gadget_config_load(o.config, &config, &e) < 0) {
        log_error("%s", e.text);
        return 1;
    }
    if (o.check) {
        printf("%s: ok\n", o.config);
        return 0;
    }
    cleanup_close int lock = lock_runtime_dir(&config, &e);
    if (lock < 0 || (o.take_down ? take_down(&config, &e) : run(&config, &o, &e)) < 0) {
        log_error("%s", e.text);
        return 1;
    }
    return 0;
}
