#include "gadget/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gadget/build.h"

#define STRINGS "strings/0x409" /* US English, the one language that every host asks for */
#define CONFIGURATION "configs/c.1"

/* include/linux/usb/storage.h: vendor 8, product 16, release 4 */
#define INQUIRY_VENDOR "trayd"
#define INQUIRY_PRODUCT_LEN 16
#define INQUIRY_RELEASE "1.0"

int plan_add(struct plan *p, const struct plan_step *step)
{
    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 64;
        struct plan_step *steps = reallocarray(p->steps, room, sizeof *steps);
        if (!steps) return -1;
        p->steps = steps;
        p->room = room;
    }
    p->steps[p->count++] = *step;
    return 0;
}

void plan_done(struct plan *p)
{
    free(p->steps);
    *p = (struct plan){0};
}

const struct plan_step *plan_find(const struct plan *p, enum plan_kind kind, const char *path)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->steps[i].kind == kind && strcmp(p->steps[i].path, path) == 0) return &p->steps[i];
    return NULL;
}

/* What is being made; a failed append is remembered, so that the recipe below reads as a recipe. */
struct maker {
    const struct gadget_config *c;
    struct plan plan;
    bool failed;
};

static void add(struct maker *m, const struct plan_step *step)
{
    if (plan_add(&m->plan, step) < 0) m->failed = true;
}

static void directory(struct maker *m, const char *fmt, ...) attr_printf(2, 3);

static void directory(struct maker *m, const char *fmt, ...)
{
    struct plan_step s = {.kind = PLAN_DIRECTORY};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(s.path, sizeof s.path, fmt, ap);
    va_end(ap);
    add(m, &s);
}

static void value(struct maker *m, const char *dir, const char *name, const char *fmt, ...) attr_printf(4, 5);

static void value(struct maker *m, const char *dir, const char *name, const char *fmt, ...)
{
    struct plan_step s = {.kind = PLAN_VALUE};
    va_list ap;
    snprintf(s.path, sizeof s.path, "%s%s%s", dir, dir[0] ? "/" : "", name);
    va_start(ap, fmt);
    s.value_len = (size_t)vsnprintf(s.value, sizeof s.value, fmt, ap);
    va_end(ap);
    add(m, &s);
}

static void mark(struct maker *m) /* the step just added */
{
    if (!m->failed) m->plan.steps[m->plan.count - 1].mark = true;
}

static void counting(struct maker *m) /* the step just added */
{
    if (!m->failed) m->plan.steps[m->plan.count - 1].counts = true;
}

static void link_function(struct maker *m, const char *name)
{
    struct plan_step s = {.kind = PLAN_LINK};
    snprintf(s.path, sizeof s.path, CONFIGURATION "/%s", name);
    s.value_len = (size_t)snprintf(s.value, sizeof s.value, "functions/%s", name);
    add(m, &s);
}

static void device(struct maker *m)
{
    const struct gadget_config *c = m->c;
    directory(m, "%s", "");
    value(m, "", "idVendor", "0x%04" PRIx64, (uint64_t)c->vendor_id);
    value(m, "", "idProduct", "0x%04" PRIx64, (uint64_t)c->product_id);
    value(m, "", "bcdDevice", "0x%04" PRIx64, (uint64_t)c->device_release);
    counting(m);
    directory(m, STRINGS);
    value(m, STRINGS, "serialnumber", "%s", c->serial);
    mark(m);
    value(m, STRINGS, "manufacturer", "%s", c->manufacturer);
    value(m, STRINGS, "product", "%s", c->product);
}

/* The drive's name is the last word, so that people and scripts find it; what does not fit beside it is left out. */
static void inquiry_strings(struct maker *m, const char *lun, const struct drive_config *d)
{
    char product[64];
    snprintf(product, sizeof product, "%s %s", d->type == DRIVE_CDROM ? "CD-ROM" : "Disk", d->name);
    if (strlen(product) > INQUIRY_PRODUCT_LEN) snprintf(product, sizeof product, "%s", d->name);

    struct plan_step s = {.kind = PLAN_VALUE, .optional = true};
    s.value_len = (size_t)snprintf(s.value, sizeof s.value, "%-8s%-16s%-4s", INQUIRY_VENDOR, product, INQUIRY_RELEASE);
    snprintf(s.path, sizeof s.path, "%s/inquiry_string", lun);
    add(m, &s);
    if (d->type != DRIVE_CDROM) return;
    snprintf(s.path, sizeof s.path, "%s/inquiry_string_cdrom", lun); /* one more for CDs in some appliances' kernels */
    add(m, &s);
}

/* `stall` stays off despite the kernel's documentation: halting endpoints crashes dwc3 and disturbs HID on dwc2.
 * `cdrom` comes before `ro`, since cdrom=1 sets ro but cdrom=0 does not clear it. */
static void lun(struct maker *m, size_t drive)
{
    const struct drive_config *d = &m->c->drives[drive];
    char dir[PLAN_PATH_MAX / 2];
    size_t index = build_lun_index(m->c, drive);
    snprintf(dir, sizeof dir, "functions/mass_storage.%s/lun.%zu", gadget_config_function(m->c, drive), index);
    if (index > 0) directory(m, "%s", dir); /* the kernel makes lun.0 */
    value(m, dir, "cdrom", "%d", d->type == DRIVE_CDROM);

    struct plan_step ro = {.kind = PLAN_VALUE, .fleeting = d->type != DRIVE_CDROM, .value_len = 1};
    snprintf(ro.path, sizeof ro.path, "%s/ro", dir);
    ro.value[0] = d->type == DRIVE_CDROM ? '1' : '0';
    add(m, &ro);

    value(m, dir, "removable", "1");
    inquiry_strings(m, dir, d);
}

static void mass_storage(struct maker *m)
{
    const struct gadget_config *c = m->c;
    char dir[PLAN_PATH_MAX / 2];
    for (size_t i = 0; i < c->drives_count; i++) {
        if (build_lun_index(c, i) != 0) continue;
        snprintf(dir, sizeof dir, "functions/mass_storage.%s", gadget_config_function(c, i));
        directory(m, "%s", dir);
        value(m, dir, "stall", "0");
    }
    for (size_t i = 0; i < c->drives_count; i++) lun(m, i);
}

static void other_function(struct maker *m, const struct function_config *f)
{
    directory(m, "functions/%s", f->name);
    for (size_t i = 0; i < f->attributes_count; i++) {
        struct plan_step s = {.kind = PLAN_VALUE};
        snprintf(s.path, sizeof s.path, "functions/%s/%s", f->name, f->attributes[i].name);
        ssize_t n = gadget_config_attribute_bytes(&f->attributes[i], (uint8_t *)s.value, sizeof s.value);
        s.value_len = n < 0 ? 0 : (size_t)n; /* config.c has refused what is not hexadecimal */
        add(m, &s);
    }
}

static void configuration(struct maker *m)
{
    directory(m, CONFIGURATION);
    value(m, CONFIGURATION, "MaxPower", "%" PRId64, m->c->max_power_ma);
    directory(m, CONFIGURATION "/" STRINGS);
    value(m, CONFIGURATION "/" STRINGS, "configuration", PLAN_OUR_MARK);
    mark(m);
}

static void links(struct maker *m)
{
    const struct gadget_config *c = m->c;
    char name[sizeof "mass_storage." + DRIVE_NAME_MAX];
    for (size_t i = 0; i < c->drives_count; i++) {
        if (build_lun_index(c, i) != 0) continue;
        snprintf(name, sizeof name, "mass_storage.%s", gadget_config_function(c, i));
        link_function(m, name);
    }
    for (size_t i = 0; i < c->functions_count; i++) link_function(m, c->functions[i].name);
}

int plan_make(const struct gadget_config *c, struct plan *ret, struct err *e)
{
    struct maker m = {.c = c};
    memcpy(m.plan.udc, c->udc, sizeof m.plan.udc);
    device(&m);
    mass_storage(&m);
    for (size_t i = 0; i < c->functions_count; i++) other_function(&m, &c->functions[i]);
    configuration(&m);
    links(&m);
    if (m.failed) {
        plan_done(&m.plan);
        return err_set(e, ERR_UNAVAILABLE, "Out of memory while planning the gadget");
    }
    *ret = m.plan;
    return 0;
}
