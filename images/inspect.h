/*
 * inspect.h - what an image is: its format, label, partitions, whether it boots, and which drive suits it.
 *
 * Pure. It asks a reader for a bounded number of pieces and trusts nothing that they say: every position and length
 * is checked before it is used, all loops are bounded, nothing recurses. A read that fails or is out of budget counts
 * as "nothing there". What is found are hints for people; nothing relies on them.
 *
 * libblkid is not used, although it knows more file systems: it reads as much as it likes from a descriptor of its
 * own, it would stand with C code of twenty years between hostile bytes and the process that faces the network, and
 * what matters here (El Torito, what a disc installs, whether a choice boots) it does not know.
 *
 *   inspect.c      the order in which things are tried           inspect_source.c  bounded reads
 *   disc.c         volume descriptors of ISO 9660 and UDF        inspect_text.c    labels as clean UTF-8
 *   eltorito.c     who can boot from the disc                    containers.c      compressed, or another format
 *   partitions.c   MBR and GPT                                   filesystems.c     what begins here, and its label
 *   tree_*.c       the names in a directory of a disc or FAT     installer.c       whose installer is it
 *   suggest.c      drive type, reason and warnings               inspect_json.c    all of it as JSON
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Of a whole inspection. A DVD with a thousand files in the folder of its installer needs 60 reads. */
#define INSPECT_READS_MAX 192
#define INSPECT_BYTES_MAX (512 * 1024)
#define INSPECT_READ_BYTES_MAX 20480 /* of one read */

#define INSPECT_LABEL_MAX 128        /* bytes of UTF-8; longer ones are cut */
#define INSPECT_INSTALLER_MAX 128
#define INSPECT_PARTITIONS_MAX 16    /* listed; what lies behind is only counted */
#define INSPECT_WARNINGS_MAX 8
#define INSPECT_SENTENCE_MAX 256

/* f_mass_storage takes a CD of 300 sectors at least, and cuts one of 256 * 60 * 75 sectors or more to just below
 * that (drivers/usb/gadget/function/storage_common.c, fsg_lun_open). */
#define INSPECT_CDROM_BYTES_MIN (300 * 2048LL)
#define INSPECT_CDROM_BYTES_MAX ((256 * 60 * 75 - 1) * 2048LL)

/*       enum                on the wire */
#define INSPECT_FORMAT_TABLE(X)                                                                                    \
    X(INSPECT_UNKNOWN,       "unknown")                                                                            \
    X(INSPECT_ISO9660,       "iso9660")    /* perhaps with UDF beside it */                                        \
    X(INSPECT_UDF,           "udf")                                                                                \
    X(INSPECT_DISK,          "disk")       /* with a partition table, or only a boot sector */                     \
    X(INSPECT_FILESYSTEM,    "filesystem") /* without a partition table */                                         \
    X(INSPECT_COMPRESSED,    "compressed")                                                                         \
    X(INSPECT_FOREIGN,       "foreign")    /* another program's format for disk images */

enum inspect_format {
#define X(sym, name) sym,
    INSPECT_FORMAT_TABLE(X)
#undef X
};

const char *inspect_format_name(enum inspect_format f);

/*       enum                         on the wire        what it warns of */
#define INSPECT_WARNING_TABLE(X)                                                                                   \
    X(INSPECT_WARN_TRUNCATED,         "truncated")       /* the image ends before what it holds */                 \
    X(INSPECT_WARN_COMPRESSED,        "compressed")      /* must be unpacked */                                    \
    X(INSPECT_WARN_FOREIGN,           "foreign_format")  /* must be converted */                                   \
    X(INSPECT_WARN_WILL_NOT_BOOT,     "will_not_boot")   /* in a drive that one might choose */                    \
    X(INSPECT_WARN_CDROM_LIMIT,       "cdrom_limit")     /* a disc that no CD drive can take */                    \
    X(INSPECT_WARN_ODD_SIZE,          "odd_size")        /* no multiple of the sector size */                      \
    X(INSPECT_WARN_PARTITIONS,        "partition_table") /* damaged */

enum inspect_warning_code {
#define X(sym, name) sym,
    INSPECT_WARNING_TABLE(X)
#undef X
};

const char *inspect_warning_name(enum inspect_warning_code w);

struct inspect_reader {
    void *owner;
    /* Bytes read at offset, fewer than len only at the end; negative when it fails. */
    ssize_t (*read)(void *owner, void *data, size_t len, uint64_t offset);
};

struct inspect_boot {
    bool bios, uefi;
};

enum inspect_table { INSPECT_TABLE_NONE, INSPECT_TABLE_MBR, INSPECT_TABLE_GPT };

struct inspect_partition {
    unsigned number;            /* as Linux counts them */
    bool gpt, active;
    uint8_t mbr_type;
    uint8_t gpt_type[16];       /* as it stands on the disk */
    uint64_t start, size;       /* bytes; may lie beyond the end of the image */
    const char *filesystem;     /* NULL: unknown, or not looked at */
    char label[INSPECT_LABEL_MAX];
};

struct inspect_warning {
    enum inspect_warning_code code;
    char text[INSPECT_SENTENCE_MAX];
};

/* Did whoever wrote to the file system last close it? By its own marks, which say nothing of the files' contents. */
enum inspect_dirty { INSPECT_DIRTY_UNKNOWN, INSPECT_CLEAN, INSPECT_DIRTY };

/* The part that is worth remembering about images in a long list. */
struct inspect_summary {
    enum inspect_format format;
    bool deep;                  /* by inspect(), not only by inspect_glance() */
    bool boot_sector;           /* 55 aa at the end of the first sector */
    struct inspect_boot cdrom, disk; /* who can boot from it in such a drive; only where deep */
    enum inspect_dirty dirty;   /* any of its file systems is; only where deep */
};

struct inspect_suggestion {
    const char *type;           /* "cdrom", "disk", or NULL: neither makes sense */
    char reason[INSPECT_SENTENCE_MAX];
};

struct inspect_result {
    struct inspect_summary summary;
    const char *container;      /* "xz", "qcow2", ...; NULL unless compressed or foreign */
    const char *filesystem;     /* that a host will see, where there is one for all of it; else NULL */
    char label[INSPECT_LABEL_MAX];
    char installer[INSPECT_INSTALLER_MAX]; /* whose, or "" */
    enum inspect_table table;
    struct inspect_partition partitions[INSPECT_PARTITIONS_MAX];
    size_t partitions_count;
    bool partitions_more;
    struct inspect_warning warnings[INSPECT_WARNINGS_MAX];
    size_t warnings_count;
};

/* Everything. Some 5 to 60 short reads. */
void inspect(const struct inspect_reader *reader, uint64_t size, struct inspect_result *ret);

/* What two reads tell: enough for a suggestion. For long lists. */
void inspect_glance(const struct inspect_reader *reader, struct inspect_summary *ret);

/* Which drive, and why, in one sentence. */
void inspect_suggest(const struct inspect_summary *s, uint64_t size, struct inspect_suggestion *ret);

/* Does it boot in the suggested type of drive? */
struct inspect_boot inspect_bootable(const struct inspect_summary *s, uint64_t size);

/* Would a CD drive of this kernel take it? */
bool inspect_fits_cdrom(uint64_t size);
