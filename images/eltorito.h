/*
 * eltorito.h - who can boot from a disc: the boot catalog (El Torito 1.0, with UEFI's platform 0xef). Pure.
 */
#pragma once

#include "images/inspect_source.h"

struct eltorito {
    bool valid;                 /* there is a boot catalog, and its checksum is right */
    struct inspect_boot boot;
    uint64_t end;               /* bytes: up to where the boot images reach */
};

/* One read: the 64 entries of one sector. */
void eltorito_read(struct source *s, uint32_t sector, struct eltorito *ret);
