/*
 * build_tool CONFIG COMMAND - the orders of gadget/build.h one by one, for tests/vm/scripts/build.sh. Where it is to leave
 * a gadget half-built, it is killed at a fault point (base/fault.h).
 *
 *   start, bind, unbind, remove   print "found=WORD bound=0|1" and the differences; 1 with the error where it fails
 *   steps                         print the plan, a step a line
 */
#include <stdio.h>
#include <string.h>

#include "gadget/build.h"
#include "gadget/plan.h"

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

    if (argc != 3) {
        fputs("usage: build_tool CONFIG COMMAND\n", stderr);
        return 2;
    }
    if (gadget_config_load(argv[1], &c, &e) < 0) return fail(&e);
    for (size_t i = 0; i < ARRAY_LEN(orders); i++)
        if (strcmp(argv[2], orders[i].name) == 0) {
            orders[i].order(&c, &r);
            return report(&r);
        }
    if (strcmp(argv[2], "steps") != 0) return 2;
    if (plan_make(&c, &plan, &e) < 0) return fail(&e);
    print_steps(&plan);
    plan_done(&plan);
    return 0;
}
