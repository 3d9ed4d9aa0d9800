# Guest script: the bench tests itself, that is, what the host command says about a gadget built by
# hand, keyboard included.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=guest/gadget-by-hand.sh
. /lib/gadget-by-hand.sh
# shellcheck source-path=SCRIPTDIR source=guest/trayd-test.sh
. /lib/trayd-test.sh

field() { tr ' ' '\n' | sed -n "s/^$1=//p"; }

dd if=/dev/zero of="$images/usb.img" bs=1M count=32 status=none
dd if=/dev/urandom of="$images/cd.iso" bs=1M count=2 status=none
build_gadget
hid=$gadget/functions/hid.kbd
mkdir "$hid"
echo 1 >"$hid/protocol"
echo 1 >"$hid/subclass"
echo 8 >"$hid/report_length"
# The boot keyboard of the HID specification, appendix B.1.
printf '\005\001\011\006\241\001\005\007\031\340\051\347\025\000\045\001\165\001\225\010\201\002\225\001\165\010\201\003\225\005\165\001\005\010\031\001\051\005\221\002\225\001\165\003\221\003\225\006\165\010\025\000\045\145\005\007\031\000\051\145\201\000\300' >"$hid/report_desc"
ln -s "$hid" "$gadget/configs/c.1/"
host uevents >/tmp/uevents &
uevents=$!
wait_for 10 grep -q ready /tmp/uevents
echo "$images/usb.img" >"$usb0/file"
bind_gadget

same "dev finds the CD" /dev/sr0 "$(host dev cd0)"
same "dev finds the disk" /dev/sda "$(host dev usb0)"
check "sg finds devices" test -c "$(host sg cd0)" -a -c "$(host sg usb0)"
check "an unknown drive is told" sh -c '! host dev cd7'
check "wrong usage is status 2" sh -c 'host read; test $? = 2 && { host read cd0 --pattern x; test $? = 2; }'
check "the keyboard is alive" host keyboard --wait 10
same "size of a disk" 33554432 "$(host size usb0)"
same "state of an empty drive" 'absent sense=02/3a/00' "$(host state cd0 | sed 's/ attention=.*//')"
check "size of an empty drive fails" sh -c '! host size cd0'
echo "$images/cd.iso" >"$cd0/file"
wait_for 10 host size cd0 >/dev/null 2>&1
same "state of a loaded drive" present "$(host state cd0)"

same "reading a CD to its end" 2097152 "$(host read cd0 --direct | field bytes)"
same "reading a part" '1048576 0' "$(host read usb0 --from 1M --bytes 1M --direct | sed 's/bytes=\([0-9]*\) .*errno=\([0-9]*\) .*/\1 \2/')"
check "reading in a loop goes on" test "$(host read cd0 --loop --seconds 2 | field bytes)" -gt 4194304
check "... and may rest between the rounds: two of them fit into a second" \
    test "$(host read cd0 --loop --seconds 1 --rest 900 | field bytes)" -le 4194304
check "a drive that holds what a file does is seen" host match cd0 "$images/cd.iso"
dd if=/dev/urandom of=/tmp/other.iso bs=1M count=2 status=none
same "... and one that holds something else, which was read each time" 1 "$(host match cd0 /tmp/other.iso --wait 1 >/tmp/match; echo $?)"
check "... is told" sh -c 'test "$(sed "s/.*others=//" /tmp/match)" -ge 1'
same "writing a disk to its end" '33554432 0' "$(host write usb0 --pattern FULL --direct | sed 's/bytes=\([0-9]*\) .*errno=\([0-9]*\) .*/\1 \2/')"
same "every block is found" blocks=65536 "$(host count "$images/usb.img" FULL | sed 's/ .*//')"
host write usb0 --pattern PART --tag second --from 1M --bytes 64K --sync >/dev/null
same "a part is found by tag" 'blocks=128 bytes=65536' "$(host count "$images/usb.img" run=second)"
same "in its place" 'PART block=2048 run=second' "$(dd if="$images/usb.img" bs=26 iflag=skip_bytes skip=1M count=1 status=none)"

mkfs.fat "$(host dev usb0)" >/dev/null
mkdir -p /mnt/stick
mount "$(host dev usb0)" /mnt/stick
host write /mnt/stick/file --pattern HELD --bytes 1M --hold >/tmp/held &
held=$!
check "a file is written and held open" wait_for 10 grep -q ready /tmp/held
check "... so that unmounting fails" sh -c '! umount /mnt/stick 2>/dev/null'
kill $held
wait $held
check "... until it is let go" umount /mnt/stick
same "... and the data is in the image" blocks=2048 "$(host count "$images/usb.img" HELD | sed 's/ .*//')"

check "lock and unlock a CD" sh -c 'host lock cd0 && host unlock cd0'
host lock usb0
check "a locked disk keeps its medium" sh -c "! (echo >$usb0/file) 2>/dev/null"
host unlock usb0
check "unlocked, it does not" sh -c "echo >$usb0/file"

host lock cd0
check "the host's eject of a CD that it locked" host eject cd0
same "... empties it" '' "$(cat "$cd0/file")"
echo "$images/usb.img" >"$usb0/file"
wait_for 10 host size usb0 >/dev/null 2>&1
for way in read write; do
    host bot usb0 $way --blocks 1024 --stop-after 8192 --finish >/tmp/bot &
    bot=$!
    check "bot stops in a $way" wait_for 10 grep -q ready /tmp/bot
    kill $bot
    check "... and finishes it" wait $bot
    same "... with all data and good status" 'moved=516096 csw=0 residue=0 error=none' "$(tail -n 1 /tmp/bot)"
    check "... and gives the drive back" host dev usb0 --wait 20
done
check "the drive works after that" host read usb0 --bytes 1M --direct
same "nothing was enumerated again" enumerations=1 "$(host enumerations | tr ' ' '\n' | grep enumerations=)"
kill $uevents
wait $uevents
check "uevents show the drive coming" grep -q ' add block sr0 ' /tmp/uevents
check "uevents show the gadget being bound" grep -q ' change udc ' /tmp/uevents
