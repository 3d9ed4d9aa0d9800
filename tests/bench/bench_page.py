"""docs/ejecting.md: tests/bench/ejecting.md.in with tables and figures from the guests' records. Pure."""
import os
import re

from bench_judge import (RATIO_MAX, READS_AGAIN_MAX, RELEASED_MAX, dirty_bytes, emptied_ms, gap_found, good_eject, percentile, ratio,
                         reads_again_s, select)

TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ejecting.md.in")
STALLED_MS = 25000   # a read that took so long met the host's timeout of 30 s, and not a slow moment
ATTRIBUTE = {"auto": "used", "off": "switched off"}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(c) for c in row) + " |" for row in rows])


def figure(value, digits=0):
    return "–" if value is None else f"{value:.{digits}f}"


def median_and_p99(values, digits=0):
    values = [v for v in values if v is not None]
    return f"{figure(percentile(values, 50), digits)} / {figure(percentile(values, 99), digits)}"


def of(records, good):
    return f"{sum(bool(good(r)) for r in records)} of {len(records)}"


def total(records, member):
    return sum(r[member] for r in records)


def mib(value):
    return "0" if value == 0 else f"{value / 2**20:.2f} MiB"


def kernels(records):
    return sorted({(r["series"], r["kernel"]) for r in records}, key=lambda k: [int(n) for n in k[0].split(".")])


def stalled(r):
    return r["stall_ms"] > STALLED_MS


# ---- the tables ----------------------------------------------------------------------------------------------------

def reads(records):
    rows = []
    for series, release in kernels(records):
        mine = select(records, series=series, case="read", guest="read-auto")
        for way, name in (("bare", "a bare write to `forced_eject`"), ("trayd", "trayd")):
            rs = select(mine, way=way)
            rows.append((release, name, of(rs, good_eject), total(rs, "resets"), median_and_p99([emptied_ms(r) for r in rs]),
                         figure(ratio(mine), 2) if way == "trayd" else 1,
                         median_and_p99([r["us"] / 1000 for r in rs], 1), median_and_p99([reads_again_s(r) * 1000 for r in rs])))
    return table(("kernel", "by", "out, and the next image read right", "resets", "ms until empty", "times the bare write",
                  "ms until the caller knew", "ms until the host had read the next image"), rows)


def without(records):
    rows = []
    cases = (("read", "read-off", "at full speed", "`last_resort`"), ("gap-bursts", "gap-bursts", "in bursts", "`never`"),
             ("gap-full", "gap-full", "at full speed", "`never`"))
    for series, release in kernels(records):
        for case, guest, load, policy in cases:
            rs = select(records, series=series, case=case, guest=guest)
            if not rs:
                continue
            found = [r for r in rs if gap_found(r)]
            rows.append((release, load, policy, of(rs, good_eject), len(found), total(found, "resets"),
                         total(rs, "resets"), median_and_p99([reads_again_s(r) for r in rs], 2),
                         figure(max([reads_again_s(r) for r in rs], default=None), 2)))
    return table(("kernel", "the host reads", "`reattach`", "out, and the next image read right", "gaps found", "resets where one was",
                  "resets in all", "s until it had read the next image", "longest"), rows)


def stops(records):
    rows = []
    for series, release in kernels(records):
        for switch, way in (("auto", "bare"), ("auto", "trayd"), ("off", "trayd")):
            name = "trayd" if way == "trayd" else "a bare write to `forced_eject`"
            rs = select(records, series=series, case="stop", way=way, guest="stop-" + switch)
            rows.append((release, name, ATTRIBUTE[switch], of(rs, lambda r: r["result"] == "done"),
                         median_and_p99([emptied_ms(r) for r in rs]), figure(max((r["stall_ms"] for r in rs), default=None)),
                         sum(r["reader"] != "none" for r in rs), total(rs, "resets")))
    return table(("kernel", "by", "`forced_eject`", "released", "ms until empty", "longest stall of the other drive, ms",
                  "errors there", "resets"), rows)


def naive(records):
    rows = []
    for series, release in kernels(records):
        for way, name in (("once", 'SIGUSR1, `"\\n"` once'), ("repeated", 'SIGUSR1, `"\\n"` every 0.5 ms')):
            rs = select(records, series=series, case="naive-read", way=way)
            rows.append((release, name, of(rs, lambda r: r["result"] == "done"), of(rs, stalled),
                         median_and_p99([r["stall_ms"] / 1000 for r in rs], 1), total(rs, "resets"),
                         of(rs, lambda r: r["next"] == "done" and r["reader"] == "none")))
    return table(("kernel", "way", "ejected", "host hung", "longest stall of its read, s", "resets",
                  "read on in the next image, without an error"), rows)


def swaps(records):
    rows = []
    ways = (("signal", "SIGUSR1, `\"\\n\"` repeated", "swap-signal"), ("bare", "a bare write to `forced_eject`", "swap-bare"),
            ("trayd", "trayd", "swap-trayd-auto"), ("trayd", "trayd, `forced_eject` off", "swap-trayd-off"))
    loads = (("writer", "written to at full speed"), ("vfat", "FAT mounted, dirty"), ("ext4", "ext4 mounted, dirty"))
    for series, release in kernels(records):
        for way, name, guest in ways:
            for load, what in loads:
                rs = select(records, series=series, case="swap", way=way, load=load, guest=guest)
                if not rs:
                    continue
                found = [r["old_found"] * 512 for r in rs]
                dirty = "–" if load == "writer" else mib(percentile([dirty_bytes(r) for r in rs], 50))
                rows.append((release, name, what, of(rs, lambda r: r["result"] == "done"), dirty,
                             sum(f > 0 for f in found), mib(max(found)), sum(r["changed"] == "yes" for r in rs)))
    return table(("kernel", "by", "the old medium was", "taken", "dirty at the host (median)", "new images with old data",
                  "most in one", "new images changed in any way"), rows)


def counts(records):
    """How many repetitions each kernel has, in words."""
    parts = []
    for series, release in kernels(records):
        mine = select(records, series=series)
        ours = select(mine, way="trayd")
        parts.append(f"on `{release}` {len(ours)} ejects by trayd and {len(mine) - len(ours)} by other ways")
    return ", ".join(parts)


def page(records):
    with open(TEMPLATE, encoding="utf-8") as f:
        text = f.read()
    parts = {"reads": reads, "without": without, "stops": stops, "naive": naive, "swaps": swaps, "counts": counts}
    bounds = {"ratio_max": RATIO_MAX, "reads_again_max": READS_AGAIN_MAX, "released_max": RELEASED_MAX,
              "kernels": " and ".join(f"`{release}`" for _, release in kernels(records))}
    return re.sub(r"@(\w+)@", lambda m: parts[m[1]](records) if m[1] in parts else str(bounds[m[1]]), text)
