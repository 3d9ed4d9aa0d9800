"""Computing and comparing the SHA-256 of images."""
import hashlib
import os
import random
import time

import pytest
from conftest import open_files
from contract import Client, check_problem, until

CONTENT = random.Random(3).randbytes(2_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
IMAGES = "/api/v1/images/"


def verify(api, name, status=200, headers=None, **body):
    response = api.post(f"{IMAGES}{name}/verify", json=body, headers=headers)
    assert response.status_code == status, response.text
    if status >= 400:
        check_problem(response)
        return response.json()["code"]
    return response.json()


def test_what_was_remembered(api):
    api.upload("a.img", CONTENT)
    transfer = verify(api, "a.img")
    assert (transfer["kind"], transfer["state"], transfer["bytes"]) == ("verify", "done", len(CONTENT))
    assert transfer["result"] == {"name": "a.img", "store": "main", "sha256": DIGEST, "expected": DIGEST, "verdict": "match"}


def test_what_is_given(api):
    api.upload("a.img", CONTENT)
    assert verify(api, "a.img", sha256=DIGEST.upper())["result"]["verdict"] == "match"
    result = verify(api, "a.img", sha256="0" * 64)["result"]
    assert (result["verdict"], result["sha256"], result["expected"]) == ("mismatch", DIGEST, "0" * 64)


def test_a_file_that_came_by_another_way(api, trayd):
    path = os.path.join(trayd.store, "b.img")
    with open(path, "wb") as f:
        f.write(CONTENT)
    os.chmod(path, 0o666)
    os.utime(path, (time.time() - 60, time.time() - 60))
    assert api.get(IMAGES + "b.img").json()["sha256"] is None
    assert verify(api, "b.img")["result"]["verdict"] == "computed"
    if os.geteuid() != 0 or "user.trayd.sha256" in os.listxattr(path):
        assert api.get(IMAGES + "b.img").json()["sha256"] == DIGEST
        assert verify(api, "b.img")["result"]["verdict"] == "match"


def test_a_disk_that_forgot_a_bit(api, trayd):
    """The bytes change and the time does not: what was remembered is what it should be, and stays so."""
    api.upload("a.img", CONTENT)
    path = os.path.join(trayd.store, "a.img")
    before = os.stat(path)
    with open(path, "r+b") as f:
        f.seek(1_000_000)
        f.write(bytes([CONTENT[1_000_000] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for _ in range(2):
        result = verify(api, "a.img")["result"]
        assert (result["verdict"], result["expected"]) == ("mismatch", DIGEST)


def test_refused(api):
    api.upload("a.img", CONTENT)
    assert verify(api, "nothing.img", 404) == "image_missing"
    assert verify(api, "a.img", 400, sha256="xyz") == "bad_request"
    assert verify(api, "a.img", 400, md5="x") == "bad_request"


def test_asynchronous(api):
    api.upload("a.img", CONTENT)
    response = api.post(IMAGES + "a.img/verify", headers={"Prefer": "respond-async"})
    assert response.status_code == 202
    where = response.headers["Location"]
    until(lambda: api.get(where).json()["state"] == "done", "it is read")


# ---- unasked ----


def copy(trayd, name, content=CONTENT, mode=0o666):
    """As somebody does who has a shell on the appliance."""
    path = os.path.join(trayd.store, name)
    with open(path, "wb") as f:
        f.write(content)
    os.chmod(path, mode)
    return path


def runs(api, name):
    return [t for t in api.get("/api/v1/transfers").json()["transfers"] if t["name"] == name and t["kind"] == "verify"]


def digest_of(api, name):
    return api.get(IMAGES + name).json()["sha256"]


def test_what_was_copied_is_hashed(api, trayd):
    path = copy(trayd, "copied.img")
    until(lambda: digest_of(api, "copied.img"), "its digest")
    assert digest_of(api, "copied.img") == DIGEST
    [run] = runs(api, "copied.img")
    assert (run["state"], run["user"], run["peer"], run["result"]["verdict"]) == ("done", "trayd", None, "computed")
    copy(trayd, "copied.img", CONTENT[::-1])  # and once more when it has changed
    until(lambda: digest_of(api, "copied.img") == hashlib.sha256(CONTENT[::-1]).hexdigest(), "the digest of the new content")
    copy(trayd, "other.img")
    os.rename(path, os.path.join(trayd.store, "moved.img"))  # the digest goes with it: nothing to do
    until(lambda: digest_of(api, "other.img"), "what came later")
    assert runs(api, "moved.img") == []


def test_what_is_left_alone(api, trayd):
    api.upload("uploaded.img", CONTENT)
    api.post(IMAGES[:-1], json={"from": "blank", "name": "blank.img", "size": 4 << 20})
    copy(trayd, "empty.img", b"")
    if os.geteuid() == 0:
        copy(trayd, "theirs.img", mode=0o644)
    copy(trayd, "last.img")
    until(lambda: digest_of(api, "last.img"), "the digest of what came last")
    verified = {t["name"] for t in api.get("/api/v1/transfers").json()["transfers"] if t["kind"] == "verify"}
    assert verified == {"last.img"}


def slow_upload(api, trayd):
    """Something that is received, and misses its last 999 bytes; the socket."""
    s = trayd.connect()
    s.sendall(b"PUT /api/v1/images/slow.img HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 1000\r\n\r\nx" % trayd.port)
    until(lambda: api.get("/api/v1/images", params={"q": "slow"}).json()["images"], "the upload")
    return s


def test_it_can_be_cancelled(api, trayd):
    """While something is received it waits; cancelled then, it is not begun again."""
    with slow_upload(api, trayd) as s:
        copy(trayd, "copied.img")
        run = until(lambda: [r for r in runs(api, "copied.img") if r["state"] == "paused"], "the pause")[0]
        assert api.delete("/api/v1/transfers/" + run["id"]).status_code in (200, 202, 204)
        until(lambda: runs(api, "copied.img")[0]["state"] == "cancelled", "its end")
        copy(trayd, "another.img")
        until(lambda: [r for r in runs(api, "another.img") if r["state"] == "paused"], "the pause of the next")
        assert digest_of(api, "another.img") is None
        s.sendall(b"x" * 999)
        assert s.recv(4096).startswith(b"HTTP/1.1 201 ")
    until(lambda: digest_of(api, "another.img") == DIGEST, "the digest after the upload")
    assert digest_of(api, "copied.img") is None and len(runs(api, "copied.img")) == 1


def test_a_deleted_one_is_let_go_of(api, trayd):
    """Its room is free when nobody has it open: also what waits for the end of an upload, which may be a day away."""
    with slow_upload(api, trayd):
        path = copy(trayd, "copied.img")
        until(lambda: [r for r in runs(api, "copied.img") if r["state"] == "paused"], "the pause")
        assert is_open(trayd, path)
        assert api.delete(IMAGES + "copied.img").status_code == 204
        run = until(lambda: [r for r in runs(api, "copied.img") if r["state"] == "failed"], "its end")[0]
        assert (run["code"], run["detail"]) == ("image_missing", "The image was deleted while it was read")
        until(lambda: not is_open(trayd, path), "its closing")


def is_open(trayd, path):
    return any(name.removesuffix(" (deleted)") == path for name in open_files(trayd.process.pid))


def test_not_while_it_is_writable_in_a_drive(api, trayd):
    path = copy(trayd, "stick.img", bytes(1 << 20))
    until(lambda: digest_of(api, "stick.img"), "its digest")
    api.insert("usb0", "stick.img", readonly=False)
    with open(path, "r+b") as f:
        f.write(b"by the host")
    copy(trayd, "later.img")
    until(lambda: digest_of(api, "later.img"), "the digest of what came later")
    assert len(runs(api, "stick.img")) == 1
    api.eject("usb0")


@pytest.mark.parametrize("mode, expected", [("never", []), ("new", ["new.img"]), ("all", ["new.img", "old.img"])])
def test_which(start_trayd, mode, expected):
    trayd = start_trayd(server=f'digests = "{mode}";').wait_ready()
    trayd.stop()
    path = copy(trayd, "old.img")
    os.utime(path, (time.time() - 60, time.time() - 60))
    trayd.start().wait_ready()
    api = Client(trayd.url)
    copy(trayd, "new.img")
    if expected:
        until(lambda: all(digest_of(api, name) for name in expected), "the digests")
    else:
        time.sleep(4)  # DIGESTS_SETTLE, and some more: there is no event to wait for
    assert [n for n in ("new.img", "old.img") if digest_of(api, n)] == expected
    assert sorted({t["name"] for t in api.get("/api/v1/transfers").json()["transfers"] if t["kind"] == "verify"}) == expected
