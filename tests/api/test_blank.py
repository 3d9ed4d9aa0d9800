"""Blank images: what is in them, and what cannot be made."""
import os
import shutil
import subprocess

import pytest
from contract import check_problem, until

IMAGES = "/api/v1/images"
MIB = 1 << 20


def make(api, status=201, **members):
    response = api.post(IMAGES, json={"from": "blank", **members})
    assert response.status_code == status, response.text
    if status >= 400:
        check_problem(response)
    return response.json()


def check(*command):
    if not shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin"):
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nothing(api, trayd):
    image = make(api, name="a.img", size=3 * MIB)
    assert image["size"] == 3 * MIB and image["sha256"] is None
    path = os.path.join(trayd.store, "a.img")
    with open(path, "rb") as f:
        assert f.read() == bytes(3 * MIB)
    assert os.stat(path).st_blocks * 512 < MIB, "it is sparse"
    transfer = api.get("/api/v1/transfers").json()["transfers"][0]
    assert (transfer["kind"], transfer["method"], transfer["state"]) == ("conversion", "blank", "done")


@pytest.mark.parametrize("size", [34 * MIB, 600 * MIB, 32 << 30])
@pytest.mark.parametrize("filesystem, command", [("fat32", ("fsck.fat", "-n")), ("exfat", ("fsck.exfat", "-n"))])
def test_file_systems(api, trayd, filesystem, command, size):
    image = make(api, name="a.img", size=size, filesystem=filesystem, label="Stick 1")
    assert image["filesystem"] == filesystem and image["suggested_type"] == "disk"
    assert image["label"] == ("STICK 1" if filesystem == "fat32" else "Stick 1")
    check(*command, os.path.join(trayd.store, "a.img"))


def test_without_a_label(api, trayd):
    assert make(api, name="a.img", size=40 * MIB, filesystem="fat32")["label"] is None
    assert make(api, name="b.img", size=40 * MIB, filesystem="exfat")["label"] is None


def test_what_cannot_be(api, trayd):
    for members in ({"size": 1000}, {"size": 0}, {"size": -512}, {"size": 33 * MIB, "filesystem": "fat32"},
                    {"size": 3 << 40, "filesystem": "fat32"}, {"size": 512, "filesystem": "exfat"},
                    {"size": MIB, "filesystem": "ext4"}, {"size": MIB, "label": "x"}, {},
                    {"size": 40 * MIB, "filesystem": "fat32", "label": "longer than 11"},
                    {"size": 40 * MIB, "filesystem": "fat32", "label": "a/b"},
                    {"size": 40 * MIB, "filesystem": "fat32", "label": "-n"},
                    {"size": 40 * MIB, "filesystem": "exfat", "label": "\u00e4"}, {"size": MIB, "url": "http://h/"}):
        assert make(api, 400, name="a.img", **members)["code"] == "bad_request", members
    assert make(api, 400, size=MIB)["code"] == "bad_request"
    assert make(api, 400, name=".a", size=MIB)["code"] == "invalid_name"
    make(api, name="a.img", size=MIB)
    assert make(api, 409, name="a.img", size=MIB)["code"] == "exists"
    assert [i["name"] for i in api.get(IMAGES).json()["images"]] == ["a.img"]
    assert not [n for n in os.listdir(os.path.join(trayd.store, ".trayd")) if not n.endswith(".json")]


def test_it_goes_into_a_drive(api):
    make(api, name="a.img", size=40 * MIB, filesystem="fat32")
    api.insert("usb0", "a.img", readonly=False)
    until(lambda: api.drive("usb0")["state"] == "loaded", "it is in")
