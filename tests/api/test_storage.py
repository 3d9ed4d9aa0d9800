"""Storage that hangs under a medium: what the API tells of it, and how it is cut where that is configured."""
import pytest
from contract import QUICK_DRIVES, Client, host, until
from test_events import Listener

DISK = bytes(1 << 20)
# A host that gives a command 6 s: the storage is cut after 4 of them.
PATIENT = QUICK_DRIVES.replace('type = "disk";', 'type = "disk"; host = "linux"; host_command = "6 s"; stuck_after = "4 s";')


def begin(start_trayd, store):
    trayd = start_trayd(more=PATIENT, store=store, gadget='sample_interval = "200 ms";').wait_ready()
    api = Client(trayd.url)
    api.upload("one.img", DISK)
    api.insert("usb0", "one.img", readonly=False)
    host(trayd, "writing usb0 on")
    return trayd, api


@pytest.fixture(name="ours")
def _ours(start_trayd):
    return begin(start_trayd, 'cut = "nbd";')


@pytest.fixture(name="theirs")
def _theirs(start_trayd):
    return begin(start_trayd, "")


def test_a_stall_is_told(theirs):
    trayd, api = theirs
    assert api.drive("usb0")["stall"] is None
    assert api.drive("usb0")["capabilities"]["cut"] == "never"
    host(trayd, "hang usb0 storage")
    until(lambda: api.drive("usb0")["stall"], "the stall")
    stall = api.drive("usb0")["stall"]
    assert stall["waiting_for"] == "storage" and not stall["shared"]
    assert "resets the whole device: cd0, usb0" in stall["what_happens"]
    assert stall["since"] < stall["host_patience_until"]
    until(lambda: "most likely" in api.drive("usb0")["stall"]["what_happens"], "the end of the host's patience")
    assert api.drive("usb0")["storage_cut"] is None
    host(trayd, "hang usb0 off")
    until(lambda: api.drive("usb0")["stall"] is None, "the end of the stall")


def test_what_is_ours_is_cut_in_time(ours):
    trayd, api = ours
    listener = Listener(trayd.url)
    try:
        assert api.drive("usb0")["capabilities"]["cut"] == "nbd"
        host(trayd, "hang usb0 storage")
        until(lambda: api.drive("usb0")["stall"], "the stall")
        assert "the storage is cut (nbd)" in api.drive("usb0")["stall"]["what_happens"]
        assert listener.until("storage_cut") == {"drive": "usb0", "image": "one.img", "store": "main", "how": "nbd"}
    finally:
        listener.close()
    until(lambda: api.drive("usb0")["stall"] is None, "the host goes on")
    drive = api.drive("usb0")
    assert (drive["state"], drive["storage_cut"]["how"], drive["storage_cut"]["error"]) == ("loaded", "nbd", None)
    done = api.eject("usb0", mode="forced")
    assert done["storage_cut"] and done["durable"] is False and done["data_may_be_lost"]
    assert api.drive("usb0")["storage_cut"] is None


def test_force_is_permission(ours):
    trayd, api = ours
    host(trayd, "hang usb0 storage")
    done = api.eject("usb0", mode="forced")
    assert done["forced"] and done["storage_cut"] and "cut" in [step["rung"] for step in done["steps"]]
    assert api.drive("usb0")["state"] == "empty"


def test_break_io_is_too(ours):
    trayd, api = ours
    host(trayd, "hang usb0 storage")
    answer = api.post("/api/v1/drives/usb0/break-io", json={}).json()
    assert (answer["found"], answer["did"]) == ("storage", "cut")
    assert "stays dead" in answer["host_sees"]
    until(lambda: api.drive("usb0")["evidence"]["waiting_for"] == "nothing", "the end of it")
