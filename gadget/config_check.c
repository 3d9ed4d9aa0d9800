#include "gadget/config_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ALNUM LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS

#define FUNCTION_NAME_MAX 39 /* MAX_NAME_LEN - 1 in drivers/usb/gadget/configfs.c */

_Static_assert(DRIVES_MAX <= 16, "more LUNs than FSG_MAX_LUNS could end in one function");
_Static_assert(sizeof "mass_storage." + DRIVE_NAME_MAX - 2 <= FUNCTION_NAME_MAX, "a drive's function has a valid name");

struct checker {
    const char *path;
    struct err *e;
};

static int wrong(const struct checker *c, int line, const char *fmt, ...) attr_printf(3, 4);

static int wrong(const struct checker *c, int line, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(c->e, ERR_BAD_REQUEST, "%s:%d: %s", c->path, line, text);
}

static bool made_of(const char *text, const char *allowed)
{
    return text[0] && !text[strspn(text, allowed)];
}

static bool is_name(const char *text)
{
    return made_of(text, ALNUM "-_");
}

static bool is_udc(const char *text) /* fe980000.usb, dummy_udc.0, musb-hdrc.1.auto; empty: any */
{
    return !text[0] || (text[0] != '.' && made_of(text, ALNUM "-_.:"));
}

static bool is_absolute(const char *text)
{
    return text[0] == '/';
}

static bool is_shown(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return false;
    return len > 0 && parse_is_utf8(text, len);
}

static bool is_serial(const char *text) /* empty: made by us */
{
    for (; *text; text++)
        if (*text <= 0x20 || *text >= 0x7f || *text == ',') return false;
    return true;
}

static bool is_user(const char *text)
{
    return made_of(text, ALNUM "-_.") && text[0] != '-';
}

#define RULE(k, ok_, must_)                                                                                          \
    {                                                                                                                \
        .key = #k, .offset = offsetof(struct config_draft, config.k),                                                \
        .line_offset = offsetof(struct config_draft, lines.k), .ok = ok_, .must = must_                              \
    }

static const struct {
    const char *key;
    size_t offset, line_offset;
    bool (*ok)(const char *);
    const char *must;
} rules[] = {
    RULE(name, is_name, "have only letters, digits, '-' and '_'"),
    RULE(configfs, is_absolute, "be an absolute path"),
    RULE(udc, is_udc, "be a name as in /sys/class/udc, or empty for the first that appears"),
    RULE(manufacturer, is_shown, "be text in UTF-8, without control characters"),
    RULE(product, is_shown, "be text in UTF-8, without control characters"),
    /* Windows discards a serial number with any other character in it, and then knows the device by its port. */
    RULE(serial, is_serial, "have only printable ASCII characters, without blanks and commas"),
    RULE(socket, is_absolute, "be an absolute path"),
    RULE(runtime_dir, is_absolute, "be an absolute path"),
    RULE(state_dir, is_absolute, "be an absolute path"),
    RULE(user, is_user, "be the name of a user"),
};

static int check_gadget(const struct checker *c, const struct config_draft *d)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const char *text = (const char *)d + rules[i].offset;
        int line = *(const int *)(const void *)((const char *)d + rules[i].line_offset);
        if (!rules[i].ok(text)) return wrong(c, line, "%s must %s, not \"%s\"", rules[i].key, rules[i].must, text);
    }
    for (int64_t digits = d->config.device_release; digits; digits >>= 4)
        if ((digits & 0xf) > 9) /* the kernel refuses it: is_valid_bcd() in drivers/usb/gadget/configfs.c */
            return wrong(c, d->lines.device_release, "device_release must have decimal digits only, such as 0x0100");
    return 0;
}

static int check_drive(const struct checker *c, const struct gadget_config *g, size_t i)
{
    const struct drive_config *d = &g->drives[i];
    if (!is_name(d->name))
        return wrong(c, d->line, "the drive's name \"%s\" may have only letters, digits, '-' and '_'", d->name);
    if (d->function[0] && !is_name(d->function))
        return wrong(c, d->line, "the function's name \"%s\" may have only letters, digits, '-' and '_'", d->function);
    const struct host_profile clock = host_profile_for((enum host_kind)d->host, &d->clock);
    if (clock.break_after >= clock.command)
        return wrong(c, d->line, "break_after of drive %s must be shorter than the %g s that the host waits for a command",
                     d->name, (double)clock.command / 1000);
    for (size_t k = 0; k < i; k++)
        if (strcmp(g->drives[k].name, d->name) == 0)
            return wrong(c, d->line, "there are two drives named \"%s\"", d->name);
    return 0;
}

/* A drive without a function gets one of its own, named as the drive. If another drive names that function they would
 * share a kernel thread and a lock, which nobody meant who did not write it for both. */
static int check_sharing(const struct checker *c, const struct gadget_config *g)
{
    for (size_t i = 0; i < g->drives_count; i++)
        for (size_t k = 0; k < g->drives_count; k++)
            if (i != k && g->drives[i].function[0] && !g->drives[k].function[0] &&
                strcmp(g->drives[i].function, g->drives[k].name) == 0)
                return wrong(c, g->drives[i].line,
                             "the function of drive %s is drive %s's own; name another, or write function = \"%s\" "
                             "for both",
                             g->drives[i].name, g->drives[k].name, g->drives[k].name);
    return 0;
}

static int check_attribute(const struct checker *c, const struct function_config *f, const struct config_entry *a)
{
    uint8_t bytes[sizeof a->value];
    if (!made_of(a->name, ALNUM "-_"))
        return wrong(c, a->line, "\"%s\" cannot be an attribute of %s", a->name, f->name);
    if (!a->value[0])
        return wrong(c, a->line, "%s of %s is empty: configfs does not notice an empty write", a->name, f->name);
    if (gadget_config_attribute_bytes(a, bytes, sizeof bytes) <= 0)
        return wrong(c, a->line, "%s of %s must have pairs of hexadecimal digits after \"hex:\", such as \"hex:05 01\"",
                     a->name, f->name);
    return 0;
}

static int check_function(const struct checker *c, const struct gadget_config *g, size_t i)
{
    const struct function_config *f = &g->functions[i];
    const char *dot = strchr(f->name, '.');
    size_t type_len = dot ? (size_t)(dot - f->name) : 0;
    if (type_len == 0 || strspn(f->name, LOWER DIGITS "_") != type_len || !made_of(dot + 1, ALNUM "-_."))
        return wrong(c, f->line, "the function's name \"%s\" must be TYPE.INSTANCE, such as \"hid.usb0\"", f->name);
    if (strlen(f->name) > FUNCTION_NAME_MAX)
        return wrong(c, f->line, "the function's name \"%s\" has more than %d characters", f->name, FUNCTION_NAME_MAX);
    if (strncmp(f->name, "mass_storage.", type_len + 1) == 0)
        return wrong(c, f->line, "\"%s\" is made from the drives; list them under drives", f->name);
    for (size_t k = 0; k < i; k++)
        if (strcmp(g->functions[k].name, f->name) == 0)
            return wrong(c, f->line, "there are two functions named \"%s\"", f->name);
    for (size_t k = 0; k < f->attributes_count; k++)
        if (check_attribute(c, f, &f->attributes[k]) < 0) return -1;
    return 0;
}

int config_check(struct config_draft *d, const char *path, struct err *e)
{
    struct gadget_config *g = &d->config;
    struct checker c = {path, e};
    if (check_gadget(&c, d) < 0) return -1;
    if (g->drives_count == 0) return wrong(&c, d->lines.drives, "drives is empty; leave it out to have cd0 and usb0");
    for (size_t i = 0; i < g->drives_count; i++)
        if (check_drive(&c, g, i) < 0) return -1;
    if (check_sharing(&c, g) < 0) return -1;
    for (size_t i = 0; i < g->functions_count; i++)
        if (check_function(&c, g, i) < 0) return -1;
    return store_list_check(&g->stores, path, e);
}

#define HEX_MARK "hex:"

ssize_t gadget_config_attribute_bytes(const struct config_entry *a, uint8_t *ret, size_t size)
{
    size_t n = 0;
    if (strncmp(a->value, HEX_MARK, strlen(HEX_MARK)) != 0) {
        n = strlen(a->value);
        if (n > size) return -1;
        memcpy(ret, a->value, n);
        return (ssize_t)n;
    }
    for (const char *p = a->value + strlen(HEX_MARK);; p += 2) {
        p += strspn(p, " \t\n");
        if (!*p) return (ssize_t)n;
        char pair[3] = {p[0], p[1]};
        if (n == size || parse_hex(pair, &ret[n++], 1) < 0) return -1;
    }
}
