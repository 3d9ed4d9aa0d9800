#!/usr/bin/python3
"""What very many images cost: the start, lists, searches, pages.

    tests/bench/many.py [--images N] [--rounds N]

Medians of the rounds, in ms, and resident memory. Figures, no bounds: the machine that runs tests is never idle. TRAYD_BIN names
trayd, TMPDIR where the images lie.
"""
import argparse
import os
import random
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "api"))
os.chdir(ROOT)

import conftest  # noqa: E402  (what starts trayd for the tests)
from upload import stat_of  # noqa: E402

REQUESTS = [
    ("the first 100 by name", "/api/v1/images?limit=100"),
    ("the first 1000 by name", "/api/v1/images?limit=1000"),
    ("the newest 100", "/api/v1/images?limit=100&sort=-modified"),
    ("a search that finds one", "/api/v1/images?q=image-{last}"),
    ("a search that finds none", "/api/v1/images?q=nothing"),
    ("one image", "/api/v1/images/image-{last}.iso"),
    ("the stores", "/api/v1/stores"),
]


def timed(action):
    began = time.monotonic()
    action()
    return (time.monotonic() - began) * 1000


def started(trayd):
    trayd.stop()
    return timed(lambda: trayd.start().wait_ready())


def get(trayd, path):
    answer = trayd.session.get(trayd.url + path, timeout=60)
    assert answer.status_code == 200, answer.text


def all_pages(trayd):
    after = ""
    while after is not None:
        page = trayd.session.get(f"{trayd.url}/api/v1/images?limit=1000{after}", timeout=60).json()
        after = page["next"] and "&after=" + page["next"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    trayd = conftest.Trayd().wait_ready()
    try:
        empty = statistics.median(started(trayd) for _ in range(options.rounds))
        rng = random.Random(1)
        for number in range(options.images):
            with open(f"{trayd.store}/image-{number}.iso", "wb") as f:
                f.truncate(rng.randrange(1 << 20))
        print(f"{'start to ready':28} {statistics.median(started(trayd) for _ in range(options.rounds)):8.1f} ms "
              f"(of an empty store: {empty:.1f} ms)")
        for what, path in REQUESTS:
            path = path.format(last=options.images - 1)
            took = statistics.median(timed(lambda p=path: get(trayd, p)) for _ in range(options.rounds))
            print(f"{what:28} {took:8.1f} ms")
        print(f"{'all, in pages of 1000':28} {statistics.median(timed(lambda: all_pages(trayd)) for _ in range(3)):8.1f} ms")
        print(f"resident: {stat_of(trayd.process.pid)[0] / 1e6:.1f} MB, with {options.images} images")
    finally:
        trayd.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
