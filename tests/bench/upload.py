#!/usr/bin/python3
"""One large upload by tus with interruptions in random places, every third a kill -9 of trayd; memory is sampled.

    tests/bench/upload.py [--size GIB] [--interruptions N] [--seed N]

Prints the time, the rate, what was sent twice, and the resident memory of trayd over the time. Exit 1 where the digest is
wrong, an acknowledged byte was lost, or the memory grew with the size. TRAYD_BIN names the program, TMPDIR where the image
lies; the store needs as much room.
"""
import argparse
import hashlib
import os
import random
import signal
import statistics
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "api"))
os.chdir(ROOT)

import conftest  # noqa: E402  (what starts trayd for the tests)
from contract import Client  # noqa: E402
from test_uploads import PIECE, Tus  # noqa: E402

BLOCK = 1 << 20
FLAT = 4 << 20  # bytes that the memory may differ between the first and the last quarter: the allocator's, not the image's


class Source:
    """Bytes that are cheap to make, different in each block, and the same each time."""

    def __init__(self, seed):
        self.base = random.Random(seed).randbytes(BLOCK)

    def read(self, offset, length):
        parts = []
        while length > 0:
            number, at = divmod(offset, BLOCK)
            block = number.to_bytes(8, "little") + self.base[8:]
            part = block[at:at + length]
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)


def resident(pid):
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return None


class Sampler(threading.Thread):
    def __init__(self, trayd):
        super().__init__(daemon=True)
        self.trayd, self.samples, self.over = trayd, [], threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            process = self.trayd.process
            size = resident(process.pid) if process else None
            if size:
                self.samples.append(size)


def send(trayd, tus, source, at, end, size):
    """A PATCH for all that is missing, of which only what lies before `end` is sent; returns the status line, if any."""
    with trayd.connect(60) as s:
        lines = [f"PATCH {tus.path} HTTP/1.1", f"Host: 127.0.0.1:{trayd.port}", f"Content-Length: {size - at}",
                 f"Upload-Offset: {at}", *(f"{k}: {v}" for k, v in PIECE.items())]
        s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        try:
            while at < end:
                part = source.read(at, min(BLOCK, end - at))
                s.sendall(part)
                at += len(part)
            return s.recv(100) if end == size else b""
        except OSError:
            return b""


def run(trayd, options):
    size, rng, source = int(options.size * (1 << 30)), random.Random(options.seed), Source(options.seed)
    digest = hashlib.sha256()
    for at in range(0, size, BLOCK):
        digest.update(source.read(at, min(BLOCK, size - at)))
    wanted = digest.hexdigest()
    api = Client(trayd.url)
    tus = Tus(api, "bench.img", size, sha256=wanted)
    sampler = Sampler(trayd)
    sampler.start()
    began, at, sent = time.monotonic(), 0, 0
    cuts = sorted(rng.randrange(size) for _ in range(options.interruptions))
    for turn, cut in enumerate([*cuts, size]):
        while at < cut or (cut == size and at < size):
            status = send(trayd, tus, source, at, cut, size)
            sent += cut - at
            if cut < size and turn % 3 == 2:
                trayd.stop(signal.SIGKILL, expect=-signal.SIGKILL)
                trayd.start().wait_ready()
                tus.api = Client(trayd.url)
            before, at = at, tus.offset()
            assert at >= before, "acknowledged bytes were lost"
            if cut < size or b" 204 " in status:
                break
    took = time.monotonic() - began
    sampler.over.set()
    sampler.join()
    image = tus.api.get("/api/v1/images/bench.img").json()
    quarter = max(len(sampler.samples) // 4, 1)
    first, last = (statistics.median(part) for part in (sampler.samples[:quarter], sampler.samples[-quarter:]))
    print(f"{options.size} GiB with {options.interruptions} interruptions in {took:.1f} s: {size / took / 1e6:.0f} MB/s, "
          f"{max(sent - size, 0) / size:.1%} sent twice")
    print(f"resident memory: {first / 1e6:.1f} MB in the first quarter, {last / 1e6:.1f} MB in the last, "
          f"{max(sampler.samples) / 1e6:.1f} MB at most")
    good = image["sha256"] == wanted and image["size"] == size
    print("SHA-256 is", "right" if good else f"WRONG: {image['sha256']} instead of {wanted}")
    return good and last - first < FLAT


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, default=5, help="GiB (5)")
    parser.add_argument("--interruptions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    trayd = conftest.Trayd().wait_ready()
    try:
        return 0 if run(trayd, options) else 1
    finally:
        trayd.close()


if __name__ == "__main__":
    sys.exit(main())
