#include "gadget/config.h"

#include <string.h>

#include "gadget/config_check.h"
#include "gadget/serial.h"

#define GADGET(k, kind_, ...)                                                                                        \
    {                                                                                                                \
        .name = #k, .kind = kind_, .offset = offsetof(struct config_draft, config.k), __VA_ARGS__                    \
    }
#define GADGET_TEXT(k, ...)                                                                                          \
    GADGET(k, CONFIG_TEXT, .size = sizeof(((struct gadget_config *)0)->k),                                           \
           .line_offset = offsetof(struct config_draft, lines.k), __VA_ARGS__)

static const char *const dirty_limit_names[] = {"system", "device", NULL};
static const char *const forced_eject_names[] = {"auto", "off", NULL};

static const struct config_key gadget_keys[] = {
    GADGET_TEXT(name, .help = "name of the gadget's directory in configfs"),
    GADGET_TEXT(configfs, .help = "where configfs is mounted"),
    GADGET_TEXT(udc, .help = "USB device controller; empty: the first that appears"),
    GADGET(vendor_id, CONFIG_NUMBER, .min = 1, .max = 0xffff, .help = "USB vendor id"),
    GADGET(product_id, CONFIG_NUMBER, .min = 0, .max = 0xffff, .help = "USB product id"),
    GADGET(device_release, CONFIG_NUMBER, .min = 0, .max = 0x9999,
           .line_offset = offsetof(struct config_draft, lines.device_release),
           .help = "bcdDevice: the device's release number, in decimal digits; the last one counts how often it was attached"),
    GADGET_TEXT(manufacturer, .help = "manufacturer that the host shows"),
    GADGET_TEXT(product, .help = "product that the host shows"),
    GADGET_TEXT(serial, .help = "serial number; empty: made from the machine's id"),
    {.name = "max_power", .kind = CONFIG_NUMBER, .offset = offsetof(struct config_draft, config.max_power_ma),
     .min = 2, .max = 500, .help = "mA that the device may draw from the host's port"},
    GADGET(forced_eject, CONFIG_CHOICE, .choices = forced_eject_names, .help = "whether the kernel's is used"),
    GADGET(reattach, CONFIG_CHOICE, .choices = reattach_policy_names, .help = "when the gadget may be reattached"),
    GADGET(reattach_hold, CONFIG_DURATION, .min = REATTACH_HOLD_MIN, .max = 60 * 1000,
           .help = "how long a reattach stays unbound"),
    GADGET(dirty_limit, CONFIG_CHOICE, .choices = dirty_limit_names, .help = "whose unwritten data may be limited"),
    GADGET(sample_interval, CONFIG_DURATION, .min = 100, .max = 60 * 1000, .help = "how often evidence is sampled"),
    GADGET_TEXT(socket, .help = "unix socket of trayd-gadget"),
    GADGET_TEXT(runtime_dir, .help = "directory of the state file and the locks"),
    GADGET_TEXT(state_dir, .help = "directory of what is kept over reboots"),
    GADGET_TEXT(user, .help = "user who may connect to the socket besides root"),
    {0},
};

#define DRIVE(k, kind_, ...) {.name = #k, .kind = kind_, .offset = offsetof(struct drive_config, k), __VA_ARGS__}
#define HOUR (60 * 60 * 1000)
#define CLOCK(k, member, ...)                                                                                        \
    {                                                                                                                \
        .name = #k, .kind = CONFIG_DURATION, .offset = offsetof(struct drive_config, clock.member), .min = 0,        \
        .max = HOUR, __VA_ARGS__                                                                                     \
    }

static const struct config_key drive_keys[] = {
    DRIVE(name, CONFIG_TEXT, .size = DRIVE_NAME_MAX, .required = true,
          .line_offset = offsetof(struct drive_config, line), .help = "name in URLs: letters, digits, '-' and '_'"),
    DRIVE(type, CONFIG_CHOICE, .choices = drive_type_names, .required = true, .help = "what the host sees"),
    DRIVE(function, CONFIG_TEXT, .size = DRIVE_NAME_MAX, .help = "name of the USB function; empty: one of its own"),
    DRIVE(lock_policy, CONFIG_CHOICE, .choices = lock_policy_names, .help = "what the host's lock on a CD means"),
    DRIVE(quiet, CONFIG_DURATION, .min = 0, .max = HOUR, .help = "no orderly eject so soon after the host wrote"),
    DRIVE(release_quiet, CONFIG_DURATION, .min = 1000, .max = HOUR,
          .help = "release_when_quiet: the host has not read for so long"),
    DRIVE(dwell, CONFIG_DURATION, .min = 0, .max = HOUR, .help = "how long the drive stays empty between two media"),
    DRIVE(host, CONFIG_CHOICE, .choices = host_kind_names, .help = "whose patience counts"),
    CLOCK(host_command, command, .help = "how long the host waits for a read or write"),
    CLOCK(host_prevent, prevent, .help = "how long it waits for PREVENT or ALLOW MEDIUM REMOVAL"),
    CLOCK(host_sync, sync, .help = "how long it waits for SYNCHRONIZE CACHE"),
    CLOCK(break_after, break_after, .help = "a forced eject that takes longer may interrupt the host's command"),
    CLOCK(quarantine, quarantine, .help = "how long the drive stays empty after a command was interrupted"),
    DRIVE(restore, CONFIG_FLAG, .help = "put back after a reboot what was in"),
    DRIVE(patience, CONFIG_DURATION, .min = 0, .max = 24 * HOUR, .help = "of an orderly eject that does not say"),
    DRIVE(stuck_after, CONFIG_DURATION, .min = 1000, .max = HOUR,
          .help = "a call into the kernel that takes longer makes the drive stuck"),
    {0},
};

#define FUNCTION(k, kind_, ...) {.name = #k, .kind = kind_, .offset = offsetof(struct function_config, k), __VA_ARGS__}

static const struct config_key function_keys[] = {
    FUNCTION(name, CONFIG_TEXT, .size = sizeof(((struct function_config *)0)->name), .required = true,
             .line_offset = offsetof(struct function_config, line), .help = "TYPE.INSTANCE, as in configfs"),
    FUNCTION(attributes, CONFIG_ENTRIES, .count = FUNCTION_ATTRIBUTES_MAX,
             .count_offset = offsetof(struct function_config, attributes_count), .help = "what is written to it"),
    {0},
};

#define LIST(k, keys_, max_, number, ...)                                                                            \
    {                                                                                                                \
        .name = #k, .kind = CONFIG_LIST, .keys = keys_, .count = max_,                                               \
        .offset = offsetof(struct config_draft, config.k), .size = sizeof(((struct gadget_config *)0)->k[0]),        \
        .count_offset = offsetof(struct config_draft, config.number), __VA_ARGS__                                    \
    }

static const struct config_key file_keys[] = {
    {.name = "gadget", .kind = CONFIG_GROUP, .keys = gadget_keys, .help = "the USB device"},
    {.name = "stores", .kind = CONFIG_LIST, .keys = store_config_keys, .count = STORES_MAX,
     .offset = offsetof(struct config_draft, config.stores.items), .size = sizeof(struct store_config),
     .count_offset = offsetof(struct config_draft, config.stores.count), .help = "directories of images"},
    LIST(drives, drive_keys, DRIVES_MAX, drives_count, .line_offset = offsetof(struct config_draft, lines.drives),
         .help = "what the host sees as drives"),
    LIST(functions, function_keys, OTHER_FUNCTIONS_MAX, functions_count, .help = "further functions of the gadget"),
    {.name = "server", .kind = CONFIG_FOREIGN, .help = "the network service"},
    {.name = "fetch", .kind = CONFIG_FOREIGN, .help = "images from elsewhere"},
    {0},
};

/* Also what an item of `drives` begins with. */
static const struct drive_config drive_defaults = {
    .type = DRIVE_CDROM,
    .lock_policy = LOCK_RESPECT,
    .quiet = 2000,         /* Windows does not lock sticks: only this protects what it is still writing */
    .release_quiet = 30000, /* longer than a live system that reads its CD now and then stays away from it */
    .dwell = 3000,         /* Linux polls disks every 2 s, Windows every second: all see the drive empty */
    .patience = 25000,
    .stuck_after = 10000,  /* a healthy call takes milliseconds, and a host waits 30 s before it resets the device */
};

static const struct gadget_config defaults = {
    .name = "trayd",
    .configfs = "/sys/kernel/config",
    .vendor_id = 0x1d6b, /* Linux Foundation, */
    .product_id = 0x0104, /* multifunction composite gadget: what hosts have long seen from such appliances */
    .device_release = 0x0100,
    .manufacturer = "trayd",
    .product = "Virtual media",
    .max_power_ma = 250,
    .forced_eject = FORCED_EJECT_AUTO,
    .reattach = REATTACH_LAST_RESORT,
    .reattach_hold = 800, /* a hub reports a change within 256 ms (USB 2.0, 11.23.1): three times that */
    .dirty_limit = DIRTY_LIMIT_SYSTEM, /* an unplugged keyboard is worse than slower writing elsewhere */
    .sample_interval = 1000,
    .socket = "/run/trayd/gadget.sock",
    .runtime_dir = "/run/trayd",
    .state_dir = "/var/lib/trayd-gadget",
    .user = "trayd",
};

static void default_drives(struct gadget_config *c)
{
    c->drives[0] = c->drives[1] = drive_defaults;
    strcpy(c->drives[0].name, "cd0");
    strcpy(c->drives[1].name, "usb0");
    c->drives[1].type = DRIVE_DISK;
    c->drives_count = 2;
}

int gadget_config_load(const char *path, struct gadget_config *ret, struct err *e)
{
    cleanup_free struct config_draft *d = calloc(1, sizeof *d);
    if (!d) return err_set(e, ERR_UNAVAILABLE, "Out of memory while reading %s", path);
    d->config = defaults;
    d->config.drives[0] = drive_defaults;
    d->config.stores.items[0] = store_defaults;
    if (config_load(path, file_keys, d, e) < 0) return -1;
    if (d->config.drives_count == 0 && d->lines.drives == 0) default_drives(&d->config);
    if (config_check(d, path, e) < 0) return -1;
    if (!d->config.serial[0]) serial_of_machine(d->config.serial);
    *ret = d->config;
    return 0;
}

const char *gadget_config_function(const struct gadget_config *c, size_t drive)
{
    return c->drives[drive].function[0] ? c->drives[drive].function : c->drives[drive].name;
}
