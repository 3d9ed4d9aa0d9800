/*
 * engine_tool.c - the kernel engine alone, driven by lines on stdin, for scripts in the virtual machine.
 *
 *   engine_tool CONFIG
 *
 *   TAG start|bind|unbind|remove
 *   TAG open DRIVE STORE_PATH NAME [rw]
 *   TAG insert|swap DRIVE [rw]
 *   TAG ask|force|observe|sync DRIVE
 *   TAG signal DRIVE [breaks]
 *   TAG sample|capabilities|arm DRIVE
 *
 * An answer is a line that begins with the TAG, a number. What comes unasked has a word there: link, closed, active,
 * held, and 0 for the observation that follows held. Ends with its stdin.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "gadget/engine.h"

#define WORDS_MAX 6

struct tool {
    struct gadget_config config;
    struct loop *loop;
    struct engine *engine;
    struct loop_watch input;
    uint32_t gadget_tag;
    char line[1024];
    size_t len;
};

static const char *const outcomes[] = {[OUTCOME_OK] = "ok", [OUTCOME_BUSY] = "busy", [OUTCOME_ERROR] = "error"};
static const char *const orders[] = {
    [GADGET_START] = "start", [GADGET_START_UNBOUND] = "start-unbound", [GADGET_BIND] = "bind",
    [GADGET_UNBIND] = "unbind", [GADGET_REMOVE] = "remove", NULL};
static const char *const found[] = {[FOUND_NOTHING] = "nothing",
                                    [FOUND_AS_PLANNED] = "as_planned",
                                    [FOUND_HALF_BUILT] = "half_built",
                                    [FOUND_DIFFERENT] = "different",
                                    [FOUND_FOREIGN] = "foreign"};

static const char *drive_name(const struct tool *t, size_t drive)
{
    return t->config.drives[drive].name;
}

static void on_result(void *owner, size_t drive, const struct engine_result *r)
{
    const struct tool *t = owner;
    printf("%" PRIu32 " %s %s %s", r->ticket, drive_name(t, drive), drive_do_names[r->what], outcomes[r->outcome]);
    if (r->outcome != OUTCOME_OK) printf(" %s errno=%d \"%s\"", err_name(r->err.code), r->err.errnum, r->err.text);
    if (r->medium_known) printf(" %s", r->medium.present ? "present" : "empty");
    if (r->medium.present)
        printf(" %s%s size=%" PRIu64 " inode=%" PRIu64 " path=%s", r->medium.readonly ? "ro" : "rw",
               r->medium.deleted ? " deleted" : "", r->medium.size, r->medium.inode, r->medium.path);
    printf("\n");
}

static void on_gadget(void *owner, const struct gadget_result *r)
{
    const struct tool *t = owner;
    printf("%" PRIu32 " %s %s found=%s bound=%d %s%s\n", t->gadget_tag, orders[r->order], r->ok ? "ok" : "error",
           found[r->found], r->bound, r->ok ? "" : r->err.text, r->differences);
}

static void on_link(void *owner, const struct engine_link *l)
{
    (void)owner;
    printf("link udc=%s bound=%d configured=%d state=%s speed=%s\n", l->udc, l->bound, l->configured, l->state,
           l->speed);
}

static void on_closed(void *owner, size_t drive)
{
    printf("closed %s\n", drive_name(owner, drive));
}

static void on_active(void *owner, size_t drive)
{
    printf("active %s\n", drive_name(owner, drive));
}

static void on_held(void *owner, size_t drive)
{
    printf("held %s\n", drive_name(owner, drive));
}

static void sample(const struct tool *t, uint32_t tag, size_t drive)
{
    struct engine_sample s;
    t->engine->class->sample(t->engine, drive, &s);
    printf("%" PRIu32 " %s sample known=%d shared=%d read=%" PRIu64 " written=%" PRIu64 " commands=%" PRIu64
           " waiting=%s\n",
           tag, drive_name(t, drive), s.known, s.shared, s.bytes_read, s.bytes_written, s.commands,
           waiting_for_names[s.waiting_for]);
}

static void capabilities(const struct tool *t, uint32_t tag, size_t drive)
{
    struct engine_capabilities c;
    t->engine->class->capabilities(t->engine, drive, &c);
    printf("%" PRIu32 " %s capabilities forced_eject=%d break_io=%d signal=%d max_cdrom_bytes=%" PRIu64 "\n", tag,
           drive_name(t, drive), c.forced_eject, c.break_io, c.signal, c.max_cdrom_bytes);
}

static size_t find_drive(const struct tool *t, const char *name)
{
    size_t i = 0;
    while (i < t->config.drives_count && strcmp(drive_name(t, i), name) != 0) i++;
    return i;
}

static void run_words(struct tool *t, char *words[WORDS_MAX], size_t count)
{
    const struct engine_class *class = t->engine->class;
    uint32_t tag = (uint32_t)strtoul(words[0], NULL, 10);
    int order = word_index(orders, words[1]), what = word_index(drive_do_names, words[1]);
    size_t drive = count > 2 ? find_drive(t, words[2]) : t->config.drives_count;
    if (order >= 0) {
        t->gadget_tag = tag;
        class->gadget(t->engine, (enum gadget_order)order);
    } else if (drive == t->config.drives_count) {
        printf("%" PRIu32 " no such drive\n", tag);
    } else if (strcmp(words[1], "sample") == 0) {
        sample(t, tag, drive);
    } else if (strcmp(words[1], "capabilities") == 0) {
        capabilities(t, tag, drive);
    } else if (strcmp(words[1], "arm") == 0) {
        class->arm(t->engine, drive);
        printf("%" PRIu32 " %s arm ok\n", tag, words[2]);
    } else if (what < 0 || (what == DO_OPEN && count < 5)) {
        printf("%" PRIu32 " what?\n", tag);
    } else {
        bool open = what == DO_OPEN;
        struct engine_order o = {.what = (enum drive_do)what,
                                 .ticket = tag,
                                 .readonly = strcmp(words[count - 1], "rw") != 0,
                                 .breaks = strcmp(words[count - 1], "breaks") == 0,
                                 .store_path = open ? words[3] : NULL,
                                 .name = open ? words[4] : NULL};
        class->order(t->engine, drive, &o);
    }
}

static void run_line(struct tool *t, char *line)
{
    char *words[WORDS_MAX], *rest = NULL;
    size_t count = 0;
    for (char *w = strtok_r(line, " ", &rest); w && count < WORDS_MAX; w = strtok_r(NULL, " ", &rest))
        words[count++] = w;
    if (count >= 2) run_words(t, words, count);
}

static void on_input(struct loop_watch *w, uint32_t events)
{
    (void)events;
    struct tool *t = w->owner;
    ssize_t n = read(w->fd, t->line + t->len, sizeof t->line - t->len - 1);
    if (n <= 0) {
        loop_stop(t->loop);
        return;
    }
    t->len += (size_t)n;
    t->line[t->len] = '\0';
    for (char *end; (end = strchr(t->line, '\n'));) {
        *end = '\0';
        run_line(t, t->line);
        t->len -= (size_t)(end + 1 - t->line);
        memmove(t->line, end + 1, t->len + 1);
    }
}

int main(int argc, char **argv)
{
    static struct tool t;
    struct err e;
    log_init("engine_tool", LOG_LEVEL_DEBUG);
    setlinebuf(stdout);
    const struct engine_sink sink = {.owner = &t,
                                     .result = on_result,
                                     .gadget = on_gadget,
                                     .link = on_link,
                                     .closed = on_closed,
                                     .active = on_active,
                                     .held = on_held};
    if (argc != 2) {
        fprintf(stderr, "usage: engine_tool CONFIG\n");
        return 2;
    }
    if (gadget_config_load(argv[1], &t.config, &e) < 0 || !(t.loop = loop_new(&e)) ||
        !(t.engine = engine_kernel_new(&t.config, t.loop, &sink, &e))) {
        log_error("%s", e.text);
        return 1;
    }
    if (loop_add(t.loop, &t.input, STDIN_FILENO, EPOLLIN, on_input, &t) < 0 || loop_run(t.loop) < 0) {
        log_error("%m");
        return 1;
    }
    t.engine->class->free(t.engine);
    loop_free(t.loop);
    return 0;
}
