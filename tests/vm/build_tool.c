/*
 * build_tool CONFIG COMMAND [N] - the orders of gadget/build.h one by one, and gadgets that were left half-built, for
 * tests/vm/scripts/build.sh.
 *
 *   start, bind, unbind, remove   print "found=WORD bound=0|1" and the differences; 1 with the error where it fails
 *   steps                         print the plan, a step a line
 *   stop-after N                  carry out the first N steps, as a process killed then
 *   stop-removal-after N          unbind and remove N things
 */
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "gadget/build.h"
#include "gadget/build_tree.h"

static const char *const found_words[] = {"nothing", "as_planned", "half_built", "different", "foreign"};

static int report(const struct gadget_result *r)
{
    printf("found=%s bound=%d\n%s", found_words[r->found], r->bound, r->differences);
    if (r->ok) return 0;
    printf("error=%s %s\n", err_name(r->err.code), r->err.text);
    return 1;
}

static int fail(const struct err *e)
{
    fprintf(stderr, "build_tool: %s\n", e->text);
    return 2;
}

static void print_steps(const struct plan *p)
{
    static const char *const kinds[] = {[PLAN_DIRECTORY] = "directory", [PLAN_VALUE] = "value", [PLAN_LINK] = "link"};
    for (size_t i = 0; i < p->count; i++) printf("%zu %s /%s\n", i + 1, kinds[p->steps[i].kind], p->steps[i].path);
}

static int stop_removal(const struct gadget_config *c, const char *dir, const struct plan *p, size_t limit)
{
    struct gadget_result r;
    struct plan_found found = {0};
    struct err e = {0};
    build_unbind(c, &r);
    if (!r.ok) return report(&r);
    bool done = build_tree_read(dir, p, &found, &e) == 0 && build_tree_remove(dir, &found.tree, limit, &e) == 0;
    plan_done(&found.tree);
    return done ? 0 : fail(&e);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*order)(const struct gadget_config *c, struct gadget_result *ret);
    } orders[] = {{"start", build_start}, {"bind", build_bind}, {"unbind", build_unbind}, {"remove", build_remove}};
    static struct gadget_config c;
    struct gadget_result r;
    struct plan plan = {0};
    struct err e = {0};
    char dir[BUILD_TREE_PATH_MAX / 2];
    uint64_t n = 0;
    int result = 2;

    if (argc < 3 || (argc > 3 && parse_u64(argv[3], &n) < 0)) {
        fputs("usage: build_tool CONFIG COMMAND [N]\n", stderr);
        return 2;
    }
    if (gadget_config_load(argv[1], &c, &e) < 0) return fail(&e);
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (strcmp(argv[2], orders[i].name) == 0) {
            orders[i].order(&c, &r);
            return report(&r);
        }

    build_gadget_dir(&c, dir, sizeof dir);
    if (plan_make(&c, &plan, &e) < 0) return fail(&e);
    if (strcmp(argv[2], "steps") == 0)
        print_steps(&plan), result = 0;
    else if (strcmp(argv[2], "stop-after") == 0)
        result = build_tree_make(dir, &plan, n, &e) < 0 ? fail(&e) : 0;
    else if (strcmp(argv[2], "stop-removal-after") == 0)
        result = stop_removal(&c, dir, &plan, n);
    plan_done(&plan);
    return result;
}
