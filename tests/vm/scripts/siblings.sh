# Two drives in one function: a signal for the one hits the other. Its new medium, which the host had not noticed, is
# announced again, and its writable medium is not asked for any more.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
# shellcheck source-path=SCRIPTDIR source=../guest/gadget-by-hand.sh
. /lib/gadget-by-hand.sh
set -u

images=/srv/trayd/images
dd if=/dev/urandom of=$images/one.iso bs=1M count=4 status=none
dd if=/dev/urandom of=$images/small.img bs=1M count=4 status=none
dd if=/dev/urandom of=$images/large.img bs=1M count=8 status=none
small=$((4 << 20)) large=$((8 << 20))
cat >/etc/trayd/trayd.conf <<'EOT'
gadget = { forced_eject = "off"; reattach = "never"; };
drives = ( { name = "cd0"; type = "cdrom"; function = "media"; dwell = "1 s"; },
           { name = "usb0"; type = "disk"; function = "media"; dwell = "1 s"; } );
EOT
# A host that polls notices by itself; this one does not.
echo 0 >/sys/module/block/parameters/events_dfl_poll_msecs
trayd_start || exit 1
for name in cd0 usb0; do echo 0 >"/sys/block/$(basename "$(host dev $name)")/events_poll_msecs"; done

host_knows() { [ "$(host size "$1" 2>/dev/null)" = "$2" ]; }
swap_usb0() { insert usb0 "$1" '"readonly": true, "swap": "direct"'; }
# The CD goes in, is locked, and leaves by force: without forced_eject that takes a signal to the thread of both drives.
signal_for_cd0() {
    insert cd0 one.iso
    wait_for 20 host_knows cd0 $small
    host lock cd0
    eject cd0 mode=forced
    answered "$1" 200 "done"
    holds "... by a signal" '[.steps[].rung] | index("signal") != null'
}
announced() { grep -c 'usb0: announcing the medium again' /var/log/trayd-gadget.log; }

# ---- a medium that the host has not noticed --------------------------------------------------------------------------

insert usb0 small.img '"readonly": true'
answered "a disk is in" 200 "done"
check "the host knows it" wait_for 20 host_knows usb0 $small
swap_usb0 large.img
answered "it is swapped, and the host does not look" 200 "done"
signal_for_cd0 "its sibling leaves by force"
check "the disk's new medium is announced again" wait_for 20 drive_is usb0 '.unannounced == false'
same "... once" 1 "$(announced)"
same "the host sees the new size" $large "$(host size usb0)"
same "... and the new contents" "$(sha256sum <$images/large.img)" "$(dd if="$(host dev usb0)" bs=1M status=none | sha256sum)"
check "the drive's lock is not known" drive_is usb0 '.evidence.lock == "unknown"'

# What this is about: a signal that trayd knows nothing of.
swap_usb0 small.img
answered "swapped again" 200 "done"
thread_is_idle() { sed -n 2p "/proc/$(thread 1)/stack" | grep -q fsg_main_thread; }
wait_for 10 thread_is_idle
kill -USR1 "$(thread 1)"
wait_for 10 thread_is_idle
same "after a signal alone the host keeps what it knew" $large "$(host size usb0)"
eject usb0
answered "the disk is out" 200 "done"
host size usb0 >/dev/null 2>&1

# ---- a medium that the host has mounted -------------------------------------------------------------------------------

insert usb0 small.img
answered "a writable disk is in" 200 "done"
wait_for 20 host_knows usb0 $small
host write usb0 --pattern MINE --bytes 4096 --sync --hold >/tmp/holder &
holder=$!
check "the host has it open, and wrote to it" wait_for 20 grep -q ready /tmp/holder
eject usb0 patience=0
answered "so it is not given" 423 medium_in_use
signal_for_cd0 "its sibling leaves by force"
eject usb0 patience=0
answered "nor is it given when the signal has cleared the lock" 423 medium_in_use
holds "which the answer tells" '.detail | contains("signal")'
check "the medium is in" drive_is usb0 '.medium.image == "small.img" and .unannounced == true'
before=$(drive usb0 '.generation')
killed=$(unit_pid trayd-gadget)
kill -9 "$killed"
is_another() { another=$(unit_pid trayd-gadget) && [ "$another" != "$killed" ]; }
check "trayd-gadget is killed, and back" wait_for 20 is_another
check "it has adopted the drive" wait_for 30 drive_is usb0 ".generation == $before and .state == \"loaded\""
eject usb0 patience=0
answered "and still knows" 423 medium_in_use
eject usb0 mode=forced
answered "by force it leaves" 200 "done"
holds "... and leaves a host that is not to be trusted" '.stale_host == true'
kill $holder
wait $holder
check "nothing was enumerated again" sh -c 'host enumerations | grep -q enumerations=1'
