#!/usr/bin/python3
"""docs/errors.md says exactly what base/err.h says. `--write` makes it so."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROW = re.compile(r'X\(ERR_\w+,\s*"(\w+)",\s*(\d+),\s*"((?:[^"\\]|\\.)*)",\s*\\?\s*"((?:[^"\\]|\\.)*)"\)')


def page():
    with open(os.path.join(ROOT, "base", "err.h"), encoding="utf-8") as f:
        rows = ROW.findall(f.read())
    lines = [
        "# Errors", "",
        "Every error is `application/problem+json` (RFC 9457) with `type` (`/problems/CODE`), `title`, `status`, `detail`",
        "(what was wrong here), `code`, and `remedy` (what to do). This page is made from the one table in `base/err.h`.", "",
        "| code | status | title | remedy |", "|---|---|---|---|",
    ]
    for code, status, title, remedy in rows:
        lines.append(f"| `{code}` | {status} | {title} | " + remedy.replace('\\"', '"').replace("|", "\\|") + " |")
    return len(rows), "\n".join(lines) + "\n"


def main():
    path = os.path.join(ROOT, "docs", "errors.md")
    count, wanted = page()
    if count < 40:
        print(f"only {count} rows were understood in base/err.h")
        return 1
    if "--write" in sys.argv:
        with open(path, "w", encoding="utf-8") as f:
            f.write(wanted)
        return 0
    with open(path, encoding="utf-8") as f:
        if f.read() == wanted:
            return 0
    print("docs/errors.md is not what base/err.h says: run tests/lint/docs.py --write")
    return 1


if __name__ == "__main__":
    sys.exit(main())
