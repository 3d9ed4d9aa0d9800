# For the scripts that run in the guest; already sourced when they start.
#
#   check "name" COMMAND...     one test: passes when the command succeeds; its output is shown only when it fails, and so is
#                               what the command has left in $seen_file: what it has looked at last
#   same "name" EXPECTED ACTUAL one test: two words are equal
#   pass "name" / fail "name" / skip "name: why"
#   wait_for SECONDS COMMAND... until the command succeeds; a liveness bound, be generous
#   host_count WHAT             "enumerations" or "resets": how often the host has done that since boot
#   load_modules NAME           a kernel module that guest/modules lists as "asked", with what it needs
#   unit_start NAME, unit_stop NAME, unit_pid NAME, unit_forget NAME     NAME: trayd-gadget, trayd
#
# Results are lines of a file, so that tests in subshells and background jobs count as well.
# shellcheck shell=sh

test_results=/run/test-results
seen_file=/tmp/seen

pass() {
    echo "ok - $*"
    echo pass >>$test_results
}

fail() {
    echo "NOT OK - $*"
    echo fail >>$test_results
    return 1
}

skip() {
    echo "skipped - $*"
    echo skip >>$test_results
}

check() {
    check_name=$1
    shift
    check_log=$(mktemp /tmp/check.XXXXXX)
    rm -f "$seen_file"
    if "$@" >"$check_log" 2>&1; then
        pass "$check_name"
        rm -f "$check_log"
        return 0
    fi
    fail "$check_name"
    echo "    command: $*"
    cat "$check_log" "$seen_file" 2>/dev/null | sed 's/^/    | /'
    rm -f "$check_log"
    return 1
}

host_count() { host enumerations | tr ' ' '\n' | sed -n "s/^$1=//p"; }

same() {
    if [ "$2" = "$3" ]; then
        pass "$1"
        return 0
    fi
    fail "$1"
    echo "    expected: $2"
    echo "    got:      $3"
    return 1
}

wait_for() {
    wait_bound=$1
    shift
    wait_end=$(($(cut -d . -f 1 /proc/uptime) + wait_bound))
    until "$@"; do
        if [ "$(cut -d . -f 1 /proc/uptime)" -gt "$wait_end" ]; then
            echo "waited $wait_bound s in vain for: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

load_modules() {
    while read -r _ load_file load_params; do
        # shellcheck disable=SC2086 # parameters are words
        insmod "/lib/modules/$(uname -r)/$load_file" $load_params || return 1
    done <"/etc/trayd-vm/modules.$1"
}

# The pid of a unit's process while it lives.
unit_pid() {
    unit_the_pid=$(cat "/run/units/$1.pid" 2>/dev/null) && [ -d "/proc/$unit_the_pid" ] && echo "$unit_the_pid"
}

unit_start() {
    [ ! -e "/run/units/$1.wanted" ] || return 0
    touch "/run/units/$1.wanted"
    setsid /bin/sh /lib/trayd/unit "$1" </dev/null >/dev/console 2>&1 &
    wait_for 10 unit_pid "$1" >/dev/null
}

# For good: it stays away until unit_start.
unit_stop() {
    rm -f "/run/units/$1.wanted"
    unit_old_pid=$(unit_pid "$1") && kill "$unit_old_pid"
    wait_for 20 unit_is_gone "$1"
}

unit_is_gone() { [ ! -e "/run/units/$1.pid" ]; }

# Exits of this unit so far were meant by the test.
unit_forget() { rm -f "/run/units/$1.exits"; }
