/* Which controller is chosen and what is told about it, from a /sys/class/udc of our own making. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "gadget/udc.h"

struct test {
    char dir[64];
    struct loop *loop;
};

static void add_udc(const struct test *t, const char *name, const char *state, const char *function)
{
    const char *const files[][2] = {{"state", state}, {"function", function}, {"current_speed", "high-speed\n"}};
    char path[160];
    struct err e;
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    mkdir(path, 0755);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/%s/%s", t->dir, name, files[i][0]);
        assert_int_equal(fd_replace_file(path, files[i][1], strlen(files[i][1]), false, &e), 0);
    }
}

static void remove_udc(const struct test *t, const char *name)
{
    char command[160];
    snprintf(command, sizeof command, "rm -r %s/%s", t->dir, name);
    assert_int_equal(system(command), 0);
}

static void on_changed(void *owner, bool appeared)
{
    (void)owner;
    (void)appeared;
}

static struct udc *new_udc(const struct test *t, const char *wanted)
{
    struct err e;
    struct udc *u = udc_new(t->loop, t->dir, wanted, "trayd", on_changed, NULL, &e);
    assert_non_null(u);
    return u;
}

static int setup(void **state)
{
    static struct test t;
    struct err e;
    t = (struct test){.dir = "/tmp/test-udc-XXXXXX", .loop = loop_new(&e)};
    *state = &t;
    return mkdtemp(t.dir) && t.loop ? 0 : -1;
}

static int teardown(void **state)
{
    struct test *t = *state;
    char command[128];
    loop_free(t->loop);
    snprintf(command, sizeof command, "rm -rf %s", t->dir);
    return system(command);
}

static void assert_link(struct udc *u, const char *name, bool bound, bool configured, const char *state)
{
    struct engine_link l;
    udc_read(u, &l);
    assert_string_equal(l.udc, name);
    assert_int_equal(l.bound, bound);
    assert_int_equal(l.configured, configured);
    assert_string_equal(l.state, state);
    assert_string_equal(l.speed, name[0] ? "high-speed" : "");
}

static void bound_means_by_us(void **state)
{
    const struct test *t = *state;
    struct udc *u = new_udc(t, "");
    assert_link(u, "", false, false, "");
    add_udc(t, "b.udc", "not attached\n", "");
    assert_link(u, "b.udc", false, false, "not attached");
    add_udc(t, "b.udc", "configured\n", "trayd\n");
    assert_link(u, "b.udc", true, false, "not attached"); /* the old file: sysfs would not replace it */
    udc_free(u);
    u = new_udc(t, "");
    assert_link(u, "b.udc", true, true, "configured");
    add_udc(t, "b.udc", "configured\n", ""); /* unbound; the state stays */
    assert_link(u, "b.udc", false, false, "configured");
    add_udc(t, "b.udc", "configured\n", "somebody else\n");
    assert_link(u, "b.udc", false, false, "configured");
    udc_free(u);
}

static void the_right_one_is_chosen(void **state)
{
    const struct test *t = *state;
    add_udc(t, "b.udc", "addressed\n", "");
    add_udc(t, "a.udc", "suspended\n", "");
    add_udc(t, "c.udc", "configured\n", "trayd\n");
    struct udc *any = new_udc(t, ""), *wanted = new_udc(t, "b.udc"), *missing = new_udc(t, "d.udc");
    assert_link(any, "c.udc", true, true, "configured"); /* ours */
    assert_link(wanted, "b.udc", false, false, "addressed");
    assert_link(missing, "", false, false, "");
    remove_udc(t, "c.udc");
    assert_link(any, "a.udc", false, false, "suspended"); /* the first by name */
    remove_udc(t, "a.udc");
    remove_udc(t, "b.udc");
    assert_link(any, "", false, false, "");
    assert_link(wanted, "", false, false, "");
    add_udc(t, "d.udc", "default\n", "");
    assert_link(missing, "d.udc", false, false, "default");
    udc_free(any);
    udc_free(wanted);
    udc_free(missing);
}

static void no_directory_no_controller(void **state)
{
    const struct test *t = *state;
    struct err e;
    struct udc *u = udc_new(t->loop, "/nonexistent", "", "trayd", on_changed, NULL, &e);
    assert_link(u, "", false, false, "");
    udc_free(u);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bound_means_by_us),
        TEST(the_right_one_is_chosen),
        TEST(no_directory_no_controller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
