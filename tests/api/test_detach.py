"""Taking a store away: the order, what refuses meanwhile, what is undone when a step fails, and who remembers."""
import os
import signal
import socket
import threading

import pytest
from conftest import child_of, open_files, wait_until
from contract import QUICK_DRIVES, Client, host, until
from test_events import Listener
from tus import Tus

CD = bytes(1 << 20)
STORE = "/api/v1/stores/main"


@pytest.fixture(name="service")
def _service(start_trayd):
    trayd = start_trayd(more=QUICK_DRIVES).wait_ready()
    api = Client(trayd.url)
    api.upload("cd.iso", CD)
    api.upload("disk.img", CD)
    return trayd, api


def store(api):
    return api.get(STORE).json()


def detach(api, status=200, headers=None, **members):
    response = api.post(STORE + "/detach", json=members, headers=headers)
    assert response.status_code == status, response.text
    return response.json()


def attach(api, status=200):
    response = api.post(STORE + "/attach")
    assert response.status_code == status, response.text
    return response.json()


def is_as_before(api, failed, code):
    seen = store(api)
    assert seen["attached"] and seen["detached"] is None
    assert (seen["detach_failed"]["step"], seen["detach_failed"]["code"]) == (failed, code)
    assert api.get("/api/v1/images/cd.iso").status_code == 200
    api.insert("cd0", "cd.iso")
    api.eject("cd0", mode="forced")


def test_in_order(service):
    trayd, api = service
    api.insert("cd0", "cd.iso")
    api.insert("usb0", "disk.img")
    listener = Listener(trayd.url)
    try:
        done = detach(api, unmount=True)
        steps = [listener.until("store")["detached"]["step"]]
        while steps[-1] != "done":
            steps.append(listener.until("store")["detached"]["step"])
    finally:
        listener.close()
    assert list(dict.fromkeys(steps)) == ["eject", "transfers", "sync", "unmount", "check", "done"]
    assert done["detached"]["step"] == "done" and done["detached"]["by"] and done["detached"]["safe_to_remove"]
    assert done["detached"]["unmounted"] and not done["attached"] and done["free"] is None
    assert [api.drive(d)["state"] for d in ("cd0", "usb0")] == ["empty", "empty"]
    assert not [link for link in links_of(trayd) if link.startswith(trayd.store)]


def links_of(trayd):
    return open_files(trayd.process.pid) + open_files(child_of(trayd._keeper(), "trayd-gadget"))


def test_nothing_can_be_done_there(service):
    trayd, api = service
    assert not detach(api)["detached"]["safe_to_remove"]  # it is mounted still
    for method, path, arguments in (
            ("get", "/api/v1/images/cd.iso", {}), ("get", "/api/v1/images/cd.iso/content", {}),
            ("get", "/api/v1/images?store=main", {}), ("put", "/api/v1/images/new.iso", {"data": CD}),
            ("delete", "/api/v1/images/cd.iso", {}), ("patch", "/api/v1/images/cd.iso", {"json": {"note": "x"}}),
            ("post", "/api/v1/images/cd.iso/verify", {"json": {}}),
            ("put", "/api/v1/drives/cd0/medium", {"json": {"image": "cd.iso"}})):
        response = api.request(method, path, **arguments)
        assert (response.status_code, response.json()["code"]) == (409, "store_detached"), path
    assert api.get("/api/v1/images").json()["images"] == []
    back = attach(api)
    assert back["attached"] and back["detached"] is None and back["free"] is not None
    assert api.drive("cd0")["state"] == "empty"
    api.insert("cd0", "cd.iso")


def test_trayd_gadget_refuses_by_itself(service):
    """A schedule is its own affair: no handler is in between."""
    _, api = service
    schedule = api.post("/api/v1/schedules", json={"drive": "cd0", "action": "insert", "image": "cd.iso",
                                                   "when": {"after": 1}}).json()
    detach(api)
    ended = until(lambda: (s := api.get("/api/v1/schedules/" + schedule["id"]).json())["state"] == "failed" and s,
                  "the schedule's end")
    assert ended["code"] == "store_detached" and api.drive("cd0")["state"] == "empty"


def test_a_lock_keeps_it(service):
    trayd, api = service
    api.insert("cd0", "cd.iso")
    api.insert("usb0", "disk.img")
    host(trayd, "lock cd0")
    problem = detach(api, 423, patience=0.3)
    assert (problem["code"], problem["step"], problem["drive"], problem["store"]) == ("medium_in_use", "eject", "cd0", "main")
    assert problem["evidence"]["lock"] == "locked" and problem["operation"]
    assert api.drive("cd0")["medium"]["image"] == "cd.iso"
    assert store(api)["detach_failed"]["drive"] == "cd0"
    host(trayd, "unlock cd0")
    is_as_before(api, "eject", "medium_in_use")
    api.insert("cd0", "cd.iso")
    host(trayd, "lock cd0")
    assert detach(api, mode="forced")["detached"]["step"] == "done"
    assert api.drive("cd0")["state"] == "empty"


def test_it_waits_and_can_be_ended(service):
    trayd, api = service
    api.insert("cd0", "cd.iso")
    host(trayd, "lock cd0")
    begun = api.post(STORE + "/detach", json={"patience": 60}, headers={"Prefer": "respond-async"})
    assert begun.status_code == 202 and begun.headers["Location"] == STORE
    assert begun.json()["detached"]["step"] == "eject" and not begun.json()["attached"]
    assert api.put("/api/v1/images/new.iso", data=CD).json()["code"] == "store_detached"
    until(lambda: api.drive("cd0")["operation"], "the eject")
    again = api.post(STORE + "/detach", json={}, headers={"Prefer": "wait=0"})  # joins
    assert again.status_code == 202
    assert len(api.get("/api/v1/operations?state=waiting").json()["operations"]) == 1
    assert attach(api)["attached"]
    assert api.drive("cd0")["operation"] is None and api.drive("cd0")["medium"]["image"] == "cd.iso"
    host(trayd, "unlock cd0")
    assert detach(api)["detached"]["step"] == "done"


@pytest.mark.parametrize("step, code", [("sync", "store_detached"), ("unmount", "store_in_use"), ("check", "store_in_use")])
def test_a_failing_step_is_undone(service, step, code):
    trayd, api = service
    api.insert("cd0", "cd.iso")
    host(trayd, f"store main fail-{step}")
    problem = detach(api, 409, unmount=True)
    assert (problem["code"], problem["step"]) == (code, step)
    is_as_before(api, step, code)
    host(trayd, "store main well")
    assert detach(api, unmount=True)["detached"]["safe_to_remove"]


def test_what_cannot_be_mounted_again_says_so(service):
    trayd, api = service
    detach(api, unmount=True)
    host(trayd, "store main fail-mount")
    problem = attach(api, 409)
    assert (problem["code"], problem["step"]) == ("store_in_use", "mount")
    assert store(api)["detached"]["unmounted"] and store(api)["detach_failed"]["step"] == "mount"
    host(trayd, "store main well")
    assert attach(api)["attached"]


def test_first_detached_then_unmounted(service):
    _, api = service
    assert not detach(api)["detached"]["unmounted"]
    assert not detach(api)["detached"]["unmounted"]  # nothing to do
    assert detach(api, unmount=True)["detached"]["safe_to_remove"]


# ---- transfers ----------------------------------------------------------------------------------------------------------

def begin_put(trayd, length):
    """An upload in one piece whose last byte is missing."""
    s = socket.create_connection(("127.0.0.1", trayd.port), 10)
    s.sendall(f"PUT /api/v1/images/slow.iso HTTP/1.1\r\nHost: 127.0.0.1:{trayd.port}\r\nContent-Length: {length}\r\n\r\n".encode()
              + bytes(length - 1))
    return s


def running(api):
    return [t for t in api.get("/api/v1/transfers").json()["transfers"] if t["state"] == "running"]


def test_transfers_are_waited_for(service):
    trayd, api = service
    with begin_put(trayd, 100000) as s:
        until(lambda: running(api), "the transfer")
        problem = detach(api, 409, patience=0.3)
        assert (problem["code"], problem["step"]) == ("store_in_use", "transfers")
        is_as_before(api, "transfers", "store_in_use")
        assert detach(api, 202, patience=20, headers={"Prefer": "respond-async"})["detached"]
        until(lambda: store(api)["detached"]["step"] == "transfers", "the step")
        s.sendall(b"\0")
        assert s.recv(1000).startswith(b"HTTP/1.1 201")
    until(lambda: store(api)["detached"]["step"] == "done", "the end")
    attach(api)
    assert api.get("/api/v1/images/slow.iso").json()["size"] == 100000


def test_transfers_are_cancelled(service):
    trayd, api = service
    with begin_put(trayd, 100000) as s:
        until(lambda: running(api), "the transfer")
        assert detach(api, transfers="cancel")["detached"]["step"] == "done"
        assert b"cancelled" in s.recv(2000)
    attach(api)
    assert api.get("/api/v1/images/slow.iso").status_code == 404


def test_an_upload_in_pieces_pauses(service):
    trayd, api = service
    upload = Tus(api, "pieces.iso", 100000)
    head = (f"PATCH {upload.path} HTTP/1.1\r\nHost: 127.0.0.1:{trayd.port}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
            "Content-Type: application/offset+octet-stream\r\nContent-Length: 100000\r\n\r\n")
    with socket.create_connection(("127.0.0.1", trayd.port), 10) as s:
        s.sendall(head.encode() + bytes(50000))
        until(lambda: running(api), "the transfer")
        assert detach(api, transfers="cancel")["detached"]["step"] == "done"
    upload.head(409)
    attach(api)
    offset = upload.offset()
    assert offset > 0
    upload.piece(offset, bytes(100000 - offset))
    assert api.get("/api/v1/images/pieces.iso").json()["complete"]


def test_who_reads_is_waited_for(service):
    trayd, api = service
    api.upload("big.img", bytes(64 << 20))
    with socket.create_connection(("127.0.0.1", trayd.port), 10) as s:
        s.sendall(f"GET /api/v1/images/big.img/content HTTP/1.1\r\nHost: 127.0.0.1:{trayd.port}\r\n\r\n".encode())
        assert s.recv(100)
        problem = detach(api, 409, patience=0.3, transfers="cancel")
        assert problem["step"] == "transfers" and "big.img" in problem["detail"]
    until(lambda: not [link for link in links_of(trayd) if link.endswith("big.img")], "the end of the connection")
    assert detach(api)["detached"]["step"] == "done"


# ---- restarts -----------------------------------------------------------------------------------------------------------

def kill_gadget(trayd, api):
    old = child_of(trayd._keeper(), "trayd-gadget")
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: child_of(trayd._keeper(), "trayd-gadget") not in (None, old), "another trayd-gadget")
    wait_until(lambda: api.session.get(trayd.url + "/readyz").status_code in (200, 503) and
               api.session.get(trayd.url + "/api/v1/drives").status_code == 200, "the connection")


def test_it_outlives_trayd_gadget(service):
    trayd, api = service
    detach(api, unmount=True)
    kill_gadget(trayd, api)
    seen = store(api)["detached"]
    assert seen["step"] == "done" and seen["unmounted"] and seen["safe_to_remove"]
    assert api.put("/api/v1/drives/cd0/medium", json={"image": "cd.iso"}).json()["code"] == "store_detached"
    assert attach(api)["attached"]


@pytest.mark.parametrize("step", ["sync", "unmount", "check"])
def test_trayd_gadget_dies_in_the_middle(service, step):
    """The next one goes on with the same step, and whoever waits hears of the end."""
    trayd, api = service
    host(trayd, f"store main hang-{step}")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(Client(trayd.url).post(STORE + "/detach", json={"unmount": True})))
    waiting.start()
    until(lambda: (store(api)["detached"] or {}).get("step") == step, "the step")
    assert api.post(STORE + "/attach").json()["code"] == "too_late"
    kill_gadget(trayd, api)
    waiting.join(20)
    assert [a.status_code for a in answers] == [200] and answers[0].json()["detached"]["safe_to_remove"]
    assert attach(api)["attached"]


def killed(trayd):
    """Of the next trayd; it is not ready where its only store is away."""
    os.kill(trayd.process.pid, signal.SIGKILL)
    trayd.process.wait()
    api = Client(trayd.start().url)
    until(lambda: api.get("/api/v1/drives").status_code == 200, "the connection")
    return api


def test_trayd_dies_after_the_end(service):
    trayd, api = service
    detach(api)
    api = killed(trayd)
    assert store(api)["detached"]["step"] == "done" and not store(api)["attached"]
    assert api.get("/api/v1/images/cd.iso").json()["code"] == "store_detached"
    assert attach(api)["attached"]


def test_trayd_dies_while_it_waits(service):
    trayd, api = service
    api.insert("cd0", "cd.iso")
    host(trayd, "lock cd0")
    detach(api, 202, patience=60, headers={"Prefer": "respond-async"})
    until(lambda: api.drive("cd0")["operation"], "the eject")
    api = killed(trayd)
    assert store(api)["attached"] and store(api)["detached"] is None


# ---- requests -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("body", [
    {"mode": "gentle"}, {"mode": 1}, {"patience": -1}, {"patience": 1e9}, {"patience": "5"}, {"on_timeout": "wait"},
    {"transfers": "keep"}, {"transfers": ["drain"]}, {"unmount": "yes"}, {"lock_policy": "never"}, {"force": True}, [], "x", 5])
def test_bad_bodies(service, body):
    _, api = service
    response = api.post(STORE + "/detach", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "bad_request"), response.text
    assert store(api)["attached"] and store(api)["detach_failed"] is None


@pytest.mark.parametrize("name", ["nowhere", "main%2Fsub", "..", "main ", "%00", "m" * 300])
def test_bad_names(service, name):
    _, api = service
    for order in "detach", "attach":
        response = api.session.post(f"{api.url}/api/v1/stores/{name}/{order}", json={})
        assert 400 <= response.status_code < 500
    assert store(api)["attached"]


def test_without_trayd_gadget(service):
    trayd, api = service
    trayd.stop_gadget()
    try:
        until(lambda: api.get("/api/v1/drives").status_code == 503, "the loss")
        assert detach(api, 503)["code"] == "unavailable"
        assert store(api)["attached"]
    finally:
        trayd.continue_gadget()


def test_many_at_once(service):
    trayd, api = service
    api.insert("cd0", "cd.iso")
    answers = []

    def one(order):
        answers.append(Client(trayd.url).post(STORE + "/" + order, **({"json": {}} if order == "detach" else {})).status_code)

    threads = [threading.Thread(target=one, args=(order,)) for order in ("detach", "detach", "attach", "detach", "attach") * 3]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    assert len(answers) == 15 and set(answers) <= {200, 409}, answers
    until(lambda: (store(api)["detached"] or {"step": "done"})["step"] == "done", "the end of it")
    assert attach(api)["attached"]
    api.insert("cd0", "cd.iso")
