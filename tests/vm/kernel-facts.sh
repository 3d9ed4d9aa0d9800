# Guest script: asks this kernel for the behaviour that trayd-gadget takes for granted, with a gadget built by hand. A kernel that behaves otherwise fails here first, and says in what.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=guest/gadget-by-hand.sh
. /lib/gadget-by-hand.sh
# shellcheck source-path=SCRIPTDIR source=guest/trayd-test.sh
. /lib/trayd-test.sh
# shellcheck source-path=SCRIPTDIR source=guest/nbd.sh
. /lib/nbd.sh

busy='Device or resource busy'

# In the background, until end_background: the pid is in $!, "ready" was printed.
background() {
    rm -f /tmp/background
    "$@" >/tmp/background 2>&1 &
    wait_for 20 grep -q ready /tmp/background || cat /tmp/background
}
end_background() { # PID
    kill "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

medium_of() { cat "$1/file"; }
put_quietly() { [ "$(put "$1" "$2")" = 'done' ]; }
io_of() { sed -n "s/^$2: //p" "/proc/$1/io"; }
switches_of() { sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' "/proc/$1/status"; }
in_state() { [ "$(state_of "$1")" = "$2" ]; }
is_empty() { [ -z "$(medium_of "$1")" ]; }
gone() { [ ! -d "/proc/$1" ] || in_state "$1" Z; }
at_least() { [ "$1" -ge "$2" ]; }
uptime_ms() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }

dd if=/dev/urandom of="$images/cd.iso" bs=1M count=8 status=none
dd if=/dev/urandom of="$images/next.iso" bs=1M count=4 status=none
dd if=/dev/zero of="$images/usb.img" bs=1M count=8 status=none
dd if=/dev/zero of="$images/small.iso" bs=1K count=500 status=none
truncate -s 2400M "$images/large.iso"

echo "# building"
build_gadget
same "clearing UDC while not bound is ENODEV" 'No such device' "$(put "$gadget/UDC" '')"
same "LUNs cannot be added to a linked function" "mkdir: can't create directory '${cd0%/*}/lun.1': $busy" \
    "$(mkdir "${cd0%/*}/lun.1" 2>&1)"
same "stall cannot be set in a linked function" "$busy" "$(put "${cd0%/*}/stall" 0)"
same "an attribute that does not exist is EACCES, not ENOENT" 'Permission denied' "$(put "$cd0/break_io_or_so" 1)"
spare=$gadget/functions/mass_storage.spare
mkdir "$spare"
last=1
while mkdir "$spare/lun.$last" 2>/dev/null; do last=$((last + 1)); done
same "there are 16 LUNs at most" 16 "$last"
check "lun.0 cannot be removed" sh -c "! rmdir $spare/lun.0 2>/dev/null"

echo "# attributes"
same "cdrom=1 sets ro=1 too" '1' "$(put_quietly "$spare/lun.0/cdrom" 1 && cat "$spare/lun.0/ro")"
same "cdrom=0 leaves ro as it is" '1' "$(put_quietly "$spare/lun.0/cdrom" 0 && cat "$spare/lun.0/ro")"
put_quietly "$spare/lun.0/ro" 0
put_quietly "$spare/lun.0/file" "$images/usb.img"
same "ro cannot be set with a medium in" "$busy" "$(put "$spare/lun.0/ro" 1)"
same "cdrom=1 cannot be set with a medium in" "$busy" "$(put "$spare/lun.0/cdrom" 1)"
same "cdrom=0 is accepted with a medium in" 'done' "$(put "$spare/lun.0/cdrom" 0)"
put_quietly "$spare/lun.0/file" ''
while [ $last -gt 1 ]; do last=$((last - 1)); rmdir "$spare/lun.$last"; done
rmdir "$spare"
check "forced_eject exists" test -e "$cd0/forced_eject"

echo "# inserting"
same "a CD of under 300 sectors is error 525" 'Unknown error 525' "$(put "$cd0/file" "$images/small.iso")"
same "a missing image is ENOENT" 'No such file or directory' "$(put "$cd0/file" "$images/none.iso")"
same "a CD that is too large is accepted" 'done' "$(put "$cd0/file" "$images/large.iso")"
check "binding, and the host sees both drives" bind_gadget
same "... and is cut" 2359293952 "$(host size cd0)"
same "binding twice is EBUSY" "$busy" "$(put "$gadget/UDC" "$udc")"
same "ejecting an idle drive works" 'done' "$(put "$cd0/file" '')"
same "... at once" '' "$(medium_of "$cd0")"
put_quietly "$cd0/file" "$images/cd.iso"
put_quietly "$usb0/file" "$images/usb.img"
host write "$usb0/file" --pattern none --bytes 0 >/dev/null
same "a write of no bytes does nothing" "$images/usb.img" "$(medium_of "$usb0")"
: >"$usb0/file"
same "opening and truncating file without a write does nothing" "$images/usb.img" "$(medium_of "$usb0")"
same "swapping without an eject works" "$images/next.iso" \
    "$(put_quietly "$cd0/file" "$images/next.iso"; medium_of "$cd0")"
same "a swap that fails leaves the old medium" "$images/next.iso" \
    "$(put_quietly "$cd0/file" "$images/none.iso"; medium_of "$cd0")"
put_quietly "$cd0/file" ''
exec 7<"$images/cd.iso"
mv "$images/cd.iso" "$images/moved.iso"
ln -s next.iso "$images/cd.iso"
same "/proc/self/fd/N works as the path, after rename and with a symlink in its place" 'done' "$(put "$cd0/file" /proc/self/fd/7)"
exec 7<&-
same "reading file gives the real path" "$images/moved.iso" "$(medium_of "$cd0")"
rm "$images/cd.iso"
mv "$images/moved.iso" "$images/cd.iso"
same "... and follows a rename" "$images/cd.iso" "$(medium_of "$cd0")"
ln "$images/cd.iso" "$images/kept.iso"
rm "$images/cd.iso"
same "... and tells of an unlink" "$images/cd.iso (deleted)" "$(medium_of "$cd0")"
mv "$images/kept.iso" "$images/cd.iso"
put_quietly "$cd0/file" "$images/cd.iso"

echo "# evidence"
same "there is one thread per function, called file-storage" 2 "$(threads | wc -l)"
cd_thread=$(thread 1) usb_thread=$(thread 2)
background host watch "$images/usb.img"
watch=$!
before=$(io_of "$usb_thread" rchar) other=$(io_of "$cd_thread" rchar)
host read usb0 --bytes 1M --direct >/dev/null
check "threads are in the order of linking, and rchar counts what the host reads" \
    at_least $(($(io_of "$usb_thread" rchar) - before)) 1048576
same "... of that function only" "$other" "$(io_of "$cd_thread" rchar)"
check "inotify on the image shows the host's reads" wait_for 10 grep -q ACCESS /tmp/background
before=$(io_of "$usb_thread" wchar)
host write usb0 --pattern FACTS --bytes 1M --direct >/dev/null
same "wchar counts what the host writes" 1048576 $(($(io_of "$usb_thread" wchar) - before))
check "inotify on the image shows the host's writes" wait_for 10 grep -q MODIFY /tmp/background
same "what the host wrote is in the image" 'blocks=2048 bytes=1048576' "$(host count "$images/usb.img" FACTS)"
before=$(switches_of "$usb_thread")
# No command for a third of a second, and none under way.
is_quiet() {
    quiet_before=$(switches_of "$1")
    sleep 0.3
    [ "$(switches_of "$1")" = "$quiet_before" ] && sed -n 2p "/proc/$1/stack" | grep -q fsg_main_thread
}
has_polled() { at_least "$(switches_of "$usb_thread")" $((before + 2)); }
check "an idle host's polling shows as context switches" wait_for 10 has_polled
check "the stack tells that it is idle" sh -c "sed -n 2p /proc/$usb_thread/stack | grep -q fsg_main_thread"
before=$(host enumerations)
check "the host ejects by itself" host eject usb0
check "... which closes the image, as inotify shows" wait_for 10 grep -q CLOSE_WRITE /tmp/background
same "... and leaves the drive empty" '' "$(medium_of "$usb0")"
end_background $watch
same "the host sees no medium" 'absent sense=02/3a/00' "$(host state usb0 | sed 's/ attention=.*//')"

echo "# ejecting"
put_quietly "$usb0/file" "$images/usb.img"
wait_for 10 host size usb0 >/dev/null 2>&1
background host open usb0 --rw
holder=$!
same "ejecting what the host has open is EBUSY" "$busy" "$(put "$usb0/file" '')"
same "so is swapping" "$busy" "$(put "$usb0/file" "$images/next.iso")"
end_background $holder
check "it works when the host has closed" wait_for 10 put_quietly "$usb0/file" ''
wait_for 10 host size cd0 >/dev/null 2>&1
check "the host locks a CD" host lock cd0
same "ejecting what the host has locked is EBUSY" "$busy" "$(put "$cd0/file" '')"
same "forced_eject takes it" 'done' "$(put "$cd0/forced_eject" 1)"
same "... at once" '' "$(medium_of "$cd0")"
host unlock cd0 2>/dev/null
put_quietly "$cd0/file" "$images/cd.iso"
wait_for 10 host size cd0 >/dev/null 2>&1
host lock cd0
# The kernel looks at a CD again after each close; a signal that hits even such a command costs the host 31 s and a reset.
wait_for 10 is_quiet "$cd_thread"
kill -USR1 "$cd_thread"
check "SIGUSR1 clears the lock of an idle drive" wait_for 10 put_quietly "$cd0/file" ''
same "... and the thread is the same" "$cd_thread" "$(thread 1)"
host unlock cd0 2>/dev/null
put_quietly "$cd0/file" "$images/cd.iso"
wait_for 10 host size cd0 >/dev/null 2>&1
background host read cd0 --direct --loop --ready
reader=$!
started=$(uptime_ms)
same "forced_eject works while the host reads" 'done' "$(put "$cd0/forced_eject" 1)"
echo "    took $(($(uptime_ms) - started)) ms"
wait $reader
check "... whose read ends with an error" grep -q error=EIO /tmp/background
check "... which is: medium not present" sh -c "dmesg | tail -n 20 | grep -q 'Medium not present'"
put_quietly "$cd0/file" "$images/next.iso"
reads_next() { [ "$(host read cd0 --direct | sed 's/ .*//')" = bytes=4194304 ]; }
check "... and the next medium is readable" wait_for 10 reads_next
same "in all of this nothing was enumerated or reset" "$before" "$(host enumerations)"

echo "# a host that stops in mid-command"
put_quietly "$usb0/file" "$images/usb.img"
wait_for 10 host size usb0 >/dev/null 2>&1
background host bot usb0 read --blocks 2048 --stop-after 4096
bot=$!
check "the stack tells of the read" wait_for 10 grep -q do_read "/proc/$usb_thread/stack"
same "wchan does not" sleep_thread "$(cat "/proc/$usb_thread/wchan")"
same "file can be read" "$images/usb.img" "$(medium_of "$usb0")"
put "$usb0/forced_eject" 1 >/tmp/forced &
forced=$!
eject_waits() { grep -ls fsg_store_forced_eject /proc/[0-9]*/stack | grep -q .; }
check "forced_eject waits for the command" wait_for 10 eject_waits
cat "$usb0/file" >/tmp/medium &
looker=$!
check "then reading file blocks as well" wait_for 10 in_state $looker D
same "the other function's drive is not affected" 'done' "$(put "$cd0/file" '')"
started=$(uptime_ms)
kill -USR1 "$usb_thread"
check "SIGUSR1 frees both" wait_for 10 gone $forced
wait $forced $looker
echo "    took $(($(uptime_ms) - started)) ms"
same "... and the forced eject has worked" "done:" "$(cat /tmp/forced):$(cat /tmp/medium)"
end_background $bot
check "the host comes back" host dev usb0 --wait 30

echo "# a host that resets the port"
put_quietly "$cd0/file" "$images/cd.iso"
wait_for 10 host size cd0 >/dev/null 2>&1
host lock cd0
same "a lock holds" "$busy" "$(put "$cd0/file" '')"
host udc "$udc" >/tmp/states &
watcher=$!
wait_for 10 grep -q configured /tmp/states
host reset cd0
check "the controller's state wakes poll(2) with default" wait_for 10 grep -q default /tmp/states
back_again() { sed '1,/default/d' /tmp/states | grep -q configured; }
check "... and is configured again" wait_for 10 back_again
sed 's/^/    /' /tmp/states
host dev cd0 --wait 30 >/dev/null
same "the kernel has forgotten the lock" 'done' "$(put "$cd0/file" '')"
lines=$(grep -c . /tmp/states)
unbind_gadget
sleep 0.3 # for what must not come
same "unbinding wakes nobody" "$lines" "$(grep -c . /tmp/states)"
bind_gadget
kill $watcher

echo "# storage that hangs"
nbd_up 16
put_quietly "$usb0/file" /dev/nbd0
same "a block device works as an image" /dev/nbd0 "$(medium_of "$usb0")"
wait_for 10 host size usb0 >/dev/null 2>&1
nbd_pause
host read usb0 --from 8M --bytes 1M --direct >/tmp/read &
reader=$!
check "the thread sleeps in D" wait_for 10 in_state "$usb_thread" D
put "$usb0/forced_eject" 1 >/tmp/forced &
forced=$!
check "forced_eject waits" wait_for 10 eject_waits
kill -USR1 "$usb_thread"
has_pending() { grep -Eq '^ShdPnd:.*200$' "/proc/$usb_thread/status"; }
check "SIGUSR1 stays pending" has_pending
same "the UDC's state can be read" configured "$(cat "/sys/class/udc/$udc/state")"
same "and its function" by-hand "$(cat "/sys/class/udc/$udc/function")"
unbind_gadget &
unbinder=$!
check "unbinding blocks in D" wait_for 10 in_state $unbinder D
nbd_resume
check "all ends when the storage is back" wait_for 30 gone $forced
wait $forced $unbinder $reader
same "... with the medium out" '' "$(medium_of "$usb0")"
put_quietly "$usb0/file" /dev/nbd0
bind_gadget
wait_for 10 host size usb0 >/dev/null 2>&1
nbd_pause
host read usb0 --from 4M --bytes 1M --direct >/tmp/read &
reader=$!
wait_for 10 in_state "$usb_thread" D
nbd-client -d /dev/nbd0 >/dev/null # NBD_CLEAR_SOCK among others, as gadget/backing_cut.c does
not_in_state() { ! in_state "$1" "$2"; }
check "disconnecting the network block device frees who waits for it" wait_for 10 not_in_state "$usb_thread" D
wait $reader
check "... by an error" grep -q error=E /tmp/read
put_quietly "$usb0/forced_eject" 1
nbd_resume

echo "# a mapping"
truncate -s 16M /tmp/mapped
loop=$(losetup -f)
losetup "$loop" /tmp/mapped
echo "0 32768 linear $loop 0" | dmsetup create --noudevsync mapped
dmsetup mknodes mapped
put_quietly "$usb0/file" /dev/mapper/mapped
wait_for 10 host size usb0 >/dev/null 2>&1
dmsetup suspend --noudevsync --nolockfs --noflush mapped
host read usb0 --from 8M --bytes 1M --direct >/tmp/read &
reader=$!
check "who reads a suspended mapping sleeps in D" wait_for 10 in_state "$usb_thread" D
dmsetup load mapped --table '0 32768 error'
in_state "$usb_thread" D
same "a table of errors alone does not wake it" 0 $?
dmsetup resume --noudevsync mapped
check "resumed with it, it does" wait_for 10 not_in_state "$usb_thread" D
wait $reader
check "... by an error" grep -q error=E /tmp/read
put_quietly "$usb0/forced_eject" 1
# fsync(2) on a descriptor that is open already.
flush() { LC_ALL=C dd count=0 conv=fsync,notrunc status=none 1>&"$1" 2>/dev/null && echo well || echo error; }
dmsetup load mapped --table "0 32768 linear $loop 0"
dmsetup resume --noudevsync mapped
exec 5<>/dev/mapper/mapped 6<>/dev/mapper/mapped
dd if=/dev/urandom bs=4096 count=1 status=none >&5
dmsetup suspend --noudevsync --nolockfs --noflush mapped
dmsetup load mapped --table '0 32768 error'
dmsetup resume --noudevsync mapped
same "fsync tells of a write error once for each open file" 'error well error well' "$(flush 5) $(flush 5) $(flush 6) $(flush 6)"
exec 7<>/dev/mapper/mapped
same "... and who opens it afterwards hears nothing" well "$(flush 7)"
exec 5<&- 6<&- 7<&-
dmsetup remove --noudevsync mapped
losetup -d "$loop"

echo "# unbinding"
unbind_gadget
put_quietly "$usb0/file" "$images/usb.img"
put_quietly "$cd0/file" "$images/cd.iso"
same "UDC state stays configured after an unbind" configured "$(cat "/sys/class/udc/$udc/state")"
same "function is empty then" '' "$(cat "/sys/class/udc/$udc/function")"
check "binding again" bind_gadget
unbind_gadget
same "media survive unbinding" "$images/cd.iso $images/usb.img" "$(medium_of "$cd0") $(medium_of "$usb0")"
check "binding again" bind_gadget
same "threads survive unbinding and binding" "$cd_thread $usb_thread" "$(thread 1) $(thread 2)"
same "linking a function while bound is EINVAL" "ln: $gadget/configs/c.1/more: Invalid argument" \
    "$(mkdir "$gadget/functions/mass_storage.more" && ln -s "$gadget/functions/mass_storage.more" "$gadget/configs/c.1/more" 2>&1)"
same "an unknown UDC is refused while bound" "$busy" "$(put "$gadget/UDC" no-such-udc)"
rm "$gadget/configs/c.1/mass_storage.usb0"
same "removing a link while bound unbinds without a word" '' "$(cat "$gadget/UDC")"
same "an unknown UDC is EBUSY even when nothing is bound" "$busy" "$(put "$gadget/UDC" no-such-udc)"
