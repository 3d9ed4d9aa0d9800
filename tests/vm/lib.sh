# What tests/vm/run and tests/vm/appliance have in common: the initramfs, and QEMU's fixed options.
# shellcheck shell=bash disable=SC2034 # used by those who source this

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
me=tests/vm/$(basename "$0")
PATH=$PATH:/usr/sbin:/sbin # mkfs, modprobe and others live there, and a user's PATH may not name it

die() {
    printf '%s: %s\n' "$me" "$1" >&2
    exit "${2-2}"
}

# need PROGRAM PACKAGE...: a bench that cannot run here is a skip (77) that says what to install.
need() {
    command -v "$1" >/dev/null || die "$1 is missing; install the Debian package ${2-$1}" 77
}

# copy_programs ROOT FILE...: programs and plugins with the shared libraries that they need, where the loader looks for
# them. What the directory $base_files lists is already in the guest.
copy_libraries() {
    local target=$1 lib
    shift
    while read -r lib; do
        [ -e "$target$lib" ] && continue
        [ -n "${known_files-}" ] && grep -qxF "$lib" "$known_files" && continue
        mkdir -p "$target$(dirname "$lib")"
        cp -L "$lib" "$target$lib"
    done < <(ldd "$@" 2>/dev/null | sed -nE 's/^\t(.* => )?(\/[^ ]+) \(0x.*/\2/p' | sed 's,^/usr/lib,/lib,' | sort -u)
}

# cpio_of DIR FILE: an uncompressed archive owned by root. (Unpacking a compressed one costs an emulated CPU more than
# reading it does.) Padded to 512 bytes, so that another archive can follow it.
cpio_of() {
    (cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc -R 0:0) >"$2"
}

# base_initramfs KERNEL_DIR: everything in the guest that does not change from run to run. Prints the archive's path.
# Built once per kernel, installed packages and content of this folder; any number of runs may ask at the same time.
base_initramfs() {
    local kernel=$1 cache key base release
    release=$(<"$kernel/release")
    cache=${TRAYD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trayd}/initramfs
    mkdir -p "$cache"
    key=$({
        printf '%s\n' "$kernel"
        stat -c '%Y %s' /var/lib/dpkg/status "$kernel/vmlinuz"
        cat "$here"/lib.sh "$here"/guest/* "$root"/tests/host/*
        command -v strace jq gojq dmsetup nbd-client nbdkit || true
    } | sha256sum | cut -c 1-16)
    base=$cache/$release-$key
    (
        flock 9
        if [ -f "$base.cpio" ]; then
            touch "$base.cpio"
        else
            build_base "$kernel" "$release" "$base"
            # Those that nobody has used for four hours go; a rebuild takes two seconds.
            find "$cache" -maxdepth 1 -name "*.cpio" -mmin +240 -delete
            find "$cache" -maxdepth 1 -name "*.files" -mmin +240 -delete
        fi
    ) 9>"$cache/lock" || return $?
    touch "$base.files"
    printf '%s\n' "$base.cpio"
}

# unpack_kernel DIR: vmlinux beside vmlinuz. An emulated CPU takes two seconds to decompress a kernel, and QEMU boots the
# plain ELF image as well (by its PVH entry). Without the tool for its compression, vmlinuz has to do.
unpack_kernel() {
    local at length word
    [ ! -f "$1/vmlinux" ] || return 0
    number() { od -An -v -j "$1" -N "$2" -t "u$2" "$3" | tr -d ' '; }
    # The boot protocol's header: setup sectors, then offset and length of the compressed image, which ends with its size.
    at=$((($(number 0x1f1 1 "$1/vmlinuz") + 1) * 512 + $(number 0x248 4 "$1/vmlinuz")))
    length=$(($(number 0x24c 4 "$1/vmlinuz") - 4))
    for word in 'xz -dc' 'zstd -dcq' 'lz4 -dcq' 'gzip -dc'; do
        dd if="$1/vmlinuz" iflag=skip_bytes,count_bytes skip=$at count=$length bs=64K status=none |
            $word >"$1/vmlinux.new" 2>/dev/null || continue
        [ "$(stat -c %s "$1/vmlinux.new")" = "$(number $((at + length)) 4 "$1/vmlinuz")" ] || continue
        mv "$1/vmlinux.new" "$1/vmlinux"
        return 0
    done
    rm -f "$1/vmlinux.new"
}

# boot_image DIR: the better of the two.
boot_image() {
    if [ -f "$1/vmlinux" ]; then printf '%s\n' "$1/vmlinux"; else printf '%s\n' "$1/vmlinuz"; fi
}

build_base() {
    local kernel=$1 release=$2 base=$3 stage word package file module params missing=
    local -a programs=() plugins=()
    need cpio
    need modprobe kmod
    need xz xz-utils
    need "${CC:-cc}" gcc
    unpack_kernel "$kernel"
    stage=$(mktemp -d "$base.XXXXXX")
    # The subshell's own trap: it must also go when building fails half-way.
    trap 'rm -rf "$stage"' EXIT
    known_files=

    mkdir -p "$stage"/{dev,proc,sys,run,tmp,mnt,root,test,srv/trayd/images,config,usr/{bin,lib/trayd},var/{log,lib/trayd},etc/{trayd,trayd-vm}}
    for word in bin sbin lib lib64; do ln -s "usr/${word/sbin/bin}" "$stage/$word"; done
    mkdir -p "$stage/usr/lib64"
    ln -s bin "$stage/usr/sbin"

    need busybox busybox-static
    for word in $(busybox --list); do ln -s busybox "$stage/usr/bin/$word"; done
    rm "$stage/usr/bin/busybox"
    cp -L "$(command -v busybox)" "$stage/usr/bin/busybox"

    while read -r word package file; do
        case $word in
        '' | '#'*) continue ;;
        optional) word=$package package= ;;
        esac
        if file=$(command -v "$word"); then
            rm -f "$stage/usr/bin/$word"
            cp -L "$file" "$stage/usr/bin/$word"
            programs+=("$stage/usr/bin/$word")
        elif [ -n "$package" ]; then
            missing="$missing $package"
        fi
    done <"$here/guest/programs"
    [ -z "$missing" ] || die "install these Debian packages:$missing" 77

    # Static: a script runs them a thousand times, and the dynamic linker takes three quarters of their time here.
    "${CC:-cc}" -std=gnu17 -O2 -static -Wall -Wextra -o "$stage/usr/bin/host" "$root"/tests/host/*.c ||
        die "tests/host does not compile"
    "${CC:-cc}" -D_GNU_SOURCE -std=gnu17 -O2 -static -Wall -Wextra -o "$stage/usr/bin/request" "$here/guest/request.c" ||
        die "guest/request.c does not compile"
    programs+=("$stage/usr/bin/host" "$stage/usr/bin/request")
    # The same language, and ready six times as fast: jq 1.6 compiles its own library each time.
    if word=$(command -v gojq); then cp -L "$word" "$stage/usr/bin/jq"; fi

    # nbdkit's plugins and filters are found where the distribution puts them.
    if word=$(command -v nbdkit); then
        word=$(nbdkit --dump-config | sed -n 's/^libdir=//p')/nbdkit
        for file in plugins/nbdkit-{memory,pattern,file,sparse-random,eval,sh}-plugin.so \
            filters/nbdkit-{delay,error,pause,rate,log,cow,truncate}-filter.so; do
            [ -f "$word/$file" ] || continue
            mkdir -p "$stage$word/${file%/*}"
            cp "$word/$file" "$stage$word/$file"
            plugins+=("$stage$word/$file")
        done
    fi
    copy_libraries "$stage" "${programs[@]}" "${plugins[@]}" "$stage/usr/bin/busybox"

    # Modules under one folder, in the order in which they must be loaded: "phase file parameters". Those that only some
    # scripts ask for have a list each.
    mkdir -p "$stage/usr/lib/modules/$release"
    declare -A seen=()
    while read -r module params; do
        local phase=late list=modules
        case $module in
        '' | '#'*) continue ;;
        early) phase=early; read -r module params <<<"$params" ;;
        asked) read -r module params <<<"$params"; list=modules.$module ;;
        esac
        while read -r word file _; do
            [ "$word" = insmod ] || continue # "builtin"
            word=$(basename "$file")
            word=${word%.xz}
            [ -z "${seen[$word]-}" ] || continue
            seen[$word]=1
            case $file in
            *.xz) xz -dc "$file" >"$stage/usr/lib/modules/$release/$word" ;;
            *) cp "$file" "$stage/usr/lib/modules/$release/$word" ;;
            esac
            local own=
            [ "${word//_/-}" != "${module//_/-}.ko" ] || own=$params
            printf '%s %s %s\n' "$phase" "$word" "$own" >>"$stage/etc/trayd-vm/$list"
        done < <(modprobe -d "$kernel" -S "$release" --show-depends "$module")
    done <"$here/guest/modules"

    cp "$here/guest/init" "$stage/init"
    cp "$here"/guest/{trayd-test.sh,trayd-api.sh,stores.sh,nbd.sh,gadget-by-hand.sh,host-load.sh} "$stage/usr/lib/"
    cp "$here"/guest/{unit,run-script,appliance} "$stage/usr/lib/trayd/"
    chmod 755 "$stage/init" "$stage/usr/lib/trayd"/*
    printf '%s\n' root:x:0:0::/root:/bin/sh trayd:x:990:990::/var/lib/trayd:/bin/false \
        nobody:x:65534:65534::/:/bin/false >"$stage/etc/passwd"
    printf '%s\n' root:x:0: trayd:x:990: nogroup:x:65534: >"$stage/etc/group"
    printf '%s\n' 'passwd: files' 'group: files' 'hosts: files' >"$stage/etc/nsswitch.conf"
    printf '127.0.0.1 localhost\n' >"$stage/etc/hosts"
    printf 'trayd-vm\n' >"$stage/etc/hostname"
    printf '%032d\n' 1 >"$stage/etc/machine-id"
    ln -s ../proc/self/mounts "$stage/etc/mtab"

    (cd "$stage" && find . \( -type f -o -type l \) -printf '/%P\n' | sed 's,^/usr/,/,' ) >"$base.files"
    cpio_of "$stage" "$stage.cpio"
    mv "$stage.cpio" "$base.cpio"
    rm -rf "$stage"
    trap - EXIT
}

# add_trayd STAGE BIN_DIR CONFIG: the part of a run's own archive that is trayd.
add_trayd() {
    local stage=$1 bin=$2 config=$3 name
    mkdir -p "$stage/usr/bin" "$stage/etc/trayd"
    for name in trayd trayd-gadget trayd-helper; do
        [ -f "$bin/$name" ] || continue
        cp -L "$bin/$name" "$stage/usr/bin/$name"
        copy_libraries "$stage/usr" "$bin/$name"
    done
    # The guest's store lies in its memory, of which nothing is kept free for logs and updates.
    [ -z "$config" ] || sed 's/reserve = "64 MiB"/reserve = "0 B"/' "$config" >"$stage/etc/trayd/trayd.conf"
}

# quote WORD...: words that a POSIX shell reads back unchanged.
quote() {
    local word
    for word in "$@"; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}

# A guest must not outlive the program that started it, even when that is killed.
guard=(env)
if setpriv --pdeathsig KILL true 2>/dev/null; then guard=(setpriv --pdeathsig KILL); fi

# KVM is never used: where it exists inside another virtual machine it may hang. One CPU, because TCG with several has
# been seen to trip over the kernel's text patching.
# shellcheck disable=SC2054 # the commas are QEMU's
qemu_options=(
    -accel tcg -smp 1 -cpu max,la57=off -machine pc,hpet=off
    -nodefaults -no-user-config -nographic -no-reboot -rtc base=utc
    -device virtio-serial-pci
)
kernel_command_line='console=ttyS0 panic=-1 oops=panic mitigations=off nokaslr tsc=reliable clocksource=tsc random.trust_cpu=on nowatchdog no_timer_check log_buf_len=2M printk.time=1 sysrq_always_enabled'
