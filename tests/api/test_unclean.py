"""Images that were taken from a host which was writing to them: marked once, kept, shown, acknowledged."""
import json
import os
import pathlib
import subprocess

import pytest
from conftest import BINARY
from contract import QUICK_DRIVES, Client, host, until
from test_events import Listener

IMAGES = "/api/v1/images/"
GADGET = os.path.join(os.path.dirname(BINARY), "trayd-gadget")
MARK = "user.trayd.unclean"


@pytest.fixture(name="begun")
def _begun(start_trayd):
    trayd = start_trayd(more=QUICK_DRIVES).wait_ready()
    api = Client(trayd.url)
    api.upload("stick.img", bytes(1 << 20))
    return trayd, api


def image(api, name="stick.img"):
    return api.get(IMAGES + name).json()


def listed(api, name="stick.img"):
    return next(i for i in api.get("/api/v1/images").json()["images"] if i["name"] == name)


def path(trayd, name="stick.img"):
    return pathlib.Path(trayd.store) / name


def kept(trayd, name="stick.img"):
    """The mark that is kept with the file; None where there is none."""
    try:
        value = os.getxattr(path(trayd, name), MARK)
    except OSError:
        return None
    return json.loads(value) if value else None


def rob(trayd, api, written=4096, name="stick.img"):
    """Takes the stick from a host that wrote to it. Returns the operation."""
    api.insert("usb0", name, readonly=False)
    if written:
        host(trayd, f"write usb0 {written}")
    host(trayd, "lock usb0")
    operation = api.eject("usb0", mode="forced")
    host(trayd, "unlock usb0")
    return operation


def settle(api):
    """The next writable medium may go in."""
    assert api.post("/api/v1/gadget/reattach", json={}).status_code == 200


def test_a_forced_eject(begun):
    trayd, api = begun
    assert image(api)["unclean"] is None and listed(api)["unclean"] is None
    listener = Listener(trayd.url)
    try:
        operation = rob(trayd, api)
        told = listener.until("image", lambda data: data["unclean"])
    finally:
        listener.close()
    assert operation["taken"] == {"image": "stick.img", "store": "main", "readonly": False, "bytes_written": 4096,
                                  "unclean": "forced"}
    mark = image(api)["unclean"]
    assert mark == {"at": operation["emptied_at"], "by": operation["by"], "operation": operation["id"], "reason": "forced",
                    "filesystem_dirty": None}
    assert told["unclean"] == mark == listed(api)["unclean"]
    until(lambda: kept(trayd), "the mark at the file")
    del mark["filesystem_dirty"]
    assert kept(trayd) == mark
    entries = api.get("/api/v1/audit").json()["entries"]
    ended = next(e for e in entries if e["kind"] == "operation" and e["operation"] == operation["id"])
    assert "unclean" in ended["flags"]


def test_what_is_not_unclean(begun):
    trayd, api = begun
    assert rob(trayd, api, written=0)["taken"]["unclean"] is None  # nobody wrote
    settle(api)
    api.insert("usb0", "stick.img", readonly=True)
    host(trayd, "lock usb0")
    assert api.eject("usb0", mode="forced")["taken"]["readonly"]
    host(trayd, "unlock usb0")
    api.insert("usb0", "stick.img", readonly=False)
    host(trayd, "write usb0 4096")
    gentle = api.eject("usb0")
    assert gentle["durable"] and gentle["taken"]["bytes_written"] == 4096 and gentle["taken"]["unclean"] is None
    assert api.eject("usb0")["taken"] is None  # it was empty
    assert image(api)["unclean"] is None and kept(trayd) is None


def test_an_insert_takes_the_one_before(begun):
    trayd, api = begun
    api.upload("other.img", bytes(1 << 20))
    api.insert("usb0", "stick.img", readonly=False)
    host(trayd, "write usb0 4096")
    host(trayd, "lock usb0")
    done = api.insert("usb0", "other.img", mode="forced", readonly=True)
    assert (done["image"], done["taken"]["image"], done["taken"]["unclean"]) == ("other.img", "stick.img", "forced")
    assert image(api)["unclean"]["operation"] == done["id"]
    assert image(api, "other.img")["unclean"] is None


def test_acknowledged(begun):
    trayd, api = begun
    rob(trayd, api)
    until(lambda: kept(trayd), "the mark at the file")
    assert api.patch(IMAGES + "stick.img", json={"unclean": True}).status_code == 400
    assert image(api)["unclean"]
    answer = api.patch(IMAGES + "stick.img", json={"unclean": False})
    assert answer.status_code == 200 and answer.json()["unclean"] is None
    assert image(api)["unclean"] is None and kept(trayd) is None
    entry = next(e for e in api.get("/api/v1/audit").json()["entries"] if e["what"] == "edit_image" and e["status"] == 200)
    assert entry["flags"] == ["acknowledged"]
    assert api.patch(IMAGES + "stick.img", json={"unclean": False}).status_code == 200  # that there is none is no error


def test_it_stays_with_the_file(begun):
    trayd, api = begun
    operation = rob(trayd, api)
    until(lambda: kept(trayd), "the mark at the file")
    api.patch(IMAGES + "stick.img", json={"name": "renamed.img"})
    assert image(api, "renamed.img")["unclean"]["operation"] == operation["id"]
    os.rename(path(trayd, "renamed.img"), path(trayd, "by-hand.img"))
    assert image(api, "by-hand.img")["unclean"]["operation"] == operation["id"]
    settle(api)
    api.insert("usb0", "by-hand.img", readonly=False)  # a clean use later does not bring back what was lost
    host(trayd, "write usb0 4096")
    api.eject("usb0")
    assert image(api, "by-hand.img")["unclean"]["operation"] == operation["id"]
    etag = image(api, "by-hand.img")["etag"]
    answer = api.put(IMAGES + "by-hand.img", data=b"new", headers={"If-Match": etag})
    assert answer.status_code == 200 and answer.json()["unclean"] is None  # another content


def test_the_newest_counts(begun):
    trayd, api = begun
    rob(trayd, api)
    settle(api)
    operation = rob(trayd, api)
    assert image(api)["unclean"]["operation"] == operation["id"]
    until(lambda: (kept(trayd) or {}).get("operation") == operation["id"], "the newer mark at the file")


def test_while_the_store_is_away(begun):
    trayd, api = begun
    away = trayd.store + ".away"
    api.insert("usb0", "stick.img", readonly=False)
    host(trayd, "write usb0 4096")
    os.rename(trayd.store, away)
    operation = api.eject("usb0", mode="forced")
    assert operation["taken"]["unclean"]
    until(lambda: "not kept with it" in trayd.messages(), "the attempt")
    trayd.restart()
    api = Client(trayd.url)
    assert api.get(IMAGES + "stick.img").status_code == 404  # an empty store was made at the start
    os.rmdir(trayd.store)
    os.rename(away, trayd.store)
    api.post("/api/v1/stores/main/rescan")
    until(lambda: kept(trayd), "the mark at the file")
    assert image(api)["unclean"]["operation"] == operation["id"]


def test_a_new_image_of_that_name(begun):
    trayd, api = begun
    api.insert("usb0", "stick.img", readonly=False)
    host(trayd, "write usb0 4096")
    os.unlink(path(trayd))
    api.eject("usb0", mode="forced")
    until(lambda: "not kept with it" in trayd.messages(), "the attempt")
    assert api.upload("stick.img", bytes(1 << 20))["unclean"] is None
    assert image(api)["unclean"] is None


@pytest.fixture(name="apart")
def _apart(start_trayd):
    """trayd, and a trayd-gadget that is not its child."""
    trayd = start_trayd(more=QUICK_DRIVES, simulate=False)
    with open(trayd.directory / "gadget.log", "ab") as log:
        gadget = subprocess.Popen([GADGET, "--config", str(trayd.directory / "trayd.conf"), "--simulate", trayd.host_socket], stderr=log)
    try:
        trayd.wait_ready()
        yield trayd
    finally:
        gadget.terminate()
        gadget.wait(60)


def test_while_trayd_is_away(apart):
    trayd = apart
    api = Client(trayd.url)
    api.upload("stick.img", bytes(1 << 20))
    api.insert("usb0", "stick.img", readonly=False)
    host(trayd, "write usb0 4096")
    host(trayd, "lock usb0")
    operation = api.delete("/api/v1/drives/usb0/medium", params={"patience": 2, "on_timeout": "force"},
                           headers={"Prefer": "respond-async"}).json()
    trayd.stop()
    until(lambda: host(trayd, "state usb0") == "empty", "the forced eject")
    assert kept(trayd) is None
    trayd.start().wait_ready()
    api = Client(trayd.url)
    until(lambda: kept(trayd), "the mark at the file")
    assert image(api)["unclean"]["operation"] == operation["id"]


def test_once_for_each_operation(apart):
    """trayd-gadget tells its newest operations again with every connection."""
    trayd = apart
    api = Client(trayd.url)
    for name in "stick.img", "other.img":
        api.upload(name, bytes(1 << 20))
    operation = rob(trayd, api)
    until(lambda: kept(trayd), "the mark at the file")
    api.patch(IMAGES + "stick.img", json={"unclean": False})
    trayd.restart()
    api = Client(trayd.url)
    assert api.get("/api/v1/operations/" + operation["id"]).json()["taken"]["unclean"]
    settle(api)
    rob(trayd, api, name="other.img")  # operations are told in their order, so that one was told before
    until(lambda: kept(trayd, "other.img"), "the other mark")
    assert image(api)["unclean"] is None and kept(trayd) is None
