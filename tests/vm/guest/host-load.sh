# What the host computer does to a drive in the background, for scripts about ejecting. One load a drive at a time.
#
#   load_read DRIVE [OPTION]...    reads at full speed, round and round (options of `host read`)
#   load_write DRIVE [OPTION]...   writes blocks that carry OLD-DRIVE, likewise
#   load_mount DRIVE TYPE          has the file system mounted: 1 MiB flushed, 4 MiB dirty, and the file open
#   load_stop DRIVE read|write     stops in the middle of a command of 1024 blocks, after 8 KiB
#   load_end DRIVE                 ends it; returns its status. What it said stays in /tmp/load.DRIVE
#   load_runs DRIVE                it has not ended by itself
#
#   blocks FILE WORD               how many blocks of 512 bytes carry the word (such as OLD-, run=flushed, run=dirty)
#
# shellcheck shell=sh

LOAD_FLUSHED=1M LOAD_DIRTY=4M
load_ready=30 # s; a liveness bound

load_start() { # DRIVE COMMAND...
    load_drive=$1
    shift
    rm -f "/tmp/load.$load_drive"
    "$@" >"/tmp/load.$load_drive" 2>&1 &
    echo $! >"/tmp/load-pid.$load_drive"
    wait_for $load_ready grep -q ready "/tmp/load.$load_drive"
}

load_read() {
    load_reader=$1
    shift
    load_start "$load_reader" host read "$load_reader" --loop --ready "$@"
}

load_write() {
    load_writer=$1
    shift
    load_start "$load_writer" host write "$load_writer" --pattern "OLD-$load_writer" --loop --direct --ready "$@"
}

load_mount() {
    mkdir -p "/mnt/$1"
    # A disk that the host has never written to gets no share of dirty pages, and would be flushed within seconds.
    echo 12 >"/sys/class/block/$(basename "$(host dev "$1")")/bdi/min_ratio" || return 1
    mount -t "$2" "$(host dev "$1")" "/mnt/$1" || return 1
    host write "/mnt/$1/flushed" --pattern "OLD-$1" --tag flushed --bytes $LOAD_FLUSHED --sync >/dev/null || return 1
    load_start "$1" host write "/mnt/$1/dirty" --pattern "OLD-$1" --tag dirty --bytes $LOAD_DIRTY --hold
}

load_stop() { load_start "$1" host bot "$1" "$2" --blocks 1024 --stop-after 8192; }

load_runs() { [ -d "/proc/$(cat "/tmp/load-pid.$1")" ]; }

load_end() {
    load_pid=$(cat "/tmp/load-pid.$1")
    kill "$load_pid" 2>/dev/null
    wait "$load_pid" 2>/dev/null
    load_status=$?
    if [ -d "/mnt/$1" ]; then umount -l "/mnt/$1" 2>/dev/null; fi
    return $load_status
}

blocks() { host count "$1" "$2" | sed 's/^blocks=\([0-9]*\).*/\1/'; }
