#include "images/inspect.h"

#include <string.h>

#include "base/util.h"
#include "images/containers.h"
#include "images/disc.h"
#include "images/eltorito.h"
#include "images/filesystems.h"
#include "images/inspect_warn.h"
#include "images/installer.h"
#include "images/partitions.h"

#define HEAD_BYTES 512
#define VOLUME_FIELDS_MAX 120 /* exFAT's are the longest; behind the fields stands the program */
#define PARTITIONS_PROBED 8 /* whose file systems are looked at: each takes up to a dozen reads */

_Static_assert(CONTAINER_HEAD_BYTES <= HEAD_BYTES, "the head is enough for all");

const char *inspect_format_name(enum inspect_format f)
{
    static const char *const names[] = {
#define X(sym, name) [sym] = name,
        INSPECT_FORMAT_TABLE(X)
#undef X
    };
    return names[f];
}

const char *inspect_warning_name(enum inspect_warning_code w)
{
    static const char *const names[] = {
#define X(sym, name) [sym] = name,
        INSPECT_WARNING_TABLE(X)
#undef X
    };
    return names[w];
}

/* What an inspection knows while it goes on. */
struct look {
    struct source source;
    uint8_t head[HEAD_BYTES]; /* of the image; zeros behind its end */
    struct disc disc;
    struct inspect_result *r;
};

static void begin(struct look *l, const struct inspect_reader *reader, uint64_t size, struct inspect_summary *s)
{
    l->source = (struct source){.reader = reader, .size = size};
    source_read_some(&l->source, 0, l->head, sizeof l->head);
    disc_read(&l->source, &l->disc);
    s->boot_sector = le16(l->head + 510) == 0xaa55;
    s->format = l->disc.iso ? INSPECT_ISO9660 : l->disc.udf ? INSPECT_UDF : INSPECT_UNKNOWN;
}

static bool head_says(const struct look *l, const char *text)
{
    return memmem(l->head, sizeof l->head, text, strlen(text)) != NULL;
}

/* ---- the programs in first sectors ---- */

/* A program in the first sector of a disk: GRUB's finds its way by itself, others start the active partition. */
static bool disk_boots_bios(const struct look *l, const struct partitions *p)
{
    bool active = false;
    for (size_t i = 446; i < 510; i += 16) active |= l->head[i] == 0x80;
    for (size_t i = 0; i < p->count; i++) active |= p->list[i].active;
    return p->boot_code && (active || p->bios_boot || head_says(l, "GRUB"));
}

/* mkfs leaves a program that only says that there is nothing to boot. */
static bool filesystem_boots_bios(const struct look *l)
{
    return l->r->summary.boot_sector && (l->head[0] == 0xeb || l->head[0] == 0xe9) &&
           partitions_is_program(l->head + VOLUME_FIELDS_MAX, 510 - VOLUME_FIELDS_MAX) &&
           !head_says(l, "not a bootable disk") && !head_says(l, "on-system disk");
}

/* Of several file systems, one that is dirty says it for all. */
static void note_dirty(struct look *l, const struct filesystem *fs)
{
    l->r->summary.dirty = MAX(l->r->summary.dirty, fs->dirty);
}

/* ---- partitions ---- */

static void warn_of_table(struct look *l, const struct partitions *p)
{
    if (p->primary_bad)
        inspect_warn(l->r, INSPECT_WARN_PARTITIONS, "Its partition table (GPT) is damaged: %s",
                     p->backup_bad ? "both copies of it" : "the first copy; the one at the end is sound");
    else if (p->backup_bad)
        inspect_warn(l->r, INSPECT_WARN_PARTITIONS,
                     "The copy of its partition table (GPT) is missing at the end: the image may be cut off");
    if (p->chain_bad) inspect_warn(l->r, INSPECT_WARN_PARTITIONS, "The chain of its logical partitions is damaged");
}

/* Fills in what is in the partitions; the tree of the first FAT that has an installer tells whose. */
static void look_into_partitions(struct look *l, struct partitions *p)
{
    struct inspect_result *r = l->r;
    for (size_t i = 0; i < MIN(p->count, PARTITIONS_PROBED); i++) {
        struct inspect_partition *part = &p->list[i];
        struct filesystem fs;
        if (l->disc.iso && part->start == 0) { /* a hybrid disc's: all of it */
            part->filesystem = "iso9660";
            continue;
        }
        if (!filesystem_read(&l->source, part->start, &fs)) continue;
        part->filesystem = fs.name;
        note_dirty(l, &fs);
        if (!part->label[0] || fs.label[0]) strcpy(part->label, fs.label);
        r->summary.disk.uefi |= fs.boots_uefi;
        if (fs.has_tree && !r->installer[0]) installer_find(&fs.tree, r->installer);
    }
}

static void read_table(struct look *l, struct partitions *p)
{
    struct inspect_result *r = l->r;
    r->table = p->table;
    r->summary.disk.bios = disk_boots_bios(l, p);
    look_into_partitions(l, p);
    r->partitions_count = p->count;
    r->partitions_more = p->more;
}

/* ---- discs ---- */

/* A disc for both CD drives and hosts that know only UDF has two trees; Windows fills the second alone. */
static void look_into_disc(struct look *l)
{
    struct inspect_result *r = l->r;
    struct tree tree;
    char label[INSPECT_LABEL_MAX] = "";
    if (l->disc.udf) {
        bool readable = disc_tree_udf(&l->source, &tree, label);
        r->filesystem = "udf";
        if (!r->label[0]) strcpy(r->label, label);
        if (readable && !r->installer[0]) installer_find(&tree, r->installer);
    }
    if (!r->installer[0] && disc_tree_iso(&l->disc, &l->source, &tree)) installer_find(&tree, r->installer);
}

static void inspect_disc(struct look *l)
{
    struct inspect_result *r = l->r;
    struct eltorito boot = {0};
    struct partitions p;
    r->filesystem = l->disc.iso ? "iso9660" : "udf";
    strcpy(r->label, l->disc.label);
    if (l->disc.has_boot_catalog) eltorito_read(&l->source, l->disc.boot_catalog, &boot);
    r->summary.cdrom = boot.boot;
    if (r->summary.boot_sector && partitions_read(&l->source, l->head, &p, r->partitions)) read_table(l, &p);
    look_into_disc(l);
    inspect_warn_truncated(r, "its file system", MAX(l->disc.volume_bytes, boot.end), l->source.size);
}

/* ---- disks ---- */

static void inspect_filesystem(struct look *l, const struct filesystem *fs)
{
    struct inspect_result *r = l->r;
    r->summary.format = INSPECT_FILESYSTEM;
    r->summary.disk = (struct inspect_boot){.bios = filesystem_boots_bios(l), .uefi = fs->boots_uefi};
    r->filesystem = fs->name;
    note_dirty(l, fs);
    strcpy(r->label, fs->label);
    if (fs->has_tree) installer_find(&fs->tree, r->installer);
    inspect_warn_truncated(r, "its file system", fs->bytes, l->source.size);
}

static void inspect_disk(struct look *l)
{
    struct inspect_result *r = l->r;
    struct filesystem fs;
    struct partitions p;
    bool known = filesystem_read(&l->source, 0, &fs);
    if (!(known && fs.owns_first_sector) && r->summary.boot_sector &&
        partitions_read(&l->source, l->head, &p, r->partitions)) {
        r->summary.format = INSPECT_DISK;
        read_table(l, &p);
        warn_of_table(l, &p);
        inspect_warn_truncated(r, "its last partition", p.end, l->source.size);
    } else if (known) {
        inspect_filesystem(l, &fs);
    } else if (r->summary.boot_sector) {
        r->summary.format = INSPECT_DISK;
        r->summary.disk.bios = p.boot_code;
    }
    if (container_has_vhd_footer(&l->source))
        inspect_warn(r, INSPECT_WARN_FOREIGN,
                     "It has a VHD's footer at its end: a plain image with 512 bytes too many. It works, but a raw "
                     "image is safer");
}

/* ---- everything ---- */

static bool inspect_container(struct look *l, const struct container *c)
{
    if (!c) return false;
    l->r->summary.format = c->format;
    l->r->container = c->name;
    return true;
}

void inspect(const struct inspect_reader *reader, uint64_t size, struct inspect_result *ret)
{
    struct look l = {.r = ret};
    *ret = (struct inspect_result){.summary.deep = true};
    begin(&l, reader, size, &ret->summary);
    if (ret->summary.format != INSPECT_UNKNOWN) inspect_disc(&l);
    else if (!inspect_container(&l, container_of_head(l.head)) && !inspect_container(&l, container_of_tail(&l.source)))
        inspect_disk(&l);
    inspect_warn_of_choices(ret, size);
}

void inspect_glance(const struct inspect_reader *reader, struct inspect_summary *ret)
{
    struct look l = {0};
    *ret = (struct inspect_summary){0};
    begin(&l, reader, UINT64_MAX, ret);
    const struct container *c = ret->format == INSPECT_UNKNOWN ? container_of_head(l.head) : NULL;
    if (c) ret->format = c->format;
}
