# The gadget in configfs, on a real kernel: made, adopted, repaired, refused, taken down.
# run: --no-trayd --file build/faults/tests/build_tool:/usr/bin/build_tool
# shellcheck shell=sh

default=/etc/trayd/trayd.conf
gadgets=/sys/kernel/config/usb_gadget
gadget=$gadgets/trayd
output=/tmp/output

# The tool's answer to an order must be RESULT in its first line; its exit status must go with it.
answers() { # CONFIG ORDER RESULT
    build_tool "$1" "$2" >$output
    answer_status=$?
    cat $output
    head -n 1 $output | grep -qx "$3" && [ $answer_status = 0 ]
}

refuses() { # CONFIG ORDER RESULT PATTERN
    if build_tool "$1" "$2" >$output; then
        cat $output
        return 1
    fi
    cat $output
    head -n 1 $output | grep -qx "$3" && grep -qE "^error=.*$4" $output
}

shows() { # FILE TEXT
    echo "$1: $(cat "$1")"
    [ "$(sed 's/ *$//' "$1")" = "$2" ]
}

gone() { [ ! -e $gadget ] && [ -z "$(cat /sys/class/udc/*/function 2>/dev/null)" ]; }
sees() { host dev "$1" --wait 20; }
enumerations() { host enumerations; }

# ---- from nothing ----

check "builds from nothing and binds" answers $default start "found=nothing bound=1" || exit 1
check "the host sees cd0" sees cd0
check "the host sees usb0" sees usb0
check "mass storage does not stall" shows $gadget/functions/mass_storage.cd0/stall 0
check "cd0 is a CD-ROM" shows $gadget/functions/mass_storage.cd0/lun.0/cdrom 1
check "cd0 is read-only" shows $gadget/functions/mass_storage.cd0/lun.0/ro 1
check "usb0 is no CD-ROM" shows $gadget/functions/mass_storage.usb0/lun.0/cdrom 0
check "INQUIRY tells the drive" shows $gadget/functions/mass_storage.usb0/lun.0/inquiry_string "trayd   Disk usb0       1.0"

# ---- adopted ----

# With configfs read-only any write would fail: adopting must not even try.
adopts_without_a_write() { # CONFIG RESULT
    before=$(enumerations)
    mount -o remount,ro /sys/kernel/config || return 1
    answers "$1" start "$2"
    adopts_status=$?
    mount -o remount,rw /sys/kernel/config || return 1
    sleep 1
    after=$(enumerations)
    echo "$before, then $after"
    [ $adopts_status = 0 ] && [ "$before" = "$after" ]
}

truncate -s 16M /tmp/disk.img
check "adopts what it made, with no write and no enumeration" adopts_without_a_write $default "found=as_planned bound=1"
echo 1 >$gadget/functions/mass_storage.usb0/lun.0/ro
echo /tmp/disk.img >$gadget/functions/mass_storage.usb0/lun.0/file
check "adopts with a medium in, read-only too" adopts_without_a_write $default "found=as_planned bound=1"

sed 's/name = "usb0"/name = "stick"/' $default >/tmp/other.conf
check "adopts what differs" adopts_without_a_write /tmp/other.conf "found=different bound=1"
check "and says what is missing" grep -qx "functions/mass_storage.stick is missing" $output
check "and what is too much" grep -qx "functions/mass_storage.usb0 is there, but not configured" $output

check "unbinds, and the medium stays" answers $default unbind "found=nothing bound=0"
check "the medium stayed" shows $gadget/functions/mass_storage.usb0/lun.0/file /tmp/disk.img
check "unbinding again is fine" answers $default unbind "found=nothing bound=0"
check "what differs is not made anew while a medium is in" answers /tmp/other.conf start "found=different bound=1"
check "the medium is still in" shows $gadget/functions/mass_storage.usb0/lun.0/file /tmp/disk.img
build_tool $default unbind >/dev/null
echo >$gadget/functions/mass_storage.usb0/lun.0/file
check "it is, when nobody uses it" answers /tmp/other.conf start "found=half_built bound=1"
check "and is then as planned" answers /tmp/other.conf start "found=as_planned bound=1"
check "the host sees the new drive" sees stick
check "binding what is bound is fine" answers /tmp/other.conf bind "found=nothing bound=1"

# ---- taken down ----

check "takes it down" answers /tmp/other.conf remove "found=nothing bound=0"
check "nothing is left" gone
check "taking down nothing is fine" answers $default remove "found=nothing bound=0"
check "binding nothing is refused" refuses $default bind "found=nothing bound=0" "There is no gadget"

# ---- killed at every step ----

# Several drives in a function and another function, so that every kind of step is in it.
sed 's,^//,,; s/function = ""/function = "shared"/; s/name = "usb0";/name = "usb0"; function = "shared";/' \
    $default >/tmp/all.conf
sed 's/udc = ""/udc = "not_there.0"/' /tmp/all.conf >/tmp/unbound.conf
build_tool /tmp/all.conf steps >/tmp/steps
count=$(wc -l </tmp/steps)

mkdir /tmp/faults

# Killed at the COUNTth passage of the point; 0 is before it began.
killed_at() { # POINT COUNT CONFIG ORDER
    [ "$2" -gt 0 ] || return 0
    echo "$1 $2 self" >/tmp/faults/order
    TRAYD_FAULTS=/tmp/faults build_tool "$3" "$4"
    killed_status=$?
    [ $killed_status = 137 ] || echo "not killed at $1 $2, but ended with $killed_status"
    [ $killed_status = 137 ]
}

repairs_after() { # steps done
    killed_at build.step "$1" /tmp/unbound.conf start || return 1
    case $1 in
    0) left=nothing ;;
    "$count") left=as_planned ;;
    *) left=half_built ;;
    esac
    answers /tmp/unbound.conf start "found=$left bound=0" && answers /tmp/unbound.conf start "found=as_planned bound=0"
}

repairs_after_removing() { # things removed
    killed_at build.removed "$1" /tmp/unbound.conf remove || return 1
    answers /tmp/unbound.conf start "found=[a-z_]* bound=0" && answers /tmp/unbound.conf start "found=as_planned bound=0"
}

after_each() { # COMMAND FROM TO
    step=$2
    while [ "$step" -le "$3" ]; do
        if ! "$1" "$step"; then
            echo "after $step of $3: $(sed -n "${step}p" /tmp/steps)"
            return 1
        fi
        [ "$1" = repairs_after_removing ] || build_tool /tmp/unbound.conf remove || return 1
        step=$((step + 1))
    done
}

check "killed after each of $count steps: the next start completes" after_each repairs_after 0 "$count"
things=$(grep -cE '^[0-9]+ (directory|link)' /tmp/steps)
build_tool /tmp/unbound.conf start >/dev/null
check "killed after removing each of $things things: the next start repairs" after_each repairs_after_removing 1 "$things"

half_of_an_older_configuration() {
    killed_at build.step 12 $default start && answers /tmp/all.conf start "found=half_built bound=1" &&
        answers /tmp/all.conf start "found=as_planned bound=1"
}
build_tool /tmp/all.conf remove >/dev/null
check "half of an older configuration gives way to the new one" half_of_an_older_configuration
check "the worked example is a keyboard" host keyboard --wait 20
check "both drives share one function" test -d $gadget/functions/mass_storage.shared/lun.1
check "the host sees both" eval "sees cd0 && sees usb0"
check "takes down a gadget of several functions" answers /tmp/all.conf remove "found=nothing bound=0"
check "nothing is left of it" gone

# ---- somebody else's ----

their_gadget() { # NAME
    mkdir $gadgets/"$1" && cd $gadgets/"$1" &&
        mkdir strings/0x409 configs/c.1 functions/mass_storage.cd0 && echo 12345 >strings/0x409/serialnumber &&
        ln -s functions/mass_storage.cd0 configs/c.1/ && echo dummy_udc.0 >UDC
    their_status=$?
    cd /test && return $their_status
}
their_gadget_goes() { # NAME
    echo >$gadgets/"$1"/UDC 2>/dev/null
    rm $gadgets/"$1"/configs/c.1/mass_storage.cd0
    rmdir $gadgets/"$1"/configs/c.1 $gadgets/"$1"/functions/mass_storage.cd0 $gadgets/"$1"/strings/0x409 $gadgets/"$1"
}

check "another gadget" their_gadget g1
check "a UDC in use is refused, with who uses it" refuses $default start "found=foreign bound=0" \
    'dummy_udc.0 is already in use by the gadget "g1"'
check "nothing was built" test ! -e $gadget
sed 's/udc = ""/udc = "dummy_udc.0"/' $default >/tmp/named.conf
check "also where it is named" refuses /tmp/named.conf start "found=foreign bound=0" 'already in use by the gadget "g1"'
check "the other gadget is untouched" shows $gadgets/g1/UDC dummy_udc.0
their_gadget_goes g1

check "a gadget of our name that is not ours" their_gadget trayd
check "is refused" refuses $default start "found=foreign bound=0" "$gadget was not made by trayd and is bound to dummy_udc.0"
check "and not taken down" refuses $default remove "found=[a-z]* bound=0" "was not made by trayd"
check "it is untouched" shows $gadget/UDC dummy_udc.0
echo >$gadget/UDC
check "is refused when unbound too" refuses $default start "found=foreign bound=0" "was not made by trayd"
their_gadget_goes trayd

# ---- no controller ----

check "the named controller is not there: built, not bound" answers /tmp/unbound.conf start "found=nothing bound=0"
build_tool /tmp/unbound.conf remove >/dev/null
rmmod dummy_hcd
check "no controller at all: built, not bound" answers $default start "found=nothing bound=0"
check "binding waits" answers $default bind "found=nothing bound=0"
insmod "$(find /lib/modules -name 'dummy_hcd.ko*')"
wait_for 10 test -e /sys/class/udc/dummy_udc.0
check "it appeared: binds" answers $default bind "found=nothing bound=1"
check "the host sees cd0 again" sees cd0
build_tool $default remove >/dev/null

# ---- what the kernel does not take ----

functions() { printf 'functions = ( { name = "%s"; attributes = { %s } } );\n' "$1" "$2" >/tmp/function.conf; }
refuses_cleanly() { refuses /tmp/function.conf start "found=nothing bound=0" "$1" && gone; }

functions nosuch.x ""
check "a function that the kernel does not have" refuses_cleanly "make .*/nosuch.x, the kernel has no such USB function"
functions hid.x "colour = 1;"
check "an attribute that it does not have" refuses_cleanly 'write "1" to .*/hid.x/colour, this kernel has no such attribute'
functions hid.x "protocol = 300;"
check "a value that it does not take" refuses_cleanly 'write "300" to .*/hid.x/protocol, the kernel does not take this value'

drives() { # NUMBER KEYS
    echo "drives = ("
    for i in $(seq "$1"); do
        [ "$i" = 1 ] || echo ,
        echo "{ name = \"d$i\"; type = \"disk\"; $2 }"
    done
    echo ");"
}
drives 16 "" >/tmp/many.conf
check "more functions than endpoints: says so" refuses /tmp/many.conf start "found=nothing bound=0" "too few endpoints"
build_tool /tmp/many.conf remove >/dev/null
check "nothing is left of them" gone
drives 16 'function = "all";' >/tmp/many.conf
check "sixteen drives in one function" answers /tmp/many.conf start "found=nothing bound=1"
check "the host sees the eighth; Linux looks no further on a SCSI-2 device" sees d8
check "adopts them" adopts_without_a_write /tmp/many.conf "found=as_planned bound=1"
build_tool /tmp/many.conf remove >/dev/null

mount -o remount,ro /sys/kernel/config
check "configfs is read-only: says so" refuses $default start "found=nothing bound=0" "configfs is read-only here"
mount -o remount,rw /sys/kernel/config
umount /sys/kernel/config
check "configfs is not mounted: mounts it" answers $default start "found=nothing bound=1"

# ---- a kernel that hangs ----

has_medium() { host size "$(host dev "$1")"; }
adopts_in_time() {
    build_tool $default start >$output &
    adopting=$!
    wait_for 10 test ! -d /proc/$adopting && cat $output && grep -qx "found=as_planned bound=1" $output
}
if ! command -v dmsetup >/dev/null; then
    skip "adopts while the storage of a medium hangs: dmsetup is missing"
else
    sees usb0 >/dev/null
    losetup /dev/loop0 /tmp/disk.img
    echo "0 32768 linear /dev/loop0 0" | dmsetup create slow
    dmsetup mknodes
    echo /dev/mapper/slow >$gadget/functions/mass_storage.usb0/lun.0/file
    wait_for 20 has_medium usb0 >/dev/null
    dmsetup suspend --noflush slow
    host read "$(host dev usb0)" --direct --seconds 30 >/dev/null 2>&1 &
    sleep 1
    (echo 1 >$gadget/functions/mass_storage.usb0/lun.0/forced_eject) &
    sleep 1
    cat $gadget/functions/mass_storage.usb0/lun.0/file >/tmp/file.txt &
    sleep 1
    check "reading file hangs" test -d /proc/$!
    check "adopts while the storage of a medium hangs" adopts_in_time
    dmsetup resume slow
    wait
fi
check "takes it down in the end" answers $default remove "found=nothing bound=0"
check "and nothing is left" gone
