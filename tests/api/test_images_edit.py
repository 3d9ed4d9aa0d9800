"""PATCH of an image: its name, its note, its mark; and the search for notes."""
import os

import pytest
from contract import QUICK_DRIVES, Client, until

IMAGES = "/api/v1/images/"


@pytest.fixture
def api(start_trayd):
    trayd = start_trayd(more=QUICK_DRIVES).wait_ready()
    client = Client(trayd.url)
    client.store = trayd.store
    client.upload("a.iso", bytes(1 << 20))
    return client


def edit(api, image, status=200, headers=None, **members):
    answer = api.request("patch", IMAGES + image, json=members, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_rename(api):
    before = api.get(IMAGES + "a.iso").json()
    os.mkdir(os.path.join(api.store, "folder"))
    after = edit(api, "a.iso", name="b ü.iso")
    assert after == {**before, "name": "b ü.iso"}  # its digest and its ETag too
    assert api.get(IMAGES + "a.iso").status_code == 404
    assert edit(api, "b%20%C3%BC.iso", name="b ü.iso") == after
    for name, status in (("../x", 400), (".x", 400), ("", 400), ("a/b", 400), ("u\u0308.iso", 400), ("x" * 256, 400),
                         ("folder", 409)):
        edit(api, "b%20%C3%BC.iso", status, name=name)
    api.upload("c.iso", b"other")
    assert edit(api, "c.iso", 409, name="b ü.iso")["code"] == "exists"
    edit(api, "nothing.iso", 404, name="x.iso")
    edit(api, "c.iso", 412, headers={"If-Match": '"x"'}, name="x.iso")
    edit(api, "c.iso", headers={"If-Match": api.get(IMAGES + "c.iso").json()["etag"]}, name="d.iso")


def test_no_rename_in_a_drive(api):
    api.insert("usb0", "a.iso")
    assert edit(api, "a.iso", 409, name="b.iso")["code"] == "image_in_use"
    edit(api, "a.iso", note="in use, and noted")
    api.eject("usb0")
    edit(api, "a.iso", name="b.iso")


def test_a_name_under_upload(api):
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Metadata": "filename Yi5pc28="}
    assert api.post("/api/v1/uploads", headers=headers).status_code == 201
    assert edit(api, "a.iso", 409, name="b.iso")["code"] == "exists"
    assert edit(api, "b.iso", 409, note="x")["code"] == "image_incomplete"


def test_notes(api):
    note = "Für die Küche\n\tRecovery 2.1"
    assert edit(api, "a.iso", note=note)["note"] == note
    edit(api, "a.iso", name="b.iso")
    assert api.get(IMAGES + "b.iso").json()["note"] == note
    assert api.get("/api/v1/images").json()["images"][0]["note"] == note
    os.rename(os.path.join(api.store, "b.iso"), os.path.join(api.store, "c.iso"))  # by whoever
    api.upload("d.iso", b"x")
    for q, found in (("küche", ["c.iso"]), ("RECOVERY", ["c.iso"]), ("iso", ["c.iso", "d.iso"]), ("nowhere", [])):
        assert [i["name"] for i in api.get("/api/v1/images", params={"q": q}).json()["images"]] == found, q
    for bad in ("x" * 1001, "a\u0007b", "a\u007fb"):
        edit(api, "c.iso", 400, note=bad)
    edit(api, "c.iso", 400, note=5)
    edit(api, "c.iso", 400, nota="x")
    assert edit(api, "c.iso", note=None)["note"] is None
    assert edit(api, "c.iso", note="again")["note"] == "again"
    assert edit(api, "c.iso", note="")["note"] is None
    assert edit(api, "c.iso")["note"] is None


def test_readonly(api):
    before = api.get(IMAGES + "a.iso").json()
    marked = edit(api, "a.iso", readonly=True)
    assert marked == {**before, "readonly": True}
    api.insert("usb0", "a.iso")
    assert api.drive("usb0")["medium"]["readonly"] is True
    api.eject("usb0")
    assert edit(api, "a.iso", readonly=False) == before
    api.insert("usb0", "a.iso")
    assert api.drive("usb0")["medium"]["readonly"] is False
    api.eject("usb0")


def test_events(api):
    with api.request("get", "/api/v1/events", stream=True) as stream:
        lines = stream.iter_lines()
        edit(api, "a.iso", name="b.iso", note="n")
        news = []
        for line in lines:
            if line == b"event: image":
                news.append(next(lines))
            if len(news) >= 2 and any(b'"b.iso"' in n for n in news) and any(b'"deleted":true' in n for n in news):
                break


def test_nothing_changes_where_one_thing_cannot(api):
    api.upload("taken.iso", b"x")
    edit(api, "a.iso", 409, name="taken.iso", note="n", readonly=True)
    image = until(lambda: api.get(IMAGES + "a.iso").json())
    assert image["note"] is None and image["readonly"] is False
