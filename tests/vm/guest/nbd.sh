# For guest scripts with storage that hangs when it is told to:   . /lib/nbd.sh
#
#   nbd_is_there              false where the guest has not what the others need
#   nbd_up MIB                /dev/nbd0: a network block device, in the memory of a server of this guest; empty
#   nbd_down                  it is no more
#   nbd_pause, nbd_resume     from now on the server answers no request, or all of them; a failed test where it does not say so
#   storage_halt COMMAND...   the command brings some storage to a halt, and nothing that is read from it comes from a cache
#
# shellcheck shell=sh

nbd_is_there() { command -v nbdkit >/dev/null && command -v nbd-client >/dev/null; }

nbd_up() {
    rm -f /tmp/nbd.sock /tmp/pause.sock
    nbdkit -U /tmp/nbd.sock -P /tmp/nbd.pid --filter=pause memory "$1M" pause-control=/tmp/pause.sock
    wait_for 10 test -S /tmp/nbd.sock
    nbd-client -unix /tmp/nbd.sock /dev/nbd0 -b 512 >/dev/null
}

nbd_down() {
    nbd-client -d /dev/nbd0 >/dev/null 2>&1
    kill "$(cat /tmp/nbd.pid)"
    wait_for 10 sh -c '! test -e /sys/block/nbd0/pid'
}

# In this order: trayd reads new images for their digests, and would fill the cache again.
storage_halt() {
    sync
    "$@"
    echo 1 >/proc/sys/vm/drop_caches
}

nbd_pause() { nbd_says p P; }
nbd_resume() { nbd_says r R; }

# The server answers before it sees the end of what it is sent.
nbd_says() {
    [ "$(printf '%s' "$1" | socat -t 30 - UNIX-CONNECT:/tmp/pause.sock)" = "$2" ] ||
        fail "the server of /dev/nbd0 answers \"$1\" with \"$2\""
}
