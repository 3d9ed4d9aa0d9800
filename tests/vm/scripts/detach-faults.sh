# trayd-gadget, or the worker alone, is killed in the middle of unmounting a store and of mounting it again, on a real kernel:
# afterwards it is detached, unmounted and free, or attached and mounted as it was.
# run: --no-trayd --bin build/faults --timeout 400
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

faults=/run/faults
export TRAYD_FAULTS=$faults
mkdir $faults
truncate -s 24M /tmp/stick
losetup /dev/loop0 /tmp/stick
mkfs.ext4 -q /dev/loop0
mkdir /srv/stick
mount -t ext4 -o nosuid /dev/loop0 /srv/stick
dd if=/dev/urandom of=/srv/stick/stick.img bs=1M count=2 status=none
chown -R trayd:trayd /srv/stick
trayd_start 's,{ name = "main".*},&\, { name = "stick"; path = "/srv/stick"; },' || exit 1
mounted_as=$(grep ' /srv/stick ' /proc/mounts)

store() { curl -sS --max-time 30 "$TRAYD_URL/api/v1/stores/stick"; }
rests() { curl -sf -o /dev/null "$TRAYD_URL/readyz" && store | jq -e '.detached == null or .detached.step == "done"' >/dev/null; }
mounted() { grep ' /srv/stick ' /proc/mounts; }
order() { # detach | attach
    [ "$1" = detach ] && set -- "$1" --json '{"unmount": true}'
    api POST "/api/v1/stores/stick/$1" ${2+"$2" "$3"}
}
whole() { # NAME: not half
    case $(store | jq -r '[.attached, .detached.step, .detached.unmounted, .detached.safe_to_remove] | map(tostring) | join(" ")') in
    "true null null null") same "$1: attached, and mounted as it was" "$mounted_as" "$(mounted)" ;;
    "false done true true")
        same "$1: detached, and unmounted" "" "$(mounted)"
        check "$1: the device is free" sh -c 'mount /dev/loop0 /mnt && umount /mnt' ;;
    *)
        fail "$1: it is neither attached nor detached"
        store | jq . ;;
    esac
}

for what in detach attach; do
    [ $what = detach ] && points="store.synced store.unmount store.unmounted store.check" || points="store.mount store.mounted"
    for point in $points; do
        for who in daemon self; do
            name="$what, $who killed at $point"
            wait_for 60 rests
            order attach
            [ $what = detach ] || order detach
            rm -f $faults/deaths
            echo "$point 1 $who" >$faults/order
            order $what
            check "$name" grep -q "$point" $faults/deaths
            unit_forget trayd-gadget
            check "$name: it comes to rest" wait_for 60 rests
            # A daemon that died goes on; what a worker was doing when it died has failed, and is undone.
            case $what-$who in
            *-daemon) same "$name: the answer" 200 "$status" ;;
            *-self) same "$name: the answer" 500 "$status" ;;
            esac
            whole "$name"
        done
    done
done
order attach
insert cd0 stick.img '"store": "stick"'
answered "it is used again" 200 "done"
