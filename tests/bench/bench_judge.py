"""What the records of the guests mean, and which bounds of trayd's they keep. Pure: no file, no clock."""
from datetime import datetime

RATIO_MAX = 1.5      # forced eject under full reads, against a bare write to forced_eject (medians)
READS_AGAIN_MAX = 3.0  # s; without forced_eject, a reattach included
RELEASED_MAX = 1.0   # s; from "let go, now" to the drive read back empty


def percentile(values, share):
    """Nearest rank; the median of an even count is the mean of its two middle ones."""
    ordered = sorted(values)
    if not ordered:
        return None
    if share == 50 and len(ordered) % 2 == 0:
        return (ordered[len(ordered) // 2 - 1] + ordered[len(ordered) // 2]) / 2
    rank = -(-len(ordered) * share // 100)
    return ordered[max(0, int(rank) - 1)]


def select(records, **wanted):
    """Those records whose members are as wanted; guest=WORD: whose guest's name has that word."""
    word = wanted.pop("guest", "")
    return [r for r in records if word in r["guest"] and all(r.get(k) == v for k, v in wanted.items())]


def time_of(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def emptied_ms(r):
    """From acceptance to read back empty, both as whole milliseconds of the same clock, by either way."""
    if r.get("ms") is not None:
        return r["ms"]
    op = r.get("operation") or {}
    if not op.get("emptied_at"):
        return None
    return (time_of(op["emptied_at"]) - time_of(op["accepted_at"])).total_seconds() * 1000


def emptied_s(r):
    ms = emptied_ms(r)
    return float("inf") if ms is None else ms / 1000


def reads_again_s(r):
    return (r["read_at_us"] - r["began_us"]) / 1e6


def good_eject(r):
    """Out, the next one in, and the host has read that, bit for bit."""
    in_it_is = r["insert"] == "done" if r["way"] == "trayd" else r["next"] == "done"
    return r["result"] == "done" and in_it_is and r["right"] == "yes" and r["others"] == 0


def gap_found(r):
    op = r.get("operation") or {}
    return not op.get("broke_io") and not op.get("reattached")


def ratio(records):
    """Median of trayd's by median of the bare write's."""
    by = {way: percentile([emptied_ms(r) for r in select(records, way=way) if emptied_ms(r) is not None], 50)
          for way in ("trayd", "bare")}
    return by["trayd"] / by["bare"] if by["trayd"] is not None and by["bare"] else None


def count(name, records, good):
    n = sum(bool(good(r)) for r in records)
    return name, n == len(records) and n > 0, f"{n} of {len(records)}"


def at_most(name, values, bound, unit):
    worst = max(values, default=float("inf"))
    return name, worst <= bound, f"{worst:.2f} {unit}, at most {bound} {unit}"


def judge_reads(k, records, times):
    forced = select(records, case="read", guest="read-auto")
    ours = select(forced, way="trayd")
    yield count(f"{k}: forced eject while the host reads at full speed", ours, good_eject)
    yield count(f"{k}: ... without a reset of the host", ours, lambda r: r["resets"] == 0)
    off = select(records, case="read", guest="read-off")
    yield count(f"{k}: the same without forced_eject", off, good_eject)
    gap = select(records, case="gap-bursts")
    yield count(f"{k}: ... nor a reattach, a host that pauses", gap, good_eject)
    yield count(f"{k}: ... no reset where a gap was found", [r for r in gap if gap_found(r)], lambda r: r["resets"] == 0)
    if times:
        value = ratio(forced)
        yield (f"{k}: time until empty, against a bare write to forced_eject", value is not None and value <= RATIO_MAX,
               "nothing to compare" if value is None else f"{value:.2f} times, at most {RATIO_MAX} times")
        yield at_most(f"{k}: without forced_eject, the host reads again within", [reads_again_s(r) for r in off], READS_AGAIN_MAX, "s")


def judge_stops(k, records, times):
    for switch in ("auto", "off"):
        stops = select(records, case="stop", way="trayd", guest="stop-" + switch)
        name = f"{k}: a host that stopped in mid-command (forced_eject {switch})"
        yield count(f"{name} is broken off", stops, lambda r: r["result"] == "done")
        yield count(f"{name}; its other drive goes on", stops, lambda r: r["reader"] == "none" and r["resets"] == 0)
        if times:
            yield at_most(f"{name}: released within", [emptied_s(r) for r in stops], RELEASED_MAX, "s")


def judge_swaps(k, records):
    for switch in ("auto", "off"):
        swaps = select(records, case="swap", way="trayd", guest="swap-trayd-" + switch)
        name = f"{k}: a writable medium taken by force (forced_eject {switch})"
        yield count(f"{name}, the next one in", swaps, lambda r: r["result"] == "done" and r["insert"] == "done")
        yield count(f"{name}: not a byte of the old in the new", swaps, lambda r: r["old_found"] == 0 and r["changed"] == "no")
        mounted = [r for r in swaps if r["load"] != "writer"]
        yield count(f"{name}: the search finds what had reached the old one", swaps, lambda r: r["old_written"] > 0)
        yield count(f"{name}: the host did hold dirty pages", mounted, lambda r: dirty_bytes(r) > 0)


def dirty_bytes(r):
    """What the host held for the old medium when it was taken: of 4 MiB (guest/host-load.sh) what never reached the image."""
    return (8192 - r["dirty_left"]) * 512


def judge(records, times):
    """[(name, kept?, detail)], for each kernel; with `times` also those that only a quiet machine keeps."""
    verdicts = []
    for k in sorted({r["series"] for r in records}, key=lambda s: [int(n) for n in s.split(".")]):
        mine = select(records, series=k)
        parts = ((("read", "gap"), judge_reads(k, mine, times)), (("stop",), judge_stops(k, mine, times)),
                 (("swap",), judge_swaps(k, mine)))
        for words, part in parts:
            if any(r["case"].startswith(words) for r in mine):
                verdicts += part
    return verdicts
