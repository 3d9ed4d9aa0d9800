#!/usr/bin/python3
"""The floors of the house: who may include whom, and which library stays in which room (docs: HACKING.md)."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MAY_INCLUDE = {
    "base": {"base"},
    "gadget": {"gadget", "base"},
    "images": {"images", "base"},
    "api": {"api", "gadget", "images", "base"},
    "server": {"server", "api", "gadget", "images", "base"},
}

# A library's header may be included only by files whose path matches.
ROOMS = {
    "microhttpd.h": r"^server/http_",
    "sqlite3.h": r"^server/store_",
    "libconfig.h": r"^base/config\.c$",
    "jansson.h": r"^base/json\.h$",
    # only in trayd-helper (images/helper.h)
    "curl/curl.h": r"^images/fetch_curl\.c$",
    "archive.h": r"^images/(unpack|files|disc)_archive\.c$",
    "zlib.h": r"^images/unpack_gzip\.c$",
    "sys/inotify.h": r"^(gadget/(image|watch|kernel_\w+|client)\.c|images/)",
}

# What only the code that runs inside a worker may name: configfs attributes.
# (view.c: a capability has that name in JSON.)
WORKER_ONLY = {r'"(forced_eject|inquiry_string|lun\.%zu/file|usb_gadget)"': r"^gadget/(lun|build|plan|work|image|view)"}

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]', re.M)


def complaints(path, text):
    folder = path.split("/")[0]
    for header in INCLUDE.findall(text):
        target = header.split("/")[0]
        if target in MAY_INCLUDE and "/" in header and target not in MAY_INCLUDE[folder]:
            yield f"{path}: includes {header}, which lies above it"
        if "/" not in header and header.endswith(".h") and os.path.exists(os.path.join(ROOT, folder, header)):
            yield f"{path}: includes {header} without its folder"
        room = ROOMS.get(header)
        if room and not re.match(room, path):
            yield f"{path}: includes {header}, which belongs into {room}"
    for pattern, room in WORKER_ONLY.items():
        if re.search(pattern, text) and not re.match(room, path):
            yield f"{path}: names an attribute of configfs ({pattern}), which belongs into {room}"


def main():
    found = []
    for folder in MAY_INCLUDE:
        for name in sorted(os.listdir(os.path.join(ROOT, folder))):
            if name.endswith((".c", ".h")):
                with open(os.path.join(ROOT, folder, name), encoding="utf-8") as f:
                    found += complaints(f"{folder}/{name}", f.read())
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
