/* Which drive suits an image, and why. */
#include <stdio.h>

#include "images/inspect.h"

#define SIZE_TEXT_MAX 32

/* As on the box: 5.1 GB. */
static const char *size_text(uint64_t bytes, char ret[SIZE_TEXT_MAX])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t unit = 1000;
    size_t i = 0;
    if (bytes < 1000) {
        snprintf(ret, SIZE_TEXT_MAX, "%u bytes", (unsigned)bytes);
        return ret;
    }
    while (i < 5 && bytes / unit >= 1000) unit *= 1000, i++;
    snprintf(ret, SIZE_TEXT_MAX, "%.1f %s", (double)bytes / (double)unit, units[i]);
    return ret;
}

static bool any(struct inspect_boot b)
{
    return b.bios || b.uefi;
}

static bool is_disc(const struct inspect_summary *s)
{
    return s->format == INSPECT_ISO9660 || s->format == INSPECT_UDF;
}

bool inspect_fits_cdrom(uint64_t size)
{
    return size >= INSPECT_CDROM_BYTES_MIN && size <= INSPECT_CDROM_BYTES_MAX;
}

/* "Bootable hybrid ISO of 5.1 GB" */
static void describe_disc(const struct inspect_summary *s, uint64_t size, char ret[96])
{
    char bytes[SIZE_TEXT_MAX];
    bool hybrid = any(s->disk), bootable = hybrid || any(s->cdrom);
    snprintf(ret, 96, "%s%s of %s", bootable ? hybrid ? "Bootable hybrid " : "Bootable " : "",
             s->format == INSPECT_UDF ? "UDF disc" : "ISO", size_text(size, bytes));
}

static void suggest_disc(const struct inspect_summary *s, uint64_t size, struct inspect_suggestion *r)
{
    char what[96], limit[SIZE_TEXT_MAX];
    describe_disc(s, size, what);
    r->type = inspect_fits_cdrom(size) ? "cdrom" : "disk";
    if (inspect_fits_cdrom(size))
        snprintf(r->reason, sizeof r->reason, "%s: use a CD drive%s", what,
                 any(s->disk) ? "; it boots from a disk drive as well" : "");
    else if (size < INSPECT_CDROM_BYTES_MIN)
        snprintf(r->reason, sizeof r->reason,
                 "%s: use a disk drive; it is smaller than the smallest CD that this kernel takes", what);
    else
        snprintf(r->reason, sizeof r->reason,
                 "%s: use a disk drive; it is larger than this kernel's CD limit of %s%s", what,
                 size_text(INSPECT_CDROM_BYTES_MAX, limit),
                 s->deep && any(s->cdrom) && !any(s->disk) ? ", but it is no hybrid and will not boot there" : "");
}

static const char *disk_reason(const struct inspect_summary *s)
{
    if (s->format == INSPECT_DISK)
        return any(s->disk) ? "Bootable disk image: use a disk drive" : "Disk image: use a disk drive";
    if (s->format == INSPECT_FILESYSTEM)
        return any(s->disk) ? "Bootable file system without partitions, as on a USB stick: use a disk drive"
                            : "File system without partitions: use a disk drive";
    return s->boot_sector ? "It begins with a boot sector, as a disk does: use a disk drive"
                          : "It holds no CD or DVD file system: use a disk drive";
}

void inspect_suggest(const struct inspect_summary *s, uint64_t size, struct inspect_suggestion *ret)
{
    if (is_disc(s)) {
        suggest_disc(s, size, ret);
    } else if (s->format == INSPECT_COMPRESSED || s->format == INSPECT_FOREIGN) {
        ret->type = NULL;
        snprintf(ret->reason, sizeof ret->reason, "%s",
                 s->format == INSPECT_COMPRESSED ? "Compressed: unpack it first" :
                 "Not a plain image, but another program's format: convert it first");
    } else {
        ret->type = "disk";
        snprintf(ret->reason, sizeof ret->reason, "%s", disk_reason(s));
    }
}

struct inspect_boot inspect_bootable(const struct inspect_summary *s, uint64_t size)
{
    return is_disc(s) && inspect_fits_cdrom(size) ? s->cdrom : s->disk;
}
