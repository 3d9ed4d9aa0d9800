"""trayd-gadget is killed at each step of every operation, on the simulation with a kernel that outlives it.

Each case is run once to its end, and its passages of the fault points (base/fault.h) are counted. Then it is run again for
each of them, and killed there; and once more with a second death during the recovery. Afterwards: no enumeration that was
not ordered, one outcome that is true and stays, nothing forgotten that protects the next image, and all works again.
"""
import concurrent.futures
import os
import pathlib
import subprocess
import threading
import time

import pytest
import requests

from conftest import Trayd
from contract import Client, host, until

PROGRAM = pathlib.Path(__file__).parent.parent.parent / "build/faults/trayd-gadget"
HOLD = 0.3  # s; the shortest that the configuration takes
ASYNC = {"Prefer": "respond-async"}
AT_A_TIME = 16
WHOLE = "TRAYD_FAULTS_WHOLE" in os.environ  # make faults
SECOND = (1, 3, 5, 7, 10, 14)  # passages of the next process, at which it dies as well
FINISHED = ("done", "failed", "cancelled")

GADGET = 'reattach_hold = "300 ms"; sample_interval = "100 ms"; '
DRIVE = 'dwell = "0 s"; quiet = "0 s"; quarantine = "10 min"; break_after = "50 ms"; patience = "2 s";'
DRIVES = f"""drives = ( {{ name = "cd0"; type = "cdrom"; {DRIVE} }}, {{ name = "usb0"; type = "disk"; {DRIVE} }} );"""
NO_FORCE = GADGET + 'forced_eject = "off"; '
IMAGES = {"a.iso": 1 << 20, "b.iso": 2 << 20, "d.img": 1 << 20, "e.img": 2 << 20}



class World:
    """trayd, and a trayd-gadget that is started again as often as it dies."""

    def __init__(self, trayd):
        self.trayd = trayd
        self.api = Client(trayd.url)
        self.dir = trayd.directory / "faults"
        self.dir.mkdir()
        (trayd.directory / "run" / "host.sock.kernel").touch()
        self.lives = 0
        self.ending = False
        self.process = None
        self.thread = threading.Thread(target=self._keep)
        self.thread.start()
        self.wait_alive()
        for name, size in IMAGES.items():
            self.api.upload(name, bytes(size))

    def _keep(self):
        with open(self.trayd.directory / "gadget.log", "ab") as log:
            while not self.ending:
                self.process = subprocess.Popen(
                    [PROGRAM, "--config", self.trayd.directory / "trayd.conf", "--simulate", self.trayd.host_socket],
                    env={**os.environ, "TRAYD_FAULTS": str(self.dir)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                self.lives += 1
                self.process.wait()

    def close(self):
        self.ending = True
        self.process.terminate()
        self.thread.join()

    def deaths(self):
        path = self.dir / "deaths"
        return path.read_text().splitlines() if path.exists() else []

    def is_ready(self):
        return (requests.get(self.trayd.url + "/readyz", timeout=10).status_code == 200 and
                self.gadget()["found"] is not None and [d["stuck"] for d in self.drives()] == [None, None])

    def gadget(self):
        return self.api.get("/api/v1/system").json().get("gadget") or {"found": None, "reattaching": None}

    def drives(self):
        """Those that can be asked for: none while trayd-gadget is away."""
        return self.api.get("/api/v1/drives").json().get("drives", [])

    def wait_alive(self):
        until(self.is_ready, "a trayd-gadget that is ready")
        until(lambda: self.gadget()["reattaching"] is False, "the end of a reattach")

    def enumerations(self):
        return int(host(self.trayd, "enumerations"))

    def kernel(self, drive):
        """What the simulated kernel shows: the image's name and "ro" or "rw"; None when empty, "gone" when unplugged."""
        words = host(self.trayd, "state " + drive).split()
        return (os.path.basename(words[3]), words[2]) if words[0] == "present" else None if words[0] == "empty" else "gone"

    def newest(self, drive):
        found = self.api.get(f"/api/v1/operations?drive={drive}&limit=1").json()["operations"]
        return found[0] if found else {"id": ""}

    def let_go(self, drive):
        """The host goes on with the command in the middle of which it stopped."""
        def tell():
            try:
                return host(self.trayd, f"hang {drive} off") is not None
            except OSError:
                return False  # trayd-gadget, which plays the host as well, has just begun
        until(tell, "the simulated host")

    def rest(self):
        """Both drives empty, the host unsuspected: by a pause that is long enough."""
        for drive in "cd0", "usb0":
            for what in "hang", "reading", "writing":
                host(self.trayd, f"{what} {drive} off")
            host(self.trayd, f"unlock {drive}")
        self.api.post("/api/v1/gadget/attach")
        for drive in "cd0", "usb0":
            self.api.eject(drive, mode="forced")  # asked, a drive whose lock a signal took away is not given
        self.api.post("/api/v1/gadget/detach", json={"allow_collateral": True})
        time.sleep(HOLD + 0.02)  # what makes the host forget is time
        self.api.post("/api/v1/gadget/attach")
        until(lambda: all(d["state"] == "empty" and not d["stale_host"] for d in self.drives()), "rest")

    def fresh_insert(self, drive, image, **members):
        """And what the kernel shows is what was asked for."""
        self.api.insert(drive, image, **members)
        assert self.kernel(drive)[0] == image


class Case:
    """drive, method, path and body of a request; what is in before, and what the host does."""

    def __init__(self, name, method, path, body=None, drive="cd0", before=(), busy=(), gadget=GADGET, reattaches=False,
                 target=None, breaks=False):
        self.name, self.method, self.path, self.body, self.drive = name, method, path, body, drive
        self.before, self.busy, self.gadget, self.reattaches = before, busy, gadget, reattaches
        self.target = target      # what the kernel shows when it is done: None is empty
        self.breaks = breaks      # the host's command is interrupted

    def __repr__(self):
        return self.name

    def prepare(self, world):
        world.rest()
        for drive, image, members in self.before:
            world.fresh_insert(drive, image, **members)
        for command in self.busy:
            host(world.trayd, command)

    def begin(self, world):
        try:
            answer = world.api.request(self.method, "/api/v1/" + self.path, json=self.body, headers=ASYNC)
            assert answer.status_code in (200, 202, 503), answer.text
        except requests.ConnectionError:
            pass

    def writable(self):
        return self.before and self.before[0][0] == self.drive and self.before[0][2].get("readonly") is False


FORCED = "drives/{}/medium?mode=forced&allow_collateral=true"
CD = ("cd0", "a.iso", {})
STICK = ("usb0", "d.img", {"readonly": False})
CASES = [
    Case("insert", "put", "drives/usb0/medium", {"image": "d.img", "readonly": False}, "usb0", target=("d.img", "rw")),
    Case("eject", "delete", "drives/cd0/medium", before=[CD]),
    Case("eject_locked", "delete", "drives/cd0/medium?patience=0.1", before=[CD], busy=["lock cd0"]),
    Case("eject_stick", "delete", "drives/usb0/medium", drive="usb0", before=[STICK]),
    Case("forced", "delete", FORCED.format("cd0"), before=[CD], busy=["reading cd0 on"]),
    Case("forced_stick", "delete", FORCED.format("usb0"), drive="usb0", before=[STICK], busy=["writing usb0 on"]),
    Case("replace", "put", "drives/cd0/medium", {"image": "b.iso"}, before=[CD], target=("b.iso", "ro")),
    Case("swap", "put", "drives/cd0/medium", {"image": "b.iso", "swap": "direct"}, before=[CD], target=("b.iso", "ro")),
    Case("break_and_eject", "post", "drives/cd0/break-io", {"then": "eject"}, before=[CD], busy=["hang cd0 host"], breaks=True),
    Case("forced_breaks", "delete", FORCED.format("usb0"), drive="usb0", before=[STICK], busy=["hang usb0 host"], breaks=True),
    Case("signal", "delete", FORCED.format("cd0"), before=[CD], busy=["lock cd0"], gadget=NO_FORCE),
    Case("signal_breaks", "delete", FORCED.format("usb0"), drive="usb0", before=[STICK], busy=["writing usb0 on"],
         gadget=NO_FORCE + 'reattach = "never"; ', breaks=True),
    Case("forced_reattach", "delete", FORCED.format("usb0"), drive="usb0", before=[STICK], busy=["writing usb0 on"],
         gadget=NO_FORCE, reattaches=True),
    Case("insert_reattach", "put", "drives/usb0/medium", {"image": "e.img", "readonly": False, "reattach": True,
                                                          "mode": "forced"}, "usb0",
         before=[STICK], busy=["writing usb0 on"], target=("e.img", "rw"), reattaches=True),
    Case("reattach", "post", "gadget/reattach", {"allow_collateral": True}, "usb0", before=[STICK], reattaches=True),
    Case("detach", "post", "gadget/detach", {"allow_collateral": True}, "usb0", before=[STICK]),
]


def check_marks(world, case, before):
    """What protects the next image is not forgotten, and holds."""
    drive = world.api.drive(case.drive)
    shown = world.kernel(case.drive)
    new_host = world.enumerations() > before
    taken = case.writable() and "forced" in case.path + str(case.body) and shown != ("d.img", "rw") and shown != "gone"
    if taken and not new_host:
        assert drive["stale_host"] is True, drive
        refused = world.api.request("put", f"/api/v1/drives/{case.drive}/medium", json={"image": "e.img", "readonly": False})
        assert refused.json()["code"] in ("stale_host", "quarantine", "medium_in_use"), refused.text
    if case.breaks and shown is None and not new_host:
        assert drive["quarantine_until"] is not None, drive
        refused = world.api.request("put", f"/api/v1/drives/{case.drive}/medium",
                                    json={"image": "b.iso", "readonly": True, "patience": 0})
        assert refused.json()["code"] == "quarantine", refused.text


def check_outcome(world, case, known):
    """It has one, which is what the kernel shows."""
    operation = world.newest(case.drive)
    if operation["id"] == known:
        return None  # killed before it was accepted
    until(lambda: world.newest(case.drive)["state"] in FINISHED, "an outcome")
    operation = world.newest(case.drive)
    shown = world.kernel(case.drive)
    if operation["state"] == "done":
        assert shown == case.target, (operation, shown)
    else:
        assert operation["state"] == "failed" and operation["detail"], operation
        assert shown != case.target or "stuck" in operation["detail"], ("what was asked for is so", operation, shown)
        assert operation["code"] == "interrupted" or (operation["code"] == "medium_in_use" and case.name == "eject_locked")
    return operation


def check_afterwards(world, case, before, known):
    world.wait_alive()
    host_sees = world.enumerations() - before
    bound = world.gadget()["bound"]
    if case.reattaches:
        assert bound and host_sees <= 1, host_sees
    else:
        assert host_sees == 0, "the host saw an enumeration that nobody ordered"
        assert bound or case.name == "detach"
    operation = check_outcome(world, case, known) if "drives/" in case.path else None
    until(lambda: world.api.drive(case.drive)["operation"] is None, "the drive at rest")
    drive, shown = world.api.drive(case.drive), world.kernel(case.drive)
    if bound:
        medium = drive["medium"] and (drive["medium"]["image"], "ro" if drive["medium"]["readonly"] else "rw")
        assert medium == shown, (drive, shown)
    check_marks(world, case, before)
    if operation:
        assert world.api.get("/api/v1/operations/" + operation["id"]).json() == operation, "the outcome has changed"


def run_once(world, case, order):
    """Returns how many have died of it."""
    (world.dir / "order").unlink(missing_ok=True)
    (world.dir / "deaths").unlink(missing_ok=True)
    case.prepare(world)
    known, before, lives = world.newest(case.drive)["id"], world.enumerations(), world.lives
    (world.dir / "order").write_text(order)
    case.begin(world)
    # Until all have died that are to, or all is done that there was to do.
    until(lambda: len(world.deaths()) == order.count("\n") or world.is_ready() and at_rest(world, case), "the end")
    (world.dir / "order").unlink()
    died = len(world.deaths())
    until(lambda: world.lives >= lives + died, "another trayd-gadget")
    for command in case.busy:
        if command.startswith("hang"):
            world.let_go(case.drive)
    world.wait_alive()
    check_afterwards(world, case, before, known)
    return died


def at_rest(world, case):
    operation = world.newest(case.drive)
    return (operation.get("state") in (None, *FINISHED) and world.gadget()["reattaching"] is False and
            all(d["operation"] is None for d in world.drives()))


def record(world, case):
    (world.dir / "passages").touch()
    case.prepare(world)
    (world.dir / "passages").write_text("")
    known, before = world.newest(case.drive)["id"], world.enumerations()
    case.begin(world)
    until(lambda: at_rest(world, case), "the end")
    passages = (world.dir / "passages").read_text().split("\n")[:-1]
    (world.dir / "passages").unlink()
    check_afterwards(world, case, before, known)
    return passages


def orders(once, n, second):
    """Of passage n: every second one with another death behind it, or all with and without."""
    if WHOLE:
        return once, once + second
    return (once + second if n % 2 else once,)


def sweep(case):
    """All deaths of one case. Returns the number of passages and of deaths; raises what did not hold."""
    trayd = Trayd(simulate=False, gadget=case.gadget, more=DRIVES)
    world = None
    try:
        world = World(trayd)
        passages = record(world, case)
        assert "daemon state.written" in passages
        died = 0
        for n in range(1, len(passages) + 1):
            second = f"* {SECOND[n % len(SECOND)]} daemon\n"
            for order in orders(f"* {n} daemon\n", n, second):
                try:
                    died += run_once(world, case, order)
                except Exception as e:
                    log = (trayd.directory / "gadget.log").read_text()[-4000:]
                    raise AssertionError(f"{order!r} of {passages}, {world.deaths()}: {e!r}\n{log}") from e
        return len(passages), died
    finally:
        if world:
            world.close()
        trayd.close()


@pytest.fixture(scope="session", name="sweeps")
def _sweeps(request):
    """Every case that was selected, several at a time: most of it is waiting."""
    cases = [item.callspec.params["case"] for item in request.session.items
             if item.function is test_killed_at_each_passage and PROGRAM.exists()]
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_A_TIME) as pool:
        yield {case.name: pool.submit(sweep, case) for case in cases}


@pytest.mark.skipif(not PROGRAM.exists(), reason="not built: make VARIANT=faults")
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_killed_at_each_passage(sweeps, case):
    passages, died = sweeps[case.name].result()
    print(f"{case}: {passages} passages, {died} deaths")
    assert died >= passages, "at least each was reached, or nearly each and as many of the second ones"
