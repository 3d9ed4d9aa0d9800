"""The real trayd, started for tests: simulated, on a free port, with directories of its own.

    trayd, api     a fresh one for each test, and a Client of it
    shared_trayd   one for all tests of a run, for those that leave it as they found it
    start_trayd    makes as many as a test wants, with other settings

TRAYD_BIN names the program; trayd-gadget is taken from beside it. Every answer that comes through `request()` is
checked: its headers, and that an error is a complete problem document.
"""
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest
import requests
from contract import Client

BINARY = pathlib.Path(os.environ.get("TRAYD_BIN", "build/release/trayd")).resolve()
LIVENESS = 10  # seconds; a bound on hanging, not on speed

CONFIG = """
server = {{ listen = "127.0.0.1:0"; database = "{dir}/state/trayd.db"; log_level = "debug"; {server} }};
stores = ( {{ name = "main"; path = "{dir}/images"; {store} }} );
gadget = {{ socket = "{dir}/run/gadget.sock"; runtime_dir = "{dir}/run"; state_dir = "{dir}/run/kept"; user = "{user}"; {gadget} }};
{more}
"""

PROBLEM_MEMBERS = {"type": str, "title": str, "status": int, "detail": str, "code": str, "remedy": str}


def wait_until(condition, what, seconds=LIVENESS):
    """Polls until condition() is true; returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def check_problem(status, headers, document):
    assert headers["content-type"] == "application/problem+json", headers
    for name, kind in PROBLEM_MEMBERS.items():
        assert isinstance(document.get(name), kind), (name, document)
    assert document["status"] == status, document
    assert document["type"] == "/problems/" + document["code"]
    assert document["detail"] and document["remedy"]


def check_response(status, headers, body):
    """What holds for every answer. `headers` has lower-case names; `body` is parsed JSON or None."""
    assert headers["x-content-type-options"] == "nosniff", headers
    assert headers["referrer-policy"] == "no-referrer", headers
    assert "server" not in headers
    if status >= 400 and body is not None:
        check_problem(status, headers, body)


def open_files(pid):
    """What its descriptors lead to; of a deleted file the name with " (deleted)"."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:  # closed meanwhile
            pass
    return found


def child_of(parent, name):
    """The pid of the child of that name; None if there is none."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            found = re.fullmatch(r"(\d+) \((.*)\) (.) (\d+) .*", stat.read_text().strip(), re.S)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if found[2] == name and int(found[4]) == parent and found[3] != "Z":
            return int(found[1])
    return None


class Trayd:
    """A running trayd. `directory` holds everything of it; `url` is where it listens."""

    def __init__(self, server="", gadget="", more="", store="", simulate=True, arguments=()):
        # Where a trayd that gave up root can still come: pytest's own directories are closed to others.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="trayd-test-"))
        self.directory.chmod(0o777)
        user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        (self.directory / "trayd.conf").write_text(
            CONFIG.format(dir=self.directory, server=server + f'user = "{user}";', gadget=gadget, user=user, more=more,
                          store=store))
        self.store = str(self.directory / "images")
        self.host_socket = str(self.directory / "run" / "host.sock")
        for name in "run", "images":
            (self.directory / name).mkdir()
            (self.directory / name).chmod(0o777)
        self.arguments = ["--config", str(self.directory / "trayd.conf"), "--simulate" if simulate else "--no-gadget",
                          *arguments]
        self.process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen([BINARY, *self.arguments], stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"trayd \S+: (\S+)\n", line)
        assert found, f"trayd did not start: {line!r}\n{self.messages()}"
        self.url = found[1]
        self.session = requests.Session()
        if self.url.startswith("http:"):
            self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def stop(self, sig=signal.SIGTERM, expect=0):
        self.process.send_signal(sig)
        assert self.process.wait(LIVENESS) == expect, self.messages()
        self.process.stdout.close()
        self.log.close()
        self.process = None

    def close(self):
        try:
            if self.process and self.process.poll() is None:
                self.continue_gadget()
                self.stop()
        finally:
            if self.process:
                self.process.kill()
            shutil.rmtree(self.directory, ignore_errors=True)

    def restart(self):
        self.stop()
        return self.start().wait_ready()

    def _keeper(self):
        return child_of(self.process.pid, "trayd-keeper")

    def stop_gadget(self):
        """Kills trayd-gadget, and keeps the keeper from starting it again."""
        keeper = self._keeper()
        os.kill(keeper, signal.SIGSTOP)
        os.kill(child_of(keeper, "trayd-gadget"), signal.SIGKILL)

    def continue_gadget(self):
        keeper = self._keeper()
        if keeper:
            os.kill(keeper, signal.SIGCONT)

    def messages(self):
        return (self.directory / "log").read_text(errors="replace")

    def request(self, method, path, **kw):
        """As requests.request(), with a path instead of an address; the answer is checked."""
        kw.setdefault("timeout", LIVENESS + 60)
        r = self.session.request(method, self.url + path, **kw)
        if kw.get("stream"):
            return r
        is_json = "json" in r.headers.get("content-type", "") and r.content
        check_response(r.status_code, {k.lower(): v for k, v in r.headers.items()}, r.json() if is_json else None)
        return r

    def connect(self, timeout=LIVENESS):
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def wait_ready(self):
        wait_until(lambda: self.request("GET", "/readyz").status_code == 200, "trayd-gadget connected")
        return self


@pytest.fixture
def start_trayd():
    """start_trayd(server="", gadget="", more="", ...) -> Trayd, closed at the end of the test."""
    started = []

    def start(**kw):
        started.append(Trayd(**kw))
        return started[-1]

    yield start
    for t in started:
        t.close()


@pytest.fixture
def trayd(start_trayd):
    return start_trayd().wait_ready()


@pytest.fixture
def api(trayd):
    return Client(trayd.url)


@pytest.fixture(scope="session")
def shared_trayd():
    t = Trayd(server='header_timeout = "2 s"; body_timeout = "2 s"; ')
    try:
        yield t.wait_ready()
    finally:
        t.close()
