# Random operations on four drives, all busy at once, against a model of what may be: random.sh [SEED [SECONDS]].
# run: --config tests/random/trayd.conf --file build/release/tests/random_tool:/usr/bin/random_tool --timeout 900
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

wait_for_host || exit 1
host dev cd1 --wait 30 >/dev/null && host dev usb1 --wait 30 >/dev/null || exit 1
random_tool "${1:-1}" "${2:-60}" && pass "no disagreement" || fail "a disagreement, above"
