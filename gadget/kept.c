#include "gadget/kept.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "gadget/daemon.h"
#include "gadget/restore.h"
#include "gadget/scheduling.h"
#include "gadget/socket.h"

#define KEPT_NAME "kept.json"

static void on_loaded(void *owner, const char *text, size_t len)
{
    struct daemon *d = owner;
    struct kept *k = &d->kept;
    struct err e = {0};
    const struct schedule_time now = scheduling_now();
    int result = text ? kept_read(k, d->config, text, len, d->boot_id, &now, &e) : 0;
    k->trouble[0] = '\0';
    if (result != 0) {
        const char *whole = result < 0 ? "The file" : "Some of the file";
        snprintf(k->aside, sizeof k->aside, "%s %.200s/" KEPT_NAME " made no sense, and was put aside: %.200s", whole,
                 d->config->state_dir, e.text);
        log_error("%s", k->aside);
        durable_put_aside(k->file);
        kept_changed(d);
    }
    k->loaded = true;
    daemon_tell_system(d);
    scheduling_loaded(d);
    gadget_socket_schedules_read(d->socket);
    restore_look(d);
}

static void on_failing(void *owner, const struct err *e)
{
    struct daemon *d = owner;
    if (strcmp(d->kept.trouble, e->text) == 0) return; /* it is tried again and again */
    snprintf(d->kept.trouble, sizeof d->kept.trouble, "%s", e->text);
    log_error("%s; there are no schedules until it can be read", e->text);
    daemon_tell_system(d);
    gadget_socket_schedules_read(d->socket);
}

static char *text_of(void *owner)
{
    struct daemon *d = owner;
    msec real = clock_real_ms();
    d->kept.table.newest_real = MAX(d->kept.table.newest_real, real);
    return kept_write(&d->kept, d->config, d->boot_id, real);
}

static void on_saved(void *owner, uint64_t version, const struct err *e)
{
    struct daemon *d = owner;
    struct kept *k = &d->kept;
    if (e && strcmp(k->trouble, e->text) != 0) log_error("%s", e->text);
    bool news = strcmp(k->trouble, e ? e->text : "") != 0;
    snprintf(k->trouble, sizeof k->trouble, "%s", e ? e->text : "");
    scheduling_saved(d, version, e);
    if (!e) restore_saved(d, version);
    if (news) daemon_tell_system(d);
}

uint64_t kept_changed(struct daemon *d)
{
    return durable_changed(d->kept.file);
}

int kept_init(struct daemon *d, struct err *e)
{
    const struct durable_owner owner = {.owner = d, .loaded = on_loaded, .failing = on_failing, .text = text_of, .saved = on_saved};
    d->kept.file = durable_new(d->loop, d->config->state_dir, KEPT_NAME, &owner, e);
    return d->kept.file ? 0 : -1;
}

void kept_done(struct daemon *d)
{
    struct kept *k = &d->kept;
    durable_free(k->file);
    for (size_t i = 0; i < k->table.len; i++) json_decref(k->table.items[i].request);
    json_decref(k->strange_schedules);
    json_decref(k->strange_media);
}
