"""Computing and comparing the SHA-256 of images."""
import hashlib
import os
import random
import time

import pytest
from contract import Client, check_problem, until

CONTENT = random.Random(3).randbytes(2_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
IMAGES = "/api/v1/images/"


@pytest.fixture
def api(trayd):
    return Client(trayd.url)


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
