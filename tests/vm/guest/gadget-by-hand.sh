# A gadget built with nothing but the shell, for scripts that run without trayd and ask the kernel itself:
# drive cd0 (CD-ROM) and drive usb0 (disk), each in a function of its own, in this order.
# shellcheck shell=sh disable=SC2034 # used by the scripts that source this

gadget=/sys/kernel/config/usb_gadget/by-hand
cd0=$gadget/functions/mass_storage.cd0/lun.0
usb0=$gadget/functions/mass_storage.usb0/lun.0
udc=$(ls /sys/class/udc)
images=/srv/trayd/images

# add_drive NAME TYPE NUMBER-OF-LUNS: a function; further LUNs are disks called NAME-1, NAME-2, ...
add_drive() {
    add_function=$gadget/functions/mass_storage.$1
    mkdir "$add_function"
    echo 0 >"$add_function/stall"
    add_lun=0
    while [ $add_lun -lt "${3:-1}" ]; do
        [ -d "$add_function/lun.$add_lun" ] || mkdir "$add_function/lun.$add_lun"
        echo 1 >"$add_function/lun.$add_lun/removable"
        if [ $add_lun = 0 ]; then add_name=$1; else add_name=$1-$add_lun; fi
        if [ "$2" = cdrom ] && [ $add_lun = 0 ]; then
            echo 1 >"$add_function/lun.0/cdrom"
            printf '%-8s%-16s0001' trayd "CD-ROM $add_name" >"$add_function/lun.0/inquiry_string"
        else
            printf '%-8s%-16s0001' trayd "Disk $add_name" >"$add_function/lun.$add_lun/inquiry_string"
        fi
        add_lun=$((add_lun + 1))
    done
    ln -s "$add_function" "$gadget/configs/c.1/"
}

# build_gadget [NUMBER-OF-LUNS]: with cd0 and usb0, which may have further LUNs. dummy_hcd has bulk endpoints with addresses of
# their own for four functions; more can be bound, and do not answer.
build_gadget() {
    mkdir "$gadget" "$gadget/strings/0x409" "$gadget/configs/c.1"
    echo 0x1d6b >"$gadget/idVendor"
    echo 0x0104 >"$gadget/idProduct"
    echo trayd >"$gadget/strings/0x409/manufacturer"
    echo by-hand >"$gadget/strings/0x409/serialnumber"
    add_drive cd0 cdrom
    add_drive usb0 disk "${1:-1}"
}

bind_gadget() {
    echo "$udc" >"$gadget/UDC" || return 1
    host dev cd0 --wait 60 >/dev/null && host dev usb0 --wait 60 >/dev/null # s; liveness bounds
}

unbind_gadget() { echo >"$gadget/UDC"; }

# put SHELL-REDIRECTED VALUE: writes it in one write(2), and says how it ended: "done" or the error.
put() {
    # busybox's echo reports no reason that a script could compare; dd does.
    put_error=$(printf '%s\n' "$2" | LC_ALL=C dd of="$1" bs=4096 conv=notrunc status=none 2>&1) || {
        echo "${put_error##*: }"
        return 1
    }
    echo 'done'
}

# The kernel threads of the functions, in the order of linking.
threads() { pgrep_threads | sort -n; }
pgrep_threads() {
    for comm in /proc/[0-9]*/comm; do
        read -r name 2>/dev/null <"$comm" && [ "$name" = file-storage ] && comm=${comm%/comm} && echo "${comm#/proc/}"
    done
}

# thread NUMBER: the pid of the function that was linked as the first (1), second (2), ...
thread() { threads | sed -n "${1}p"; }

state_of() { sed 's/^.*) //; s/ .*//' "/proc/$1/stat"; }
