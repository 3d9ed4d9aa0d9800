"""Every way in which an image gets a name, with the same rules for all: names that mean harm, and room that stays free."""
import os
import unicodedata
from urllib.parse import quote

import pytest
from contract import Client
from hostile import Server
from tus import VERSION, metadata

IMAGES = "/api/v1/images"
CONTENT = b"an image, as good as any"
LIMITED = "fetch = { loopback = true; retries = 1; };"


def put(api, name, _):
    return api.put(f"{IMAGES}/{quote(name, safe='')}", data=CONTENT)


def put_chunked(api, name, _):
    return api.put(f"{IMAGES}/{quote(name, safe='')}", data=iter([CONTENT]))


def tus(api, name, _):
    headers = {**VERSION, "Upload-Length": str(len(CONTENT)), "Upload-Metadata": metadata(filename=name),
               "Content-Type": "application/offset+octet-stream"}
    return api.post("/api/v1/uploads", headers=headers, data=CONTENT)


def blank(api, name, _):
    return api.post(IMAGES, json={"from": "blank", "name": name, "size": 1 << 20})


def url(api, name, server):
    return api.post(IMAGES, json={"from": "url", "url": server.url + "/good/x", "name": name})


def rename(api, name, _):
    if api.get(f"{IMAGES}/before.img").status_code == 404:
        api.upload("before.img", CONTENT)
    return api.patch(f"{IMAGES}/before.img", json={"name": name})


WAYS = [put, put_chunked, tus, blank, url, rename]
MAKING = [put, put_chunked, tus, blank, url]

BAD = {
    "nothing": "", "here": ".", "above": "..", "hidden": ".hidden", "the hidden directory": ".trayd", "traversal": "../../etc/passwd",
    "traversal within": "a/../b", "absolute": "/etc/passwd", "a folder": "folder/a.img", "a slash at the end": "a.img/",
    "newline": "a\nb", "return": "a\rb", "tab": "a\tb", "escape": "a\x1b[31m", "delete": "a\x7f", "C1": "a\x9f",
    "zero": "a\0.img", "right-to-left override": "photo_\u202egpj.iso", "embedding": "a\u202bb", "isolate": "a\u2067b",
    "mark": "a\u200fb", "line separator": "a\u2028b", "byte order mark": "\ufeffa",
    "decomposed": unicodedata.normalize("NFD", "ü.iso"), "256 bytes": "x" * 256, "256 bytes in 128 letters": "ü" * 128,
}

# What is good, though other systems or careless programs trip over it.
GOOD = [
    "x" * 255, "ü" * 127 + "x", "con", "nul.iso", "aux.img", "a.", "a b.iso", " a", "-rf", "~", "%2e%2e%2f", "%00", "a\\b", "a..b",
    "$(reboot)", "'; DROP TABLE images; --", "<script>", "*", "?", "#a", "a:b", "a;b", "שלום.iso", "💿.iso", "한국어.iso",
]


@pytest.fixture(name="world", scope="module")
def _world():
    from conftest import Trayd
    server = Server()
    trayd = Trayd(more=LIMITED)
    try:
        trayd.wait_ready()
        os.mkdir(os.path.join(trayd.store, "folder"))
        yield trayd, Client(trayd.url), server
    finally:
        trayd.close()
        server.close()


def everything(trayd):
    """All names in the store and around it, but for what belongs to the service itself."""
    found = set()
    for directory, folders, files in os.walk(trayd.directory):
        folders[:] = [f for f in folders if f != ".trayd"]
        found.update(os.path.join(directory, name) for name in files + folders)
    return {f for f in found if "/trayd.db" not in f and not f.endswith("gadget.state.new")}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", BAD)
def test_bad_names(world, way, what):
    trayd, api, server = world
    rename(api, "before.img", server)  # so that it is there
    before = everything(trayd)
    answer = way(api, BAD[what], server)
    # The path of a URL cannot say some of these at all: then the request is at fault, not the name.
    at_the_door = {404: "not_found", 405: "method_not_allowed"} if way in (put, put_chunked) else {}
    code = answer.json()["code"]
    bad = answer.status_code == 400 and code in ("invalid_name", "bad_request")
    assert bad or code == at_the_door.get(answer.status_code), answer.text
    assert everything(trayd) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GOOD)
def test_good_names(world, way, name):
    trayd, api, server = world
    answer = way(api, name, server)
    if way in (put, put_chunked) and ("%2f" in quote(name, safe="").lower() or "%5c" in quote(name, safe="").lower()):
        assert answer.status_code == 400  # an encoded slash or backslash in a path means harm more often than a name
        return
    assert answer.status_code in (200, 201), answer.text
    assert os.path.isfile(os.path.join(trayd.store, name))
    assert name in [image["name"] for image in api.get(IMAGES, params={"q": name}).json()["images"]]
    os.unlink(os.path.join(trayd.store, name))


# ---- room ----


@pytest.mark.parametrize("way", MAKING)
def test_the_reserve(start_trayd, way):
    """A store with less left than it is to keep takes nothing more, in whatever way; what is there can be used."""
    server = Server()
    try:
        trayd = start_trayd(more=LIMITED).wait_ready()
        free = Client(trayd.url).get("/api/v1/stores/main").json()
        config = trayd.directory / "trayd.conf"
        config.write_text(config.read_text().replace('name = "main";', f'name = "main"; reserve = "{free["size"]} B";'))
        with open(os.path.join(trayd.store, "there.img"), "wb") as f:
            f.write(CONTENT)
        trayd.restart()
        api = Client(trayd.url)
        store = api.get("/api/v1/stores/main").json()
        assert (free["reserve"], store["reserve"]) == (64 << 20, free["size"]) and 0 < store["free"] <= store["size"]
        answer = way(api, "new.img", server)
        assert answer.status_code == 507 and answer.json()["code"] == "no_space", answer.text
        assert f"besides {free['size']} that stay free" in answer.json()["detail"]
        assert [i["name"] for i in api.get(IMAGES).json()["images"]] == ["there.img"]
        assert api.patch(f"{IMAGES}/there.img", json={"name": "renamed.img"}).status_code == 200
        assert api.delete(f"{IMAGES}/renamed.img").status_code == 204
    finally:
        server.close()
