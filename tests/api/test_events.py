"""Server-sent events: what a listener is told, and how it goes on after a break."""
import http.client
import json
import pathlib
import queue
import socket
import threading

import pytest
from contract import PATIENCE, Client, check_component, host

SCHEMAS = {"drive": "Drive", "operation": "Operation", "system": "System", "store": "Store"}


class Listener:
    """Reads the stream in a thread; next() waits for an event."""

    def __init__(self, url, last_id=None):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        connection.connect()
        self.socket = connection.sock
        connection.request("GET", "/api/v1/events", headers={"Last-Event-ID": last_id} if last_id else {})
        self.response = connection.getresponse()
        assert self.response.status == 200
        assert self.response.headers["Content-Type"] == "text/event-stream"
        assert self.response.headers["Cache-Control"] == "no-store"
        self.events = queue.Queue()
        self.last_id = last_id
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        event = {}
        try:
            for line in iter(self.response.readline, b""):
                name, _, value = line.decode().rstrip("\n").partition(":")
                if name:
                    event[name] = value.strip()
                elif "data" in event:
                    self.events.put((event.get("id"), event["event"], json.loads(event["data"])))
                if line == b"\n":
                    event = {}
        except (OSError, http.client.HTTPException):
            pass  # closed
        self.events.put(None)

    def next(self):
        event = self.events.get(timeout=PATIENCE)
        if event is None:
            return None
        identity, kind, data = event
        self.last_id = identity or self.last_id
        if kind in SCHEMAS:
            check_component(SCHEMAS[kind], data)
        elif kind == "image" and "deleted" not in data:
            check_component("Image", data)
        return kind, data

    def until(self, kind, condition=lambda data: True):
        """Skips to the next event of that kind for which the condition holds; returns its data."""
        while True:
            event = self.next()
            assert event is not None, "the stream ended"
            if event[0] == kind and condition(event[1]):
                return event[1]

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was first
        self.thread.join()
        self.response.close()
        self.socket.close()


@pytest.fixture
def api(trayd):
    client = Client(trayd.url)
    client.upload("a.iso", bytes(1 << 20))
    return client


@pytest.fixture
def listener(trayd, api):
    stream = Listener(trayd.url)
    yield stream
    stream.close()


def test_begins_with_every_drive_and_the_system(listener):
    got = [listener.next() for _ in range(3)]
    assert [kind for kind, _ in got] == ["drive", "drive", "system"]
    assert [data["name"] for _, data in got[:2]] == ["cd0", "usb0"]
    assert listener.last_id


def test_tells_of_an_insert(api, listener):
    listener.until("system")
    done = api.insert("cd0", "a.iso")
    listener.until("operation", lambda o: o["id"] == done["id"] and o["state"] == "done")
    api.eject("cd0")
    listener.until("drive", lambda d: d["name"] == "cd0" and d["state"] == "empty")


def test_the_drive_is_told_too(api, listener):
    listener.until("system")
    api.insert("cd0", "a.iso")
    listener.until("drive", lambda d: d["state"] == "loaded" and d["medium"]["image"] == "a.iso")


def test_tells_of_images(api, listener):
    listener.until("system")
    api.upload("b.iso", bytes(4096))
    listener.until("image", lambda i: i["name"] == "b.iso" and i.get("complete"))
    api.delete("/api/v1/images/b.iso")
    listener.until("image", lambda i: i["name"] == "b.iso" and i.get("deleted") is True)


def test_tells_of_what_others_put_into_a_store(api, listener, trayd):
    listener.until("system")
    store = pathlib.Path(trayd.store)
    (store / "copied.iso").write_bytes(bytes(1 << 20))
    listener.until("image", lambda i: i["name"] == "copied.iso" and i.get("size") == 1 << 20)
    (store / "copied.iso").unlink()
    listener.until("image", lambda i: i["name"] == "copied.iso" and i.get("deleted") is True)
    (store / "sub").mkdir()
    listener.until("store", lambda s: s["name"] == "main")
    (store / "sub" / "below.iso").write_bytes(bytes(1 << 20))
    listener.until("image", lambda i: i["store"] == "main/sub" and i["name"] == "below.iso")


def test_a_store_that_goes_and_comes_back(api, listener, trayd):
    listener.until("system")
    store = pathlib.Path(trayd.store)
    store.rename(store.with_name("away"))
    assert listener.until("store")["attached"] is False
    store.with_name("away").rename(store)
    assert api.post("/api/v1/stores/main/rescan").json()["attached"]
    assert listener.until("store")["attached"] is True


def test_tells_that_the_host_ejected(api, trayd, listener):
    api.insert("cd0", "a.iso")
    listener.until("drive", lambda d: d["state"] == "loaded")
    host(trayd, "eject cd0")
    assert listener.until("host_ejected") == {"drive": "cd0", "image": "a.iso", "store": "main"}
    listener.until("drive", lambda d: d["name"] == "cd0" and d["state"] == "empty")


def test_goes_on_where_it_was(api, trayd, listener):
    listener.until("system")
    api.insert("cd0", "a.iso")
    listener.until("drive", lambda d: d["state"] == "loaded")
    listener.close()
    api.upload("missed.iso", bytes(4096))
    again = Listener(trayd.url, listener.last_id)
    assert again.until("image", lambda i: i["name"] == "missed.iso")
    again.close()


@pytest.mark.parametrize("last_id", ["nonsense", "00000000-1", "-", "1-99999999"])
def test_begins_anew_with_an_id_of_another_life(trayd, api, last_id):
    stream = Listener(trayd.url, last_id)
    assert [stream.next()[0] for _ in range(3)] == ["drive", "drive", "system"]
    stream.close()


def test_head_does_not_hang(api):
    answer = api.head("/api/v1/events")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/event-stream"


def test_tells_of_the_gadget(api, listener):
    listener.until("system")
    api.post("/api/v1/gadget/detach")
    missing = {"cd0", "usb0", "system"}  # in whatever order
    while missing:
        kind, data = listener.next()
        if kind == "drive" and data["state"] == "detached":
            missing.discard(data["name"])
        elif kind == "system" and data["gadget"]["bound"] is False:
            missing.discard("system")


def test_the_end_of_the_service_ends_the_stream(trayd, listener):
    listener.until("system")
    trayd.stop()
    while listener.next() is not None:
        pass
