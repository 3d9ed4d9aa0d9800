"""POST /drives/{drive}/break-io: the operator's "let go, now"."""
import time

import pytest

from contract import QUICK_DRIVES, Client, host, until

CD = bytes(1 << 20)
BREAKABLE = QUICK_DRIVES.replace('type = "cdrom";', 'type = "cdrom"; break_after = "60 s"; host_command = "2 min"; quarantine = "2 s";')


@pytest.fixture(name="kvm")
def _kvm(start_trayd):
    trayd = start_trayd(more=BREAKABLE).wait_ready()
    api = Client(trayd.url)
    api.upload("one.iso", CD)
    api.insert("cd0", "one.iso")
    return trayd, api


def break_io(api, status=200, **body):
    answer = api.post("/api/v1/drives/cd0/break-io", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_nothing_to_break(kvm):
    _, api = kvm
    answer = break_io(api)
    assert (answer["found"], answer["did"], answer["operation"]) == ("nothing", "nothing", None)
    assert api.drive("cd0")["state"] == "loaded"


def test_what_waits_for_the_host_goes_on(kvm):
    trayd, api = kvm
    host(trayd, "hang cd0 host")
    answer = break_io(api)
    assert (answer["found"], answer["did"]) == ("host", "signal")
    assert "usb0" in answer["host_sees"] and "reset" in answer["host_sees"]
    assert api.drive("cd0")["state"] == "loaded", "the medium stays in"
    # Whatever takes it out now leaves a host that may repeat the command.
    began = time.monotonic()
    api.eject("cd0")
    assert api.drive("cd0")["state"] == "quarantine"
    api.insert("cd0", "one.iso", status=503, patience=0)
    done = api.insert("cd0", "one.iso", patience=10)
    assert "quarantine" in [step["rung"] for step in done["steps"]]
    assert time.monotonic() - began >= 1.5


def test_then_eject(kvm):
    trayd, api = kvm
    host(trayd, "lock cd0")
    host(trayd, "hang cd0 host")
    operation = break_io(api, then="eject")["operation"]
    assert operation["mode"] == "forced"
    until(lambda: api.get("/api/v1/operations/" + operation["id"]).json()["state"] == "done", "the eject")
    assert api.drive("cd0")["medium"] is None


def test_storage_is_not_helped(kvm):
    trayd, api = kvm
    host(trayd, "hang cd0 storage")
    answer = break_io(api)
    assert (answer["found"], answer["did"]) == ("storage", "nothing")
    host(trayd, "hang cd0 off")


def test_refusals(kvm):
    _, api = kvm
    assert break_io(api, status=400, then="perhaps")["code"] == "bad_request"
    assert break_io(api, status=400, when="now")["code"] == "bad_request"
    assert api.post("/api/v1/drives/cd7/break-io", json={}).json()["code"] == "not_found"
