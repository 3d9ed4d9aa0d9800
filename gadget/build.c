#include "gadget/build.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gadget/build_configfs.h"
#include "gadget/build_tree.h"
#include "gadget/build_udc.h"

/* What every order begins with: the plan, and what stands there. */
struct builder {
    const struct gadget_config *c;
    char dir[BUILD_TREE_PATH_MAX / 2];
    struct plan plan;
    struct plan_found found;
    struct plan_verdict verdict;
};

static void builder_done(struct builder *b)
{
    plan_done(&b->plan);
    plan_done(&b->found.tree);
}

static int look(struct builder *b, struct err *e)
{
    plan_done(&b->found.tree);
    build_udc_of_gadget(b->c, b->found.tree.udc);
    if (build_tree_read(b->dir, &b->plan, &b->found, e) < 0) return -1;
    plan_compare(&b->plan, &b->found, &b->verdict);
    if (b->verdict.found != FOUND_FOREIGN) return 0;
    return err_set(e, ERR_GADGET_DIFFERS,
                   "%s was not made by trayd%s%s: take it down with the program that made it, or give gadget.name "
                   "another value",
                   b->dir, b->found.tree.udc[0] ? " and is bound to " : "", b->found.tree.udc);
}

static int begin(struct builder *b, const struct gadget_config *c, struct err *e)
{
    *b = (struct builder){.c = c};
    build_gadget_dir(c, b->dir, sizeof b->dir);
    return plan_make(c, &b->plan, e);
}

static int take_down(struct builder *b, struct err *e)
{
    return build_tree_remove(b->dir, &b->found.tree, e);
}

/* Builds where nothing is. What cannot be finished does not stay. */
static int make(struct builder *b, struct err *e)
{
    if (build_tree_make(b->dir, &b->plan, e) == 0) return 0;
    if (look(b, NULL) == 0) take_down(b, NULL);
    return -1;
}

static int repair(struct builder *b, struct err *e)
{
    if (b->verdict.completable && build_tree_make(b->dir, &b->plan, e) == 0) return 0;
    if (b->found.loaded) return -1;
    if (look(b, e) < 0 || take_down(b, e) < 0) return -1;
    return make(b, e);
}

/*
 * Somebody has unbound what was found here, perhaps a moment ago. A host that has not noticed takes the bind for a mere
 * reset, and goes on with what it was doing, on whatever it finds: it is given time.
 */
static void let_the_host_notice(const struct gadget_config *c)
{
    msec ms = MAX(c->reattach_hold, GADGET_HOLD_MIN);
    struct timespec hold = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&hold, &hold) < 0 && errno == EINTR) {}
}

static int start(struct builder *b, struct gadget_result *ret)
{
    char udc[UDC_NAME_MAX];
    if (build_configfs_ready(b->c, &ret->err) < 0) return -1;
    int looked = look(b, &ret->err);
    ret->found = b->verdict.found;
    if (looked < 0) return -1;
    if (ret->found == FOUND_DIFFERENT) memcpy(ret->differences, b->verdict.differences, sizeof ret->differences);
    if (b->found.tree.udc[0]) { /* adopted as it is: a host may be in the middle of anything */
        ret->bound = true;
        return 0;
    }
    if (build_udc_choose(b->c, udc, &ret->err) < 0) {
        ret->found = FOUND_FOREIGN;
        return -1;
    }
    if (ret->found == FOUND_NOTHING && make(b, &ret->err) < 0) return -1;
    if (ret->found == FOUND_HALF_BUILT && repair(b, &ret->err) < 0) return -1;
    if (!udc[0] || ret->order == GADGET_START_UNBOUND) return 0;
    if (ret->found != FOUND_NOTHING) let_the_host_notice(b->c);
    if (build_udc_bind(b->c, udc, &ret->err) < 0) return -1;
    ret->bound = true;
    return 0;
}

static int bind_now(struct builder *b, struct gadget_result *ret)
{
    char udc[UDC_NAME_MAX];
    ret->bound = build_udc_of_gadget(b->c, udc);
    if (ret->bound) return 0;
    if (access(b->dir, F_OK) < 0)
        return err_set(&ret->err, ERR_GADGET_DETACHED, "There is no gadget yet in %s", b->dir);
    if (build_udc_choose(b->c, udc, &ret->err) < 0) return -1;
    if (!udc[0]) return 0;
    if (build_udc_bind(b->c, udc, &ret->err) < 0) return -1;
    ret->bound = true;
    return 0;
}

static int unbind(struct builder *b, struct gadget_result *ret)
{
    char udc[UDC_NAME_MAX];
    int result = build_udc_unbind(b->c, &ret->err);
    ret->bound = build_udc_of_gadget(b->c, udc);
    return result;
}

static int remove_all(struct builder *b, struct gadget_result *ret)
{
    if (look(b, &ret->err) < 0) return -1;
    if (!b->found.exists) return 0;
    if (unbind(b, ret) < 0) return -1;
    return take_down(b, &ret->err);
}

static void carry_out(const struct gadget_config *c, enum gadget_order order,
                      int (*action)(struct builder *b, struct gadget_result *ret), struct gadget_result *ret)
{
    struct builder b;
    *ret = (struct gadget_result){.order = order};
    ret->ok = begin(&b, c, &ret->err) == 0 && action(&b, ret) == 0;
    builder_done(&b);
}

void build_start(const struct gadget_config *c, struct gadget_result *ret)
{
    carry_out(c, GADGET_START, start, ret);
}

void build_start_unbound(const struct gadget_config *c, struct gadget_result *ret)
{
    carry_out(c, GADGET_START_UNBOUND, start, ret);
}

void build_bind(const struct gadget_config *c, struct gadget_result *ret)
{
    carry_out(c, GADGET_BIND, bind_now, ret);
}

void build_unbind(const struct gadget_config *c, struct gadget_result *ret)
{
    carry_out(c, GADGET_UNBIND, unbind, ret);
}

void build_remove(const struct gadget_config *c, struct gadget_result *ret)
{
    carry_out(c, GADGET_REMOVE, remove_all, ret);
}
