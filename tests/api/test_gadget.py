"""The gadget as a whole: system, reattach, detach and attach."""
import pytest
from contract import Client, host, until


@pytest.fixture
def api(trayd):
    client = Client(trayd.url)
    client.upload("a.iso", bytes(1 << 20))
    return client


def test_system(api):
    system = api.get("/api/v1/system").json()
    assert system["gadget"]["engine"] == "simulation" and system["gadget"]["bound"] is True
    assert system["version"] == system["gadget"]["version"]
    assert system["boot_id"] == system["gadget"]["boot_id"]


def test_detach_and_attach(api):
    api.insert("cd0", "a.iso")
    assert api.post("/api/v1/gadget/detach").json()["gadget"]["bound"] is False
    until(lambda: api.drive("cd0")["state"] == "detached")
    assert api.get("/api/v1/drives/cd0/medium").json()["image"] == "a.iso"  # media stay in
    assert api.post("/api/v1/gadget/detach").status_code == 200
    assert api.post("/api/v1/gadget/attach").json()["gadget"]["bound"] is True
    until(lambda: api.drive("cd0")["state"] == "loaded")
    assert api.post("/api/v1/gadget/attach").status_code == 200


def test_reattach(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    assert api.post("/api/v1/gadget/reattach").json()["gadget"]["bound"] is True
    assert api.eject("cd0", patience=1)["state"] == "done"  # the lock went with the host


def test_collateral(api, trayd):
    api.insert("usb0", "a.iso", readonly=False)
    host(trayd, "write usb0 65536")
    until(lambda: api.drive("usb0")["evidence"]["bytes_written"], "the host's bytes")
    assert api.post("/api/v1/gadget/reattach").json()["code"] == "collateral_in_use"
    answer = api.post("/api/v1/gadget/reattach", json={"allow_collateral": True})
    assert answer.status_code == 200, answer.text


def test_rebuild(start_trayd):
    """Another configuration: the gadget is adopted as it was, until somebody orders it to be made anew."""
    trayd = start_trayd()
    trayd.stop()
    kernel = trayd.directory / "run" / "host.sock.kernel"
    kernel.touch()
    kernel.chmod(0o666)  # whoever trayd-gadget becomes
    api = Client(trayd.start().wait_ready().url)
    api.upload("a.iso", bytes(1 << 20))
    api.insert("cd0", "a.iso")
    assert api.post("/api/v1/gadget/rebuild").json()["gadget"]["differences"] is None
    assert host(trayd, "enumerations") == "1", "nothing differed, so nothing was done"

    trayd.stop()
    conf = trayd.directory / "trayd.conf"
    conf.write_text(conf.read_text() + """drives = ( { name = "cd0"; type = "cdrom"; dwell = "0 s"; },
        { name = "usb0"; type = "disk"; }, { name = "more"; type = "disk"; } );""")
    api = Client(trayd.start().wait_ready().url)
    gadget = until(lambda: (g := api.get("/api/v1/system").json()["gadget"])["found"] and g, "the gadget")
    assert gadget["found"] == "differs" and "more" in gadget["differences"]
    until(lambda: api.drive("cd0")["state"] == "loaded", "the medium that was in")
    assert host(trayd, "enumerations") == "1"
    assert api.put("/api/v1/drives/more/medium", json={"image": "a.iso", "readonly": True}).json()["code"] == "gadget_differs"

    answer = api.post("/api/v1/gadget/rebuild").json()["gadget"]
    assert answer["differences"] is None and answer["bound"] and answer["incarnation"] != gadget["incarnation"]
    assert host(trayd, "enumerations") == "2"
    until(lambda: api.drive("cd0")["state"] == "loaded", "the medium, put back")
    until(lambda: api.drive("cd0")["operation"] is None, "the end of that")
    newest = api.get("/api/v1/operations?drive=cd0&state=done&limit=1").json()["operations"][0]
    assert (newest["action"], newest["by"]) == ("insert", "local")
    assert api.insert("more", "a.iso", readonly=True)["state"] == "done"


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"allow": true}', b'{"allow_collateral": 1}'])
def test_malformed_orders(api, body):
    for order in ("reattach", "attach", "detach", "rebuild"):
        answer = api.post("/api/v1/gadget/" + order, data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
    assert api.get("/api/v1/system").json()["gadget"]["bound"] is True
