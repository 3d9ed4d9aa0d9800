#!/usr/bin/python3
"""Measures on real kernels how media are ejected, by trayd and without it, and writes docs/ejecting.md.

    tests/bench/bench_eject.py [--short] [--repetitions N] [--naive N] [--swaps N] [--jobs N] [--kernel SERIES]
                               [--only WORD] [--results FILE] [--page FILE]

The long form (`make bench-eject`) does everything 100 times, and what is not trayd's way 10 times; it judges counts, bytes
and times, and writes the page. --short is in `make test`, for each kernel beside other tests: 5 and 2 times; it judges
counts and bytes alone. The guests' lines are kept in build/bench/results.jsonl, or results-SERIES.jsonl; --results FILE
makes the page of such a file, and runs nothing.

The last line is "N passed, N failed, N skipped". Exits with 1 where a bound is broken, 77 where no guest can run here.
"""
import argparse
import concurrent.futures
import json
import math
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench_judge import judge  # noqa: E402
from bench_page import page  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GUEST = os.path.join(ROOT, "tests", "bench", "guest")
OUT = os.path.join(ROOT, "build", "bench")
KERNELS = ("6.1", "6.12")
SWITCHES = ("auto", "off")
SKIPPED = 77
BLOCK = 10           # repetitions by one way before the other has its turn, so that a slow minute meets both
WRITERS, MOUNTED = 4, 4  # drives of a swap batch, which share its 40 s
WAITING = 3          # guests that mostly wait, in the place of one that does not
MEMORY = "1024"      # MiB: eight images and what the host caches of them
BOOT = 120           # s of a guest's time limit, beside what its repetitions may take
TAIL = 25            # lines shown of a guest that failed


class Guest:
    """One fresh guest: a script, its arguments, and how long each of its repetitions may take at most (s)."""

    def __init__(self, case, kernel, script, arguments, repetitions, each, waits=False):
        self.name = f"{kernel}-{case}"
        self.kernel, self.script, self.arguments, self.waits = kernel, script, [str(a) for a in arguments], waits
        self.timeout = BOOT + repetitions * each

    def command(self):
        return [os.path.join(ROOT, "tests", "vm", "run"), "--no-trayd", "--kernel", self.kernel, "--memory", MEMORY,
                "--timeout", str(self.timeout),
                "--file", os.path.join(GUEST, "bench.sh") + ":/usr/lib/bench.sh",
                "--file", os.path.join(ROOT, "build", "release", "tests", "eject_tool") + ":/usr/bin/eject_tool",
                os.path.join(GUEST, self.script + ".sh")] + self.arguments


def shares(total, most):
    """total as a list of numbers, none above most."""
    pieces = math.ceil(total / most)
    return [total // pieces + (i < total % pieces) for i in range(pieces)] if total else []


def plan(o):
    """The fixed list of guests. Those that mostly wait for a clock of the host come last: more of them go side by side."""
    guests = []
    for kernel in KERNELS:
        for n in shares(o.repetitions, 50):
            guests.append(Guest("read-auto", kernel, "read", [n, BLOCK, "auto"], n, 30))
        for n in shares(o.repetitions, 34):
            guests.append(Guest("read-off", kernel, "read", [n, BLOCK, "off"], n, 30))
        for n in shares(o.repetitions, 50):
            guests.append(Guest("gap-bursts", kernel, "gap", [n, "bursts"], n, 30))
        for switch in SWITCHES:
            parts = shares(o.repetitions, 34)
            for i, n in enumerate(parts):
                bare = o.naive if i == 0 and switch == "auto" else 0
                guests.append(Guest(f"stop-{switch}", kernel, "stop", [n, bare, switch], n + bare, 30))
    for kernel in KERNELS:
        for switch in SWITCHES:
            for n in shares(math.ceil(o.swaps / WRITERS), 5):
                guests.append(Guest(f"swap-trayd-{switch}", kernel, "swap", ["trayd", switch, n, WRITERS, MOUNTED], n, 400, True))
        for n in shares(math.ceil(o.naive * 2 / MOUNTED), 5):
            guests.append(Guest("swap-bare", kernel, "swap", ["bare", "auto", n, WRITERS, MOUNTED], n, 400, True))
        for n in shares(o.naive, 5):
            guests.append(Guest("swap-signal", kernel, "swap", ["signal", "auto", n, 1, 0], n, 300, True))
            for way in ("once", "repeated"):
                guests.append(Guest(f"naive-{way}", kernel, "naive", [n, way], n, 200, True))
        if not o.short:
            for n in shares(o.naive, 5):
                guests.append(Guest("gap-full", kernel, "gap", [n, "full"], n, 200, True))
    return [g for g in guests if o.only in g.name and o.kernel in (None, g.kernel)]


def run_guest(guest):
    """(guest, status, records, output)"""
    done = subprocess.run(guest.command(), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{") and line.endswith("}")]
    for r in records:
        r["guest"], r["series"] = guest.name, guest.kernel
    return guest, done.returncode, records, done.stdout


def run_all(guests, jobs):
    """Yields as run_guest returns, in the order in which they end."""
    for waits in (False, True):
        with concurrent.futures.ThreadPoolExecutor(max_workers=jobs * (WAITING if waits else 1)) as pool:
            for job in concurrent.futures.as_completed([pool.submit(run_guest, g) for g in guests if g.waits == waits]):
                yield job.result()


def measure(o):
    """(records, how many guests worked, how many failed, how many were skipped)"""
    os.makedirs(OUT, exist_ok=True)
    began, records, worked, failed, skipped = time.monotonic(), [], 0, 0, 0
    with open(os.path.join(OUT, f"results-{o.kernel}.jsonl" if o.kernel else "results.jsonl"), "w", encoding="utf-8") as kept:
        for guest, status, lines, output in run_all(plan(o), o.jobs):
            records += lines
            for line in lines:
                kept.write(json.dumps(line, sort_keys=True) + "\n")
            kept.flush()
            print(f"{time.monotonic() - began:6.0f} s  {guest.name}: {len(lines)} records"
                  + (f", status {status}" if status else ""), flush=True)
            if status == 0:
                worked += 1
            elif status == SKIPPED:
                skipped += 1
                print("SKIP " + (output.strip().splitlines() or ["?"])[-1], flush=True)
            else:
                failed += 1
                print("\n".join("    | " + line for line in output.splitlines()[-TAIL:]), flush=True)
    return records, worked, failed, skipped


def options():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--short", action="store_true", help="5 and 2 repetitions; no times are judged, no page is written")
    p.add_argument("--repetitions", type=int, help="by trayd, and of the bare write beside it")
    p.add_argument("--swaps", type=int, help="of a medium that the host writes to; as many again with a file system mounted")
    p.add_argument("--naive", type=int, help="without trayd")
    p.add_argument("--jobs", type=int, default=2, help=f"guests side by side; {WAITING} times as many of those that mostly wait")
    p.add_argument("--kernel", choices=KERNELS, help="only its guests; no page is written")
    p.add_argument("--only", default="", help="only guests whose name has this word; no page is written")
    p.add_argument("--results", help="judge this file, run nothing")
    p.add_argument("--page", default=os.path.join(ROOT, "docs", "ejecting.md"), help="where the page goes")
    o = p.parse_args()
    normal, naive = (5, 2) if o.short else (100, 10)
    o.repetitions = o.repetitions or normal
    o.swaps = o.swaps or (4 if o.short else o.repetitions)
    o.naive = o.naive or naive
    return o


def main():
    o = options()
    if o.results:
        with open(o.results, encoding="utf-8") as f:
            records, worked, failed, skipped = [json.loads(line) for line in f], 0, 0, 0
    else:
        records, worked, failed, skipped = measure(o)
        if skipped and not worked and not failed:
            print("no guest can run here")
            return SKIPPED
    verdicts = judge(records, times=not o.short)
    for name, good, detail in verdicts:
        print(f"{'ok' if good else 'NOT OK'} - {name}: {detail}")
    passed = worked + sum(good for _, good, _ in verdicts)
    failed += sum(not good for _, good, _ in verdicts)
    if not o.short and not o.only and not o.kernel:
        with open(o.page, "w", encoding="utf-8") as f:
            f.write(page(records))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
