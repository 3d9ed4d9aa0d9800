/* gadget/plan.c and plan_compare.c: the order of the steps, and what is made of what is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gadget/build.h"
#include "gadget/plan.h"

#define KERNEL_DEFAULT "0\n" /* what a file shows that nobody has written to */

/* ---- configurations ---- */

static struct gadget_config base_config(void)
{
    return (struct gadget_config){
        .name = "trayd", .configfs = "/c", .vendor_id = 0x1d6b, .product_id = 0x104, .device_release = 0x100,
        .manufacturer = "trayd", .product = "Virtual media", .serial = "0123456789ABCDEF", .max_power_ma = 250,
    };
}

static void add_drive(struct gadget_config *c, const char *name, enum drive_type type, const char *function)
{
    struct drive_config *d = &c->drives[c->drives_count++];
    d->type = (int)type;
    strcpy(d->name, name);
    strcpy(d->function, function);
}

static struct gadget_config small_config(void)
{
    struct gadget_config c = base_config();
    add_drive(&c, "cd0", DRIVE_CDROM, "");
    add_drive(&c, "usb0", DRIVE_DISK, "");
    return c;
}

/* Functions that interleave, and one more of another kind. */
static struct gadget_config large_config(void)
{
    struct gadget_config c = base_config();
    add_drive(&c, "cd0", DRIVE_CDROM, "one");
    add_drive(&c, "usb0", DRIVE_DISK, "");
    add_drive(&c, "cd1", DRIVE_CDROM, "one");
    add_drive(&c, "usb1", DRIVE_DISK, "one");
    add_drive(&c, "usb2", DRIVE_DISK, "");
    struct function_config *f = &c.functions[c.functions_count++];
    strcpy(f->name, "hid.usb0");
    f->attributes[0] = (struct config_entry){.name = "protocol", .value = "1"};
    f->attributes[1] = (struct config_entry){.name = "report_desc", .value = "hex:05 00 0a"};
    f->attributes_count = 2;
    return c;
}

static struct plan plan_of(struct gadget_config c)
{
    struct plan p = {0};
    assert_int_equal(plan_make(&c, &p, NULL), 0);
    return p;
}

static size_t index_of(const struct plan *p, enum plan_kind kind, const char *path)
{
    const struct plan_step *s = plan_find(p, kind, path);
    if (!s) fail_msg("%s is not in the plan", path);
    return (size_t)(s - p->steps);
}

static void assert_value(const struct plan *p, const char *path, const char *value)
{
    const struct plan_step *s = &p->steps[index_of(p, PLAN_VALUE, path)];
    assert_int_equal(s->value_len, strlen(value));
    assert_memory_equal(s->value, value, s->value_len);
}

/* ---- order ---- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool made_by_kernel(const char *dir)
{
    size_t len = strlen(dir);
    return strcmp(dir, "strings") == 0 || strcmp(dir, "functions") == 0 || strcmp(dir, "configs") == 0 ||
           (len > 6 && strcmp(dir + len - 6, "/lun.0") == 0) || (len > 8 && strcmp(dir + len - 8, "/strings") == 0);
}

static void assert_parents_come_first(const struct plan *p)
{
    for (size_t i = 1; i < p->count; i++) {
        char parent[PLAN_PATH_MAX];
        strcpy(parent, p->steps[i].path);
        char *slash = strrchr(parent, '/');
        *(slash ? slash : parent) = '\0';
        if (!made_by_kernel(parent)) assert_true(index_of(p, PLAN_DIRECTORY, parent) < i);
    }
}

static void assert_links_come_last(const struct plan *p)
{
    bool linking = false, others = false;
    for (size_t i = 0; i < p->count; i++) {
        if (linking) assert_int_equal(p->steps[i].kind, PLAN_LINK);
        if (p->steps[i].kind != PLAN_LINK) continue;
        linking = true;
        if (!starts_with(p->steps[i].value, "functions/mass_storage.")) others = true;
        else assert_false(others); /* mass storage first */
        assert_true(index_of(p, PLAN_DIRECTORY, p->steps[i].value) < i);
    }
    assert_true(linking);
}

static void assert_serial_before_functions(const struct plan *p)
{
    for (size_t i = 0; i < index_of(p, PLAN_VALUE, "strings/0x409/serialnumber"); i++)
        assert_false(starts_with(p->steps[i].path, "functions") || starts_with(p->steps[i].path, "configs"));
}

static void assert_drive_order(const struct plan *p, const struct gadget_config *c, size_t drive)
{
    char lun[200], path[256];
    build_lun_dir(c, drive, lun, sizeof lun);
    const char *dir = lun + strlen("/c/usb_gadget/trayd/");
    snprintf(path, sizeof path, "%s/cdrom", dir);
    size_t cdrom = index_of(p, PLAN_VALUE, path);
    assert_value(p, path, c->drives[drive].type == DRIVE_CDROM ? "1" : "0");
    snprintf(path, sizeof path, "%s/ro", dir);
    size_t ro = index_of(p, PLAN_VALUE, path);
    assert_value(p, path, c->drives[drive].type == DRIVE_CDROM ? "1" : "0");
    assert_true(cdrom < ro);
    snprintf(path, sizeof path, "%s/removable", dir);
    assert_value(p, path, "1");
    snprintf(path, sizeof path, "functions/mass_storage.%s/stall", gadget_config_function(c, drive));
    assert_value(p, path, "0");
}

static void the_order_is_what_the_kernel_wants(void **state attr_unused)
{
    struct gadget_config configs[] = {small_config(), large_config()};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        struct plan p = plan_of(configs[i]);
        assert_string_equal(p.steps[0].path, "");
        assert_int_equal(p.steps[0].kind, PLAN_DIRECTORY);
        assert_parents_come_first(&p);
        assert_links_come_last(&p);
        assert_serial_before_functions(&p);
        for (size_t d = 0; d < configs[i].drives_count; d++) assert_drive_order(&p, &configs[i], d);
        plan_done(&p);
    }
}

static void values_are_what_the_configuration_says(void **state attr_unused)
{
    struct plan p = plan_of(large_config());
    assert_value(&p, "idVendor", "0x1d6b");
    assert_value(&p, "idProduct", "0x0104");
    assert_value(&p, "bcdDevice", "0x0100");
    assert_value(&p, "configs/c.1/MaxPower", "250");
    assert_value(&p, "configs/c.1/strings/0x409/configuration", PLAN_OUR_MARK);
    assert_value(&p, "functions/hid.usb0/protocol", "1");
    const struct plan_step *descriptor = plan_find(&p, PLAN_VALUE, "functions/hid.usb0/report_desc");
    assert_int_equal(descriptor->value_len, 3);
    assert_memory_equal(descriptor->value, "\x05\x00\x0a", 3);
    assert_null(plan_find(&p, PLAN_DIRECTORY, "functions/mass_storage.one/lun.0")); /* the kernel makes it */
    assert_non_null(plan_find(&p, PLAN_DIRECTORY, "functions/mass_storage.one/lun.2"));
    plan_done(&p);
}

static void functions_and_luns_are_counted_in_the_order_of_the_drives(void **state attr_unused)
{
    static const size_t functions[] = {0, 1, 0, 0, 2}, luns[] = {0, 0, 1, 2, 0};
    struct gadget_config c = large_config();
    char dir[200];
    for (size_t i = 0; i < ARRAY_LEN(luns); i++) {
        assert_int_equal(build_function_index(&c, i), functions[i]);
        assert_int_equal(build_lun_index(&c, i), luns[i]);
    }
    assert_int_equal(build_function_count(&c), 3);
    build_function_dir(&c, 3, dir, sizeof dir);
    assert_string_equal(dir, "/c/usb_gadget/trayd/functions/mass_storage.one");
    build_lun_dir(&c, 3, dir, sizeof dir);
    assert_string_equal(dir, "/c/usb_gadget/trayd/functions/mass_storage.one/lun.2");
}

/* Hosts show vendor (8), product (16) and release (4); the drive's name must be the product's last word. */
static void inquiry_strings_end_in_the_drive_s_name(void **state attr_unused)
{
    for (size_t len = 1; len < DRIVE_NAME_MAX; len++) {
        for (enum drive_type type = DRIVE_CDROM; type <= DRIVE_DISK; type++) {
            struct gadget_config c = base_config();
            char name[DRIVE_NAME_MAX] = "", path[128], product[17] = "";
            memset(name, 'x', len);
            add_drive(&c, name, type, "");
            struct plan p = plan_of(c);
            snprintf(path, sizeof path, "functions/mass_storage.%s/lun.0/inquiry_string", name);
            const struct plan_step *s = &p.steps[index_of(&p, PLAN_VALUE, path)];
            assert_true(s->optional);
            assert_int_equal(s->value_len, 28);
            assert_memory_equal(s->value, "trayd   ", 8);
            memcpy(product, s->value + 8, 16);
            char *end = product + 16;
            while (end[-1] == ' ') *--end = '\0';
            const char *blank = strrchr(product, ' ');
            assert_string_equal(blank ? blank + 1 : product, name);
            plan_done(&p);
        }
    }
}

/* ---- values ---- */

static void values_are_compared_by_meaning(void **state attr_unused)
{
    static const struct {
        const char *wanted, *found;
        bool same;
    } cases[] = {
        {"trayd", "trayd\n", true},     {"trayd", "trayd", true},      {"trayd", "Trayd\n", false},
        {"0x1d6b", "0x1d6b\n", true},   {"0x1f4", "500\n", true},      {"0x1f4", "0x01F4\n", true},
        {"250", "2500\n", false},       {"250", "250mA\n", false},     {"0", "\n", false},
        {"trayd   Disk usb0       1.0 ", "trayd   Disk usb0       1.0\n", true},
        {"48:6F:73:74:50:43", "48:6f:73:74:50:43\n", true},            {"ABCDEF", "abcdef\n", false},
        {"1", "10", false},             {"", "\n", true},              {"99999999999999999999999999", "1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan_step s = {.kind = PLAN_VALUE, .value_len = strlen(cases[i].wanted)};
        memcpy(s.value, cases[i].wanted, s.value_len);
        if (plan_same_value(&s, cases[i].found, strlen(cases[i].found)) != cases[i].same)
            fail_msg("\"%s\" and \"%s\"", cases[i].wanted, cases[i].found);
    }
    struct plan_step bytes = {.kind = PLAN_VALUE, .value = {5, 0, 9}, .value_len = 3};
    assert_true(plan_same_value(&bytes, "\x05\x00\x09", 3));
    assert_false(plan_same_value(&bytes, "\x05\x01\x09", 3));
    assert_false(plan_same_value(&bytes, "\x05", 1));
}

/* ---- what is found ---- */

/* The kernel after the first `done` steps: directories come with their files, which show a default until written. */
static struct plan_found found_after(const struct plan *p, size_t done)
{
    struct plan_found f = {.exists = done > 0};
    for (size_t i = 0; i < p->count; i++) {
        struct plan_step s = p->steps[i];
        if (i >= done && s.kind != PLAN_VALUE) continue;
        if (i >= done) {
            char dir[PLAN_PATH_MAX];
            strcpy(dir, s.path);
            char *slash = strrchr(dir, '/'), *lun0 = strstr(dir, "/lun.0/");
            *(lun0 ? lun0 : slash ? slash : dir) = '\0';
            if (!plan_find(&f.tree, PLAN_DIRECTORY, dir)) continue;
            strcpy(s.value, KERNEL_DEFAULT);
            s.value_len = strlen(KERNEL_DEFAULT);
        }
        assert_int_equal(plan_add(&f.tree, &s), 0);
    }
    return f;
}

static void killed_after_any_step_it_can_be_completed(void **state attr_unused)
{
    struct gadget_config configs[] = {small_config(), large_config()};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        struct plan p = plan_of(configs[i]);
        for (size_t done = 0; done <= p.count; done++) {
            struct plan_found f = found_after(&p, done);
            struct plan_verdict v;
            plan_compare(&p, &f, &v);
            enum gadget_found wanted = FOUND_HALF_BUILT;
            if (done == 0) wanted = FOUND_NOTHING;
            if (done == p.count) wanted = FOUND_AS_PLANNED;
            if (v.found != wanted || (wanted == FOUND_HALF_BUILT && !v.completable))
                fail_msg("after %zu of %zu steps (%s): found %d, completable %d\n%s", done, p.count,
                         done ? p.steps[done - 1].path : "", (int)v.found, v.completable, v.differences);
            assert_true((v.differences[0] != '\0') == (wanted == FOUND_HALF_BUILT));
            plan_done(&f.tree);
        }
        plan_done(&p);
    }
}

/* What a case does to a gadget that stands as planned. */
struct change {
    const char *set, *to;          /* a value */
    const char *without;           /* this and everything beneath is not there */
    const char *extra;             /* a directory more */
    const char *extra_link;
    bool unmarked;                 /* neither serial nor configuration string as ours */
    bool bound, loaded;
};

static bool is_without(const struct plan_step *s, const struct change *c)
{
    if (!c->without) return false;
    return starts_with(s->path, c->without) || (s->kind == PLAN_LINK && starts_with(s->value, c->without));
}

static struct plan_found found_with(const struct plan *p, const struct change *c)
{
    struct plan_found f = {.exists = true, .loaded = c->loaded};
    if (c->bound) strcpy(f.tree.udc, "udc.0");
    for (size_t i = 0; i < p->count; i++) {
        struct plan_step s = p->steps[i];
        if (is_without(&s, c)) continue;
        const char *to = NULL;
        if (c->unmarked && s.mark) to = "other";
        if (c->set && s.kind == PLAN_VALUE && strcmp(s.path, c->set) == 0) to = c->to;
        if (to) s.value_len = (size_t)snprintf(s.value, sizeof s.value, "%s", to);
        assert_int_equal(plan_add(&f.tree, &s), 0);
    }
    struct plan_step extra = {.kind = c->extra_link ? PLAN_LINK : PLAN_DIRECTORY};
    if (c->extra || c->extra_link) {
        strcpy(extra.path, c->extra ? c->extra : c->extra_link);
        assert_int_equal(plan_add(&f.tree, &extra), 0);
    }
    return f;
}

static const struct {
    const char *what;
    struct change change;
    enum gadget_found found;
    bool completable;
    const char *difference; /* a whole line */
} cases[] = {
    {"as planned, bound", {.bound = true}, FOUND_AS_PLANNED, false, NULL},
    {"as planned, not bound", {0}, FOUND_AS_PLANNED, false, NULL},
    {"bound seven times", {.set = "bcdDevice", .to = "0x0107\n", .bound = true}, FOUND_AS_PLANNED, false, NULL},
    {"another release", {.set = "bcdDevice", .to = "0x0110\n", .bound = true}, FOUND_DIFFERENT, false,
     "bcdDevice is \"0x0110\", not \"0x0100\"\n"},
    {"with a medium, not bound", {.loaded = true}, FOUND_AS_PLANNED, false, NULL},
    {"a disk that is read-only for its medium",
     {.set = "functions/mass_storage.usb0/lun.0/ro", .to = "1\n", .bound = true}, FOUND_AS_PLANNED, false, NULL},
    {"a CD that is not read-only", {.set = "functions/mass_storage.cd0/lun.0/ro", .to = "0\n", .bound = true},
     FOUND_DIFFERENT, false, "functions/mass_storage.cd0/lun.0/ro is \"0\", not \"1\"\n"},
    {"another type", {.set = "functions/mass_storage.cd0/lun.0/cdrom", .to = "0\n", .bound = true},
     FOUND_DIFFERENT, false, "functions/mass_storage.cd0/lun.0/cdrom is \"0\", not \"1\"\n"},
    {"no inquiry_string in this kernel", {.without = "functions/mass_storage.usb0/lun.0/inquiry_string", .bound = true},
     FOUND_AS_PLANNED, false, NULL},
    {"another serial, known by its configuration", {.set = "strings/0x409/serialnumber", .to = "1", .bound = true},
     FOUND_DIFFERENT, false, "strings/0x409/serialnumber is \"1\", not \"0123456789ABCDEF\"\n"},
    {"a function less, bound", {.without = "functions/mass_storage.usb0", .bound = true}, FOUND_DIFFERENT, false,
     "functions/mass_storage.usb0 is missing\n"},
    {"a function more, bound", {.extra = "functions/hid.x", .bound = true}, FOUND_DIFFERENT, false,
     "functions/hid.x is there, but not configured\n"},
    {"a link more, bound", {.extra_link = "configs/c.1/x", .bound = true}, FOUND_DIFFERENT, false,
     "configs/c.1/x is there, but not configured\n"},
    {"another language, bound", {.extra = "strings/0x407", .bound = true}, FOUND_DIFFERENT, false,
     "strings/0x407 is there, but not configured\n"},
    {"half removed, with a medium", {.without = "configs/c.1/mass_storage.usb0", .loaded = true}, FOUND_HALF_BUILT, true,
     "configs/c.1/mass_storage.usb0 is missing\n"},
    {"differs, not bound, with a medium", {.set = "idProduct", .to = "0x1", .loaded = true}, FOUND_DIFFERENT, false,
     "idProduct is \"0x1\", not \"0x0104\"\n"},
    {"differs, not bound, all linked", {.set = "idProduct", .to = "0x1"}, FOUND_HALF_BUILT, false, NULL},
    {"a function more, not bound", {.extra = "functions/hid.x"}, FOUND_HALF_BUILT, false, NULL},
    {"the last link is missing", {.without = "configs/c.1/mass_storage.usb0"}, FOUND_HALF_BUILT, true,
     "configs/c.1/mass_storage.usb0 is missing\n"},
    {"the first link is missing, not the last", {.without = "configs/c.1/mass_storage.cd0"},
     FOUND_HALF_BUILT, false, NULL},
    {"no configuration", {.without = "configs"}, FOUND_HALF_BUILT, true, "configs/c.1 is missing\n"},
    {"somebody else's, bound", {.unmarked = true, .bound = true}, FOUND_FOREIGN, false, NULL},
    {"somebody else's, not bound", {.unmarked = true}, FOUND_FOREIGN, false, NULL},
    {"somebody else's, without a configuration", {.unmarked = true, .without = "configs"}, FOUND_FOREIGN, false, NULL},
};

static void what_is_found_is_judged(void **state attr_unused)
{
    struct plan p = plan_of(small_config());
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan_found f = found_with(&p, &cases[i].change);
        struct plan_verdict v;
        plan_compare(&p, &f, &v);
        if (v.found != cases[i].found || v.completable != cases[i].completable)
            fail_msg("%s: found %d, completable %d\n%s", cases[i].what, (int)v.found, v.completable, v.differences);
        if (cases[i].difference && strcmp(v.differences, cases[i].difference) != 0)
            fail_msg("%s: says %s", cases[i].what, v.differences);
        if (cases[i].found == FOUND_AS_PLANNED) assert_string_equal(v.differences, "");
        plan_done(&f.tree);
    }
    plan_done(&p);
}

static void another_udc_than_configured_is_a_difference(void **state attr_unused)
{
    struct gadget_config c = small_config();
    strcpy(c.udc, "udc.1");
    struct plan p = plan_of(c);
    struct plan_found f = found_with(&p, &(struct change){.bound = true});
    struct plan_verdict v;
    plan_compare(&p, &f, &v);
    assert_int_equal(v.found, FOUND_DIFFERENT);
    assert_string_equal(v.differences, "UDC is \"udc.0\", not \"udc.1\"\n");
    plan_done(&f.tree);
    plan_done(&p);
}

static void an_empty_directory_may_be_ours(void **state attr_unused)
{
    struct plan p = plan_of(small_config());
    struct plan_found f = {.exists = true};
    struct plan_verdict v;
    assert_int_equal(plan_add(&f.tree, &p.steps[0]), 0);
    plan_compare(&p, &f, &v);
    assert_int_equal(v.found, FOUND_HALF_BUILT);
    assert_true(v.completable);
    plan_done(&f.tree);
    plan_done(&p);
}

static void many_differences_are_cut_at_a_line(void **state attr_unused)
{
    struct gadget_config c = base_config();
    for (int i = 0; i < DRIVES_MAX; i++) {
        char name[DRIVE_NAME_MAX];
        snprintf(name, sizeof name, "drive-number-%02d", i);
        add_drive(&c, name, DRIVE_DISK, "");
    }
    struct plan p = plan_of(c), small = plan_of(small_config());
    struct plan_found f = found_with(&small, &(struct change){.bound = true});
    struct plan_verdict v;
    plan_compare(&p, &f, &v);
    assert_int_equal(v.found, FOUND_DIFFERENT);
    size_t len = strlen(v.differences);
    assert_true(len < sizeof v.differences && len > sizeof v.differences - 100);
    assert_string_equal(v.differences + len - 9, "and more\n");
    plan_done(&f.tree);
    plan_done(&small);
    plan_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_what_the_kernel_wants),
        cmocka_unit_test(values_are_what_the_configuration_says),
        cmocka_unit_test(functions_and_luns_are_counted_in_the_order_of_the_drives),
        cmocka_unit_test(inquiry_strings_end_in_the_drive_s_name),
        cmocka_unit_test(values_are_compared_by_meaning),
        cmocka_unit_test(killed_after_any_step_it_can_be_completed),
        cmocka_unit_test(what_is_found_is_judged),
        cmocka_unit_test(another_udc_than_configured_is_a_difference),
        cmocka_unit_test(an_empty_directory_may_be_ours),
        cmocka_unit_test(many_differences_are_cut_at_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
