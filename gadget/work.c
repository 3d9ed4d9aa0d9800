#include "gadget/work.h"

#include "base/log.h"
#include "gadget/build.h"
#include "gadget/flusher.h"

#define LUN_DIR_MAX (STORE_PATH_MAX + 128)

/* What is configured to be cut is looked for while everything still answers. */
static void find_backing(int fd, enum store_cut how, struct engine_medium *m)
{
    struct err e;
    if (fd >= 0 && backing_find("/sys", fd, how, &m->backing, &e) < 0)
        log_warning("the storage under %s cannot be cut when it hangs: %s", m->path, e.text);
}

static void serve_lun(const struct gadget_config *c, const struct work *w, const int fds[PACKET_FDS_MAX],
                      struct work_answer *a, int ret_fds[PACKET_FDS_MAX])
{
    char dir[LUN_DIR_MAX];
    build_lun_dir(c, w->drive, dir, sizeof dir);
    struct lun_order order = w->lun;
    order.image.fd = fds[0];
    order.known.fd = fds[1];
    lun_perform(dir, &order, &a->result, &ret_fds[0]);
    size_t store = store_list_of_path(&c->stores, a->result.medium.path);
    if (store < c->stores.count) find_backing(ret_fds[0], (enum store_cut)c->stores.items[store].cut, &a->result.medium);
}

static void serve_open(const struct work *w, struct work_answer *a, int ret_fds[PACKET_FDS_MAX])
{
    struct image_wish wish = {.type = w->lun.type,
                              .readonly = w->lun.readonly,
                              .store_readonly = w->store_readonly,
                              .store_mount = w->store_mount,
                              .store_path = w->store_path,
                              .name = w->name};
    ret_fds[0] = image_open(&wish, &a->result.medium, &a->result.err);
    a->result.outcome = ret_fds[0] >= 0 ? OUTCOME_OK : OUTCOME_ERROR;
    find_backing(ret_fds[0], w->store_cut, &a->result.medium);
}

static void serve_break(const struct gadget_config *c, const struct work *w, struct work_answer *a)
{
    char dir[LUN_DIR_MAX];
    build_lun_dir(c, w->drive, dir, sizeof dir);
    a->result.outcome = lun_break(dir, &a->result.err) == 0 ? OUTCOME_OK : OUTCOME_ERROR;
}

static void serve_gadget(const struct gadget_config *c, enum gadget_order order, struct work_answer *a)
{
    static void (*const build[])(const struct gadget_config *, struct gadget_result *) = {
        [GADGET_START] = build_start,
        [GADGET_START_UNBOUND] = build_start_unbound,
        [GADGET_BIND] = build_bind,
        [GADGET_UNBIND] = build_unbind,
        [GADGET_REMOVE] = build_remove,
    };
    a->gadget.order = order;
    build[order](c, &a->gadget);
    for (size_t i = 0; i < c->drives_count; i++) {
        char dir[LUN_DIR_MAX];
        build_lun_dir(c, i, dir, sizeof dir);
        a->has_forced_eject[i] = lun_has(dir, "forced_eject");
        a->has_break_io[i] = lun_can_break(dir);
    }
}

static void serve_store(const struct work *w, struct store_result *r)
{
    r->mount = w->mount;
    r->mount_known = true;
    switch (w->step) {
    case STEP_NOTHING: break;
    case STEP_SYNC: store_mount_sync(w->store_path, &r->mount, &r->err); break;
    case STEP_UNMOUNT: store_mount_unmount(w->store_path, &r->mount, &r->err); break;
    case STEP_CHECK: store_mount_check(&r->mount, &r->err); break;
    case STEP_MOUNT: store_mount_again(w->store_path, &r->mount, &r->err); break;
    }
}

void work_serve(const void *context, const void *request, int fds[PACKET_FDS_MAX], void *answer,
                int ret_fds[PACKET_FDS_MAX])
{
    const struct work *w = request;
    struct work_answer *a = answer;
    a->result.what = w->lun.what;
    a->result.ticket = w->ticket;
    switch (w->kind) {
    case WORK_LUN: serve_lun(context, w, fds, a, ret_fds); break;
    case WORK_OPEN: serve_open(w, a, ret_fds); break;
    case WORK_FLUSH: a->result.outcome = flusher_write_back(w->drive, fds[0], &a->result.err) == 0 ? OUTCOME_OK : OUTCOME_ERROR; break;
    case WORK_CUT: a->result.outcome = backing_cut(&w->backing, &a->result.err) == 0 ? OUTCOME_OK : OUTCOME_ERROR; break;
    case WORK_SYNC: a->result.outcome = flusher_sync(w->drive, fds[0], &a->result.err) == 0 ? OUTCOME_OK : OUTCOME_ERROR; break;
    case WORK_CLOSE: break; /* worker_child_run() closes what came with a request */
    case WORK_WATCH: a->wd = image_watch(fds[0], fds[1], w->mask, &a->result.err); break;
    case WORK_BREAK: serve_break(context, w, a); break;
    case WORK_FENCE: flusher_let_go(); break;
    case WORK_STORE: serve_store(w, &a->store); break;
    case WORK_GADGET: serve_gadget(context, w->order, a); break;
    }
}
