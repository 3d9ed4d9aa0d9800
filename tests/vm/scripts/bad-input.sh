# Nothing that a client sends ends a process, hangs it, or touches a file outside a store: a table of malformed requests,
# each with the problem that it gets.
# shellcheck shell=sh
# shellcheck source-path=SCRIPTDIR source=../guest/trayd-api.sh
. /lib/trayd-api.sh
set -u

images=/srv/trayd/images
wait_for_host || exit 1
dd if=/dev/urandom of=$images/cd.iso bs=1M count=1 status=none
mkdir -p $images/folder
echo secret >/srv/trayd/secret.img
truncate -s 1M /srv/trayd/secret.img
ln -s /etc/passwd $images/link.iso
ln -s /srv/trayd $images/out
mkfifo $images/fifo.iso
insert cd0 cd.iso
answered "a CD is in" 200 "done"
pids="$(unit_pid trayd) $(unit_pid trayd-gadget)"
# Everything outside the store that a request could want to change. State files may change, by the requests that are good.
outside() { (cd / && find etc srv usr root test -path srv/trayd/images -prune -o -type f -print | sort | xargs sha256sum); ls -laR /etc /srv/trayd/secret.img /root; }
outside >/tmp/outside.before
inside() { (cd $images && find . ! -name '.*' | sort); }
inside >/tmp/inside.before

medium=/api/v1/drives/cd0/medium
long=$(printf '%0300d' 0)
deep=$(printf '%02000d' 0 | sed 's/0/[/g')
huge=$(printf '%09000d' 0)

# refused "name" STATUS CODE METHOD PATH [CURL-OPTION]...
tested=0
refused() {
    refused_name=$1 refused_status=$2 refused_code=$3
    shift 3
    api "$@" --path-as-is --globoff --max-time 20
    answered "$refused_name" "$refused_status" "$refused_code"
    tested=$((tested + 1))
    [ "$status" = 000 ] || jq -e '.type and .title and .detail and .remedy and .status' "$answer_file" >/dev/null ||
        fail "$refused_name: a whole problem document"
}
put() { # "name" STATUS CODE BODY
    refused "body: $1" "$2" "$3" PUT $medium --json "$4"
}

# ---- bodies --------------------------------------------------------------------------------------------------------

put "no JSON" 400 bad_request 'image=cd.iso'
put "cut off" 400 bad_request '{"image": "cd.iso"'
put "twice" 400 bad_request '{"image": "cd.iso"} {}'
put "an array" 400 bad_request '["cd.iso"]'
put "a string" 400 bad_request '"cd.iso"'
put "deeply nested" 400 bad_request "$deep"
put "a member twice" 400 bad_request '{"image": "cd.iso", "image": "cd.iso"}'
put "an unknown member" 400 bad_request '{"image": "cd.iso", "images": 1}'
put "nothing in it" 400 bad_request '{}'
put "an image that is no string" 400 bad_request '{"image": 7}'
put "an image that is null" 400 bad_request '{"image": null}'
put "a readonly that is no flag" 400 bad_request '{"image": "cd.iso", "readonly": "yes"}'
put "a negative patience" 400 bad_request '{"image": "cd.iso", "patience": -1}'
put "an endless patience" 400 bad_request '{"image": "cd.iso", "patience": 1e300}'
put "a patience that is no number" 400 bad_request '{"image": "cd.iso", "patience": "25"}'
put "an unknown mode" 400 bad_request '{"image": "cd.iso", "mode": "gentle"}'
put "an unknown swap" 400 bad_request '{"image": "cd.iso", "swap": "indirect"}'
put "an unknown type" 400 bad_request '{"image": "cd.iso", "type": "tape"}'
put "no UTF-8" 400 bad_request "$(printf '{"image": "\377\376"}')"
put "a NUL" 400 bad_request '{"image": "cd.iso\u0000.img"}'
put "too large" 413 too_large "{\"image\": \"$huge\"}"
refused "body: none" 400 bad_request PUT $medium
refused "body: of another type" 415 unsupported_media_type PUT $medium -d image=cd.iso
refused "body: where none belongs" 400 bad_request DELETE $medium --json '{}'

# ---- names ---------------------------------------------------------------------------------------------------------

put "an empty name" 400 invalid_name '{"image": ""}'
put "a path" 400 invalid_name '{"image": "../secret.img"}'
put "an absolute path" 400 invalid_name '{"image": "/etc/passwd"}'
put "the folder itself" 400 invalid_name '{"image": ".."}'
put "a hidden name" 400 invalid_name '{"image": ".trayd"}'
put "a control character" 400 invalid_name '{"image": "a\nb"}'
put "too long" 400 bad_request "{\"image\": \"$long\"}"
put "a folder" 404 image_missing '{"image": "folder"}'
put "a symbolic link" 404 image_missing '{"image": "link.iso"}'
put "a FIFO" 404 image_missing '{"image": "fifo.iso"}'
put "no store" 404 not_found '{"image": "cd.iso", "store": "other"}'
put "a store that is a path" 400 invalid_name '{"image": "secret.img", "store": "main/.."}'
put "a store out of the store" 400 invalid_name '{"image": "passwd", "store": "../../etc"}'
put "a folder behind a symbolic link" 404 not_found '{"image": "secret.img", "store": "main/out"}'

# ---- addresses -----------------------------------------------------------------------------------------------------

refused "address: nothing there" 404 not_found GET /api/v1/nothing
refused "address: no such drive" 404 not_found GET /api/v1/drives/cd9
refused "address: no such drive for a medium" 404 not_found PUT /api/v1/drives/cd9/medium --json '{"image": "cd.iso"}'
refused "address: no such operation" 404 not_found GET /api/v1/operations/00000000000000000000
refused "address: an operation's id that is none" 404 not_found DELETE '/api/v1/operations/*'
refused "address: dots" 400 bad_request GET /api/v1/images/../../../etc/passwd
refused "address: encoded dots" 400 bad_request GET /api/v1/images/%2e%2e
refused "address: an encoded slash" 400 bad_request GET /api/v1/images/..%2f..%2fetc%2fpasswd
refused "address: bad encoding" 400 bad_request GET /api/v1/images/%zz
refused "address: an encoded NUL" 400 bad_request GET /api/v1/images/cd.iso%00
refused "address: no UTF-8" 400 bad_request GET /api/v1/images/%ff%fe
refused "address: an empty segment" 400 bad_request GET //api/v1/drives
refused "address: too long" 414 uri_too_long GET "/api/v1/images/$huge"
refused "method: unknown" 501 not_implemented BREW /api/v1/drives
refused "method: not here" 405 method_not_allowed POST $medium
refused "query: unknown" 400 bad_request DELETE "$medium?force=true"
refused "query: given twice" 400 bad_request DELETE "$medium?patience=1&patience=2"
refused "query: an unknown word" 400 bad_request DELETE "$medium?mode=rude"
refused "query: a patience of nan" 400 bad_request DELETE "$medium?patience=nan"
refused "query: a negative patience" 400 bad_request DELETE "$medium?patience=-1"
refused "query: a limit of none" 400 bad_request GET '/api/v1/images?limit=0'
refused "query: an unknown state" 400 bad_request GET '/api/v1/operations?state=lost'

# ---- headers -------------------------------------------------------------------------------------------------------

refused "header: a foreign Host" 421 misdirected GET /api/v1/drives -H 'Host: evil.example'
refused "header: a foreign Origin" 403 forbidden DELETE $medium -H 'Origin: http://evil.example'
refused "header: a foreign page" 403 forbidden DELETE $medium -H 'Sec-Fetch-Site: cross-site'
refused "header: too many bytes" 431 headers_too_large GET /api/v1/drives -H "X-A: $huge" -H "X-B: $huge" -H "X-C: $huge" -H "X-D: $huge"
refused "header: If-Match that is none" 400 bad_request DELETE $medium -H 'If-Match: cd0'
refused "header: If-Match of another medium" 412 precondition_failed DELETE $medium -H 'If-Match: "0-1"'

# ---- uploads -------------------------------------------------------------------------------------------------------

up() { # "name" STATUS CODE PATH [CURL-OPTION]...
    up_name=$1 up_status=$2 up_code=$3 up_path=$4
    shift 4
    refused "upload: $up_name" "$up_status" "$up_code" PUT "$up_path" "$@" -H 'Expect:' --data-binary @$images/cd.iso \
        -H 'Content-Type: application/octet-stream'
}
up "no name" 400 bad_request /api/v1/images/
up "a hidden name" 400 invalid_name /api/v1/images/.hidden
up "a control character" 400 bad_request /api/v1/images/a%0ab
up "out of the store" 400 bad_request /api/v1/images/..%2fsecret.img
up "a name that is taken" 409 exists /api/v1/images/cd.iso
up "a name that a folder has" 409 exists /api/v1/images/folder
up "to no store" 404 not_found '/api/v1/images/new.iso?store=other'
up "behind a symbolic link" 404 not_found '/api/v1/images/secret.img?store=main/out'
up "another digest" 422 digest_mismatch "/api/v1/images/new.iso?sha256=$(printf '%064d' 0)"
up "half a digest" 400 bad_request '/api/v1/images/new.iso?sha256=abc'
up "a part" 400 bad_request /api/v1/images/new.iso -H 'Content-Range: bytes 0-9/10'
up "compressed" 415 unsupported_media_type /api/v1/images/new.iso -H 'Content-Encoding: gzip'
up "replacing what was never there" 412 precondition_failed /api/v1/images/new.iso -H 'If-Match: "0"'
refused "content: through a symbolic link" 404 image_missing GET /api/v1/images/link.iso/content
refused "content: of a FIFO" 404 image_missing GET /api/v1/images/fifo.iso/content
refused "content: a range beyond the end" 416 range_not_satisfiable GET /api/v1/images/cd.iso/content -r 99999999-
refused "delete: a symbolic link" 404 image_missing DELETE /api/v1/images/link.iso
refused "delete: a folder" 404 image_missing DELETE /api/v1/images/folder

# ---- what is no HTTP -----------------------------------------------------------------------------------------------

# raw "name" STATUS TEXT: sent as it is (printf's escapes).
raw() {
    # shellcheck disable=SC2059 # escapes are wanted
    raw_line=$(printf "$3" | socat -t 15 - TCP:127.0.0.1:8080 2>/dev/null | head -1 | tr -d '\r')
    same "raw: $1" "$2" "$(echo "$raw_line" | cut -d ' ' -f 2)"
}
raw "noise" 400 '\001\002\003\004\r\n\r\n'
raw "TLS" 400 '\026\003\001\002\000\001\000\001\374\003\003'
raw "no Host" 400 'GET / HTTP/1.1\r\n\r\n'
raw "two lengths" 400 'PUT /api/v1/images/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx'
raw "length and chunks" 400 'PUT /api/v1/images/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
raw "a length of letters" 400 'PUT /api/v1/images/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: abc\r\n\r\n'
raw "a negative length" 400 'PUT /api/v1/images/x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: -5\r\n\r\n'

# ---- the gadget's socket -------------------------------------------------------------------------------------------

check "the gadget's socket takes noise" sh -c "printf 'noise' | socat -t 1 - UNIX-CONNECT:/run/trayd/gadget.sock,type=5 >/tmp/noise"
check "and requests that are none" sh -c "printf '{\"id\": 1, \"do\": \"insert\", \"drive\": \"cd0\", \"image\": \"../../etc/passwd\", \"store\": \"main\"}' | socat -t 1 - UNIX-CONNECT:/run/trayd/gadget.sock,type=5 >/tmp/noise; grep -q invalid_name /tmp/noise"

# ---- afterwards ----------------------------------------------------------------------------------------------------

echo "    $tested requests"
same "both processes are the same as before" "$pids" "$(unit_pid trayd) $(unit_pid trayd-gadget)"
check "the drive was left alone" drive_is cd0 '.medium.image == "cd.iso" and .generation == 1 and .operation == null and .stuck == null'
outside >/tmp/outside.after
check "no file outside the store was touched" diff /tmp/outside.before /tmp/outside.after
inside >/tmp/inside.after
check "and none inside" diff /tmp/inside.before /tmp/inside.after
eject cd0
answered "everything works as before" 200 "done"
