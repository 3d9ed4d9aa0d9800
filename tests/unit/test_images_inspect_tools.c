/*
 * Images made by the programs that make them, in the directory in which this runs, and inspected as files.
 * Each test needs some programs and is skipped, with their names, where one of them is not installed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "images/partitions.h"
#include "tests/unit/images_inspect.h"

#define GRUB_RESCUE "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"

/* ---- making ---- */

static int run(const char *command)
{
    char line[4096];
    snprintf(line, sizeof line, "export PATH=$PATH:/usr/sbin:/sbin; { %s ; } >tools.log 2>&1 </dev/null", command);
    return system(line);
}

static bool has_program(const char *name)
{
    char line[256];
    snprintf(line, sizeof line, *name == '/' ? "test -e %s" : "command -v %s", name);
    return run(line) == 0;
}

/* programs: names with blanks between them, or the paths of files. */
static void need(const char *programs)
{
    char copy[256], *rest = copy;
    snprintf(copy, sizeof copy, "%s", programs);
    for (const char *name; (name = strsep(&rest, " "));) {
        if (has_program(name)) continue;
        print_message("SKIP: %s is not installed\n", name);
        skip();
    }
}

static void make(const char *command)
{
    if (run(command) == 0) return;
    if (system("cat tools.log >&2")) {}
    fail_msg("failed: %s", command);
}

/* ---- looking ---- */

static ssize_t read_fd(void *owner, void *data, size_t len, uint64_t offset)
{
    return pread(*(int *)owner, data, len, (off_t)offset);
}

static uint64_t last_size;

static const struct inspect_result *look(const char *path)
{
    static struct inspect_result r;
    struct stat st;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) fail_msg("%s is not there", path);
    last_size = (uint64_t)st.st_size;
    inspect(&(struct inspect_reader){.owner = &fd, .read = read_fd}, last_size, &r);
    return &r;
}

static const char *suggested_type(const struct inspect_result *r)
{
    static struct inspect_suggestion s;
    inspect_suggest(&r->summary, last_size, &s);
    return s.type;
}

#define assert_boots(b, wanted_bios, wanted_uefi)                                                                  \
    do {                                                                                                           \
        assert_int_equal((b).bios, wanted_bios);                                                                   \
        assert_int_equal((b).uefi, wanted_uefi);                                                                   \
    } while (0)

/* ---- discs ---- */

static void grub_rescue_disc(attr_unused void **state)
{
    need(GRUB_RESCUE);
    const struct inspect_result *r = look(GRUB_RESCUE);
    assert_int_equal(r->summary.format, INSPECT_ISO9660);
    assert_true(r->summary.cdrom.bios && r->summary.disk.bios);
    assert_string_equal(suggested_type(r), "cdrom");
    assert_int_equal(r->table, INSPECT_TABLE_MBR);
    assert_true(r->partitions[0].active);
    assert_int_equal(r->warnings_count, 0);
}

/* Half of a download. */
static void truncated_disc(attr_unused void **state)
{
    need(GRUB_RESCUE);
    make("head -c 3000000 " GRUB_RESCUE " > half.iso");
    const struct inspect_result *r = look("half.iso");
    assert_int_equal(r->summary.format, INSPECT_ISO9660);
    assert_true(warns(r, INSPECT_WARN_TRUNCATED));
    assert_true(warns(r, INSPECT_WARN_ODD_SIZE));
}

#define EFI_IMAGE                                                                                                  \
    "truncate -s 2880k efi.img && mkfs.fat efi.img && mmd -i efi.img ::EFI ::EFI/BOOT && "                           \
    "head -c 5000 /dev/urandom > loader && mcopy -i efi.img loader ::EFI/BOOT/BOOTX64.EFI"

static void linux_disc(attr_unused void **state)
{
    need("xorriso mkfs.fat mcopy");
    make(EFI_IMAGE);
    make("mkdir -p deb/.disk deb/isolinux && head -c 4096 /dev/zero > deb/isolinux/isolinux.bin && "
         "echo 'Debian GNU/Linux 12.5.0 \"Bookworm\" - Official amd64 NETINST' > deb/.disk/info && cp efi.img deb && "
         "xorriso -as mkisofs -r -V 'Debian 12.5.0 amd64 n' -b isolinux/isolinux.bin -no-emul-boot "
         "-boot-load-size 4 -eltorito-alt-boot -e efi.img -no-emul-boot -isohybrid-gpt-basdat -o deb.iso deb");
    const struct inspect_result *r = look("deb.iso");
    assert_int_equal(r->summary.format, INSPECT_ISO9660);
    assert_string_equal(r->label, "Debian 12.5.0 amd64 n");
    assert_string_equal(r->installer, "Debian GNU/Linux 12.5.0 \"Bookworm\" - Official amd64 NETINST");
    assert_boots(r->summary.cdrom, true, true);
    assert_false(warns(r, INSPECT_WARN_TRUNCATED));
    /* With Joliet's names, and the plain ones. */
    make("xorriso -as mkisofs -J -V JOLIET -o joliet.iso deb");
    assert_string_equal(look("joliet.iso")->label, "JOLIET");
    assert_string_equal(look("joliet.iso")->installer, "Debian GNU/Linux 12.5.0 \"Bookworm\" - Official amd64 NETINST");
    make("mkdir -p arch/arch && xorriso -as mkisofs -V ARCH -o arch.iso arch");
    assert_string_equal(look("arch.iso")->installer, "Arch Linux");
}

/* A hybrid disc whose EFI partition is shown to disk drives: GPT beside the MBR. */
static void hybrid_uefi_disc(attr_unused void **state)
{
    need("xorriso mkfs.fat mcopy");
    make(EFI_IMAGE);
    make("mkdir -p hy/LiveOS && head -c 4096 /dev/zero > hy/boot.bin && xorriso -as mkisofs -r -V HYBRID -b boot.bin "
         "-no-emul-boot -append_partition 2 0xef efi.img -appended_part_as_gpt -eltorito-alt-boot "
         "-e --interval:appended_partition_2:all:: -no-emul-boot -o hybrid.iso hy");
    const struct inspect_result *r = look("hybrid.iso");
    assert_boots(r->summary.cdrom, true, true);
    assert_boots(r->summary.disk, false, true);
    assert_int_equal(r->table, INSPECT_TABLE_GPT);
    assert_string_equal(r->installer, "Live Linux (LiveOS)");
    assert_true(warns(r, INSPECT_WARN_WILL_NOT_BOOT)); /* a BIOS, from a disk drive */
    make("head -c 2000000 hybrid.iso > hybrid-half.iso");
    assert_true(warns(look("hybrid-half.iso"), INSPECT_WARN_TRUNCATED));
}

/* As Microsoft's discs: everything is in the UDF half, and no first sector for disk drives. */
static void windows_disc(attr_unused void **state)
{
    need("genisoimage mkfs.fat mcopy");
    make(EFI_IMAGE);
    make("mkdir -p win/sources && cp efi.img win && head -c 4096 /dev/zero > win/etfsboot.com && : > win/bootmgr && "
         "for i in $(seq 700); do : > win/sources/a-file-with-a-long-name-$i.dll; done; "
         "head -c 9000 /dev/zero > win/sources/install.wim && "
         "genisoimage -quiet -udf -hide '*' -V CCCOMA_X64FRE -b etfsboot.com -no-emul-boot -eltorito-alt-boot "
         "-e efi.img -no-emul-boot -o win.iso win");
    const struct inspect_result *r = look("win.iso");
    assert_string_equal(r->filesystem, "udf");
    assert_string_equal(r->label, "CCCOMA_X64FRE");
    assert_string_equal(r->installer, "Windows installer");
    assert_boots(r->summary.cdrom, true, true);
    assert_boots(r->summary.disk, false, false);
    assert_true(warns(r, INSPECT_WARN_WILL_NOT_BOOT));
    make("truncate -s 5100000000 win.iso");
    assert_true(warns(look("win.iso"), INSPECT_WARN_CDROM_LIMIT));
    assert_string_equal(suggested_type(look("win.iso")), "disk");
}

static void udf_disc(attr_unused void **state)
{
    need("mkudffs");
    make("truncate -s 16M udf.iso && mkudffs --label='A UDF däsc' --media-type=dvd udf.iso");
    const struct inspect_result *r = look("udf.iso");
    assert_int_equal(r->summary.format, INSPECT_UDF);
    assert_string_equal(r->label, "A UDF däsc");
    assert_string_equal(suggested_type(r), "cdrom");
}

/* ---- file systems ---- */

static void expect_filesystem(const char *programs, const char *size, const char *command, const char *name,
                              const char *label)
{
    char line[512];
    need(programs);
    snprintf(line, sizeof line, "rm -f fs.img && truncate -s %s fs.img && %s fs.img", size, command);
    make(line);
    const struct inspect_result *r = look("fs.img");
    if (!r->filesystem || strcmp(r->filesystem, name) != 0 || strcmp(r->label, label) != 0)
        fail_msg("%s: %s, label \"%s\"", command, r->filesystem ? r->filesystem : "nothing", r->label);
    assert_int_equal(r->summary.format, INSPECT_FILESYSTEM);
    assert_boots(r->summary.disk, false, false);
    assert_string_equal(suggested_type(r), "disk");
    assert_int_equal(r->warnings_count, 0);
    make("truncate -s -64K fs.img");
    bool says_its_size = strcmp(name, "swap") != 0 && strcmp(name, "luks") != 0;
    assert_int_equal(warns(look("fs.img"), INSPECT_WARN_TRUNCATED), says_its_size);
}

#define FILESYSTEM_TEST(name, ...)                                                                                 \
    static void fs_##name(attr_unused void **state)                                                               \
    {                                                                                                              \
        expect_filesystem(__VA_ARGS__);                                                                            \
    }

FILESYSTEM_TEST(fat12, "mkfs.fat", "1440k", "mkfs.fat -n FLOPPY", "fat12", "FLOPPY")
FILESYSTEM_TEST(fat16, "mkfs.fat", "32M", "mkfs.fat -F 16 -n 'A STICK'", "fat16", "A STICK")
FILESYSTEM_TEST(fat32, "mkfs.fat", "300M", "mkfs.fat -F 32", "fat32", "")
FILESYSTEM_TEST(fat32_small, "mkfs.fat", "34M", "mkfs.fat -F 32 -n SMALL", "fat32", "SMALL")
FILESYSTEM_TEST(exfat, "mkfs.exfat", "16M", "mkfs.exfat -L Exläbel", "exfat", "Exläbel")
FILESYSTEM_TEST(ntfs, "mkfs.ntfs", "16M", "mkfs.ntfs -qFQ -L 'NT läbel'", "ntfs", "NT läbel")
FILESYSTEM_TEST(ext2, "mkfs.ext2", "8M", "mkfs.ext2 -q -L zwei", "ext2", "zwei")
FILESYSTEM_TEST(ext3, "mkfs.ext3", "8M", "mkfs.ext3 -q -L drei", "ext3", "drei")
FILESYSTEM_TEST(ext4, "mkfs.ext4", "8M", "mkfs.ext4 -q -L vier", "ext4", "vier")
FILESYSTEM_TEST(btrfs, "mkfs.btrfs", "120M", "mkfs.btrfs -q -L 'a butter fs'", "btrfs", "a butter fs")
FILESYSTEM_TEST(xfs, "mkfs.xfs", "310M", "mkfs.xfs -q -L xlabel", "xfs", "xlabel")
FILESYSTEM_TEST(swap, "mkswap", "1M", "mkswap -L swapped", "swap", "swapped")

/* ---- closed in order, or not ---- */

static enum inspect_dirty dirty_after(const char *command)
{
    make(command);
    return look("fs.img")->summary.dirty;
}

#define POKE(at, byte) "printf '" byte "' | dd of=fs.img bs=1 seek=" at " conv=notrunc"

/* The bytes are what the systems write that are named; the offsets are those of the first FAT of this very image. */
static void dirty_marks(attr_unused void **state)
{
    static const struct {
        const char *programs, *make, *soil, *clean;
    } cases[] = {
        {"mkfs.fat", "truncate -s 1440k fs.img && mkfs.fat fs.img", POKE("37", "\\001"), POKE("37", "\\000")}, /* Linux */
        {"mkfs.fat", "truncate -s 32M fs.img && mkfs.fat -F 16 -R 4 fs.img", POKE("37", "\\001"), POKE("37", "\\000")},
        {"mkfs.fat", "truncate -s 32M fs.img && mkfs.fat -F 16 -R 4 fs.img", POKE("2051", "\\177"), POKE("2051", "\\377")}, /* Windows */
        {"mkfs.fat", "truncate -s 34M fs.img && mkfs.fat -F 32 -R 32 fs.img", POKE("65", "\\001"), POKE("65", "\\000")},
        {"mkfs.fat", "truncate -s 34M fs.img && mkfs.fat -F 32 -R 32 fs.img", POKE("16391", "\\007"), POKE("16391", "\\017")},
        {"mkfs.exfat", "truncate -s 16M fs.img && mkfs.exfat fs.img", POKE("106", "\\002"), POKE("106", "\\000")},
        {"mkfs.ntfs", "truncate -s 16M fs.img && mkfs.ntfs -qFQ -c 4096 -L x fs.img", POKE("19882", "\\001"), POKE("19882", "\\000")},
        {"mkfs.ext2 debugfs", "truncate -s 8M fs.img && mkfs.ext2 -q fs.img", "debugfs -w -R 'ssv state 0' fs.img",
         "debugfs -w -R 'ssv state 1' fs.img"}, /* mounted */
        {"mkfs.ext4 debugfs", "truncate -s 8M fs.img && mkfs.ext4 -q fs.img", "debugfs -w -R 'feature needs_recovery' fs.img",
         "debugfs -w -R 'feature -needs_recovery' fs.img"},
        {"mkfs.ext4 debugfs", "truncate -s 8M fs.img && mkfs.ext4 -q fs.img", "debugfs -w -R 'ssv state 3' fs.img",
         "debugfs -w -R 'ssv state 1' fs.img"}, /* errors were found */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        need(cases[i].programs);
        make("rm -f fs.img");
        if (dirty_after(cases[i].make) != INSPECT_CLEAN) fail_msg("%s: not clean", cases[i].make);
        if (dirty_after(cases[i].soil) != INSPECT_DIRTY) fail_msg("%s: %s: not dirty", cases[i].make, cases[i].soil);
        if (dirty_after(cases[i].clean) != INSPECT_CLEAN) fail_msg("%s: %s: not clean", cases[i].make, cases[i].clean);
    }
}

static void dirty_is_unknown(attr_unused void **state)
{
    need("mkswap");
    assert_int_equal(dirty_after("rm -f fs.img && truncate -s 1M fs.img && mkswap fs.img"), INSPECT_DIRTY_UNKNOWN);
}

/* One of two is enough. */
static void dirty_partition(attr_unused void **state)
{
    need("sfdisk mkfs.fat");
    make("rm -f fs.img && truncate -s 16M fs.img && printf 'start=2048,size=8192,type=c\nstart=10240,type=c\n' | sfdisk fs.img && "
         "mkfs.fat --offset 2048 fs.img 4096 && mkfs.fat --offset 10240 fs.img 10240");
    assert_int_equal(look("fs.img")->partitions_count, 2);
    assert_int_equal(look("fs.img")->summary.dirty, INSPECT_CLEAN);
    assert_int_equal(dirty_after(POKE("1048613", "\\001")), INSPECT_DIRTY);
}

static void fs_squashfs(attr_unused void **state)
{
    need("mksquashfs");
    make("mkdir -p sq && head -c 20000 /dev/urandom > sq/a && mksquashfs sq sq.img -quiet -no-progress");
    assert_string_equal(look("sq.img")->filesystem, "squashfs");
}

/* A stick without partitions that UEFI firmware starts, with Windows' files. */
static void bootable_stick(attr_unused void **state)
{
    need("mkfs.fat mcopy");
    make(EFI_IMAGE " && mmd -i efi.img ::sources && mcopy -i efi.img loader ::sources/install.esd");
    const struct inspect_result *r = look("efi.img");
    assert_int_equal(r->summary.format, INSPECT_FILESYSTEM);
    assert_boots(r->summary.disk, false, true);
    assert_string_equal(r->installer, "Windows installer");
}

/* ---- disks ---- */

static const char *type_name(const struct inspect_partition *p)
{
    const char *name = partitions_type_name(p);
    return name ? name : "";
}

static void mbr_disk(attr_unused void **state)
{
    need("sfdisk mkfs.ext4");
    make("rm -f disk.img part.img; truncate -s 64M disk.img && "
         "printf 'label: dos\\n1:size=8M,bootable\\n2:size=40M,type=5\\n5:size=4M\\n6:size=4M,type=b\\n7:size=4M\\n' "
         "| sfdisk -q disk.img && truncate -s 8M part.img && "
         "mkfs.ext4 -q -L root part.img && dd if=part.img of=disk.img bs=1M seek=1 conv=notrunc");
    const struct inspect_result *r = look("disk.img");
    assert_int_equal(r->summary.format, INSPECT_DISK);
    assert_int_equal(r->table, INSPECT_TABLE_MBR);
    assert_int_equal(r->partitions_count, 5);
    assert_int_equal(r->partitions[0].start, 1 << 20);
    assert_int_equal(r->partitions[0].size, 8 << 20);
    assert_true(r->partitions[0].active);
    assert_string_equal(r->partitions[0].filesystem, "ext4");
    assert_string_equal(r->partitions[0].label, "root");
    assert_string_equal(type_name(&r->partitions[1]), "Extended");
    assert_int_equal(r->partitions[2].number, 5);
    assert_int_equal(r->partitions[4].number, 7);
    assert_boots(r->summary.disk, false, false); /* no program in the first sector */
    assert_int_equal(r->warnings_count, 0);
    make("truncate -s 20M disk.img");
    assert_true(warns(look("disk.img"), INSPECT_WARN_TRUNCATED));
}

#define GPT_DISK                                                                                                   \
    "rm -f gpt.img; truncate -s 64M gpt.img && printf 'label: gpt\\nsize=32M,type=U,name=\"EFI system\"\\n"            \
    "size=8M,type=L,name=d\\303\\244ta\\n' | sfdisk -q gpt.img"

static void gpt_disk(attr_unused void **state)
{
    need("sfdisk mkfs.fat mcopy");
    make(EFI_IMAGE);
    make(GPT_DISK " && dd if=efi.img of=gpt.img bs=1M seek=1 conv=notrunc");
    const struct inspect_result *r = look("gpt.img");
    assert_int_equal(r->table, INSPECT_TABLE_GPT);
    assert_int_equal(r->partitions_count, 2);
    assert_string_equal(type_name(&r->partitions[0]), "EFI system");
    assert_string_equal(r->partitions[1].label, "däta");
    assert_boots(r->summary.disk, false, true);
    assert_int_equal(r->warnings_count, 0);
    make("dd if=/dev/zero of=gpt.img bs=512 seek=1 count=1 conv=notrunc"); /* the first header */
    r = look("gpt.img");
    assert_int_equal(r->table, INSPECT_TABLE_GPT);
    assert_int_equal(r->partitions_count, 2);
    assert_true(warns(r, INSPECT_WARN_PARTITIONS));
    make(GPT_DISK " && truncate -s 50M gpt.img"); /* the end, with the second header */
    assert_true(warns(look("gpt.img"), INSPECT_WARN_PARTITIONS));
    make(GPT_DISK " && printf x | dd of=gpt.img bs=1 seek=1100 conv=notrunc"); /* an entry */
    r = look("gpt.img");
    assert_int_equal(r->partitions_count, 2);
    assert_true(warns(r, INSPECT_WARN_PARTITIONS));
}

/* ---- what is no image yet ---- */

static void expect_container(const char *programs, const char *command, enum inspect_format format, const char *name)
{
    need(programs);
    make("mkdir -p c && cd c && rm -f * && truncate -s 3M raw && head -c 100000 /dev/urandom | dd of=raw conv=notrunc");
    make(command);
    const struct inspect_result *r = look("c/out");
    assert_int_equal(r->summary.format, format);
    assert_string_equal(r->container, name);
    assert_null(suggested_type(r));
}

#define CONTAINER_TEST(name, ...)                                                                                  \
    static void container_##name(attr_unused void **state)                                                        \
    {                                                                                                              \
        expect_container(__VA_ARGS__);                                                                             \
    }

CONTAINER_TEST(gzip, "gzip", "gzip -c c/raw > c/out", INSPECT_COMPRESSED, "gzip")
CONTAINER_TEST(xz, "xz", "xz -0 -c c/raw > c/out", INSPECT_COMPRESSED, "xz")
CONTAINER_TEST(zstd, "zstd", "zstd -q -c c/raw > c/out", INSPECT_COMPRESSED, "zstd")
CONTAINER_TEST(bzip2, "bzip2", "bzip2 -c c/raw > c/out", INSPECT_COMPRESSED, "bzip2")
CONTAINER_TEST(zip, "zip", "zip -q c/out.zip c/raw && mv c/out.zip c/out", INSPECT_COMPRESSED, "zip")
CONTAINER_TEST(tar, "tar", "tar cf c/out c/raw", INSPECT_COMPRESSED, "tar")
CONTAINER_TEST(qcow2, "qemu-img", "qemu-img convert -f raw -O qcow2 c/raw c/out", INSPECT_FOREIGN, "qcow2")
CONTAINER_TEST(vmdk, "qemu-img", "qemu-img convert -f raw -O vmdk c/raw c/out", INSPECT_FOREIGN, "vmdk")
CONTAINER_TEST(vdi, "qemu-img", "qemu-img convert -f raw -O vdi c/raw c/out", INSPECT_FOREIGN, "vdi")
CONTAINER_TEST(vhdx, "qemu-img", "qemu-img convert -f raw -O vhdx c/raw c/out", INSPECT_FOREIGN, "vhdx")
CONTAINER_TEST(vhd, "qemu-img", "qemu-img convert -f raw -O vpc c/raw c/out", INSPECT_FOREIGN, "vhd")

static void fixed_vhd(attr_unused void **state)
{
    need("qemu-img sfdisk");
    make(GPT_DISK " && qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on gpt.img fixed.vhd");
    const struct inspect_result *r = look("fixed.vhd");
    assert_int_equal(r->summary.format, INSPECT_DISK);
    assert_int_equal(r->partitions_count, 2);
    assert_true(warns(r, INSPECT_WARN_FOREIGN));
}

/* The tools write into a directory of their own. */
static char directory[] = "/tmp/test_images_inspect_tools.XXXXXX";

static int enter_directory(attr_unused void **state)
{
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int leave_directory(attr_unused void **state)
{
    char command[sizeof directory + 16];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grub_rescue_disc), cmocka_unit_test(truncated_disc), cmocka_unit_test(linux_disc),
        cmocka_unit_test(hybrid_uefi_disc), cmocka_unit_test(windows_disc),   cmocka_unit_test(udf_disc),
        cmocka_unit_test(fs_fat12),         cmocka_unit_test(fs_fat16),       cmocka_unit_test(fs_fat32),
        cmocka_unit_test(fs_fat32_small),   cmocka_unit_test(fs_exfat),       cmocka_unit_test(fs_ntfs),
        cmocka_unit_test(fs_ext2),          cmocka_unit_test(fs_ext3),        cmocka_unit_test(fs_ext4),
        cmocka_unit_test(fs_btrfs),         cmocka_unit_test(fs_xfs),         cmocka_unit_test(fs_swap),
        cmocka_unit_test(fs_squashfs),      cmocka_unit_test(bootable_stick), cmocka_unit_test(mbr_disk),
        cmocka_unit_test(gpt_disk),         cmocka_unit_test(container_gzip), cmocka_unit_test(container_xz),
        cmocka_unit_test(container_zstd),   cmocka_unit_test(container_bzip2), cmocka_unit_test(container_zip),
        cmocka_unit_test(container_tar),    cmocka_unit_test(container_qcow2), cmocka_unit_test(container_vmdk),
        cmocka_unit_test(container_vdi),    cmocka_unit_test(container_vhdx), cmocka_unit_test(container_vhd),
        cmocka_unit_test(fixed_vhd),        cmocka_unit_test(dirty_marks),   cmocka_unit_test(dirty_is_unknown),
        cmocka_unit_test(dirty_partition),
    };
    return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
