# The conformance script on a real kernel: the same answers as tests/conformance/expected.txt, which the simulation gives
# too (tests/api/test_conformance.py).
# run: --config tests/conformance/trayd.conf --file tests/conformance:/test/conformance
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

wait_for_host
export TRAYD_IMAGES=/srv/trayd/images HOST=/test/conformance/host-vm
check "the script runs to its end" sh -c '/test/conformance/script.sh >/tmp/transcript'
check "and everything is answered as expected" diff -u /test/conformance/expected.txt /tmp/transcript
