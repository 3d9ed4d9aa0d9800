/*
 * config.h - what root says about the gadget in trayd.conf.
 *
 * etc/trayd.conf documents each key; the table in config.c is what accepts them. Both processes link this file:
 * trayd only for --check-config.
 */
#pragma once

#include <sys/types.h>

#include "base/store_config.h"
#include "gadget/profile.h"

#define DRIVES_MAX 16            /* LUNs of one function, FSG_MAX_LUNS in f_mass_storage; and as many functions */
#define DRIVE_NAME_MAX 16
#define OTHER_FUNCTIONS_MAX 8    /* keyboard, mouse, serial, network: more endpoints no controller has */
#define FUNCTION_ATTRIBUTES_MAX 16

enum forced_eject_use { FORCED_EJECT_AUTO, FORCED_EJECT_OFF };
enum dirty_limit_use { DIRTY_LIMIT_SYSTEM, DIRTY_LIMIT_DEVICE };

struct drive_config {
    char name[DRIVE_NAME_MAX];     /* letters and digits, '-', '_' */
    int type;                      /* enum drive_type */
    char function[DRIVE_NAME_MAX]; /* name of the mass_storage function; empty: one of its own, named as the drive */
    int lock_policy;               /* enum lock_policy */
    msec quiet, release_quiet, dwell;
    int host;                      /* enum host_kind: whose clock it is, */
    struct host_profile clock;     /* and what is to be different; 0: as the profile says */
    bool restore;                  /* what was in comes back after a reboot of the appliance */
    msec patience;                 /* of an orderly eject that does not say */
    msec stuck_after;              /* a call into the kernel that takes longer makes the drive `stuck` */
    int line;
};

struct function_config {           /* a further function of the same gadget: { name = "hid.usb0"; attributes = {} } */
    char name[64];                 /* as in configfs: TYPE.INSTANCE */
    struct config_entry attributes[FUNCTION_ATTRIBUTES_MAX]; /* a value "hex:05 01 ..." is written as bytes */
    size_t attributes_count;
    int line;
};

struct gadget_config {
    char name[64];                 /* of the gadget's directory in configfs */
    char configfs[STORE_PATH_MAX]; /* where configfs is mounted */
    char udc[64];                  /* empty: the first that appears */
    int64_t vendor_id, product_id, device_release;
    char manufacturer[127], product[127], serial[127]; /* serial empty: made from the machine id */
    int64_t max_power_ma;
    int forced_eject;              /* enum forced_eject_use */
    int reattach;                  /* enum reattach_policy */
    msec reattach_hold;            /* how long unbound: a host must see a disconnect, not a reset */
    int dirty_limit;               /* enum dirty_limit_use */
    msec sample_interval;          /* evidence is sampled this often while it can change something */
    char socket[108];              /* sun_path; default /run/trayd/gadget.sock */
    char runtime_dir[STORE_PATH_MAX]; /* state file and locks; default /run/trayd */
    char state_dir[STORE_PATH_MAX];   /* what is kept over reboots (kept.h); default /var/lib/trayd-gadget */
    char user[32];                 /* who may connect besides root; default trayd */
    struct drive_config drives[DRIVES_MAX];
    size_t drives_count;
    struct function_config functions[OTHER_FUNCTIONS_MAX];
    size_t functions_count;
    struct store_list stores;
};

/* Reads and checks `path`. Returns 0, or -1 with *e naming file and line. */
int gadget_config_load(const char *path, struct gadget_config *ret, struct err *e);

/* The name of the function that drive i lives in: its own name if none is configured. */
const char *gadget_config_function(const struct gadget_config *c, size_t drive);

/* What is written for an attribute of a further function: the bytes after "hex:", else the text as it stands.
 * Returns their number, -1 where they are not hexadecimal or do not fit. */
ssize_t gadget_config_attribute_bytes(const struct config_entry *a, uint8_t *ret, size_t size);
