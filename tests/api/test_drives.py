"""Drives and media: inserting, ejecting by the button and by the pinhole, and every refusal that a client can meet."""
import datetime
import os
import threading
import time

import pytest
from contract import QUICK_DRIVES, Client, host, until

CD = bytes(1 << 20)   # a CD needs 614400 bytes
DISK = bytes(1 << 16)


@pytest.fixture
def trayd(start_trayd):
    return start_trayd(more=QUICK_DRIVES).wait_ready()


@pytest.fixture
def api(trayd):
    client = Client(trayd.url)
    client.upload("a.iso", CD)
    client.upload("b.iso", CD + b"b" * 2048)
    client.upload("c.img", DISK)
    return client


def sparse(trayd, name, size):
    path = os.path.join(trayd.store, name)
    with open(path, "wb") as f:
        f.truncate(size)
    os.chmod(path, 0o666)


def test_list_and_get(api):
    drives = api.get("/api/v1/drives").json()["drives"]
    assert [d["name"] for d in drives] == ["cd0", "usb0"]
    assert [d["type"] for d in drives] == ["cdrom", "disk"]
    assert drives[0]["state"] == "empty" and drives[0]["medium"] is None
    assert api.drive("usb0")["name"] == "usb0"
    assert api.get("/api/v1/drives/cd7").json()["code"] == "not_found"
    assert api.get("/api/v1/drives/cd0/medium").json()["code"] == "no_medium"


def test_insert_and_eject(api, trayd):
    done = api.insert("cd0", "a.iso")
    assert (done["state"], done["action"], done["image"], done["store"]) == ("done", "insert", "a.iso", "main")
    assert done["readonly"] is True and done["unchanged"] is False
    assert [step["rung"] for step in done["steps"]] == ["open", "insert"]
    assert host(trayd, "state cd0").startswith(f"present {len(CD)} ro")

    medium = api.get("/api/v1/drives/cd0/medium")
    assert medium.json()["image"] == "a.iso" and medium.json()["size"] == len(CD) and medium.json()["readonly"] is True
    assert medium.headers["ETag"] == medium.json()["etag"]
    assert api.drive("cd0")["state"] == "loaded"
    assert api.get("/api/v1/images/a.iso").json()["drives"] == ["cd0"]

    done = api.eject("cd0")
    assert done["state"] == "done" and done["forced"] is False and done["emptied_at"]
    assert host(trayd, "state cd0").startswith("empty")
    assert api.drive("cd0")["state"] == "empty"
    assert api.get("/api/v1/images/a.iso").json()["drives"] == []


def test_the_etag_changes_with_every_insert_and_eject(api):
    seen = set()
    for _ in range(2):
        api.insert("cd0", "a.iso", swap="direct")
        seen.add(api.get("/api/v1/drives/cd0/medium").headers["ETag"])
        api.eject("cd0")
        api.insert("cd0", "b.iso", swap="direct")
        seen.add(api.get("/api/v1/drives/cd0/medium").headers["ETag"])
        api.insert("cd0", "a.iso", swap="direct")
        seen.add(api.get("/api/v1/drives/cd0/medium").headers["ETag"])
        api.eject("cd0")
    assert len(seen) == 6


def test_the_medium_is_not_sent_twice(api):
    api.insert("cd0", "a.iso")
    etag = api.get("/api/v1/drives/cd0/medium").headers["ETag"]
    answer = api.get("/api/v1/drives/cd0/medium", headers={"If-None-Match": etag})
    assert answer.status_code == 304 and answer.headers["ETag"] == etag and answer.content == b""
    assert api.get("/api/v1/drives/cd0/medium", headers={"If-None-Match": '"other"'}).status_code == 200
    assert api.get("/api/v1/drives/cd0/medium", headers={"If-Match": '"other"'}).status_code == 412


def test_nothing_to_do_succeeds(api):
    assert api.eject("cd0")["unchanged"] is True
    api.insert("cd0", "a.iso")
    etag = api.get("/api/v1/drives/cd0/medium").headers["ETag"]
    assert api.insert("cd0", "a.iso")["unchanged"] is True
    assert api.get("/api/v1/drives/cd0/medium").headers["ETag"] == etag


def test_the_same_image_in_another_way(api):
    api.insert("usb0", "c.img", readonly=True)
    assert api.insert("usb0", "c.img", status=409, readonly=False)["code"] == "medium_differs"
    assert api.get("/api/v1/drives/usb0/medium").json()["readonly"] is True


def test_a_disk_is_writable_unless_said_otherwise(api, trayd):
    api.insert("usb0", "c.img")
    assert api.get("/api/v1/drives/usb0/medium").json()["readonly"] is False
    assert " rw " in host(trayd, "state usb0")
    api.eject("usb0")
    os.chmod(os.path.join(trayd.store, "c.img"), 0o444)
    api.insert("usb0", "c.img")
    assert api.get("/api/v1/drives/usb0/medium").json()["readonly"] is True


@pytest.mark.parametrize("drive, image, status, code", [
    ("cd0", "none.iso", 404, "image_missing"),
    ("cd9", "a.iso", 404, "not_found"),
    ("cd0", "small.iso", 422, "image_too_small_for_cdrom"),
    ("cd0", "large.iso", 422, "image_too_large_for_cdrom"),
    ("usb0", "tiny.img", 422, "image_unusable"),
])
def test_refused_images(api, trayd, drive, image, status, code):
    sparse(trayd, "small.iso", 300 * 2048 - 2048)
    sparse(trayd, "large.iso", 2_400_000_000)
    sparse(trayd, "tiny.img", 100)
    problem = api.insert(drive, image, status=status)
    assert problem["code"] == code and problem["remedy"]
    if drive != "cd9":
        assert api.drive(drive)["state"] == "empty"


def test_what_is_too_large_for_a_cd_fits_a_disk(api, trayd):
    sparse(trayd, "large.iso", 2_400_000_000)
    assert api.insert("usb0", "large.iso")["state"] == "done"


def test_refused_for_the_type(api):
    assert api.insert("cd0", "a.iso", status=422, type="disk")["code"] == "drive_type_differs"
    assert api.insert("cd0", "a.iso", type="cdrom")["state"] == "done"


def test_one_image_is_never_in_two_drives_for_writing(api):
    api.upload("d.iso", CD)
    api.insert("usb0", "d.iso")
    assert api.insert("cd0", "d.iso", status=409)["code"] == "image_in_use"
    api.eject("usb0")
    api.insert("usb0", "d.iso", readonly=True)
    assert api.insert("cd0", "d.iso")["state"] == "done"


def test_a_locked_medium_stays_and_the_evidence_says_so(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    problem = api.eject("cd0", status=423, patience=0)
    assert problem["code"] == "medium_in_use"
    assert problem["evidence"]["lock"] == "locked" and problem["evidence"]["lock_seen_at"]
    assert problem["drive"] == "cd0"
    failed = api.get("/api/v1/operations/" + problem["operation"]).json()
    assert (failed["state"], failed["code"]) == ("failed", "medium_in_use")
    assert api.get("/api/v1/drives/cd0/medium").json()["image"] == "a.iso"
    assert api.drive("cd0")["evidence"]["lock"] == "locked"


def test_an_eject_goes_through_when_the_host_lets_go_in_time(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    waiting = api.eject("cd0", status=202, headers={"Prefer": "respond-async"}, patience=30)
    until(lambda: api.drive("cd0")["evidence"]["lock"] == "locked", "the lock")
    until(lambda: api.get("/api/v1/operations/" + waiting["id"]).json()["state"] == "waiting", "a pause between two tries")
    host(trayd, "unlock cd0")
    done = until(lambda: finished(api, waiting["id"]))
    assert done["state"] == "done" and done["forced"] is False


def test_a_try_that_is_seen_is_not_seen_for_longer_than_it_takes(api, trayd):
    """The drive is told for what the host reads, also in the moment in which the eject asks once more."""
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    api.eject("cd0", status=202, headers={"Prefer": "respond-async"}, patience=20)
    until(lambda: api.drive("cd0")["operation"]["state"] == "waiting", "the first refusal")
    states, end = [], time.monotonic() + 6
    while time.monotonic() < end:
        host(trayd, "read cd0 4096")
        states.append(api.drive("cd0")["operation"]["state"])
    assert states.count("waiting") > 0.7 * len(states)  # a try takes some ms of every half second


def finished(api, identity):
    operation = api.get("/api/v1/operations/" + identity).json()
    return operation if operation["state"] in ("done", "failed", "cancelled") else None


def test_the_pinhole(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    done = api.eject("cd0", mode="forced")
    assert done["state"] == "done" and done["forced"] is True
    assert api.get("/api/v1/drives/cd0/medium").status_code == 404


def test_force_when_patience_ends(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    done = api.eject("cd0", patience=0.2, on_timeout="force")
    assert done["state"] == "done" and done["forced"] is True
    assert "ask" in [step["rung"] for step in done["steps"]] and "force" in [step["rung"] for step in done["steps"]]


def test_a_lock_can_be_overridden_when_nobody_reads(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "read cd0 4096")
    host(trayd, "lock cd0")
    assert api.eject("cd0", status=423, patience=0.1, lock_policy="release_when_quiet")["code"] == "medium_in_use"
    done = api.eject("cd0", patience=1.5, lock_policy="release_when_quiet")
    assert done["state"] == "done" and done["lock_overridden"] is True


def test_a_forced_eject_takes_over_a_waiting_one(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    waiting = api.eject("cd0", status=202, headers={"Prefer": "respond-async"}, patience=30)
    assert api.eject("cd0", mode="forced")["state"] == "done"
    assert until(lambda: finished(api, waiting["id"]))["state"] == "done"


def test_the_host_that_was_robbed_of_a_writable_medium(api, trayd):
    api.insert("usb0", "c.img")
    host(trayd, "write usb0 65536")
    host(trayd, "lock usb0")
    done = api.eject("usb0", mode="forced")
    assert done["stale_host"] is True
    assert api.drive("usb0")["stale_host"] is True
    assert api.insert("usb0", "c.img", status=409)["code"] == "stale_host"
    assert api.insert("usb0", "c.img", readonly=True)["state"] == "done"
    assert api.insert("usb0", "a.iso", readonly=False, reattach=True, allow_collateral=True)["reattached"] is True
    assert api.drive("usb0")["stale_host"] is False


def test_the_host_ejects_by_itself(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "eject cd0")
    until(lambda: api.drive("cd0")["state"] == "empty", "the host's eject")
    assert api.get("/api/v1/drives/cd0/medium").json()["code"] == "no_medium"


def test_conditions(api):
    api.insert("cd0", "a.iso", headers={"If-None-Match": "*"})
    etag = api.get("/api/v1/drives/cd0/medium").headers["ETag"]
    assert api.insert("cd0", "b.iso", status=412, headers={"If-None-Match": "*"})["code"] == "precondition_failed"
    assert api.insert("cd0", "b.iso", status=412, headers={"If-Match": '"x"'})["code"] == "precondition_failed"
    assert api.insert("cd0", "b.iso", status=400, headers={"If-Match": "x"})["code"] == "bad_request"
    assert api.eject("cd0", status=412, headers={"If-Match": '"x"'})["code"] == "precondition_failed"
    assert api.eject("cd0", status=412, headers={"If-Match": "W/" + etag})["code"] == "precondition_failed"
    assert api.get("/api/v1/drives/cd0/medium").headers["ETag"] == etag
    assert api.insert("cd0", "b.iso", headers={"If-Match": f'"x", {etag}'}, swap="direct")["state"] == "done"
    assert api.eject("cd0", status=412, headers={"If-Match": etag})["code"] == "precondition_failed"
    assert api.eject("cd0", headers={"If-Match": "*"})["state"] == "done"
    assert api.eject("cd0", status=412, headers={"If-Match": "*"})["code"] == "precondition_failed"


def test_prefer(api, trayd):
    answer = api.put("/api/v1/drives/cd0/medium", json={"image": "a.iso"}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202 and answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["Location"] == "/api/v1/operations/" + answer.json()["id"]
    assert until(lambda: finished(api, answer.json()["id"]))["state"] == "done"
    host(trayd, "lock cd0")
    began = time.monotonic()
    answer = api.delete("/api/v1/drives/cd0/medium?patience=60", headers={"Prefer": "wait=1"})
    assert answer.status_code == 202 and answer.headers["Preference-Applied"] == "wait=1"
    assert 0.9 < time.monotonic() - began < 10
    host(trayd, "unlock cd0")


def test_a_repeated_request_joins(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    first = api.eject("cd0", status=202, headers={"Prefer": "wait=0"}, patience=60)
    second = api.eject("cd0", status=202, headers={"Prefer": "wait=0"}, patience=60)
    assert first["id"] == second["id"]
    host(trayd, "unlock cd0")


def test_those_who_wait_do_not_hold_up_others(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(Client(trayd.url).eject("cd0", patience=60)))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: api.drive("cd0")["operation"], "the operation")
    began = time.monotonic()
    for _ in range(20):
        assert api.get("/api/v1/drives").status_code == 200
    assert time.monotonic() - began < 5
    host(trayd, "unlock cd0")
    for thread in threads:
        thread.join()
    assert len({a["id"] for a in answers}) <= 2 and {a["state"] for a in answers} == {"done"}


def test_the_drive_stays_empty_for_its_dwell(start_trayd):
    api = Client(start_trayd(more=QUICK_DRIVES.replace("0 s", "600 ms")).wait_ready().url)
    api.upload("a.iso", CD)
    api.upload("b.iso", CD)
    api.insert("cd0", "a.iso")
    done = api.insert("cd0", "b.iso")
    inserted = api.get("/api/v1/drives/cd0/medium").json()["inserted_at"]
    assert (parse(inserted) - parse(done["emptied_at"])).total_seconds() >= 0.6


def parse(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


@pytest.mark.parametrize("body", [
    None, b"", b"x", b"[]", b"{}", b'{"image": 7}', b'{"image": ""}', b'{"image": "a.iso", "imgae": 1}',
    b'{"image": "../a.iso"}', b'{"image": "a.iso", "image": "b.iso"}', b'{"image": "a.iso", "mode": "rough"}',
    b'{"image": "a.iso", "patience": -1}', b'{"image": "a.iso", "patience": 1e9}', b'{"image": "a.iso", "store": 1}',
    b'{"image": "a.iso", "readonly": "yes"}', b'{"image": "a\x80.iso"}', b"[" * 4000, b'{"image": "a.iso"',
])
def test_malformed_inserts(api, body):
    answer = api.put("/api/v1/drives/cd0/medium", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert api.drive("cd0")["state"] == "empty"


def test_a_misspelt_member_is_named(api):
    assert 'did you mean "readonly"' in api.insert("cd0", "a.iso", status=400, read_only=True)["detail"]


def test_other_content_types(api):
    answer = api.put("/api/v1/drives/cd0/medium", data=b'{"image": "a.iso"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_large_bodies(api):
    answer = api.put("/api/v1/drives/cd0/medium", data=b" " * 9000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize("query", [
    "mode=gentle", "patience=x", "patience=-1", "patience=1e99", "on_timeout=", "lock_policy=ignore",
    "allow_collateral=1", "pateince=1", "mode=orderly&mode=forced",
])
def test_malformed_ejects(api, query):
    api.insert("cd0", "a.iso")
    assert api.delete("/api/v1/drives/cd0/medium?" + query).status_code == 400
    assert api.drive("cd0")["state"] == "loaded"


def test_without_its_gadget(api, trayd):
    """Drives cannot be told about, images can."""
    trayd.stop_gadget()
    until(lambda: api.get("/readyz").status_code == 503, "the loss")
    assert api.get("/api/v1/drives").json()["code"] == "unavailable"
    assert api.insert("cd0", "a.iso", status=503)["code"] == "unavailable"
    assert api.get("/api/v1/system").json()["gadget"] is None
    assert api.get("/healthz").status_code == 200
    assert api.get("/api/v1/images/a.iso").status_code == 200
    trayd.continue_gadget()
    until(lambda: api.get("/readyz").status_code == 200, "the return")
    assert api.insert("cd0", "a.iso")["state"] == "done"
