"""Each bound of the benchmark can be broken, and is kept by good records; the page has its tables."""
import copy
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from bench_judge import dirty_bytes, emptied_ms, judge, percentile  # noqa: E402
from bench_page import page  # noqa: E402

OPERATION = {"accepted_at": "2026-11-21T13:06:17.096Z", "emptied_at": "2026-11-21T13:06:17.101Z", "reattached": False,
             "broke_io": False}
EJECT = {"series": "6.1", "kernel": "6.1.0", "way": "trayd", "result": "done", "insert": "done", "right": "yes", "others": 0,
         "resets": 0, "us": 5000, "began_us": 0, "read_at_us": 2_000_000, "reader": "EIO", "stall_ms": 5, "operation": OPERATION}
SWAP = dict(EJECT, case="swap", old_found=0, changed="no", old_written=2048, dirty_left=0)
GOOD = [
    dict(EJECT, case="read", guest="6.1-read-auto"),
    dict(EJECT, case="read", guest="6.1-read-auto", way="bare", operation=None, insert=None, next="done", ms=4),
    dict(EJECT, case="read", guest="6.1-read-off", operation=dict(OPERATION, reattached=True)),
    dict(EJECT, case="gap-bursts", guest="6.1-gap-bursts"),
    dict(EJECT, case="gap-full", guest="6.1-gap-full"),
    dict(EJECT, case="stop", guest="6.1-stop-auto", reader="none"),
    dict(EJECT, case="stop", guest="6.1-stop-off", reader="none"),
    dict(SWAP, guest="6.1-swap-trayd-auto", load="writer"),
    dict(SWAP, guest="6.1-swap-trayd-auto", load="vfat"),
    dict(SWAP, guest="6.1-swap-trayd-off", load="writer"),
    dict(SWAP, guest="6.1-swap-trayd-off", load="ext4"),
]


def broken(records, times=True):
    return [name for name, good, _ in judge(records, times) if not good]


def test_good_records_keep_every_bound():
    assert broken(GOOD) == []
    assert len(judge(GOOD, True)) > len(judge(GOOD, False)) > 10


BREAKS = [
    # which record, what is wrong with it, what the broken bound is called, is it a matter of time?
    (0, {"result": "medium_in_use"}, "forced eject while", False),
    (0, {"right": "no"}, "forced eject while", False),
    (0, {"others": 1}, "forced eject while", False),
    (0, {"insert": "quarantine"}, "forced eject while", False),
    (0, {"resets": 1}, "without a reset", False),
    (0, {"operation": dict(OPERATION, emptied_at="2026-11-21T13:06:17.103Z")}, "against a bare write", True),
    (2, {"right": "no"}, "without forced_eject", False),
    (2, {"read_at_us": 3_000_001}, "reads again within", True),
    (3, {"resets": 1}, "where a gap was found", False),
    (3, {"result": "medium_in_use"}, "a host that pauses", False),
    (5, {"result": "drive_stuck"}, "is broken off", False),
    (5, {"reader": "EIO"}, "other drive goes on", False),
    (6, {"operation": dict(OPERATION, emptied_at="2026-11-21T13:06:18.097Z")}, "released within", True),
    (7, {"old_found": 1}, "not a byte", False),
    (8, {"changed": "yes"}, "not a byte", False),
    (9, {"insert": "stale_host"}, "the next one in", False),
    (9, {"old_written": 0}, "the search finds", False),
    (10, {"dirty_left": 8192}, "did hold dirty pages", False),
]


@pytest.mark.parametrize("index,change,name,is_time", BREAKS)
def test_one_bad_record_breaks_its_bound(index, change, name, is_time):
    records = copy.deepcopy(GOOD)
    records[index].update(change)
    assert any(name in b for b in broken(records))
    assert bool([b for b in broken(records, times=False) if name in b]) != is_time


@pytest.mark.parametrize("index", [0, 2, 3, 5, 6, 7, 10])
def test_what_is_missing_is_not_good(index):
    records = [r for i, r in enumerate(GOOD) if r["guest"] != GOOD[index]["guest"]]
    assert broken(records) != []


def test_percentiles():
    assert percentile([], 50) is None
    assert percentile([3, 1, 2], 50) == 2
    assert percentile([4, 1, 2, 3], 50) == 2.5
    assert percentile(range(1, 101), 99) == 99
    assert percentile([7], 99) == 7


def test_both_ways_are_measured_in_the_same_unit():
    assert emptied_ms(GOOD[0]) == pytest.approx(5)
    assert emptied_ms(GOOD[1]) == 4
    assert dirty_bytes(SWAP) == 4 * 2**20


def test_the_page_is_whole():
    text = page(GOOD)
    assert "@" not in text
    assert text.count("\n|---") >= 6
    assert "on `6.1.0` 10 ejects by trayd and 1 by other ways" in text
