# For guest scripts that talk to trayd as a user does; beside trayd-test.sh:   . /lib/trayd-api.sh
#
#   api METHOD PATH [CURL-OPTION]...    sets $status; the answer stays in $answer_file (nothing but --json and -H: without curl)
#   get PATH                            the answer on stdout; fails as curl -f does
#   insert DRIVE IMAGE [MEMBERS]        MEMBERS: more of the JSON body, such as '"readonly": true, "patience": 0'
#   eject DRIVE [QUERY]                 such as 'mode=forced&patience=0'
#   answer FILTER                       that part of the last answer (jq)
#
#   answered "name" STATUS WORD         test: the last answer's status, and its code (of a problem) or state
#   holds "name" FILTER                 test: a jq expression is true for the last answer
#
#   drive DRIVE FILTER                  part of a drive as it is now
#   drive_is DRIVE FILTER               for wait_for: the expression is true for that drive
#   operation_is ID FILTER              the same for an operation
#   resource_is PATH FILTER             the same for whatever is there
#   wait_for_host                       until the host has both drives
#   trayd_start [SED-EXPRESSION]...     start trayd with a changed configuration, in scripts with "# run: --no-trayd"
#
# shellcheck shell=sh

answer_file=/tmp/answer

api() {
    api_method=$1 api_path=$2
    shift 2
    rm -f "$answer_file"
    if api_is_plain "$@"; then
        status=$(request "$api_method" "$TRAYD_URL$api_path" "$answer_file" "$@")
    else
        status=$(curl -sS --max-time 120 -o "$answer_file" -w '%{http_code}' -X "$api_method" "$@" "$TRAYD_URL$api_path")
    fi
}

api_is_plain() {
    while [ $# -gt 1 ]; do
        case $1 in --json | -H) shift 2 ;; *) return 1 ;; esac
    done
    [ $# = 0 ]
}

get() { request GET "$TRAYD_URL$1" -; }
insert() { api PUT "/api/v1/drives/$1/medium" --json "{\"image\": \"$2\"${3:+, $3}}"; }
eject() { api DELETE "/api/v1/drives/$1/medium?${2:-}"; }
answer() { jq -r "$1" "$answer_file"; }

answered() {
    answered_got="$status $(jq -r '.code // .state // "-"' "$answer_file" 2>/dev/null)"
    if [ "$answered_got" = "$2 $3" ]; then
        pass "$1"
        return 0
    fi
    fail "$1"
    echo "    expected: $2 $3"
    echo "    got:      $answered_got"
    show_answer
}

holds() {
    if jq -e "$2" "$answer_file" >/dev/null 2>&1; then
        pass "$1"
        return 0
    fi
    fail "$1"
    echo "    not true: $2"
    show_answer
}

show_answer() {
    jq . "$answer_file" 2>/dev/null | sed 's/^/    | /'
    return 1
}

drive() { get "/api/v1/drives/$1" | jq -r "$2"; }
drive_is() { resource_is "/api/v1/drives/$1" "$2"; }
operation_is() { resource_is "/api/v1/operations/$1" "$2"; }
resource_is() {
    resource=$(get "$1") && printf '%s\n' "$resource" | jq -e "$2" >/dev/null && return 0
    printf '%s\n' "$resource" >"$seen_file"
    return 1
}

wait_for_host() {
    wait_for 30 drive_is cd0 '.host.link == "configured"' &&
        host dev cd0 --wait 30 >/dev/null && host dev usb0 --wait 30 >/dev/null
}

# trayd_start [SED-EXPRESSION]...: edits the configuration and starts both services, for scripts that run --no-trayd.
trayd_start() {
    for trayd_edit; do sed -i "$trayd_edit" /etc/trayd/trayd.conf; done
    unit_start trayd-gadget && unit_start trayd && wait_for 60 get /readyz >/dev/null && wait_for_host
}
