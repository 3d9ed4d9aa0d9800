#!/usr/bin/env python3
"""gen_assets.py WEBDIR OUT.c - turns the browser UI into the table of server/assets.h.

index.html becomes "/", every other .html, .css, .js and .svg file "/NAME". An ETag is made from the content, so that
it changes exactly when the content does. The bytes become string literals: compilers read those about a hundred times
faster than lists of numbers.
"""
import hashlib
import pathlib
import re
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PLAIN = {c: chr(c) for c in range(0x20, 0x7F)} | {ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?", ord("\n"): "\\n"}


def find(folder):
    files = [f for f in sorted(folder.iterdir()) if f.suffix in TYPES and not f.name.startswith(".")]
    for f in files:
        if not re.fullmatch(r"[a-z0-9_.-]+", f.name):
            sys.exit(f"{f}: only lower-case letters, digits, '_', '.' and '-' can be in the name")
    if not any(f.name == "index.html" for f in files):
        sys.exit(f"{folder}: there is no index.html")
    return files


def literal(data):
    """One C string per line of the file. Octal escapes have three digits, so that none swallows what follows."""
    lines = data.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    return "\n".join('    "' + "".join(PLAIN.get(c, f"\\{c:03o}") for c in line) + '"' for line in lines) or '    ""'


def generate(folder):
    contents, table = [], []
    for i, file in enumerate(find(folder)):
        data = file.read_bytes()
        url = "/" if file.name == "index.html" else f"/{file.name}"
        etag = hashlib.sha256(data).hexdigest()[:32]
        contents.append(f"static const unsigned char file_{i}[] = /* {file.name} */\n{literal(data)};\n")
        table.append(f'    {{"{url}", "{TYPES[file.suffix]}", "\\"{etag}\\"", file_{i}, {len(data)}}},')
    return "\n".join(['/* Made by gen_assets.py. */\n#include "server/assets.h"\n', *contents,
                      "const struct web_asset web_assets[] = {", *table, "    {0},", "};", ""])


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: gen_assets.py WEBDIR OUT.c")
    pathlib.Path(sys.argv[2]).write_text(generate(pathlib.Path(sys.argv[1])), encoding="ascii")


if __name__ == "__main__":
    main()
