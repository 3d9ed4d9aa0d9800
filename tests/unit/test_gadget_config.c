/* gadget/config.c: what trayd.conf may say about the gadget, and how it is told what it may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "gadget/config.h"
#include "gadget/serial.h"

#define SHIPPED "etc/trayd.conf" /* tests run in the top directory */

static char path[] = "/tmp/test_gadget_config.XXXXXX";

static int make_file(void **state attr_unused)
{
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state attr_unused)
{
    return unlink(path);
}

static int load(const char *text, struct gadget_config *ret, struct err *e)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    return gadget_config_load(path, ret, e);
}

static const struct gadget_config *loaded(const char *text)
{
    static struct gadget_config c;
    struct err e = {0};
    memset(&c, 0xa5, sizeof c);
    if (load(text, &c, &e) < 0) fail_msg("%s", e.text);
    return &c;
}

static void an_empty_file_has_the_defaults(void **state attr_unused)
{
    const struct gadget_config *c = loaded("");
    assert_string_equal(c->name, "trayd");
    assert_string_equal(c->configfs, "/sys/kernel/config");
    assert_string_equal(c->udc, "");
    assert_int_equal(c->vendor_id, 0x1d6b);
    assert_int_equal(c->product_id, 0x0104);
    assert_int_equal(c->reattach, REATTACH_LAST_RESORT);
    assert_int_equal(c->reattach_hold, 800);
    assert_int_equal(c->sample_interval, 1000);
    assert_int_equal(c->forced_eject, FORCED_EJECT_AUTO);
    assert_int_equal(strlen(c->serial), SERIAL_LEN);
    assert_int_equal(c->drives_count, 2);
    assert_string_equal(c->drives[0].name, "cd0");
    assert_int_equal(c->drives[0].type, DRIVE_CDROM);
    assert_string_equal(c->drives[1].name, "usb0");
    assert_int_equal(c->drives[1].type, DRIVE_DISK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(c->drives[i].lock_policy, LOCK_RESPECT);
        assert_int_equal(c->drives[i].quiet, 2000);
        assert_int_equal(c->drives[i].release_quiet, 30000);
        assert_int_equal(c->drives[i].dwell, 3000);
        assert_int_equal(c->drives[i].patience, 25000);
        assert_int_equal(c->drives[i].stuck_after, 10000);
        assert_string_equal(gadget_config_function(c, i), c->drives[i].name);
    }
    assert_int_equal(c->functions_count, 0);
    assert_int_equal(c->stores.count, 1);
    assert_string_equal(c->stores.items[0].name, "main");
}

static void assert_same_drive(const struct drive_config *a, const struct drive_config *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->function, b->function);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->lock_policy, b->lock_policy);
    assert_int_equal(a->quiet, b->quiet);
    assert_int_equal(a->release_quiet, b->release_quiet);
    assert_int_equal(a->dwell, b->dwell);
    assert_int_equal(a->patience, b->patience);
    assert_int_equal(a->restore, b->restore);
    assert_int_equal(a->stuck_after, b->stuck_after);
    assert_int_equal(a->host, b->host);
    assert_memory_equal(&a->clock, &b->clock, sizeof a->clock);
}

/* Member by member: padding and line numbers may differ. */
static void assert_same(const struct gadget_config *a, const struct gadget_config *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->configfs, b->configfs);
    assert_string_equal(a->udc, b->udc);
    assert_int_equal(a->vendor_id, b->vendor_id);
    assert_int_equal(a->product_id, b->product_id);
    assert_int_equal(a->device_release, b->device_release);
    assert_string_equal(a->manufacturer, b->manufacturer);
    assert_string_equal(a->product, b->product);
    assert_string_equal(a->serial, b->serial);
    assert_int_equal(a->max_power_ma, b->max_power_ma);
    assert_int_equal(a->forced_eject, b->forced_eject);
    assert_int_equal(a->reattach, b->reattach);
    assert_int_equal(a->reattach_hold, b->reattach_hold);
    assert_int_equal(a->dirty_limit, b->dirty_limit);
    assert_int_equal(a->sample_interval, b->sample_interval);
    assert_string_equal(a->socket, b->socket);
    assert_string_equal(a->runtime_dir, b->runtime_dir);
    assert_string_equal(a->state_dir, b->state_dir);
    assert_string_equal(a->user, b->user);
    assert_int_equal(a->functions_count, b->functions_count);
    assert_int_equal(a->drives_count, b->drives_count);
    for (size_t i = 0; i < a->drives_count; i++) assert_same_drive(&a->drives[i], &b->drives[i]);
    assert_int_equal(a->stores.count, b->stores.count);
    for (size_t i = 0; i < a->stores.count; i++) {
        assert_string_equal(a->stores.items[i].name, b->stores.items[i].name);
        assert_string_equal(a->stores.items[i].path, b->stores.items[i].path);
        assert_int_equal(a->stores.items[i].readonly, b->stores.items[i].readonly);
        assert_int_equal(a->stores.items[i].cut, b->stores.items[i].cut);
        assert_int_equal(a->stores.items[i].flush, b->stores.items[i].flush);
        assert_int_equal(a->stores.items[i].write_speed, b->stores.items[i].write_speed);
        assert_int_equal(a->stores.items[i].reserve, b->stores.items[i].reserve);
    }
}

static void the_shipped_file_says_the_defaults(void **state attr_unused)
{
    static struct gadget_config shipped, empty;
    struct err e = {0};
    empty = *loaded("");
    if (gadget_config_load(SHIPPED, &shipped, &e) < 0) fail_msg("%s", e.text);
    assert_same(&shipped, &empty);
}

/* Every key of the gadget, a drive and a store is in the shipped file. */
static void the_shipped_file_names_every_key(void **state attr_unused)
{
    static const char *const keys[] = {
        "udc", "vendor_id", "product_id", "device_release", "manufacturer", "product", "serial", "max_power",
        "forced_eject", "reattach", "reattach_hold", "sample_interval", "name", "configfs", "socket", "user",
        "runtime_dir", "state_dir", "restore", "path", "readonly", "type", "function", "lock_policy", "release_quiet", "quiet", "dwell",
        "patience", "stuck_after", "host", "break_after", "quarantine", "host_command", "host_prevent", "host_sync", "dirty_limit", "cut", "flush", "write_speed", "reserve", "mount", "attributes", "stores", "drives", "functions", "server", "gadget",
    };
    static char text[32768];
    char assignment[64];
    assert_true(fd_read_text(SHIPPED, text, sizeof text) > 0);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        snprintf(assignment, sizeof assignment, "%s = ", keys[i]);
        if (!strstr(text, assignment)) fail_msg("%s is not in %s", keys[i], SHIPPED);
    }
}

static void the_shipped_examples_work_when_uncommented(void **state attr_unused)
{
    static char text[32768], code[sizeof text];
    size_t n = 0;
    assert_true(fd_read_text(SHIPPED, text, sizeof text) > 0);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        n += (size_t)sprintf(code + n, "%s\n", strncmp(line, "//", 2) == 0 ? line + 2 : line);
    const struct gadget_config *c = loaded(code);
    assert_int_equal(c->stores.count, 2);
    assert_int_equal(c->functions_count, 1);
    assert_string_equal(c->functions[0].name, "hid.keyboard");

    uint8_t bytes[256];
    const struct config_entry *descriptor = &c->functions[0].attributes[3];
    assert_string_equal(descriptor->name, "report_desc");
    assert_int_equal(gadget_config_attribute_bytes(descriptor, bytes, sizeof bytes), 63); /* HID 1.11, appendix B.1 */
    assert_int_equal(bytes[0], 0x05);
    assert_int_equal(bytes[62], 0xc0);
}

static void drives_take_what_is_said_and_keep_the_other_defaults(void **state attr_unused)
{
    const struct gadget_config *c = loaded(
        "drives = ( { name = \"a\"; type = \"disk\"; quiet = \"0 s\"; function = \"f\"; },\n"
        "           { name = \"b\"; type = \"cdrom\"; lock_policy = \"release_when_quiet\"; function = \"f\"; } );\n"
        "gadget = { serial = \"X-1\"; max_power = 500; reattach_hold = \"300 ms\"; };\n"
        "server = { whatever = ( 1, { a = 2; } ); };\n");
    assert_int_equal(c->drives_count, 2);
    assert_int_equal(c->drives[0].quiet, 0);
    assert_int_equal(c->drives[1].quiet, 2000);
    assert_int_equal(c->drives[0].lock_policy, LOCK_RESPECT);
    assert_int_equal(c->drives[1].lock_policy, LOCK_RELEASE_WHEN_QUIET);
    assert_string_equal(gadget_config_function(c, 1), "f");
    assert_string_equal(c->serial, "X-1");
    assert_int_equal(c->max_power_ma, 500);
    assert_int_equal(c->reattach_hold, 300);
}

#define D(name, more) "{ name = \"" name "\"; type = \"disk\"; " more " }"
#define D4(n) D(n "0", "") "," D(n "1", "") "," D(n "2", "") "," D(n "3", "")
#define F(name, attributes) "functions = (\n{ name = \"" name "\"; attributes = {\n" attributes "\n}; } );"

static const struct {
    const char *text;
    const char *error; /* after the file's name */
} bad[] = {
    {"gadget = { udc = \"a\" udc = \"b\"; };", ":1: "},
    {"gadgets = { };", ":1: unknown key \"gadgets\"; did you mean \"gadget\"?"},
    {"\ngadget = { serail = \"1\"; };", ":2: unknown key \"serail\"; did you mean \"serial\"?"},
    {"gadget = ( );", ":1: gadget must be a group"},
    {"gadget = { vendor_id = \"1d6b\"; };", ":1: vendor_id must be an integer"},
    {"gadget = { vendor_id = 0x10000; };", ":1: vendor_id must be from 1 to 65535"},
    {"gadget = { device_release = 0x010a; };", ":1: device_release must have decimal digits only"},
    {"gadget = {\nname = \"a/b\"; };", ":2: name must have only letters, digits, '-' and '_', not \"a/b\""},
    {"gadget = { name = \"..\"; };", ":1: name must have only letters"},
    {"gadget = { udc = \"../x\"; };", ":1: udc must be a name as in /sys/class/udc"},
    {"gadget = { configfs = \"config\"; };", ":1: configfs must be an absolute path, not \"config\""},
    {"gadget = { socket = \"gadget.sock\"; };", ":1: socket must be an absolute path"},
    {"gadget = { user = \"\"; };", ":1: user must be the name of a user, not \"\""},
    {"gadget = { manufacturer = \"\"; };", ":1: manufacturer must be text in UTF-8"},
    {"gadget = { product = \"a\\nb\"; };", ":1: product must be text in UTF-8, without control characters"},
    {"gadget = { serial = \"a b\"; };", ":1: serial must have only printable ASCII characters"},
    {"gadget = { serial = \"1,2\"; };", ":1: serial must have only printable ASCII characters"},
    {"gadget = { max_power = 501; };", ":1: max_power must be from 2 to 500"},
    {"gadget = { max_power = 1; };", ":1: max_power must be from 2 to 500"},
    {"gadget = { forced_eject = \"on\"; };", ":1: forced_eject: \"on\" is none of \"auto\", \"off\""},
    {"gadget = { reattach = true; };", ":1: reattach must be a string"},
    {"gadget = { reattach_hold = \"250 ms\"; };", ":1: reattach_hold must be from 0.3 s to 60 s"},
    {"gadget = { reattach_hold = 1000; };", ":1: reattach_hold must be a string, such as \"30 s\""},
    {"gadget = { sample_interval = \"1 ms\"; };", ":1: sample_interval must be from 0.1 s to 60 s"},
    {"drives = ( );", ":1: drives is empty"},
    {"drives = ( { name = \"a\"; } );", ":1: type is missing"},
    {"drives = ( { type = \"disk\"; } );", ":1: name is missing"},
    {"drives = ( { name = \"a\"; type = \"floppy\"; } );", ":1: type: \"floppy\" is none of \"cdrom\", \"disk\""},
    {"drives = (\n" D("", "") ");", ":2: the drive's name \"\" may have only"},
    {"drives = (\n" D("a.b", "") ");", ":2: the drive's name \"a.b\" may have only letters, digits, '-' and '_'"},
    {"drives = ( " D("a123456789012345", "") ");", ":1: name is longer than 15 bytes"},
    {"drives = (" D("a", "") ",\n" D("a", "") ");", ":2: there are two drives named \"a\""},
    {"drives = (" D("a", "function = \"x y\";") ");", ":1: the function's name \"x y\" may have only"},
    {"drives = (" D("a", "") ",\n" D("b", "function = \"a\";") ");",
     ":2: the function of drive b is drive a's own; name another, or write function = \"a\" for both"},
    {"drives = (" D("a", "break_after = \"3 s\";") ");",
     ":1: break_after of drive a must be shorter than the 3 s that the host waits for a command"},
    {"drives = (" D("a", "host = \"linux\"; host_command = \"2 s\";") ");",
     ":1: break_after of drive a must be shorter than the 2 s that the host waits for a command"},
    {"stores = ( { name = \"a\"; path = \"/a\"; cut = \"loop\"; } );",
     ":1: cut: \"loop\" is none of \"never\", \"nbd\", \"fuse\", \"device-mapper\""},
    {"stores = ( { name = \"a\"; path = \"/a\"; write_speed = \"1 KiB\"; } );", ":1: write_speed must be at least 65536 bytes"},
    {"drives = (" D("a", "stuck_after = \"0 s\";") ");", ":1: stuck_after must be from 1 s to 3600 s"},
    {"drives = (" D("a", "patience = \"2 d\";") ");", ":1: patience must be from 0 s to 86400 s"},
    {"drives = (" D("a", "dwell = \"soon\";") ");", ":1: dwell: \"soon\" is not a duration"},
    {"drives = (" D4("a") "," D4("b") "," D4("c") "," D4("d") "," D("e", "") ");",
     ":1: drives has 17 items; at most 16 fit"},
    {F("keyboard", ""), ":2: the function's name \"keyboard\" must be TYPE.INSTANCE"},
    {F("hid.", ""), ":2: the function's name \"hid.\" must be TYPE.INSTANCE"},
    {F(".usb0", ""), ":2: the function's name \".usb0\" must be TYPE.INSTANCE"},
    {F("hid.a/b", ""), ":2: the function's name \"hid.a/b\" must be TYPE.INSTANCE"},
    {F("hid.0123456789012345678901234567890123456789", ""), " has more than 39 characters"},
    {F("mass_storage.x", ""), ":2: \"mass_storage.x\" is made from the drives; list them under drives"},
    {"functions = ( { name = \"hid.a\"; },\n { name = \"hid.a\"; } );", ":2: there are two functions named \"hid.a\""},
    {F("hid.a", "protocol = 1.5;"), ":3: protocol must be a string"},
    {F("hid.a", "protocol = \"\";"), ":3: protocol of hid.a is empty"},
    {F("hid.a", "sub*class = 1;"), ":3: \"sub*class\" cannot be an attribute of hid.a"},
    {F("hid.a", "protocol = 1;\nreport_desc = \"hex:05 1\";"),
     ":4: report_desc of hid.a must have pairs of hexadecimal digits"},
    {F("hid.a", "report_desc = \"hex:05 0g\";"), ":3: report_desc of hid.a must have pairs of hexadecimal digits"},
    {F("hid.a", "report_desc = \"hex:\";"), ":3: report_desc of hid.a must have pairs of hexadecimal digits"},
    {"stores = ( { name = \"a\"; path = \"images\"; } );", ":1: the path of store \"a\" must be absolute"},
};

static void bad_files_are_refused_with_the_line(void **state attr_unused)
{
    static struct gadget_config c;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};
        c.name[0] = '?';
        if (load(bad[i].text, &c, &e) == 0) fail_msg("accepted: %s", bad[i].text);
        if (strncmp(e.text, path, strlen(path)) != 0 || !strstr(e.text, bad[i].error))
            fail_msg("%s\nsays:   %s\nwanted: %s", bad[i].text, e.text, bad[i].error);
        assert_int_equal(c.name[0], '?'); /* untouched */
    }
}

static void a_missing_file_is_named(void **state attr_unused)
{
    static struct gadget_config c;
    struct err e = {0};
    assert_int_equal(gadget_config_load("/nowhere/trayd.conf", &c, &e), -1);
    assert_non_null(strstr(e.text, "/nowhere/trayd.conf"));
}

static void attributes_are_text_or_bytes(void **state attr_unused)
{
    static const struct {
        const char *text;
        ssize_t len;
        const char *bytes;
    } cases[] = {
        {"8", 1, "8"},
        {"hexagon", 7, "hexagon"},
        {"hex:05 01", 2, "\x05\x01"},
        {"hex:0501", 2, "\x05\x01"},
        {"hex: FF\t00 \n", 2, "\xff\x00"},
        {"hex:", 0, ""},
        {"hex:0 5", -1, ""},
        {"hex:050", -1, ""},
        {"hex:0x05", -1, ""},
        {"hex:01 02 03 04 05 06 07 08 09", -1, ""}, /* more than fit */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config_entry a = {.name = "x"};
        uint8_t bytes[8];
        strcpy(a.value, cases[i].text);
        assert_int_equal(gadget_config_attribute_bytes(&a, bytes, sizeof bytes), cases[i].len);
        if (cases[i].len > 0) assert_memory_equal(bytes, cases[i].bytes, (size_t)cases[i].len);
    }
}

static void serials_are_steady_digits_that_do_not_show_the_id(void **state attr_unused)
{
    static const char id[] = "0123456789abcdef0123456789abcdef", other[] = "0123456789abcdef0123456789abcdee";
    char a[SERIAL_LEN + 1], b[SERIAL_LEN + 1], c[SERIAL_LEN + 1];
    serial_from_id(id, a);
    serial_from_id(id, b);
    serial_from_id(other, c);
    /* Computed with another implementation of SipHash-2-4. A serial that changes makes every host see a new device. */
    assert_string_equal(a, "51BC562947D30076");
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_int_equal(strspn(a, "0123456789ABCDEF"), SERIAL_LEN);
    assert_null(strstr(id, a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_has_the_defaults),
        cmocka_unit_test(the_shipped_file_says_the_defaults),
        cmocka_unit_test(the_shipped_file_names_every_key),
        cmocka_unit_test(the_shipped_examples_work_when_uncommented),
        cmocka_unit_test(drives_take_what_is_said_and_keep_the_other_defaults),
        cmocka_unit_test(bad_files_are_refused_with_the_line),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(attributes_are_text_or_bytes),
        cmocka_unit_test(serials_are_steady_digits_that_do_not_show_the_id),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
