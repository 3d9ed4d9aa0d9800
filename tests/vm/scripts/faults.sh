# trayd-gadget is killed at each step of every operation, and of building the gadget (fault points: base/fault.h). Each time:
# no enumeration that nobody ordered, one outcome that is true and stays, nothing forgotten that protects the next image,
# and everything works again.
#
#   faults.sh              at the points that matter most, once each
#   faults.sh each [CASE]  at every passage, and with the worker alone
#   faults.sh all [CASE]   and with a second death during each recovery
# run: --no-trayd --bin build/faults --timeout 1500
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

extent=${1:-few} only=${2:-}
images=/srv/trayd/images
gadget=/sys/kernel/config/usb_gadget/trayd
faults=/run/faults
config=/etc/trayd/trayd.conf
export TRAYD_FAULTS=$faults
mkdir $faults

for name in a.iso b.iso d.img e.img by.img; do dd if=/dev/urandom of=$images/$name bs=1M count=1 status=none; done
chown trayd: $images/*
sed -i 's/reattach_hold = ".*"/reattach_hold = "500 ms"/' $config
drives() { # KEYS of each
    sed -i '/^drives = (/,/^);/d' $config
    {
        echo "drives = ("
        for keys in 'name = "cd0"; type = "cdrom"' 'name = "usb0"; type = "disk"' 'name = "by"; type = "disk"'; do
            echo "${separator-}{ $keys; dwell = \"0 s\"; quiet = \"0 s\"; break_after = \"300 ms\"; patience = \"2 s\"; quarantine = \"10 min\"; }"
            separator=,
        done
        echo ");"
    } >>$config
}
drives

# ---- the world -----------------------------------------------------------------------------------------------------

lun() { echo "$gadget/functions/mass_storage.$1/lun.0/$2"; }
shown() { # DRIVE: the image's name as the kernel has it, "" when empty
    shown_path=$(cat "$(lun "$1" file)" 2>/dev/null)
    echo "${shown_path##*/}"
}
bound() { [ -n "$(cat /sys/class/udc/*/function)" ]; }
is_ready() {
    get /readyz >/dev/null &&
        resource_is /api/v1/system '.gadget.found != null and .gadget.reattaching == false' &&
        resource_is /api/v1/drives '[.drives[].stuck] == [null, null, null]'
}
newest() { get "/api/v1/operations?drive=$1&limit=1" | jq -c '.operations[0] // {}'; }
told() { jq -c 'del(.steps) | to_entries | sort_by(.key)'; }
finished() { newest "$1" | jq -e '.state == null or .state == "done" or .state == "failed" or .state == "cancelled"' >/dev/null; }
marks() { get /api/v1/drives | jq -r '[.drives[] | select(.stale_host or .quarantine_until != null) | .name] | join(" ")'; }
same_bytes() { # DRIVE IMAGE: the host reads what the image holds
    wait_for 20 host size "$1" >/dev/null || return 1
    [ "$(dd if="$(host dev "$1" --wait 20)" bs=1M iflag=direct status=none | sha256sum)" = "$(sha256sum <"$images/$2")" ]
}
host_is_back() { for name in cd0 usb0 by; do host dev $name --wait 30 >/dev/null || return 1; done; }
unsuspect() { # the host forgets by a pause that is long enough
    api POST /api/v1/gadget/detach --json '{"allow_collateral": true}'
    sleep 0.6
    api POST /api/v1/gadget/attach
    wait_for 30 drive_is cd0 '.host.link == "configured"' && host_is_back
}
stop_host() {
    for pid in ${busy-}; do kill "$pid" 2>/dev/null && wait "$pid"; done
    busy=
} 2>/dev/null
rest() {
    rm -f $faults/order
    stop_host
    wait_for 60 is_ready || return 1
    bound || api POST /api/v1/gadget/attach
    for name in cd0 usb0; do
        host unlock "$name" >/dev/null 2>&1
        [ -z "$(shown $name)" ] || eject $name mode=forced
        wait_for 20 drive_is $name '.medium == null' || return 1
    done
    [ -z "$(marks)" ] || unsuspect
    host_is_back
}
put_in() { # DRIVE IMAGE [MEMBERS]: works, and the host reads it bit for bit
    insert "$@"
    [ "$status" = 200 ] && same_bytes "$1" "$2" && return
    show_answer
    return 1
}
host_reads() { # DRIVE
    host read "$1" --loop --direct --ready >/tmp/busy &
    busy=$!
    wait_for 20 grep -q ready /tmp/busy
}
host_writes() {
    host write "$1" --pattern OLD --loop --direct --ready >/tmp/busy 2>&1 &
    busy=$!
    wait_for 20 grep -q ready /tmp/busy
}
host_stops() { # in the middle of a command
    host bot "$1" read --blocks 1024 --stop-after 8192 >/tmp/busy &
    busy=$!
    wait_for 20 grep -q ready /tmp/busy
}
ask() { api "$@" -H 'Prefer: respond-async'; }
take() { ask DELETE "/api/v1/drives/$1/medium?allow_collateral=true&${2:-mode=forced}"; }
put() { ask PUT "/api/v1/drives/$1/medium" --json "$2"; }
read_only_cd() { put_in cd0 a.iso; }
stick() { put_in usb0 d.img '"readonly": false'; }

# ---- the cases: before_NAME, begin_NAME, and what may come of it ---------------------------------------------------
# drive, target: what the kernel shows when it is done. may: "reattach" (one enumeration), "detach". robs: a writable medium
# is taken by force. breaks: a command of the host's is interrupted. points: of the short form; "*2" is the second passage,
# "!" the death of the worker alone, "," the point of a second death.

the_case() {
    drive=cd0 target='' may='' robs=no breaks=no
    case $1 in
    insert) drive=usb0 target=d.img points="state.written lun.written*3" ;;
    eject) points="lun.write operation.told" ;;
    locked) points="result.arrived" ;;
    forced) points="order.given lun.written" ;;
    stick) drive=usb0 robs=yes points="state.written lun.written! lun.written,gadget.arrived operation.tell" ;;
    replace) target=b.iso points="lun.written" ;;
    swap) target=b.iso points="lun.written" ;;
    breaks) drive=usb0 robs=yes breaks=yes points="signal.sent lun.written result.arrived operation.tell" ;;
    held) drive=usb0 robs=yes breaks=yes points="break.begin" ;;
    signal) points="signal.send signal.sent" ;;
    signal_breaks) drive=usb0 robs=yes breaks=yes points="signal.send signal.sent,state.write lun.write! result.arrived" ;;
    by_reattach) drive=usb0 robs=yes may=reattach
        points="gadget.give udc.written pause.give lun.written,gadget.give udc.written*2 gadget.arrived*2" ;;
    insert_reattach) drive=usb0 target=e.img robs=yes may=reattach points="gadget.give*2 lun.written*3" ;;
    reattach) drive=usb0 may=reattach points="udc.written udc.written!" ;;
    build) drive=usb0 points="build.step*9 udc.written build.step*14,build.step*5" ;;
    removal) drive=usb0 points="build.removed build.removed*5" ;;
    detach) drive=usb0 may=detach points="gadget.give udc.written" ;;
    esac
}
before_insert() { :; }
begin_insert() { put usb0 '{"image": "d.img", "readonly": false}'; }
before_eject() { read_only_cd; }
begin_eject() { take cd0 mode=orderly; }
before_locked() { read_only_cd && host lock cd0; }
begin_locked() { take cd0 patience=1; }
before_forced() { read_only_cd && host_reads cd0; }
begin_forced() { take cd0; }
before_stick() { stick && host_writes usb0; }
begin_stick() { take usb0; }
before_replace() { read_only_cd; }
begin_replace() { put cd0 '{"image": "b.iso"}'; }
before_swap() { read_only_cd; }
begin_swap() { put cd0 '{"image": "b.iso", "swap": "direct"}'; }
before_breaks() { stick && host_stops usb0; }
begin_breaks() { take usb0; }
before_held() { before_breaks; }
begin_held() { begin_breaks; }
before_signal() { read_only_cd && host lock cd0; }
begin_signal() { take cd0; }
before_signal_breaks() { stick && host_writes usb0; }
begin_signal_breaks() { take usb0; }
before_by_reattach() { stick && host_writes usb0; }
begin_by_reattach() { take usb0; }
before_insert_reattach() { stick && eject usb0 mode=forced && drive_is usb0 .stale_host; }
begin_insert_reattach() { put usb0 '{"image": "e.img", "readonly": false, "reattach": true, "allow_collateral": true}'; }
before_reattach() { stick; }
begin_reattach() { ask POST /api/v1/gadget/reattach --json '{"allow_collateral": true}'; }
before_detach() { stick; }
begin_detach() { ask POST /api/v1/gadget/detach --json '{"allow_collateral": true}'; }

# ---- one death, and what must hold afterwards ----------------------------------------------------------------------

complain() {
    echo "    $*"
    return 1
}
order_is() {
    rm -f $faults/deaths
    : >$faults/passages
    printf '%s\n' "$1" >$faults/order
    wanted=$(wc -l <$faults/order)
}
struck() { [ "$(wc -l 2>/dev/null <$faults/deaths)" = "$wanted" ]; }
over() { struck || { [ -e /tmp/asked ] && finished "$drive" && is_ready; }; } # not the operation before this one

# What protects the next image: never forgotten, and it does protect.
protected() {
    gone=$([ "$(shown "$drive")" = "$was" ] || echo yes)
    [ "$gone" = yes ] && [ "$(host_count enumerations)" = "$counted" ] || return 0
    if [ $robs = yes ]; then
        drive_is "$drive" .stale_host || { complain "the stale host is forgotten"; return 1; }
        insert "$drive" e.img '"readonly": false, "patience": 0'
        answer .code | grep -qE 'stale_host|quarantine|medium_in_use' || { complain "a writable image went in: $(answer .code)"; return 1; }
    fi
    # A signal in a moment without I/O breaks nothing; on a busy machine the host's writes leave such a moment.
    if [ $breaks = yes ] && grep -qE 'signal\.breaks|break\.begin' $faults/passages && grep -q 'signal\.sent' $faults/passages; then
        drive_is "$drive" '.quarantine_until != null' || { complain "the quarantine is forgotten"; return 1; }
        insert "$drive" e.img '"readonly": true, "patience": 0'
        answer .code | grep -q quarantine || { complain "an image went in during the quarantine: $(answer .code)"; return 1; }
    fi
}

truthful() {
    wait_for 30 finished "$drive" || { complain "no outcome"; newest "$drive"; return 1; }
    outcome_now=$(newest "$drive")
    state=$(echo "$outcome_now" | jq -r .state) now=$(shown "$drive")
    wait_for 10 drive_is "$drive" '.operation == null'
    [ "$(drive "$drive" '.medium.image // ""')" = "$now" ] || { complain "the drive is said to hold another medium than $now"; return 1; }
    [ "$(echo "$outcome_now" | jq -r .id)" != "$known" ] || return 0 # never accepted
    case $state in
    done) [ "$now" = "$target" ] || { complain "done, but the kernel shows \"$now\""; return 1; } ;;
    failed)
        # Whose call was still in the kernel when it had to be told is said to be unknown, and is neither.
        echo "$outcome_now" | jq -r .detail | grep -q "is not known yet" && return 0
        [ "$now" = "$was" ] || [ "$now" != "$target" ] || [ "$1" = held ] || { complain "failed, but the kernel shows what was asked for"; return 1; }
        echo "$outcome_now" | jq -e '.detail != null and (.code == "interrupted" or .code == "internal" or .code == "medium_in_use")' >/dev/null || return 1
        ;;
    *) return 1 ;;
    esac
}

left_alone() {
    host_saw=$(($(host_count enumerations) - counted))
    case $may in
    reattach) bound && [ $host_saw -le 1 ] || complain "enumerations: $host_saw" ;;
    detach) [ $host_saw = 0 ] || complain "enumerations: $host_saw" ;;
    *)
        [ $host_saw = 0 ] && bound || { complain "enumerations: $host_saw"; return 1; }
        [ $breaks = yes ] || [ "$(dd if="$(host dev by)" bs=64K count=1 iflag=direct status=none | sha256sum)" = "$bystander" ] || complain "another drive cannot be read"
        ;;
    esac
}

# The dead one's call is still in the kernel: nobody writes beside it, and the drive says so.
stuck_meanwhile() {
    wait_for 30 drive_is usb0 '.stuck != null' || { complain "not stuck"; return 1; }
    insert usb0 e.img '"readonly": true'
    [ "$(answer .code)" = drive_stuck ] || { complain "an insert is not refused: $(answer .code)"; return 1; }
    in_kernel=$(grep -l '^trayd-worker$' /proc/[0-9]*/comm | sed 's/comm$/stat/' | xargs cat 2>/dev/null | grep -c ') D ')
    [ "$in_kernel" = 1 ] || complain "$in_kernel workers are in a call"
}

# strike CASE ORDER: 0 well; 1 something does not hold; 2 it was not reached
strike() {
    the_case "$1"
    case $1 in
    build | removal)
        "strike_$1" "$2"
        return
        ;;
    esac
    rest && "before_$1" || { complain "cannot be prepared"; return 1; }
    known=$(newest "$drive" | jq -r .id) counted=$(host_count enumerations) was=$(shown "$drive")
    order_is "$2"
    rm -f /tmp/asked
    { "begin_$1"; : >/tmp/asked; } &
    client=$!
    wait_for 60 over || { complain "neither killed nor done"; return 1; }
    wait $client
    cp $faults/passages $faults/recorded
    [ "$1" != held ] || stuck_meanwhile || return 1
    stop_host
    reached=0
    struck || reached=2
    rm -f $faults/order
    wait_for 60 is_ready || { complain "does not come back"; return 1; }
    truthful "$1" || { echo "$outcome_now" | jq -c '[.state, .code, .detail]'; return 1; }
    left_alone && protected || return 1
    [ "$may" != detach ] || bound || return $reached
    [ "$(newest "$drive" | told)" = "$(echo "$outcome_now" | told)" ] || [ $robs = yes ] || complain "the outcome has changed" || return 1
    return $reached
}

deaths=0 missed=0
try() { # CASE ORDER
    strike "$1" "$2" >/tmp/strike 2>&1
    case $? in
    0) deaths=$((deaths + 1)) ;;
    2) missed=$((missed + 1)) ;;
    *)
        fail "$1, killed at $(echo "$2" | tr '\n' ';')"
        sed 's/^/    | /' /tmp/strike
        drive "$drive" '[.state, .medium.image, .stale_host, .quarantine_until, .stuck] | tostring'
        tail -n 4 $faults/passages | sed 's/^/    passed: /'
        dmesg | grep -i usb | tail -n 8 | sed 's/^/    the kernel: /'
        ;;
    esac
}

sweep() { # CASE
    the_case "$1"
    deaths=0 missed=0
    sweep_points=$points
    sweep_began=$(cut -d . -f 1 /proc/uptime)
    if [ "$extent" = few ] || [ "$1" = held ]; then
        for point in $sweep_points; do
            try "$1" "$(for one in $(echo "$point" | tr , ' '); do
                who=daemon
                case $one in *!) who=self ;; esac
                one=${one%!}
                count=${one#*\*}
                [ "$count" != "$one" ] || count=1
                echo "${one%\**} $count $who"
            done)"
        done
    else
        strike "$1" "none 1 daemon" >/dev/null 2>&1
        count=$(wc -l <$faults/recorded)
        workers=$(grep -c ^worker $faults/recorded)
        n=0
        while [ $n -lt "$count" ]; do
            n=$((n + 1))
            try "$1" "* $n daemon"
            [ "$extent" = each ] || try "$1" "* $n daemon
* $((n * 7 % 12 + 1)) daemon"
        done
        for point in worker.begin lun.write lun.written udc.write udc.written worker.end; do
            [ "$workers" = 0 ] || try "$1" "$point 1 self"
        done
    fi
    check "$1: killed $deaths times ($missed not reached), $(($(cut -d . -f 1 /proc/uptime) - sweep_began)) s" test $deaths -gt 0
}

configure() { # SED-EXPRESSION: a fresh trayd-gadget with it
    rest
    sed -i "$1" $config
    unit_stop trayd-gadget
    unit_start trayd-gadget
    wait_for 60 is_ready
}

# ---- building, completing and removing the gadget ------------------------------------------------------------------

take_down() { trayd-gadget --config $config --take-down; }
come_to_life() { # LEAST: and all is well, by one enumeration, or so few
    wait_for 60 is_ready && host_is_back || { complain "does not come back"; return 1; }
    host_saw=$(($(host_count enumerations) - counted))
    [ $host_saw = 1 ] || [ $host_saw = "$1" ] || { complain "enumerations: $host_saw"; return 1; }
    put_in usb0 d.img '"readonly": false, "reattach": true, "allow_collateral": true'
}
# From nothing, as after a boot; with a second death, from what the first one has left.
strike_build() {
    unit_stop trayd-gadget
    rm -f $faults/order /run/trayd/gadget.state
    take_down || return 1
    counted=$(host_count enumerations)
    order_is "$1"
    unit_start trayd-gadget
    wait_for 60 struck_or_ready || { complain "neither killed nor ready"; return 1; }
    cp $faults/passages $faults/recorded
    reached=0
    struck || reached=2
    rm -f $faults/order
    come_to_life 1 && return $reached
}
struck_or_ready() { struck || is_ready; }
# Killed while the gadget is taken down: the next start makes it whole.
strike_removal() {
    unit_stop trayd-gadget
    counted=$(host_count enumerations)
    order_is "$1"
    take_down
    cp $faults/passages $faults/recorded
    reached=0
    struck || reached=2
    rm -f $faults/order
    unit_start trayd-gadget
    come_to_life 0 && return $reached # killed before it was unbound
}

# A drive that no case is about.
bystander_in() {
    insert by by.img '"readonly": true'
    answered "the bystander is in" 200 "done"
    check "and read" same_bytes by by.img
    bystander=$(dd if="$(host dev by)" bs=64K count=1 iflag=direct status=none | sha256sum)
}

trayd_start || exit 1
host_is_back
bystander_in
# As tests/run_all.py reads them: a guest for each in the whole sweep.
cases_as_configured="insert eject locked forced stick replace swap breaks held insert_reattach reattach detach build removal"
cases_without_force="signal by_reattach"
cases_without_reattach="signal_breaks"
selected() { for name in $1; do [ -n "$only" ] && [ "$only" != "$name" ] || echo "$name"; done; }

for name in $(selected "$cases_as_configured"); do sweep "$name"; done
if [ -n "$(selected "$cases_without_force $cases_without_reattach")" ]; then
    configure 's/forced_eject = "auto"/forced_eject = "off"/'
    bystander_in
    for name in $(selected "$cases_without_force"); do sweep "$name"; done
fi
if [ -n "$(selected "$cases_without_reattach")" ]; then
    configure 's/reattach = "last_resort"/reattach = "never"/'
    for name in $(selected "$cases_without_reattach"); do sweep "$name"; done
fi
