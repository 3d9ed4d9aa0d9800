# A writable medium is taken from a host that uses it, and another writable one goes in as soon as that is allowed; 40 s later
# the new image is searched for what was meant for the old one. Several drives share the 40 s. The first WRITERS of them are
# written to at full speed, the others have a file system mounted (vfat, ext4, in turns), with dirty pages and an open file.
#   swap.sh trayd|bare|signal auto|off BATCHES WRITERS MOUNTED
# bare: forced_eject and the new image at once; signal: SIGUSR1, "\n" repeated, and the new image at once; both by hand.
# shellcheck shell=sh disable=SC2086 # words without blanks
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/gadget-by-hand.sh
. /lib/gadget-by-hand.sh
# shellcheck source-path=SCRIPTDIR source=../../vm/guest/host-load.sh
. /lib/host-load.sh
# shellcheck source-path=SCRIPTDIR source=bench.sh
. /lib/bench.sh
set -u
way=$1 switch=$2 batches=$3 writers=$4 mounted=$5
look_after=40 # s; Linux writes dirty pages out when they are 30 s old, and looks every 5 s; a reset comes after 31
recover=120   # s
tries=100     # of the naive way, every 0.5 ms
size=16M
again='"reattach": true, "allow_collateral": true'

count=$((writers + mounted))
load_of() { # NUMBER
    if [ "$1" -lt "$writers" ]; then
        echo writer
    elif [ $((($1 - writers) % 2)) = 0 ]; then
        echo vfat
    else
        echo ext4
    fi
}

# ---- the gadget ----------------------------------------------------------------------------------------------------

functions=3 # of the disks; with that of the CD drive as many as dummy_hcd can tell apart

# The drives usb0, usb1, usb2, and then a second LUN of each function, usb0-1, usb1-1, ...
drive_of() { # NUMBER
    drive_lun=$(($1 / functions))
    echo "usb$(($1 % functions))$([ $drive_lun = 0 ] || echo "-$drive_lun")"
}

start() {
    if [ "$way" != trayd ]; then
        start_luns=$(((count + functions - 1) / functions))
        build_gadget $start_luns
        [ $functions -gt "$count" ] || { add_drive usb1 disk $start_luns && add_drive usb2 disk $start_luns; }
        bind_gadget
        return
    fi
    start_list='' start_i=0
    while [ $start_i -lt "$count" ]; do
        start_list="$start_list${start_list:+, }{ name = \"$(drive_of $start_i)\"; function = \"usb$((start_i % functions))\";"
        start_list="$start_list type = \"disk\"; dwell = \"0 s\"; }"
        start_i=$((start_i + 1))
    done
    trayd_start 's/flush = true/flush = false/' 's/dwell = "3 s"/dwell = "0 s"/' "s/forced_eject = \"auto\"/forced_eject = \"$switch\"/" \
        "s/{ name = \"usb0\"; type = \"disk\"; }/$start_list/"
}

put_old() { # DRIVE: the host sees it, whoever had been robbed before
    if [ "$way" = trayd ]; then insert "$1" "old-$1.img" "$again"; else put_by_hand "$1" "$images/old-$1.img"; fi
    wait_for $recover host size "$1" >/dev/null 2>&1
}

take() { # NUMBER DRIVE: by hand, the new image goes in behind it
    take_dir=$(lun "$2")
    case $way in
    trayd) eject_by_trayd "$2" '"allow_collateral": true' ;; # without forced_eject it may be a reattach, and the others are loaded
    bare) eject_tool bare "$take_dir" "$images/new-$2.img" >$took ;;
    signal) eject_tool signal "$take_dir" "$(thread $(($1 % functions + 2)))" $tries "$images/new-$2.img" >$took ;;
    esac
    mv $took "$took.$2"
}

put_new() { # DRIVE
    [ "$way" = trayd ] || return 0
    insert_by_trayd "$1" "new-$1.img" "$again"
    mv $inserted "$inserted.$1"
}

clear_all() {
    for_each clear_one
    [ "$way" = trayd ] && return
    unbind_gadget
    sleep 1 # so long the host sees no device: nothing is left of this batch
    bind_gadget
}
clear_one() { # NUMBER DRIVE
    if [ "$way" = trayd ]; then eject "$2" 'patience=5&on_timeout=force'; else echo 1 >"$(lun "$2")/forced_eject"; fi
}

# ---- a batch -------------------------------------------------------------------------------------------------------

for_each() { # FUNCTION [writer|mounted]: calls FUNCTION NUMBER DRIVE LOAD for each drive, or each of that sort
    each=0
    while [ $each -lt "$count" ]; do
        each_load=$(load_of $each)
        case "${2:-any} $each_load" in
        any* | "$each_load $each_load" | "mounted "[ve]*) "$1" $each "$(drive_of $each)" $each_load ;;
        esac
        each=$((each + 1))
    done
}

prepare() { # NUMBER DRIVE LOAD
    rm -f "$images/old-$2.img" "$images/new-$2.img"
    truncate -s $size "$images/old-$2.img" "$images/new-$2.img"
    case $3 in
    vfat) mkfs.fat "$images/old-$2.img" >/dev/null 2>&1 ;;
    ext4) mkfs.ext4 -q "$images/old-$2.img" ;;
    esac
    chown trayd "$images/old-$2.img" "$images/new-$2.img"
}

# A drive whose load cannot be had is left out, and its record says that nothing was done.
swap_writer() {
    if put_old "$2" && load_write "$2"; then
        take "$1" "$2"
        put_new "$2"
    else
        echo "$2: no load" >&2
    fi
}

mount_one() {
    if ! { put_old "$2" && load_mount "$2" "$3"; }; then echo "$2: no load" >&2; fi
}
put_new_one() { put_new "$2"; }

# How often the host's kernel looks for dirty pages that are old enough (30 s) to be written, in 1/100 s; 0: not at all.
write_back() { echo "$1" >/proc/sys/vm/dirty_writeback_centisecs; }

search() { # NUMBER DRIVE LOAD
    load_end "$2"
    mv "$took.$2" $took
    [ ! -e "$inserted.$2" ] || mv "$inserted.$2" $inserted
    # A file without a block was never written to; to compare 16 MiB takes a slow processor most of a second.
    if [ "$(stat -c %b "$images/new-$2.img")" = 0 ] || cmp -s "$images/new-$2.img" "$images/blank"; then changed=no; else changed=yes; fi
    record case=swap way="$way" load="$3" old_found="$(blocks "$images/new-$2.img" OLD-)" changed=$changed \
        old_written="$(blocks "$images/old-$2.img" OLD-)" flushed="$(blocks "$images/old-$2.img" run=flushed)" \
        dirty_left="$(blocks "$images/old-$2.img" run=dirty)"
}

truncate -s $size $images/blank
start || exit 1
batch=0
while [ $batch -lt "$batches" ]; do
    batch=$((batch + 1))
    for_each prepare
    for_each swap_writer writer
    write_back 0 # on a slow machine the first would be written out before the last is mounted
    for_each mount_one mounted
    for_each take mounted
    for_each put_new_one mounted
    write_back 500
    sleep $look_after
    for_each search
    clear_all
done
