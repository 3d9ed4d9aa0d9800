/* gadget/build_tree_read.c: what stands in configfs is listed so that it can be taken down from the end of the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gadget/build.h"
#include "gadget/build_tree.h"
#include "tests/unit/sysfs_fixture.h"

/* Nothing here comes in the order of its name: "usb0", "cd0", "by", and functions before and after them. */
static struct gadget_config config(void)
{
    struct gadget_config c = {
        .name = "trayd", .configfs = "/c", .vendor_id = 0x1d6b, .product_id = 0x104, .device_release = 0x100,
        .manufacturer = "trayd", .product = "Virtual media", .serial = "0123456789ABCDEF", .max_power_ma = 250,
        .drives_count = 3, .functions_count = 2,
    };
    strcpy(c.drives[0].name, "usb0");
    strcpy(c.drives[1].name, "cd0");
    strcpy(c.drives[2].name, "by");
    strcpy(c.functions[0].name, "uac2.sound");
    strcpy(c.functions[1].name, "hid.keyboard");
    return c;
}

static void file_of(const struct plan_step *s)
{
    char text[PLAN_VALUE_MAX + 1];
    snprintf(text, sizeof text, "%.*s", (int)s->value_len, s->value);
    tree_file(s->path, text);
}

/* The gadget as planned, in a directory of files that does what it can of configfs. */
static struct plan standing(void)
{
    struct gadget_config c = config();
    struct plan p = {0};
    char dir[PLAN_PATH_MAX + 2];
    assert_int_equal(plan_make(&c, &p, NULL), 0);
    for (size_t i = 0; i < p.count; i++) {
        const struct plan_step *s = &p.steps[i];
        snprintf(dir, sizeof dir, "%s/", s->path);
        switch (s->kind) {
        case PLAN_DIRECTORY: tree_file(dir, ""); break;
        case PLAN_VALUE: file_of(s); break;
        case PLAN_LINK: tree_link(s->path, s->value); break;
        }
    }
    return p;
}

static struct plan_found look(const struct plan *p)
{
    struct plan_found f = {0};
    assert_int_equal(build_tree_read(tree, p, &f, NULL), 0);
    return f;
}

static const struct plan_step *last_link(const struct plan *p)
{
    for (size_t i = p->count; i-- > 0;)
        if (p->steps[i].kind == PLAN_LINK) return &p->steps[i];
    return NULL;
}

static void what_stands_is_found_as_planned(void **state attr_unused)
{
    struct plan p = standing();
    struct plan_found f = look(&p);
    struct plan_verdict v;
    plan_compare(&p, &f, &v);
    assert_string_equal(v.differences, "");
    assert_int_equal(v.found, FOUND_AS_PLANNED);
    plan_done(&f.tree);
    plan_done(&p);
}

/* A medium is in: nothing would be taken down for the sake of what is missing. */
static void of_links_half_removed_the_rest_can_be_completed(void **state attr_unused)
{
    struct plan p = standing();
    struct plan_verdict v;
    char path[512];
    tree_file("functions/mass_storage.cd0/lun.0/file", "/srv/trayd/images/a.iso\n");
    for (size_t left = 5; left > 0; left--) {
        struct plan_found f = look(&p);
        assert_int_equal(unlink(tree_path(last_link(&f.tree)->path, path)), 0);
        plan_done(&f.tree);
        f = look(&p);
        plan_compare(&p, &f, &v);
        if (v.found != FOUND_HALF_BUILT || !v.completable || !f.loaded)
            fail_msg("%s was removed: found %d, completable %d, loaded %d\n%s", path, (int)v.found, v.completable, f.loaded, v.differences);
        plan_done(&f.tree);
    }
    struct plan_found f = look(&p);
    assert_null(last_link(&f.tree));
    plan_done(&f.tree);
    plan_done(&p);
}

static void links_that_are_not_planned_come_last(void **state attr_unused)
{
    struct plan p = standing();
    tree_link("configs/c.1/acm.console", "functions/acm.console");
    tree_file("configs/c.2/", "");
    tree_link("configs/c.2/mass_storage.by", "functions/mass_storage.by");
    struct plan_found f = look(&p);
    assert_string_equal(last_link(&f.tree)->path, "configs/c.2/mass_storage.by");
    assert_string_equal(last_link(&f.tree)[-1].path, "configs/c.1/acm.console");
    assert_string_equal(last_link(&f.tree)[-2].path, "configs/c.1/hid.keyboard");
    plan_done(&f.tree);
    plan_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(what_stands_is_found_as_planned),
        TREE_TEST(of_links_half_removed_the_rest_can_be_completed),
        TREE_TEST(links_that_are_not_planned_come_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
