/*
 * main.c - trayd-helper: does one job for trayd with what strangers made, and ends (helper.h).
 */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "images/helper_child.h"
#include "images/sandbox.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1 /* their runtime maps terabytes, and makes calls of its own */
#else
#define SANITIZED 0
#endif

static const struct {
    const char *name;
    helper_role *run;
    struct sandbox box;
} roles[] = {
    /* TLS with a large chain of certificates is some MiB; threads are libcurl's resolver. */
    {"fetch", fetch_run, {.memory = (size_t)512 << 20, .network = true}},
    /* xz -9 and zstd -19 want 64 MiB and 8 MiB to unpack; zstd --long=27 wants 128 MiB. */
    {"unpack", unpack_run, {.memory = (size_t)256 << 20}},
    /* DISC_ENTRIES_MAX names, of which libarchive keeps those whose turn has not come. */
    {"list", list_run, {.memory = (size_t)384 << 20}},
    /* FILES_MAX files: 30 MiB in the pile, and 60 MiB in libarchive, which knows all of a ZIP archive's files at once. */
    {"make", make_run, {.memory = (size_t)384 << 20}},
};

static void tell_failure(const struct err *e)
{
    json_t *event = json_object();
    json_put_text(event, "event", "failed");
    json_put_text(event, "code", err_name(e->code));
    json_put_text(event, "text", e->text);
    child_tell(event);
}

static int run(size_t role, struct err *e)
{
    struct sandbox box = roles[role].box;
    cleanup_json json_t *order = child_order(e);
    if (!order) return -1;
    if (SANITIZED) box.memory = 0;
    box.readable = json_text(order, "ca_file");
    if (sandbox_enter(&box, e) < 0 || (!box.network && !SANITIZED && sandbox_no_more_calls(e) < 0)) return -1;
    return roles[role].run(order, e);
}

int main(int argc, char *argv[])
{
    struct err e = {0};
    size_t role = 0;
    log_init("trayd-helper", LOG_LEVEL_INFO);
    setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive turns names into UTF-8 by it */
    prctl(PR_SET_NAME, "trayd-helper"); /* it was started as a number under /proc/self/fd */
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a trayd that died before this is noticed by the first write */
    signal(SIGPIPE, SIG_IGN);
    if (argc != 2) {
        fprintf(stderr, "trayd-helper is started by trayd, and is of no use by itself\n");
        return 2;
    }
    while (role < ARRAY_LEN(roles) && strcmp(roles[role].name, argv[1]) != 0) role++;
    if (role == ARRAY_LEN(roles)) {
        fprintf(stderr, "trayd-helper: there is no role \"%s\"\n", argv[1]);
        return 2;
    }
    sandbox_close_others(HELPER_CONTROL_FD + 1);
    if (run(role, &e) == 0) _exit(EXIT_SUCCESS); /* everything was told, and the kernel is the quickest to clean up */
    tell_failure(&e);
    _exit(EXIT_FAILURE);
}
