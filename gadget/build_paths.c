#include <stdio.h>
#include <string.h>

#include "gadget/build.h"

/* The first drive of the same function. */
static size_t first_of_function(const struct gadget_config *c, size_t drive)
{
    size_t i = 0;
    while (strcmp(gadget_config_function(c, i), gadget_config_function(c, drive)) != 0) i++;
    return i;
}

size_t build_lun_index(const struct gadget_config *c, size_t drive)
{
    size_t index = 0;
    for (size_t i = 0; i < drive; i++) index += first_of_function(c, i) == first_of_function(c, drive);
    return index;
}

size_t build_function_index(const struct gadget_config *c, size_t drive)
{
    size_t index = 0, first = first_of_function(c, drive);
    for (size_t i = 0; i < first; i++) index += first_of_function(c, i) == i;
    return index;
}

size_t build_function_count(const struct gadget_config *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->drives_count; i++) count += first_of_function(c, i) == i;
    return count;
}

void build_gadget_dir(const struct gadget_config *c, char *ret, size_t size)
{
    snprintf(ret, size, "%s/usb_gadget/%s", c->configfs, c->name);
}

void build_function_dir(const struct gadget_config *c, size_t drive, char *ret, size_t size)
{
    snprintf(ret, size, "%s/usb_gadget/%s/functions/mass_storage.%s", c->configfs, c->name,
             gadget_config_function(c, drive));
}

void build_lun_dir(const struct gadget_config *c, size_t drive, char *ret, size_t size)
{
    snprintf(ret, size, "%s/usb_gadget/%s/functions/mass_storage.%s/lun.%zu", c->configfs, c->name,
             gadget_config_function(c, drive), build_lun_index(c, drive));
}
