# Guest script: prints /proc/TID/stack of the gadget's thread in each situation that trayd-gadget tells apart, each
# under a line "== SITUATION STATE". tests/vm/record-facts makes the files in facts/ of it.
# run: --no-trayd
# shellcheck shell=sh
set -eu
# shellcheck source-path=SCRIPTDIR source=guest/gadget-by-hand.sh
. /lib/gadget-by-hand.sh
# shellcheck source-path=SCRIPTDIR source=guest/nbd.sh
. /lib/nbd.sh

show() {
    echo "== $1 $(state_of "$2")"
    cat "/proc/$2/stack"
}

stack_has() { grep -q "$2" "/proc/$1/stack"; }
in_state() { [ "$(state_of "$1")" = "$2" ]; }

dd if=/dev/zero of="$images/cd.iso" bs=1M count=16 status=none
dd if=/dev/zero of="$images/usb.img" bs=1M count=16 status=none
build_gadget
echo "$images/cd.iso" >"$cd0/file"
echo "$images/usb.img" >"$usb0/file"
bind_gadget
cd_thread=$(thread 1)
usb_thread=$(thread 2)

wait_for 10 stack_has "$usb_thread" 'sleep_thread'
show idle "$usb_thread"

host bot usb0 read --blocks 2048 --stop-after 4096 >/tmp/bot &
bot=$!
wait_for 10 stack_has "$usb_thread" do_read
show read-waits-for-host "$usb_thread"
timeout 10 cat "$usb0/file" >/tmp/file && echo "== note reading file while the host stops in READ: $(cat /tmp/file)"
kill $bot
wait $bot || true
host dev usb0 --wait 20 >/dev/null

host bot usb0 write --blocks 2048 --stop-after 4096 >/tmp/bot &
bot=$!
wait_for 10 stack_has "$usb_thread" do_write
show write-waits-for-host "$usb_thread"
kill $bot
wait $bot || true
host dev usb0 --wait 20 >/dev/null

# All data is in the two buffers, and the status waits for a free one.
host bot usb0 read --blocks 64 --stop-after 0 >/tmp/bot &
bot=$!
wait_for 10 grep -q ready /tmp/bot
sleep 1
show status-waits-for-host "$usb_thread"
kill $bot
wait $bot || true
host dev usb0 --wait 20 >/dev/null

# An ejected medium with the forced eject waiting behind a command that does not move.
host bot cd0 read --blocks 512 --stop-after 2048 >/tmp/bot &
bot=$!
wait_for 10 stack_has "$cd_thread" do_read
(echo 1 >"$cd0/forced_eject") &
writer=$!
sleep 1
for pid in /proc/[0-9]*; do
    pid=${pid#/proc/}
    if stack_has "$pid" fsg_store_forced_eject 2>/dev/null || stack_has "$pid" fsg_lun_opts_forced_eject 2>/dev/null; then
        show forced-eject-waits-for-command "$pid"
    fi
done
kill $bot
wait $bot || true
wait $writer || true
host dev cd0 --wait 20 >/dev/null

# A write that is refused leaves its data to be thrown away: again a wait for the host, but in a function that the
# compiler may have made a part of fsg_main_thread, so that by names alone it looks idle.
echo >"$usb0/file"
host bot usb0 write --blocks 2048 --stop-after 4096 >/tmp/bot &
bot=$!
wait_for 10 grep -q ready /tmp/bot
sleep 1
show refused-write-waits-for-host "$usb_thread"
kill $bot
wait $bot || true
host dev usb0 --wait 20 >/dev/null

# Storage that hangs.
unbind_gadget
echo >"$usb0/file"
nbd_up 16
echo /dev/nbd0 >"$usb0/file"
bind_gadget
# The kernel looked for partitions; what it has not read comes from the server.
nbd_pause
host read usb0 --from 8M --bytes 1M --direct >/tmp/read &
reader=$!
wait_for 10 in_state "$usb_thread" D
show read-waits-for-storage "$usb_thread"
timeout 3 cat "/sys/class/udc/$udc/state" >/tmp/udc && echo "== note udc state while storage hangs: $(cat /tmp/udc)"
nbd_resume
wait $reader || true

# A write reaches the storage only when the host syncs: fsync under SYNCHRONIZE CACHE.
wait_for 10 stack_has "$usb_thread" sleep_thread
nbd_pause
host write usb0 --pattern STUCK --bytes 256K --from 4M --direct --sync >/tmp/write &
writer=$!
wait_for 20 in_state "$usb_thread" D
show sync-waits-for-storage "$usb_thread"
nbd_resume
wait $writer || true
