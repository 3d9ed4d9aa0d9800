"""Uploads that do not go through in one: two pieces at once, connections that break, and an end of the service."""
import os
import random
import signal
import socket
import threading

from contract import QUICK_DRIVES, Client, until
from tus import MIB, PIECE, VERSION, Tus, assert_image, begin_piece, content, encode, hidden, read_all, sha256, state_of

# ---- two at once, and connections that break ----

def test_two_pieces_at_once(trayd, api):
    data = content(400000)
    tus = Tus(api, "two.iso", len(data))
    s = begin_piece(trayd, tus, 0, len(data), data[:100000])
    assert tus.piece(0, data, status=423).json()["code"] == "upload_busy"
    s.sendall(data[100000:])
    assert s.recv(100).startswith(b"HTTP/1.1 204")
    assert_image(api, "two.iso", data)


def test_head_takes_over_from_a_dead_line(trayd, api):
    """The old request hangs; its client has a new connection, and wants to go on."""
    data = content(400000)
    tus = Tus(api, "dead.iso", len(data))
    s = begin_piece(trayd, tus, 0, len(data), data[:100000])
    assert tus.offset() == 100000
    assert b"upload_busy" in read_all(s)
    tus.piece(100000, data[100000:])
    assert_image(api, "dead.iso", data)


def test_head_takes_over_from_one_that_sends(trayd, api):
    data = content(64 * MIB)
    tus = Tus(api, "fast.iso", len(data))
    s = begin_piece(trayd, tus, 0, len(data), data[:MIB])
    answers = []

    def send():
        try:
            for at in range(MIB, len(data), 65536):
                s.sendall(data[at:at + 65536])
                if at > 8 * MIB:
                    s.settimeout(0.01)
        except OSError:
            pass
        s.settimeout(10)
        answers.append(read_all(s))

    sender = threading.Thread(target=send)
    sender.start()
    offset = tus.offset()
    sender.join()
    assert MIB <= offset
    if offset < len(data):
        tus.piece(offset, data[offset:])
    assert_image(api, "fast.iso", data)


def test_a_break_keeps_what_came(trayd, api):
    data = content(3 * MIB)
    tus = Tus(api, "break.iso", len(data))
    at = 0
    for size in (1, 100000, MIB):
        begin_piece(trayd, tus, at, len(data) - at, data[at:at + size]).close()
        at += size
        until(lambda: state_of(api, tus) == "paused", "the end of the piece")
        assert tus.offset() == at
    tus.piece(at, data[at:])
    assert_image(api, "break.iso", data)


# ---- across lives ----

def test_after_a_restart(trayd, api):
    data = content(3 * MIB)
    tus = Tus(api, "again.iso", len(data), sha256=sha256(data))
    tus.piece(0, data[:MIB])
    for step in range(2):
        trayd.restart()
        tus.api = api = Client(trayd.url)
        image = api.get("/api/v1/images/again.iso").json()
        assert not image["complete"] and image["received"] == MIB * (step + 1)
        transfer = api.get("/api/v1/transfers").json()["transfers"][0]
        assert transfer["id"] == tus.id and transfer["state"] == "paused" and transfer["bytes"] == MIB * (step + 1)
        assert Tus(api, "again.iso", len(data), status=409).created.json()["code"] == "exists"
        assert tus.offset() == MIB * (step + 1)
        tus.piece(MIB * (step + 1), data[MIB * (step + 1):MIB * (step + 2)])
    assert_image(api, "again.iso", data)
    trayd.restart()
    tus.api = Client(trayd.url)
    assert tus.offset() == len(data)


def test_ten_interruptions(trayd):
    """Each at a random place, every third a kill -9: no acknowledged byte is lost, and the digest is right."""
    rng = random.Random(7)
    data = content(24 * MIB, seed=7)
    api = Client(trayd.url)
    tus = Tus(api, "ten.iso", len(data), sha256=sha256(data))
    at = sent = 0

    def piece(part):
        """As a client does: a request that was thought dead may just have begun, and then this one is refused."""
        nonlocal at
        while True:
            answer = tus.api.request("patch", tus.path, data=data[at:at + part],
                                     headers={**PIECE, "Upload-Offset": str(at)})
            if answer.status_code == 204:
                at = int(answer.headers["Upload-Offset"])
                return
            assert answer.status_code in (409, 423), answer.text
            at = tus.offset()

    for turn in range(10):
        size = rng.randrange(1, max(2, (len(data) - at) // 4))
        s = trayd.connect()
        lines = [f"PATCH {tus.path} HTTP/1.1", f"Host: 127.0.0.1:{trayd.port}", f"Content-Length: {len(data) - at}",
                 f"Upload-Offset: {at}", *(f"{k}: {v}" for k, v in PIECE.items())]
        s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data[at:at + size])
        if turn % 3 == 2:
            trayd.stop(signal.SIGKILL, expect=-signal.SIGKILL)
            s.close()
            trayd.start().wait_ready()
            tus.api = Client(trayd.url)
        elif turn % 3 == 1:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.close()
        else:
            s.close()
        sent = max(sent, at + size)
        offset = tus.offset()
        assert at <= offset <= sent
        at = offset
        if turn % 2:  # a piece that is acknowledged is there after anything
            piece(min(100000, len(data) - at - 1))
            sent = max(sent, at)
    piece(len(data))
    assert_image(tus.api, "ten.iso", data)


def test_expiry(start_trayd):
    trayd = start_trayd(server='upload_expires = "1 s"; ').wait_ready()
    api = Client(trayd.url)
    tus = Tus(api, "old.iso", 1000)
    until(lambda: hidden(trayd) == [], "the expiry")
    assert api.head(tus.path, headers=VERSION).status_code == 410
    transfer = api.get("/api/v1/transfers/" + tus.id).json()
    assert transfer["state"] == "failed" and transfer["code"] == "upload_expired"
    assert api.get("/api/v1/images/old.iso").status_code == 404


def test_expiry_of_what_an_earlier_life_left(start_trayd):
    trayd = start_trayd(server='upload_expires = "1 h"; ').wait_ready()
    api = Client(trayd.url)
    old, young = Tus(api, "old.iso", 1000), Tus(api, "young.iso", 1000)
    trayd.stop()
    os.utime(os.path.join(trayd.store, ".trayd", f"partial-{old.id}.json"), (1, 1))
    trayd.start().wait_ready()
    old.api = young.api = Client(trayd.url)
    old.head(404)
    assert young.offset() == 0
    assert hidden(trayd) == [f"partial-{young.id}", f"partial-{young.id}.json"]


def test_damaged_records(trayd, api):
    """Whatever stands there: no crash, and what can be saved is."""
    data = content(2 * MIB)
    keep = [Tus(api, f"{i}.iso", len(data), body=data[:MIB]) for i in range(4)]
    trayd.stop()
    folder = os.path.join(trayd.store, ".trayd")

    def record(i):
        return open(os.path.join(folder, f"partial-{keep[i].id}.json"), "r+b")

    with record(0) as f:
        f.truncate(100)  # the description is gone: nobody knows what this was
    with record(1) as f:
        f.write(b"X" * 64)  # one mark is spoilt: the other counts
    with record(2) as f:
        f.write(b"X" * 64)
        f.seek(4096)
        f.write(b"X" * 64)  # both are: all is sent again
    os.truncate(os.path.join(folder, f"partial-{keep[3].id}"), 1000)  # somebody cut the data
    open(os.path.join(folder, "partial-0000000000000000.json"), "wb").close()
    open(os.path.join(folder, "partial-00"), "wb").close()
    trayd.start().wait_ready()
    api = Client(trayd.url)
    for tus in keep:
        tus.api = api
    keep[0].head(404)
    offsets = [tus.offset() for tus in keep[1:]]
    assert offsets[0] in (0, MIB) and offsets[1] == 0 and offsets[2] == 1000
    for tus, at in zip(keep[1:], offsets):
        tus.piece(at, data[at:])
    for i in range(1, 4):
        assert_image(api, f"{i}.iso", data)


def test_many_that_wait(trayd, api):
    uploads = [Tus(api, f"{i}.iso", 1000) for i in range(80)]
    assert Tus(api, "more.iso", 1000, status=429).created.json()["code"] == "too_many_requests"
    assert len(api.get("/api/v1/images?limit=1000").json()["images"]) == 80
    trayd.restart()
    api = Client(trayd.url)
    assert len(api.get("/api/v1/transfers").json()["transfers"]) == 80
    for tus in uploads:
        tus.api = api
        tus.delete()
    assert hidden(trayd) == []


def test_descriptors_and_threads(trayd, api):
    def once(i):
        tus = Tus(api, f"x{i}.iso", 1000)
        tus.piece(0, bytes(500))
        tus.piece(0, bytes(500), status=409)
        tus.piece(500, bytes(500), status=460, **{"Upload-Checksum": "md5 " + encode(bytes(16))})
        tus.delete()

    once(0)
    descriptors, threads = trayd.descriptors(), trayd.threads()
    for i in range(1, 20):
        once(i)
    until(lambda: trayd.descriptors() <= descriptors and trayd.threads() <= threads, "no descriptor and thread left over")


def test_an_incomplete_one_cannot_be_inserted(start_trayd):
    trayd = start_trayd(more=QUICK_DRIVES).wait_ready()
    api = Client(trayd.url)
    Tus(api, "half.iso", 2 * MIB, body=bytes(MIB))
    answer = api.put("/api/v1/drives/cd0/medium", json={"image": "half.iso"})
    assert answer.status_code == 409 and answer.json()["code"] == "image_incomplete"
    assert api.get("/api/v1/images/half.iso/content").json()["code"] == "image_incomplete"
