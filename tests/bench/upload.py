#!/usr/bin/python3
"""One large image by PUT, by tus with interruptions, and from a URL whose server breaks off; memory and CPU are sampled.

    tests/bench/upload.py [--size GIB] [--interruptions N] [--seed N] [--short] [--nginx ROUNDS] [WAY...]

Of tus every third interruption is a kill -9 of trayd; the server of the URL breaks off twice. Prints for each way the time,
the rate, CPU seconds per GiB, and the resident memory of trayd and trayd-helper over the time. Exit 1 where a digest is
wrong, an acknowledged byte was lost, or memory grew with the size. --short: 256 MiB. --nginx ROUNDS: PUT to trayd and to
nginx in turn, ROUNDS times each (TRAYD_NGINX names the program). TRAYD_BIN names trayd, TMPDIR where the images lie; the store
needs room for one.
"""
import argparse
import hashlib
import http.server
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "api"))
os.chdir(ROOT)

import conftest  # noqa: E402  (what starts trayd for the tests)
from contract import Client  # noqa: E402
from tus import PIECE, Tus  # noqa: E402

BLOCK = 1 << 20
GIB = 1 << 30
FLAT = 4 << 20  # bytes that the memory may differ between the first and the last quarter: the allocator's, not the image's
RESIDENT_MAX = 16 << 20  # bytes of trayd: what it may have with four uploads and 32 listeners at a time
SAMPLE = 0.02  # s
TICKS = os.sysconf("SC_CLK_TCK")
FETCH = 'fetch = { loopback = true; retry_pause = "100 ms"; };'
NAME = "bench.img"


class Source:
    """Bytes that are cheap to make, different in each block, and the same each time."""

    def __init__(self, seed, size):
        self.base, self.size = random.Random(seed).randbytes(BLOCK), size
        digest = hashlib.sha256()
        for part in self.parts(0, size):
            digest.update(part)
        self.sha256 = digest.hexdigest()

    def parts(self, at, end):
        while at < end:
            number, skip = divmod(at, BLOCK)
            part = (number.to_bytes(8, "little") + self.base[8:])[skip:skip + end - at]
            yield part
            at += len(part)


# ---- what the processes need ----

def stat_of(pid):
    """(resident bytes, CPU seconds) of a process, or None."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as f:
            resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            times = f.read().rsplit(")", 1)[1].split()
        return (resident, (int(times[11]) + int(times[12])) / TICKS) if resident else None
    except (FileNotFoundError, ProcessLookupError):
        return None


class Sampler(threading.Thread):
    """Samples processes by name, whatever pids they have in the course of time. `pids`: () -> [(name, pid)]."""

    def __init__(self, pids):
        super().__init__(daemon=True)
        self.pids, self.over = pids, threading.Event()
        self.resident = {}  # name -> [bytes]
        self.cpu = {}       # pid -> (CPU seconds when it was first seen, and last)

    def sample(self):
        for name, pid in self.pids():
            found = stat_of(pid)
            if not found:
                continue
            self.resident.setdefault(name, []).append(found[0])
            self.cpu[pid] = (self.cpu.get(pid, found[1:])[0], found[1])

    def run(self):
        while not self.over.wait(SAMPLE):
            self.sample()

    def __enter__(self):
        self.sample()  # what was used before does not count
        self.start()
        return self

    def __exit__(self, *_):
        self.sample()
        self.over.set()
        self.join()

    def cpu_seconds(self):
        return sum(last - first for first, last in self.cpu.values())


def pids_of(trayd):
    def pids():
        process = trayd.process
        if not process:
            return []
        helper = conftest.child_of(process.pid, "trayd-helper")
        return [("trayd", process.pid)] + ([("trayd-helper", helper)] if helper else [])
    return pids


def show(what, size, took, sampler, more=""):
    """One line for each process; False where its memory grew."""
    flat = True
    print(f"{what}: {size / GIB:g} GiB in {took:.1f} s, {size / took / 1e6:.0f} MB/s, "
          f"{sampler.cpu_seconds() * GIB / size:.2f} CPU s/GiB{more}")
    for name, samples in sampler.resident.items():
        quarter = max(len(samples) // 4, 1)
        first, last = (statistics.median(part) for part in (samples[:quarter], samples[-quarter:]))
        good = last - first < FLAT and (name != "trayd" or max(samples) < RESIDENT_MAX)
        flat = flat and good
        print(f"    {name}: {first / 1e6:.1f} MB in the first quarter, {last / 1e6:.1f} MB in the last, "
              f"{max(samples) / 1e6:.1f} MB at most{'' if good else ': TOO MUCH'}")
    return flat


# ---- the ways ----

def send(s, parts):
    try:
        for part in parts:
            s.sendall(part)
        return s.recv(100)
    except OSError:
        return b""


def by_put(trayd, source, _options):
    with trayd.connect(600) as s:
        s.sendall(f"PUT /api/v1/images/{NAME} HTTP/1.1\r\nHost: 127.0.0.1:{trayd.port}\r\n"
                  f"Content-Length: {source.size}\r\n\r\n".encode())
        answer = send(s, source.parts(0, source.size))
    assert answer.startswith(b"HTTP/1.1 201 "), answer
    return ""


def send_piece(trayd, tus, source, at, end):
    """A PATCH for all that is missing, of which only what lies before `end` is sent; returns the status line, if any."""
    with trayd.connect(600) as s:
        lines = [f"PATCH {tus.path} HTTP/1.1", f"Host: 127.0.0.1:{trayd.port}", f"Content-Length: {source.size - at}",
                 f"Upload-Offset: {at}", *(f"{k}: {v}" for k, v in PIECE.items())]
        s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        if end == source.size:
            return send(s, source.parts(at, end))
        try:
            for part in source.parts(at, end):
                s.sendall(part)
        except OSError:
            pass
        return b""


def by_tus(trayd, source, options):
    size, rng = source.size, random.Random(options.seed)
    tus = Tus(Client(trayd.url), NAME, size, sha256=source.sha256)
    at, sent = 0, 0
    cuts = sorted(rng.randrange(size) for _ in range(options.interruptions))
    for turn, cut in enumerate([*cuts, size]):
        while at < cut or (cut == size and at < size):
            status = send_piece(trayd, tus, source, at, cut)
            sent += cut - at
            if cut < size and turn % 3 == 2:
                trayd.stop(signal.SIGKILL, expect=-signal.SIGKILL)
                trayd.start().wait_ready()
                tus.api = Client(trayd.url)
            before, at = at, tus.offset()
            assert at >= before, "acknowledged bytes were lost"
            if cut < size or b" 204 " in status:
                break
    return f", {options.interruptions} interruptions, {max(sent - size, 0) / size:.1%} sent twice"


class BreakingServer(http.server.ThreadingHTTPServer):
    """Has one file, with an ETag and ranges; the first two answers end after a third of it each."""

    daemon_threads = True

    def __init__(self, source):
        self.source, self.breaks, self.asked = source, [source.size // 3, source.size * 2 // 3], []
        super().__init__(("127.0.0.1", 0), BreakingRequest)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}/{NAME}"


class BreakingRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        size = server.source.size
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        server.asked.append(first)
        end = server.breaks.pop(0) if server.breaks else size
        self.send_response(206 if first else 200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(size - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        self.end_headers()
        self.close_connection = True
        for part in server.source.parts(first, end):
            self.wfile.write(part)


def by_url(trayd, source, _options):
    server, api = BreakingServer(source), Client(trayd.url)
    answer = api.post("/api/v1/images", json={"from": "url", "url": server.url}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    while True:
        transfer = api.get("/api/v1/transfers").json()["transfers"][0]
        if transfer["state"] not in ("running", "paused"):
            break
        time.sleep(0.1)
    server.shutdown()
    assert transfer["state"] == "done", transfer
    assert len(server.asked) == 3 and server.asked == sorted(server.asked), server.asked
    return f", broken off at {', '.join(f'{at / source.size:.0%}' for at in server.asked[1:])}"


WAYS = {"put": by_put, "tus": by_tus, "url": by_url}


def measure(way, source, options):
    trayd = conftest.Trayd(more=FETCH).wait_ready()
    try:
        with Sampler(pids_of(trayd)) as sampler:
            began = time.monotonic()
            more = WAYS[way](trayd, source, options)
            took = time.monotonic() - began
        image = Client(trayd.url).get("/api/v1/images/" + NAME).json()
        flat = show(way, source.size, took, sampler, more)
        good = image["sha256"] == source.sha256 and image["size"] == source.size
        with open(os.path.join(trayd.store, NAME), "rb") as f:  # and by somebody else's eyes
            good = good and hashlib.file_digest(f, "sha256").hexdigest() == source.sha256
        print("    SHA-256 is", "right" if good else f"WRONG: {image['sha256']} instead of {source.sha256}", flush=True)
        return good and flat
    finally:
        trayd.close()


# ---- beside nginx ----

NGINX_CONF = """
daemon off; master_process off; pid {dir}/pid; error_log stderr; worker_processes 1;
events {{ }}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {dir}/temp;
    proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    server {{ listen 127.0.0.1:{port}; root {dir}/images; location / {{ dav_methods PUT; }} }}
}}
"""


class Nginx:
    def __init__(self, program):
        self.dir = tempfile.mkdtemp(prefix="trayd-nginx-")
        os.mkdir(self.dir + "/images")
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        with open(self.dir + "/nginx.conf", "w", encoding="ascii") as f:
            f.write(f"user {conftest.pwd.getpwuid(os.geteuid()).pw_name};" + NGINX_CONF.format(dir=self.dir, port=self.port))
        self.process = subprocess.Popen([program, "-p", self.dir, "-c", self.dir + "/nginx.conf"])
        conftest.wait_until(self.listens, "nginx listens")

    def listens(self):
        assert self.process.poll() is None, "nginx does not start"
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def put(self, source):
        with socket.create_connection(("127.0.0.1", self.port), 600) as s:
            s.sendall(f"PUT /{NAME} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {source.size}\r\n\r\n".encode())
            answer = send(s, source.parts(0, source.size))
        assert answer.startswith(b"HTTP/1.1 201 "), answer
        with open(f"{self.dir}/images/{NAME}", "rb") as f:  # nginx does not do that, and trayd's answer means it
            os.fsync(f.fileno())
        os.unlink(f"{self.dir}/images/{NAME}")

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.dir)


def timed(pids, action):
    with Sampler(pids) as sampler:
        began = time.monotonic()
        action()
        return time.monotonic() - began, sampler.cpu_seconds()


def beside_nginx(source, options):
    program = os.environ.get("TRAYD_NGINX") or shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        print("nginx is not installed: no comparison")
        return
    trayd, nginx = conftest.Trayd().wait_ready(), Nginx(program)
    pairs = []
    try:
        for _ in range(options.nginx):
            ours = timed(pids_of(trayd), lambda: by_put(trayd, source, options))
            trayd.request("DELETE", "/api/v1/images/" + NAME)
            theirs = timed(lambda: [("nginx", nginx.process.pid)], lambda: nginx.put(source))
            pairs.append((ours, theirs))
            print(f"PUT of {source.size / GIB:g} GiB: trayd {ours[0]:.2f} s, {ours[1] * GIB / source.size:.2f} CPU s/GiB; "
                  f"nginx and fsync {theirs[0]:.2f} s, {theirs[1] * GIB / source.size:.2f} CPU s/GiB; "
                  f"{ours[0] / theirs[0]:.2f} times", flush=True)
        print(f"median: {statistics.median(o[0] / t[0] for o, t in pairs):.2f} times nginx's wall time")
    finally:
        nginx.close()
        trayd.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", nargs="*", choices=[*WAYS, []], help="which ones (all)")
    parser.add_argument("--size", type=float, default=5, help="GiB (5)")
    parser.add_argument("--short", action="store_true", help="256 MiB")
    parser.add_argument("--interruptions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nginx", type=int, default=0, metavar="ROUNDS")
    options = parser.parse_args()
    source = Source(options.seed, 256 << 20 if options.short else int(options.size * GIB))
    if options.nginx:
        beside_nginx(source, options)
        return 0
    results = [measure(way, source, options) for way in options.way or WAYS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
