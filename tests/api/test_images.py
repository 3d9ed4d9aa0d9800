"""Images and stores: receiving, listing, reading back, deleting, and what is refused."""
import base64
import gzip
import hashlib
import os
import random
import shutil
import subprocess
import time

import pytest
from contract import Client, check_problem, host, until
from requests.utils import quote

CONTENT = random.Random(1).randbytes(300_000)
IMAGES = "/api/v1/images/"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def field(content):
    """As RFC 9530 writes it."""
    return "sha-256=:" + base64.b64encode(hashlib.sha256(content).digest()).decode() + ":"


def code(response, status):
    assert response.status_code == status, response.text
    return response.json()["code"]


# ---- receiving ----

@pytest.mark.parametrize("name", ["a.iso", "with space.img", "ä€😀.img", "100%.img", "a+b&c=d?e#f;g.img", "'\"<>.img", "~",
                                  "x" * 255])
def test_upload_and_read_back(api, trayd, name):
    answer = api.put(IMAGES + quote(name, safe=""), data=CONTENT)
    assert answer.status_code == 201, answer.text
    image = answer.json()
    assert (image["name"], image["store"], image["size"]) == (name, "main", len(CONTENT))
    assert image["complete"] is True and image["sha256"] == sha256(CONTENT) and image["drives"] == []
    where = answer.headers["Location"]
    assert api.get(where).json() == image
    content = api.get(where + "/content")
    assert content.content == CONTENT and content.headers["ETag"] == image["etag"]
    with open(os.path.join(trayd.store, name), "rb") as f:
        assert f.read() == CONTENT


def test_chunked(api):
    pieces = (CONTENT[i:i + 7777] for i in range(0, len(CONTENT), 7777))
    image = api.upload("chunked.img", pieces)
    assert image["size"] == len(CONTENT) and image["sha256"] == sha256(CONTENT)


def test_curl(api, trayd, tmp_path):
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    file = tmp_path / "debian 12.iso"
    file.write_bytes(CONTENT)
    done = subprocess.run(["curl", "-sS", "-T", file, trayd.url + IMAGES, "-w", "%{http_code}", "-o", os.devnull],
                          capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "201" and not done.stderr
    assert api.get(IMAGES + "debian%2012.iso").json()["sha256"] == sha256(CONTENT)


def test_an_existing_name(api):
    etag = api.upload("a.img", CONTENT)["etag"]
    assert code(api.put(IMAGES + "a.img", data=b"other"), 409) == "exists"
    assert code(api.put(IMAGES + "a.img", data=b"other", headers={"If-None-Match": "*"}), 412) == "precondition_failed"
    assert code(api.put(IMAGES + "a.img", data=b"other", headers={"If-Match": '"x"'}), 412) == "precondition_failed"
    assert code(api.put(IMAGES + "a.img", data=b"other", headers={"If-Match": "x"}), 400) == "bad_request"
    assert api.get(IMAGES + "a.img/content").content == CONTENT

    answer = api.put(IMAGES + "a.img", data=b"other", headers={"If-Match": f'"x", {etag}'})
    assert answer.status_code == 200, answer.text
    assert answer.json()["etag"] != etag and api.get(IMAGES + "a.img/content").content == b"other"
    assert code(api.put(IMAGES + "a.img", data=b"third", headers={"If-Match": etag}), 412) == "precondition_failed"
    assert api.put(IMAGES + "a.img", data=b"third", headers={"If-Match": "*"}).status_code == 200
    assert code(api.put(IMAGES + "b.img", data=b"new", headers={"If-Match": "*"}), 412) == "precondition_failed"


def test_digests(api):
    right, wrong = sha256(CONTENT), sha256(b"other")
    assert api.put(IMAGES + "1.img?sha256=" + right.upper(), data=CONTENT).status_code == 201
    assert api.put(IMAGES + "2.img", data=CONTENT, headers={"Repr-Digest": field(CONTENT)}).status_code == 201
    assert api.put(IMAGES + "3.img", data=CONTENT,
                   headers={"Content-Digest": "sha-512=:AAAA:, " + field(CONTENT)}).status_code == 201
    assert code(api.put(IMAGES + "4.img?sha256=" + wrong, data=CONTENT), 422) == "digest_mismatch"
    assert code(api.put(IMAGES + "4.img", data=CONTENT, headers={"Repr-Digest": field(b"x")}), 422) == "digest_mismatch"
    assert code(api.put(IMAGES + "4.img?sha256=" + right, data=CONTENT, headers={"Repr-Digest": field(b"x")}), 400)
    for malformed in ("sha256=abc", "sha256=", "sha256=" + "g" * 64):
        assert code(api.put(IMAGES + "4.img?" + malformed, data=CONTENT), 400) == "bad_request"
    assert code(api.put(IMAGES + "4.img", data=CONTENT, headers={"Repr-Digest": "sha-256=" + right}), 400)
    assert api.get(IMAGES + "4.img").json()["code"] == "image_missing"


def test_what_is_there_already_needs_no_transfer(api):
    made = api.upload("a.img", CONTENT)
    answer = api.put(IMAGES + "a.img?sha256=" + sha256(CONTENT), data=CONTENT)
    assert answer.status_code == 200 and answer.json() == made


@pytest.mark.parametrize("headers, status", [
    ({"Content-Encoding": "gzip"}, 415), ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ({"Content-Range": "bytes 0-3/10"}, 400), ({"If-None-Match": '"x"'}, 400),
])
def test_what_would_not_be_the_image(api, headers, status):
    code(api.put(IMAGES + "a.img", data=gzip.compress(CONTENT), headers=headers), status)
    assert api.get(IMAGES + "a.img").status_code == 404


@pytest.mark.parametrize("name", [".hidden", "a%0Ab", "a%7Fb", "%FF.img", "x" * 256, "a%E2%80%AEb.img", "A%CC%88.img", "a%5Cb.img"])
def test_names_that_cannot_be(api, name):
    assert code(api.put(IMAGES + name, data=CONTENT), 400) in ("invalid_name", "bad_request")
    assert api.get("/api/v1/images").json()["images"] == []


@pytest.mark.parametrize("store, status, expected", [
    ("none", 404, "not_found"), ("../etc", 400, None), ("main/../..", 400, None), ("main/none", 404, None), ("", 400, None),
    ("main/.trayd", 400, None), ("/etc", None, None),
])
def test_stores_that_cannot_be(api, store, status, expected):
    for answer in (api.put(IMAGES + "a.img?store=" + quote(store, safe=""), data=CONTENT),
                   api.get(IMAGES + "a.img?store=" + quote(store, safe="")),
                   api.delete(IMAGES + "a.img?store=" + quote(store, safe=""))):
        assert answer.status_code == (status or answer.status_code) and answer.status_code in (400, 404), answer.text
        assert not expected or answer.json()["code"] == expected


def test_no_space(api, trayd):
    """Refused before a byte of it is sent: curl-like clients see it at once."""
    with trayd.connect() as s, s.makefile("rb") as stream:
        s.sendall(b"PUT /api/v1/images/huge.img HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: %d\r\n"
                  b"Expect: 100-continue\r\nConnection: close\r\n\r\n" % (trayd.port, 1 << 60))
        assert stream.readline().startswith(b"HTTP/1.1 507 ")
    assert api.get("/api/v1/images").json()["images"] == []


def test_no_body_at_all(api, trayd):
    with trayd.connect() as s, s.makefile("rb") as stream:
        s.sendall(b"PUT /api/v1/images/none.img HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % trayd.port)
        assert stream.readline().startswith(b"HTTP/1.1 411 ")
    assert api.get("/api/v1/images").json()["images"] == []


def begin_upload(trayd, name, length, first):
    s = trayd.connect()
    s.sendall(b"PUT /api/v1/images/%s HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: %d\r\n\r\n"
              % (name.encode(), trayd.port, length) + first)
    return s


def test_an_image_under_way(api, trayd):
    s = begin_upload(trayd, "slow.iso", len(CONTENT), CONTENT[:1000])
    shown = until(lambda: (i := api.get("/api/v1/images").json()["images"]) and i[0], "the upload in the list")
    assert shown["name"] == "slow.iso" and shown["complete"] is False and shown["size"] == len(CONTENT)
    assert api.get(IMAGES + "slow.iso").json()["complete"] is False
    assert code(api.put("/api/v1/drives/usb0/medium", json={"image": "slow.iso"}), 409) == "image_incomplete"
    assert code(api.get(IMAGES + "slow.iso/content"), 409) == "image_incomplete"
    assert code(api.put(IMAGES + "slow.iso", data=CONTENT), 409) == "exists"
    assert os.listdir(trayd.store) in ([".trayd"], [])  # never visible half-done
    s.sendall(CONTENT[1000:])
    assert s.recv(100).startswith(b"HTTP/1.1 201 ")
    s.close()
    assert api.get(IMAGES + "slow.iso").json()["complete"] is True


def test_an_upload_that_breaks_off_leaves_nothing(api, trayd):
    s = begin_upload(trayd, "broken.iso", len(CONTENT), CONTENT[:1000])
    until(lambda: api.get("/api/v1/images").json()["images"], "the upload in the list")
    s.close()
    until(lambda: not api.get("/api/v1/images").json()["images"], "the end of the upload")
    left = [f for _, _, files in os.walk(trayd.store) for f in files]
    assert not [f for f in left if os.path.getsize(os.path.join(trayd.store, ".trayd", f)) > 0], left
    assert api.upload("broken.iso", CONTENT)["complete"] is True


# ---- listing ----

@pytest.fixture
def five(api):
    for number, name in enumerate(["delta.iso", "Alpha.iso", "charlie.img", "bravo.img", "echo.iso"]):
        api.upload(name, bytes(1000 * (number + 1)))
        time.sleep(0.01)
    return api


def names(api, query=""):
    return [i["name"] for i in api.get("/api/v1/images" + query).json()["images"]]


def test_sorting_and_searching(five):
    by_name = names(five)
    assert sorted(by_name, key=str.lower) == by_name or sorted(by_name) == by_name
    assert names(five, "?sort=-name") == by_name[::-1]
    assert names(five, "?sort=size") == ["delta.iso", "Alpha.iso", "charlie.img", "bravo.img", "echo.iso"]
    assert names(five, "?sort=-modified")[0] == "echo.iso"
    assert set(names(five, "?q=ALPHA")) == {"Alpha.iso"}
    assert set(names(five, "?q=.img")) == {"charlie.img", "bravo.img"}
    assert names(five, "?q=nothing") == []
    assert len(names(five, "?store=main")) == 5


@pytest.mark.parametrize("sort", ["name", "-name", "size", "-size", "modified", "-modified"])
def test_pages(five, sort):
    seen, after = [], ""
    while after is not None:
        page = five.get(f"/api/v1/images?limit=2&sort={sort}" + (f"&after={quote(after, safe='')}" if after else "")).json()
        assert len(page["images"]) <= 2
        seen += [i["name"] for i in page["images"]]
        after = page["next"]
    assert seen == names(five, "?sort=" + sort)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "sort=date", "sort=", "store=", "after=x", "page=2"])
def test_malformed_queries(api, query):
    assert code(api.get("/api/v1/images?" + query), 400) == "bad_request"


def test_an_unknown_store_has_no_list(api):
    assert code(api.get("/api/v1/images?store=none"), 404) == "not_found"


# ---- what an image is ----

GRUB_RESCUE = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"


def test_what_a_disc_is(api):
    if not os.path.exists(GRUB_RESCUE):
        pytest.skip("grub-rescue-pc is not installed")
    with open(GRUB_RESCUE, "rb") as f:
        image = api.upload("grub.iso", f.read())
    assert (image["format"], image["filesystem"], image["suggested_type"]) == ("iso9660", "iso9660", "cdrom")
    assert image["bootable"] == {"bios": True, "uefi": False, "from": ["cdrom", "disk"]}
    assert image["partitions"]["table"] == "mbr" and image["partitions"]["list"][0]["active"]
    assert image["warnings"] == []
    listed = api.get("/api/v1/images").json()["images"][0]
    assert listed["bootable"] == image["bootable"] and "partitions" not in listed


def test_what_cannot_be_a_medium_yet(api, trayd):
    image = api.upload("a.iso.gz", gzip.compress(CONTENT), params={"unpack": "false"})
    assert (image["format"], image["container"], image["suggested_type"], image["bootable"]) == \
        ("compressed", "gzip", None, None)
    assert [w["code"] for w in image["warnings"]] == ["compressed"]


def test_a_file_that_nobody_looked_at(api, trayd):
    with open(os.path.join(trayd.store, "a.img"), "wb") as f:
        f.write(bytes(510) + b"\x55\xaa" + bytes(9))
    trayd.restart()  # what appears while trayd runs is looked at
    api = Client(trayd.url)
    assert api.get("/api/v1/images").json()["images"][0]["format"] is None
    image = api.get(IMAGES + "a.img").json()
    assert (image["format"], image["suggested_type"]) == ("disk", "disk")
    assert [w["code"] for w in image["warnings"]] == ["odd_size"]
    assert api.get("/api/v1/images").json()["images"][0]["format"] == "disk"


# ---- reading back ----

@pytest.fixture
def content(api):
    api.upload("a.img", CONTENT)
    return lambda **headers: api.get(IMAGES + "a.img/content", headers={k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize("asked, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=0-99999", 0, 99_999), ("bytes=100000-", 100_000, 299_999), ("bytes=-1", 299_999, 299_999),
    ("bytes=-999999999", 0, 299_999), ("bytes=299999-99999999999999999999", 299_999, 299_999),
])
def test_a_range(content, asked, first, last):
    answer = content(Range=asked)
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.content == CONTENT[first:last + 1]


@pytest.mark.parametrize("asked", ["bytes=5-1", "bytes=x", "items=0-1", "bytes=0-1,3-4", ""])
def test_a_range_that_is_ignored(content, asked):
    answer = content(Range=asked)
    assert answer.status_code == 200 and answer.content == CONTENT and answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=300000-", "bytes=300000-300001", "bytes=-0", "bytes=99999999999999999999-"])
def test_a_range_outside(content, asked):
    answer = content(Range=asked)
    assert code(answer, 416) == "range_not_satisfiable"
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_if_range(content):
    etag, modified = content().headers["ETag"], content().headers["Last-Modified"]
    assert content(Range="bytes=1-2", If_Range=etag).status_code == 206
    assert content(Range="bytes=1-2", If_Range='"old"').status_code == 200
    assert content(Range="bytes=1-2", If_Range="W/" + etag).status_code == 200
    assert content(Range="bytes=1-2", If_Range="nonsense").status_code == 200
    assert content(Range="bytes=1-2", If_Range=modified).status_code == 200  # too fresh for a date to be strong


def test_if_range_with_a_date(api, trayd):
    api.upload("a.img", CONTENT)
    os.utime(os.path.join(trayd.store, "a.img"), (1e9, 1e9))
    get = lambda date: api.get(IMAGES + "a.img/content", headers={"Range": "bytes=1-2", "If-Range": date})
    assert get("Sun, 09 Sep 2001 01:46:40 GMT").status_code == 206
    assert get("Sun, 09 Sep 2001 01:46:41 GMT").status_code == 200


def test_conditions(content):
    first = content()
    etag, modified = first.headers["ETag"], first.headers["Last-Modified"]
    assert content(If_None_Match=etag).status_code == 304
    assert content(If_None_Match="W/" + etag).headers["ETag"] == etag
    assert content(If_None_Match="*").status_code == 304
    assert content(If_None_Match='"x"').status_code == 200
    assert content(If_Modified_Since=modified).status_code == 304
    assert content(If_Modified_Since="Sun, 06 Nov 1994 08:49:37 GMT").status_code == 200
    assert code(content(If_Unmodified_Since="Sun, 06 Nov 1994 08:49:37 GMT"), 412) == "precondition_failed"
    assert code(content(If_Match='"x"'), 412) == "precondition_failed"
    assert content(If_Match=etag).status_code == 200
    assert code(content(If_None_Match="x"), 400) == "bad_request"


def test_head(api, content):
    full, head = content(), api.head(IMAGES + "a.img/content")
    assert head.content == b""
    for name in ("Content-Length", "ETag", "Last-Modified", "Accept-Ranges", "Content-Type", "Content-Disposition"):
        assert head.headers[name] == full.headers[name]
    assert api.head(IMAGES + "a.img/content", headers={"Range": "bytes=0-9"}).headers["Content-Length"] == "10"
    assert api.head(IMAGES + "b.img/content").status_code == 404


def test_an_empty_image(api):
    api.upload("empty.img", b"")
    answer = api.get(IMAGES + "empty.img/content")
    assert answer.status_code == 200 and answer.content == b""
    assert code(api.get(IMAGES + "empty.img/content", headers={"Range": "bytes=0-"}), 416)
    assert code(api.put("/api/v1/drives/usb0/medium", json={"image": "empty.img"}), 422) == "image_unusable"


def test_no_etag_while_the_host_may_write(api, content):
    assert api.get(IMAGES + "a.img").json()["etag"]
    api.insert("usb0", "a.img")
    answer = content()
    assert answer.status_code == 200 and "ETag" not in answer.headers and "Last-Modified" not in answer.headers
    assert api.get(IMAGES + "a.img").json()["etag"] is None
    assert content(Range="bytes=0-9", If_Range='"x"').status_code == 200
    api.eject("usb0")
    assert "ETag" in content().headers


# ---- deleting, and use ----

def test_delete(api, trayd):
    etag = api.upload("a.img", CONTENT)["etag"]
    assert code(api.delete(IMAGES + "a.img", headers={"If-Match": '"x"'}), 412) == "precondition_failed"
    assert code(api.delete(IMAGES + "a.img", headers={"If-Match": '"x", "y"'}), 412) == "precondition_failed"
    answer = api.delete(IMAGES + "a.img", headers={"If-Match": etag})
    assert answer.status_code == 204 and answer.content == b""
    assert code(api.delete(IMAGES + "a.img"), 404) == "image_missing"
    assert "a.img" not in os.listdir(trayd.store)


def test_what_is_in_a_drive_stays(api, trayd):
    etag = api.upload("a.iso", bytes(1 << 20))["etag"]
    api.insert("cd0", "a.iso")
    assert code(api.delete(IMAGES + "a.iso"), 409) == "image_in_use"
    assert code(api.put(IMAGES + "a.iso", data=b"x", headers={"If-Match": etag}), 409) == "image_in_use"
    host(trayd, "lock cd0")
    api.eject("cd0", status=423, patience=0)
    assert code(api.delete(IMAGES + "a.iso"), 409) == "image_in_use"
    api.eject("cd0", mode="forced")
    assert api.delete(IMAGES + "a.iso").status_code == 204


def test_what_waits_for_a_drive_stays(api, trayd):
    api.upload("in.iso", bytes(1 << 20))
    api.upload("next.iso", bytes(1 << 20))
    api.insert("cd0", "in.iso")
    host(trayd, "lock cd0")
    waiting = api.insert("cd0", "next.iso", status=202, headers={"Prefer": "wait=0"}, patience=60)
    assert code(api.delete(IMAGES + "next.iso"), 409) == "image_in_use"
    assert api.get(IMAGES + "next.iso").json()["drives"] == ["cd0"]
    until(lambda: api.get("/api/v1/operations/" + waiting["id"]).json()["state"] == "waiting", "the host's refusal")
    assert api.delete("/api/v1/operations/" + waiting["id"]).status_code == 200
    assert api.delete(IMAGES + "next.iso").status_code == 204


# ---- stores ----

def test_stores(api, trayd):
    stores = api.get("/api/v1/stores").json()["stores"]
    assert [s["name"] for s in stores] == ["main"]
    assert stores[0]["attached"] is True and stores[0]["size"] >= stores[0]["free"] > 0
    assert api.get("/api/v1/stores/main").json()["name"] == "main"
    assert code(api.get("/api/v1/stores/none"), 404) == "not_found"


def test_folders(api, trayd):
    os.mkdir(os.path.join(trayd.store, "sub"))
    os.chmod(os.path.join(trayd.store, "sub"), 0o777)
    answer = api.put(IMAGES + "a.iso?store=main/sub", data=bytes(1 << 20))
    assert answer.status_code == 201 and answer.headers["Location"] == "/api/v1/images/a.iso?store=main/sub"
    assert api.get(answer.headers["Location"]).json()["store"] == "main/sub"
    assert code(api.get(IMAGES + "a.iso"), 404) == "image_missing"
    api.insert("cd0", "a.iso", store="main/sub")
    medium = api.get("/api/v1/drives/cd0/medium").json()
    assert (medium["image"], medium["store"]) == ("a.iso", "main/sub")
    assert code(api.delete(IMAGES + "a.iso?store=main/sub"), 409) == "image_in_use"


def test_a_store_that_is_not_there(api, trayd):
    api.upload("a.img", CONTENT)
    os.rename(trayd.store, trayd.store + ".away")
    try:
        assert api.get("/api/v1/stores/main").json()["attached"] is False
        assert code(api.get(IMAGES + "a.img"), 409) == "store_detached"
        problem = api.get("/readyz")
        check_problem(problem)
        assert problem.status_code == 503
    finally:
        os.rename(trayd.store + ".away", trayd.store)
    until(lambda: api.get(IMAGES + "a.img").status_code == 200, "the store")
