#!/usr/bin/python3
"""Runs every test of the repository, and tells what ran, what failed and what was skipped and why.

    tests/run_all.py [--list] [STAGE...]

Commands that take one processor at most, and often wait, run side by side (WORKERS); the others alone. Each command's
output goes to build/test-logs/NAME.log; the end of a failed one is shown, and what failed in it once more after all
others, for who sees only the end. A command that exits with 77 is a skip, and its last line is the reason. "s" is how long
it took, "cpu" what it computed. The last line of all is "N passed, N failed, N skipped".
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test-logs")
SKIPPED = 77
KERNELS = ("6.1", "6.12")
FAULTS = "tests/vm/scripts/faults.sh"
WHOLE_SWEEP = 7200  # s; a bound on hanging
ON_DEMAND = ("faults",)  # stages that run only when they are named: they take hours
TAIL = 40  # lines shown of a failed command
SUMMARY, LINE = 8, 160  # lines of it, and characters of each, that are shown once more at the end
ALONE = ("lint",)  # stages whose commands use all processors
WORKERS = len(os.sched_getaffinity(0)) + 1  # side by side: guests wait more than they compute
FUZZ = 60  # s for each fuzzer
LONG = ("faults", "storage", "cut", "conformance", "schedules")  # guest scripts of more than a minute

# How a runner begins the line that names what failed.
FAILURE = re.compile(r"^(NOT OK|FAILED |ERROR[ :]|FAIL |\[  FAILED  \] [^0-9]|not ok |E  |== .* failed)")
# How a runner tells its counts: (pattern, group of passed, failed, skipped); sums over all matches.
COUNTS = (
    (re.compile(r"^\[  PASSED  \] (\d+) test", re.M), "passed"),
    (re.compile(r"^\[  FAILED  \] (\d+) test", re.M), "failed"),
    (re.compile(r"^\[  SKIPPED \] (\d+) test", re.M), "skipped"),
    (re.compile(r"^(?:=+ |)(?:.*, )?(\d+) passed[, ]", re.M), "passed"),
    (re.compile(r"^(?:=+ |)(?:.*, )?(\d+) failed[, ]", re.M), "failed"),
    (re.compile(r"^(?:=+ |)(?:.*, )?(\d+) skipped", re.M), "skipped"),
    (re.compile(r"^# pass (\d+)", re.M), "passed"),
    (re.compile(r"^# fail (\d+)", re.M), "failed"),
)


def guest_scripts():
    """The guest scripts by path; those that need options of tests/vm/run say so themselves, in a line "# run: ..."."""
    for name in ("kernel-facts", "host"):
        yield f"tests/vm/{name}.sh"
    names = sorted(n[:-3] for n in os.listdir(os.path.join(ROOT, "tests", "vm", "scripts")) if n.endswith(".sh"))
    for name in [*LONG, *(n for n in names if n not in LONG)]:
        yield f"tests/vm/scripts/{name}.sh"


def fault_cases():
    """The cases of the sweep over all fault points; each has a guest of its own there."""
    with open(os.path.join(ROOT, FAULTS), encoding="utf-8") as f:
        return " ".join(re.findall(r'^cases_\w+="(.*)"$', f.read(), re.M)).split()


def stages():
    """Those that take longest come early, so that no processor is idle at the end."""
    python = "/usr/bin/python3"
    yield "lint", [("lint", ["tests/lint/run"])]
    yield "unit", [("unit-asan", ["make", "-s", "VARIANT=asan", "unit"]), ("unit-release", ["make", "-s", "unit"])]
    yield "api", [("api-asan", ["env", "TRAYD_BIN=build/asan/trayd", python, "-m", "pytest", "-q", "tests/api"])]
    yield "fuzz", [("fuzz", ["tests/fuzz/run", str(FUZZ)])]
    bench = [(f"bench-eject-{kernel}", ["tests/bench/bench_eject.py", "--short", "--jobs", "1", "--kernel", kernel]) for kernel in KERNELS]
    yield "bench", bench + [("bench-judge", [python, "-m", "pytest", "-q", "tests/bench"]),
                            ("bench-upload", ["tests/bench/upload.py", "--short"])]
    yield "web", [("web", [python, "-m", "pytest", "-q", "tests/web"]), ("web-words", ["node", "--test", "tests/web/"])]
    yield "vm", [(f"vm-{kernel}-{os.path.basename(path)[:-3]}", ["tests/vm/run", "--kernel", kernel, path])
                 for path in guest_scripts() for kernel in KERNELS]
    faults = [("faults-simulation", ["env", "TRAYD_FAULTS_WHOLE=1", python, "-m", "pytest", "-q", "tests/api/test_faults.py",
                                     "tests/api/test_detach_faults.py"])]
    faults += [(f"faults-{kernel}-{case}", ["tests/vm/run", "--kernel", kernel, "--bin", "build/faults",
                                            "--timeout", str(WHOLE_SWEEP), FAULTS, "all", case])
               for case in fault_cases() for kernel in KERNELS]
    yield "faults", faults


def execute(command, log):
    """Returns (exit status, output, CPU seconds of it and its children)."""
    with open(log, "w+", encoding="utf-8", errors="replace") as out:
        try:
            child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        except FileNotFoundError:
            return SKIPPED, f"{command[0]} is not installed\n", 0
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return child.returncode, out.read(), used.ru_utime + used.ru_stime


def run(name, command):
    """Returns (name, result, counts, seconds, CPU seconds, output)."""
    began = time.monotonic()
    status, output, cpu = execute(command, os.path.join(LOGS, name + ".log"))
    seconds = time.monotonic() - began
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for pattern, what in COUNTS:
        counts[what] += sum(int(n) for n in pattern.findall(output))
    if status == SKIPPED:
        counts["skipped"] += 1
        return name, "skipped", counts, seconds, cpu, output
    if status != 0 and counts["failed"] == 0:
        counts["failed"] = 1
    if status == 0 and sum(counts.values()) == 0:
        counts["passed"] = 1  # a check without counts of its own, such as a lint
    result = "failed" if status != 0 or counts["failed"] else "ok"
    return name, result, counts, seconds, cpu, output


def report(outcome):
    name, result, counts, seconds, cpu, output = outcome
    lines = output.strip().splitlines()
    reason = f"  ({lines[-1]})" if result == "skipped" and lines else ""
    print(f"{result:8} {name:32} {counts['passed']:4} passed {counts['failed']:3} failed {counts['skipped']:3} skipped"
          f" {seconds:7.1f} s {cpu:7.1f} cpu{reason}", flush=True)
    for line in lines:
        if re.match(r"^(SKIP|skip)", line):
            print(f"         {line}", flush=True)
    if result == "failed":
        print("\n".join("    | " + line for line in lines[-TAIL:]), flush=True)


def summary(outcome):
    """What failed: the lines that say so, each with the two after it; of output without any, its end."""
    name, _, _, _, _, output = outcome
    lines = output.strip().splitlines()
    told = sorted({i for at, line in enumerate(lines) if FAILURE.match(line) for i in range(at, at + 3) if i < len(lines)})
    shown = [lines[i] for i in told[:SUMMARY]] or lines[-SUMMARY:]
    print("\n".join([f"failed:  {name}"] + ["    | " + line[:LINE] for line in shown]))


def phases(wanted):
    """(how many side by side, commands), one after the other. `wanted`: names of stages or commands; none: all that do
    not take hours."""
    alone, side_by_side = [], []
    for stage, commands in stages():
        if stage not in wanted:
            if wanted:
                commands = [c for c in commands if c[0] in wanted]
            elif stage in ON_DEMAND:
                continue
        (alone if stage in ALONE else side_by_side).extend(commands)
    return (1, alone), (WORKERS, side_by_side)


def main():
    if "--list" in sys.argv:
        for stage, commands in stages():
            print("\n".join(f"{stage:6} {name}" for name, _ in commands))
        return 0
    os.makedirs(LOGS, exist_ok=True)
    total, failed = {"passed": 0, "failed": 0, "skipped": 0}, []
    began = time.monotonic()
    for workers, commands in phases([a for a in sys.argv[1:] if not a.startswith("-")]):
        with concurrent.futures.ThreadPoolExecutor(max_workers=workers) as pool:
            for job in concurrent.futures.as_completed([pool.submit(run, *c) for c in commands]):
                outcome = job.result()
                report(outcome)
                if outcome[1] == "failed":
                    failed.append(outcome)
                for what, n in outcome[2].items():
                    total[what] += n
    for outcome in failed:
        summary(outcome)
    print(f"in {time.monotonic() - began:.0f} s; logs in build/test-logs/")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**total))
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
