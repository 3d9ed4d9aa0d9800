# Several drives in one function, and another function beside it: what is shared is told, and what is not is not disturbed.
# run: --no-trayd
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
for name in one two three; do dd if=/dev/urandom of=$images/$name.iso bs=1M count=8 status=none; done
truncate -s 16M $images/disk.img
cat >/etc/trayd/trayd.conf <<'EOF'
drives = ( { name = "cd0"; type = "cdrom"; function = "media"; dwell = "1 s"; },
           { name = "cd1"; type = "cdrom"; function = "media"; dwell = "1 s"; },
           { name = "usb0"; type = "disk"; function = "media"; dwell = "1 s"; },
           { name = "usb1"; type = "disk"; dwell = "1 s"; } );
EOF
trayd_start || exit 1
check "the host has all four" sh -c 'for d in cd0 cd1 usb0 usb1; do host dev $d --wait 30 || exit 1; done'

insert cd0 one.iso
insert cd1 two.iso
insert usb0 disk.img
insert usb1 three.iso '"readonly": true'
answered "all four are loaded" 200 "done"
for d in cd0=one cd1=two usb1=three; do
    sum=$(sha256sum <"$images/${d#*=}.iso")
    wait_for 20 host size "${d%=*}" >/dev/null
    same "${d%=*} is ${d#*=}.iso" "$sum" "$(dd if="$(host dev "${d%=*}")" bs=1M count=8 iflag=fullblock status=none | sha256sum)"
done
check "shared evidence is called so" drive_is cd0 '.evidence.shared'
check "and what is not is not" drive_is usb1 '.evidence.shared | not'

host read cd1 --loop --direct --seconds 12 >/tmp/sibling 2>&1 &
sibling=$!
host read usb1 --loop --direct --seconds 12 >/tmp/other 2>&1 &
other=$!
host read cd0 --loop --direct >/tmp/reader 2>&1 &
reader=$!
check "the host reads" wait_for 20 drive_is cd0 '.evidence.bytes_read > 1000000'
for round in 1 2 3; do
    eject cd0 mode=forced
    answered "round $round: forced, with a sibling under load" 200 "done"
    insert cd0 three.iso
    answered "round $round: and another one in" 200 "done"
done
wait $reader
wait $sibling
wait $other
check "the sibling's read had no error" grep -q 'errno=0' /tmp/sibling
check "nor the one in the other function" grep -q 'errno=0' /tmp/other

insert cd1 one.iso '"swap": "direct", "mode": "orderly"'
answered "a sibling is swapped" 200 "done"
eject usb0
answered "a disk with reading siblings is ejected orderly" 200 "done"
check "nothing was enumerated again" sh -c 'host enumerations | grep -q enumerations=1'
