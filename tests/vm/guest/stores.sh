# For guest scripts with stores on small file systems of their own, each on a device that can be told to fail; after
# trayd-api.sh:   . /lib/stores.sh
#
#   store_make NAME FILESYSTEM MIB    /srv/NAME, on /dev/mapper/NAME; false where the guest cannot make that file system
#   store_mount NAME, store_unmount NAME
#   stores_entries                    a sed expression for trayd_start: all of them are stores
#   device NAME STATE                 from now on that device
#                                       works    as devices do
#                                       refuses  fails each write with EIO; what is there can be read
#                                       lies     takes each write, and forgets it: as if the power had gone just now
#                                       dead     fails everything
#   room NAME                         free bytes, for those who are not root
#   leftovers NAME                    what lies in the store's hidden directory, but for the small records that are kept of
#                                     what was finished
#   sum_of FILE, sum_in NAME IMAGE    SHA-256
#
# shellcheck shell=sh

stores_made=

store_mount() {
    case $(cat "/run/stores/$1") in
    vfat | exfat) mount -o "uid=$(id -u trayd),gid=$(id -g trayd),umask=027" "/dev/mapper/$1" "/srv/$1" ;;
    ext4) mount -o errors=remount-ro "/dev/mapper/$1" "/srv/$1" ;;
    *) mount "/dev/mapper/$1" "/srv/$1" ;;
    esac
}

# Whoever is in it leaves it soon: trayd looks into its stores now and then.
store_unmount() { wait_for 20 umount "/srv/$1" 2>/dev/null; }

store_make() {
    case $2 in
    ext4) set -- "$1" "$2" "$3" mkfs.ext4 -q ;;
    xfs) set -- "$1" "$2" "$3" mkfs.xfs -q ;;
    vfat) set -- "$1" "$2" "$3" mkfs.fat ;;
    exfat) set -- "$1" "$2" "$3" mkfs.exfat ;;
    esac
    command -v "$4" >/dev/null || return 1
    [ "$2" != xfs ] || load_modules xfs || return 1
    store_name=$1 store_kind=$2 store_sectors=$(($3 * 2048))
    shift 3
    truncate -s $((store_sectors * 512)) "/tmp/$store_name.disk"
    store_loop=$(losetup -f)
    losetup "$store_loop" "/tmp/$store_name.disk"
    echo "0 $store_sectors linear $store_loop 0" | dmsetup create --noudevsync "$store_name"
    dmsetup mknodes "$store_name"
    "$@" "/dev/mapper/$store_name" >/dev/null 2>&1 || return 1
    mkdir -p "/srv/$store_name" /run/stores
    echo "$store_kind" >"/run/stores/$store_name"
    echo "0 $store_sectors $store_loop" >"/run/stores/$store_name.disk"
    store_mount "$store_name" || return 1
    chown trayd:trayd "/srv/$store_name" 2>/dev/null
    stores_made="$stores_made $store_name"
}

stores_entries() {
    store_entries=
    for store_name in $stores_made; do
        store_entries="$store_entries\\, { name = \"$store_name\"; path = \"/srv/$store_name\"; reserve = \"0 B\"; }"
    done
    echo "s,{ name = \"main\".*},&$store_entries,"
}

# Without freezing the file system, and without waiting for what is on its way: power does not wait either.
device() {
    read -r device_first device_sectors device_loop <"/run/stores/$1.disk"
    case $2 in
    works) device_table="linear $device_loop 0" ;;
    refuses) device_table="flakey $device_loop 0 0 3600 1 error_writes" ;;
    lies) device_table="flakey $device_loop 0 0 3600 1 drop_writes" ;;
    dead) device_table=error ;;
    esac
    echo "$device_first $device_sectors $device_table" | dmsetup load "$1" &&
        dmsetup suspend --nolockfs --noflush "$1" && dmsetup resume --noudevsync "$1"
}

room() { echo $(($(stat -f -c '%a * %S' "/srv/$1"))); }
leftovers() { find "/srv/$1/.trayd" -mindepth 1 ! -name '*.json' 2>/dev/null; }
sum_of() { sha256sum "$1" | cut -d ' ' -f 1; }
sum_in() { sum_of "/srv/$1/$2"; }
