#include "images/inspect_warn.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void inspect_warn(struct inspect_result *r, enum inspect_warning_code code, const char *fmt, ...)
{
    if (r->warnings_count == INSPECT_WARNINGS_MAX) return;
    struct inspect_warning *w = &r->warnings[r->warnings_count++];
    va_list args;
    w->code = code;
    va_start(args, fmt);
    vsnprintf(w->text, sizeof w->text, fmt, args);
    va_end(args);
}

static bool has(const struct inspect_result *r, enum inspect_warning_code code)
{
    for (size_t i = 0; i < r->warnings_count; i++)
        if (r->warnings[i].code == code) return true;
    return false;
}

void inspect_warn_truncated(struct inspect_result *r, const char *what, uint64_t needed, uint64_t size)
{
    if (needed <= size || has(r, INSPECT_WARN_TRUNCATED)) return;
    inspect_warn(r, INSPECT_WARN_TRUNCATED,
                 "The image is cut off, perhaps by an interrupted copy: "
                 "%s needs %" PRIu64 " bytes, and there are %" PRIu64,
                 what, needed, size);
}

static bool any(struct inspect_boot b)
{
    return b.bios || b.uefi;
}

static void warn_of_disc(struct inspect_result *r, uint64_t size)
{
    const struct inspect_summary *s = &r->summary;
    if (size > INSPECT_CDROM_BYTES_MAX)
        inspect_warn(r, INSPECT_WARN_CDROM_LIMIT,
                     "No CD drive can take it: the kernel's limit is %lld bytes, and it has %" PRIu64,
                     INSPECT_CDROM_BYTES_MAX, size);
    else if (size < INSPECT_CDROM_BYTES_MIN)
        inspect_warn(r, INSPECT_WARN_CDROM_LIMIT, "No CD drive can take it: the kernel wants %lld bytes at least",
                     INSPECT_CDROM_BYTES_MIN);
    if (any(s->cdrom) && !any(s->disk))
        inspect_warn(r, INSPECT_WARN_WILL_NOT_BOOT,
                     "It boots only from a CD drive, not from a disk drive: it is no hybrid%s",
                     size > INSPECT_CDROM_BYTES_MAX
                         ? ". Use a smaller edition, or make a bootable stick of it and use an image of that" : "");
    else if (any(s->disk) && !any(s->cdrom))
        inspect_warn(r, INSPECT_WARN_WILL_NOT_BOOT, "It boots only from a disk drive, not from a CD drive");
    else if (s->disk.bios != s->cdrom.bios || s->disk.uefi != s->cdrom.uefi)
        inspect_warn(r, INSPECT_WARN_WILL_NOT_BOOT, "%s boots it only from a %s drive",
                     s->disk.bios != s->cdrom.bios ? "A BIOS" : "UEFI",
                     (s->disk.bios != s->cdrom.bios ? s->cdrom.bios : s->cdrom.uefi) ? "CD" : "disk");
}

static void warn_of_size(struct inspect_result *r, uint64_t size)
{
    bool disc = r->summary.format == INSPECT_ISO9660 || r->summary.format == INSPECT_UDF;
    unsigned sector = disc && inspect_fits_cdrom(size) ? 2048 : 512, rest = (unsigned)(size % sector);
    if (rest)
        inspect_warn(r, INSPECT_WARN_ODD_SIZE,
                     "Its size is no multiple of %u bytes: the last %u bytes cannot be read by the host", sector, rest);
}

void inspect_warn_of_choices(struct inspect_result *r, uint64_t size)
{
    switch (r->summary.format) {
    case INSPECT_COMPRESSED:
        inspect_warn(r, INSPECT_WARN_COMPRESSED,
                     "It is compressed (%s): a host would see the compressed bytes. Unpack it", r->container);
        return;
    case INSPECT_FOREIGN:
        inspect_warn(r, INSPECT_WARN_FOREIGN,
                     "It is an image in another format (%s), which a host cannot read. Convert it to a raw image, for "
                     "example with qemu-img", r->container);
        return;
    case INSPECT_ISO9660:
    case INSPECT_UDF:
        warn_of_disc(r, size);
        break;
    case INSPECT_DISK:
    case INSPECT_FILESYSTEM:
    case INSPECT_UNKNOWN:
        break; /* that they belong into a disk drive goes without a warning */
    }
    warn_of_size(r, size);
}
