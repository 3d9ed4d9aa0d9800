"""Uploads that can be continued: the tus protocol, every status of it, and how they are shown."""
import hashlib
import threading

import pytest
from contract import Client, until
from tus import (MIB, PIECE, VERSION, Tus, assert_image, begin_piece, content, encode, hidden, metadata, read_all, sha256,
                 state_of)

# ---- how it goes ----

def test_options(api):
    answer = api.request("options", "/api/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Resumable"] == answer.headers["Tus-Version"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) == {"creation", "creation-with-upload", "checksum", "termination",
                                                               "expiration"}
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha256,sha1,md5"
    assert int(answer.headers["Tus-Max-Size"]) == (1 << 63) - 1


def test_the_largest(start_trayd):
    api = Client(start_trayd(server='upload_max = "1 MiB"; ').wait_ready().url)
    assert api.request("options", "/api/v1/uploads").headers["Tus-Max-Size"] == str(MIB)
    assert Tus(api, "a.iso", MIB + 1, status=413).created.json()["code"] == "too_large"
    Tus(api, "a.iso", MIB, body=bytes(MIB))
    assert api.put("/api/v1/images/b.iso", data=bytes(MIB + 1)).status_code == 413
    assert api.put("/api/v1/images/b.iso", data=iter([bytes(MIB), b"x"])).status_code == 413
    assert api.put("/api/v1/images/b.iso", data=bytes(MIB)).status_code == 201


def test_in_pieces(trayd, api):
    data = content(3 * MIB + 17)
    tus = Tus(api, "a.iso", len(data), sha256=sha256(data))
    assert "Upload-Expires" in tus.created.headers
    image = api.get("/api/v1/images/a.iso").json()
    assert not image["complete"] and image["size"] == len(data) and image["received"] == 0
    assert [i["name"] for i in api.get("/api/v1/images").json()["images"]] == ["a.iso"]
    offset = 0
    for size in (1, 0, MIB, 12345, MIB):
        answer = tus.piece(offset, data[offset:offset + size])
        offset += len(data[offset:offset + size])
        assert answer.headers["Upload-Offset"] == str(offset)
        head = tus.head()
        assert head.headers["Upload-Offset"] == str(offset) and head.headers["Upload-Length"] == str(len(data))
        assert head.headers["Upload-Metadata"] == metadata(filename="a.iso", sha256=sha256(data))
        assert head.headers["Cache-Control"] == "no-store" and head.headers["Upload-Expires"]
    last = tus.piece(offset, data[offset:])
    assert last.headers["Upload-Offset"] == str(len(data)) and "Upload-Expires" not in last.headers
    assert_image(api, "a.iso", data)
    head = tus.head()  # for who missed the answer
    assert head.headers["Upload-Offset"] == head.headers["Upload-Length"] == str(len(data))
    tus.piece(len(data), b"", status=404)
    assert hidden(trayd) == [f"partial-{tus.id}.json"]
    tus.delete()
    tus.head(404)
    assert_image(api, "a.iso", data)
    assert hidden(trayd) == []


def test_with_the_first_piece(api):
    data = content(100000)
    tus = Tus(api, "b.iso", len(data), body=data[:5000])
    assert tus.created.headers["Upload-Offset"] == "5000"
    tus.piece(5000, data[5000:])
    assert_image(api, "b.iso", data)
    whole = Tus(api, "c.iso", len(data), body=data)
    assert whole.created.headers["Upload-Offset"] == str(len(data))
    assert_image(api, "c.iso", data)


def test_an_empty_image(api):
    tus = Tus(api, "empty.img", 0)
    assert tus.created.headers["Upload-Offset"] == "0"
    assert api.get("/api/v1/images/empty.img").json()["complete"]


def test_in_chunks(api):
    data = content(300000)
    tus = Tus(api, "d.iso", len(data))
    tus.piece(0, iter([data[:7], data[7:200000]]))
    assert tus.offset() == 200000
    tus.piece(200000, iter([data[200000:], b"too much"]), status=413)
    offset = tus.offset()
    assert 200000 <= offset < len(data)
    tus.piece(offset, data[offset:])
    assert_image(api, "d.iso", data)


def test_method_override(api):
    data = content(1000)
    tus = Tus(api, "e.iso", len(data))
    answer = api.session.post(api.url + tus.path, data=data[:500],
                              headers={**PIECE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"})
    assert answer.status_code == 204 and answer.headers["Upload-Offset"] == "500"
    answer = api.session.post(api.url + tus.path, headers={**VERSION, "X-HTTP-Method-Override": "DELETE"})
    assert answer.status_code == 204
    tus.head(404)
    for value in ("GET", "HEAD", "patch", "TRACE"):
        assert api.session.post(api.url + tus.path, headers={"X-HTTP-Method-Override": value}).status_code == 405


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_checksums(api, algorithm):
    data = content(200000)
    tus = Tus(api, algorithm + ".iso", len(data))

    def checksum(part):
        return {"Upload-Checksum": f"{algorithm} {encode(hashlib.new(algorithm, part).digest())}"}

    tus.piece(0, data[:100000], **checksum(data[:100000]))
    damaged = bytearray(data[100000:])
    damaged[77] ^= 1
    answer = tus.piece(100000, bytes(damaged), status=460, **checksum(data[100000:]))
    assert answer.json()["code"] == "checksum_mismatch"
    assert tus.offset() == 100000  # nothing of the piece was kept
    tus.piece(100000, data[100000:], **checksum(data[100000:]))
    assert_image(api, algorithm + ".iso", data)


def test_a_broken_piece_with_a_checksum_leaves_nothing(trayd, api):
    data = content(MIB)
    tus = Tus(api, "f.iso", len(data))
    begin_piece(trayd, tus, 0, len(data), data[:500000], checksum=hashlib.sha1(data).digest()).close()
    until(lambda: state_of(api, tus) == "paused", "the end of the piece")
    assert tus.offset() == 0


def test_the_digest_is_verified(trayd, api):
    data = content(100000)
    tus = Tus(api, "g.iso", len(data), sha256=sha256(b"something else"))
    tus.piece(0, data[:-1])
    assert tus.piece(len(data) - 1, data[-1:], status=422).json()["code"] == "digest_mismatch"
    tus.head(404)
    assert api.get("/api/v1/images/g.iso").status_code == 404
    assert hidden(trayd) == []
    transfer = api.get("/api/v1/transfers/" + tus.id).json()
    assert transfer["state"] == "failed" and transfer["code"] == "digest_mismatch"


# ---- refusals ----

@pytest.mark.parametrize("headers, status, word", [
    ({"Tus-Resumable": None}, 412, "Tus-Resumable"),
    ({"Tus-Resumable": "0.2.2"}, 412, "0.2.2"),
    ({"Upload-Length": None}, 400, "Upload-Length"),
    ({"Upload-Length": "-1"}, 400, "Upload-Length"),
    ({"Upload-Length": "1e3"}, 400, "Upload-Length"),
    ({"Upload-Length": "9223372036854775808"}, 400, "Upload-Length"),
    ({"Upload-Length": None, "Upload-Defer-Length": "1"}, 400, "Upload-Defer-Length"),
    ({"Upload-Metadata": None}, 400, "filename"),
    ({"Upload-Metadata": "filename"}, 400, "filename"),
    ({"Upload-Metadata": "filename YQ"}, 400, "base64"),
    ({"Upload-Metadata": "filename YQ==,"}, 400, "comma"),
    ({"Upload-Metadata": "filename YQ==,filename Yg=="}, 400, "more than once"),
    ({"Upload-Metadata": "filename YQ==,x @@@@"}, 400, "no base64"),
    ({"Upload-Metadata": metadata(filename="../a")}, 400, "name"),
    ({"Upload-Metadata": metadata(filename=".hidden")}, 400, "name"),
    ({"Upload-Metadata": metadata(filename=b"a\0b")}, 400, "UTF-8"),
    ({"Upload-Metadata": metadata(filename=b"\xff\xfe")}, 400, "UTF-8"),
    ({"Upload-Metadata": metadata(filename="x" * 256)}, 400, "255"),
    ({"Upload-Metadata": metadata(filename="a", sha256="12")}, 400, "64 hexadecimal"),
    ({"Upload-Metadata": metadata(filename="a", store="nowhere")}, 404, "nowhere"),
    ({"Upload-Metadata": metadata(filename="a", store="main/nofolder")}, 404, "nofolder"),
    ({"Upload-Length": str(8 << 40)}, 507, "needs"),
    ({"If-Match": '"no-such-etag"'}, 412, "no image"),
])
def test_refused_creations(trayd, api, headers, status, word):
    fields = {**VERSION, "Upload-Length": "1000", "Upload-Metadata": metadata(filename="r.iso"), **headers}
    answer = api.post("/api/v1/uploads", headers={k: v for k, v in fields.items() if v is not None})
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]
    if status == 412 and "Tus-Resumable" in headers:
        assert answer.headers["Tus-Version"] == "1.0.0"
    assert hidden(trayd) == [] and api.get("/api/v1/transfers").json()["transfers"] == []


@pytest.mark.parametrize("headers, status, word", [
    ({"Tus-Resumable": None}, 412, "Tus-Resumable"),
    ({"Content-Type": "application/octet-stream"}, 415, "offset+octet-stream"),
    ({"Content-Type": None}, 415, "offset+octet-stream"),
    ({"Content-Encoding": "gzip"}, 415, "gzip"),
    ({"Upload-Offset": None}, 400, "Upload-Offset"),
    ({"Upload-Offset": "x"}, 400, "Upload-Offset"),
    ({"Upload-Offset": "1"}, 409, "stands at 10"),
    ({"Upload-Offset": "11"}, 409, "stands at 10"),
    ({"Upload-Checksum": "crc32 AAAA"}, 400, "sha256,sha1,md5"),
    ({"Upload-Checksum": "sha1 AAAA"}, 400, "20 bytes"),
    ({"Upload-Checksum": "sha1"}, 400, "20 bytes"),
])
def test_refused_pieces(api, headers, status, word):
    tus = Tus(api, "p.iso", 1000, body=bytes(10))
    fields = {**PIECE, "Upload-Offset": "10", **headers}
    answer = api.request("patch", tus.path, data=b"0123456789", headers={k: v for k, v in fields.items() if v is not None})
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]
    assert tus.offset() == 10
    tus.piece(10, bytes(991), status=413)
    assert tus.offset() == 10


def test_unknown_uploads(api):
    for name in ("nothing", "0123456789abcdef", "..%20", "x" * 300):
        path = "/api/v1/uploads/" + name
        assert api.head(path, headers=VERSION).status_code == 404
        assert api.delete(path, headers=VERSION).status_code == 404
        assert api.request("patch", path, data=b"x", headers={**PIECE, "Upload-Offset": "0"}).status_code == 404
        assert api.head(path).status_code == 412


def test_the_name_is_taken(api):
    data = content(1000)
    first = Tus(api, "n.iso", 1000, body=data[:10])
    assert Tus(api, "n.iso", 1000, status=409).created.json()["code"] == "exists"
    assert api.put("/api/v1/images/n.iso", data=data).status_code == 409
    first.piece(10, data[10:])
    assert Tus(api, "n.iso", 1000, status=409).created.json()["code"] == "exists"
    assert "this very content" in Tus(api, "n.iso", 1000, status=409, sha256=sha256(data)).created.json()["detail"]
    etag = api.get("/api/v1/images/n.iso").json()["etag"]
    again = Tus(api, "n.iso", 500, headers={"If-Match": etag})
    assert api.get("/api/v1/images/n.iso").json()["complete"]  # the old one, until it is replaced
    again.piece(0, data[:500])
    assert_image(api, "n.iso", data[:500])


def test_a_creation_whose_answer_was_lost(trayd, api):
    first = Tus(api, "l.iso", 1000)
    second = Tus(api, "l.iso", 1000)
    first.head(404)
    second.piece(0, bytes(1000))
    assert hidden(trayd) == [f"partial-{second.id}.json"]


# ---- transfers ----

def test_a_transfer(trayd, api):
    data = content(MIB)
    tus = Tus(api, "t.iso", len(data))
    transfer = api.get("/api/v1/transfers/" + tus.id).json()
    assert transfer["state"] == "paused" and transfer["expires_at"] and transfer["progress"] == 0
    tus.piece(0, data[:MIB // 4])
    transfer = api.get("/api/v1/transfers").json()["transfers"][0]
    assert (transfer["id"], transfer["kind"], transfer["method"], transfer["name"], transfer["store"]) == (
        tus.id, "upload", "tus", "t.iso", "main")
    assert transfer["bytes"] == MIB // 4 and transfer["size"] == MIB and transfer["progress"] == 0.25
    assert transfer["user"] == "local" and transfer["started_at"] and not transfer["finished_at"]
    tus.piece(MIB // 4, data[MIB // 4:])
    transfer = api.get("/api/v1/transfers/" + tus.id).json()
    assert transfer["state"] == "done" and transfer["progress"] == 1 and transfer["finished_at"]
    assert transfer["result"]["sha256"] == sha256(data)
    assert api.delete("/api/v1/transfers/" + tus.id).json()["code"] == "too_late"
    assert api.delete("/api/v1/transfers/nothing").status_code == 404


@pytest.mark.parametrize("how", ["transfer", "image", "upload"])
@pytest.mark.parametrize("busy", [False, True])
def test_cancel_by_tus(trayd, api, how, busy):
    tus = Tus(api, "cancel.iso", MIB)
    s = begin_piece(trayd, tus, 0, MIB, bytes(100000)) if busy else None
    if how == "transfer":
        assert api.delete("/api/v1/transfers/" + tus.id).json()["state"] == "cancelled"
    elif how == "image":
        assert api.delete("/api/v1/images/cancel.iso").status_code == 204
    else:
        tus.delete()
    if s:
        answer = read_all(s)
        assert b"cancelled" in answer or b"upload_busy" in answer, answer
    until(lambda: hidden(trayd) == [], "its files are gone")
    until(lambda: state_of(api, tus) == "cancelled", "the end of the transfer")
    tus.head(404)
    assert api.get("/api/v1/images/cancel.iso").status_code == 404
    Tus(api, "cancel.iso", MIB)  # the name is free


@pytest.mark.parametrize("stalled", [True, False])
def test_cancel_a_put(trayd, api, stalled):
    """The connection ends with a clear error, at once, whether its client sends or not."""
    s = trayd.connect()
    s.sendall(f"PUT /api/v1/images/put.iso HTTP/1.1\r\nHost: 127.0.0.1:{trayd.port}\r\nContent-Length: {1 << 30}\r\n\r\n".encode()
              + bytes(MIB))
    transfer = until(lambda: api.get("/api/v1/transfers").json()["transfers"], "the transfer")[0]
    assert transfer["method"] == "put" and transfer["state"] == "running"
    stop = threading.Event()

    def send():
        try:
            while not stop.is_set():
                s.sendall(bytes(65536))
        except OSError:
            pass

    sender = None if stalled else threading.Thread(target=send)
    if sender:
        sender.start()
    assert api.delete("/api/v1/transfers/" + transfer["id"]).json()["state"] == "cancelled"
    stop.set()
    if sender:
        sender.join()
    assert b'"code":"cancelled"' in read_all(s)
    assert hidden(trayd) == []


def test_events_of_transfers(trayd, api):
    data = content(MIB)
    with trayd.request("GET", "/api/v1/events", stream=True) as stream:
        lines = stream.iter_lines()
        tus = Tus(api, "ev.iso", len(data))
        tus.piece(0, data)
        states = []
        for line in lines:
            if line == b"event: transfer":
                text = next(lines)
                states.append("paused" if b'"paused"' in text else "running" if b'"running"' in text else "done")
            if states and states[-1] == "done":
                break
    assert states[0] == "paused" and "running" in states and len(states) < 8


def test_a_put_that_broke_off_leaves_nothing(trayd, api):
    s = trayd.connect()
    s.sendall(f"PUT /api/v1/images/put.iso HTTP/1.1\r\nHost: 127.0.0.1:{trayd.port}\r\nContent-Length: 1000000\r\n\r\n".encode()
              + bytes(1000))
    until(lambda: api.get("/api/v1/transfers").json()["transfers"], "the transfer")
    s.close()
    ended = until(lambda: [t for t in api.get("/api/v1/transfers").json()["transfers"] if t["state"] == "failed"], "its end")
    assert ended[0]["code"] == "aborted"
    assert hidden(trayd) == []
