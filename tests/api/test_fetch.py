"""Images from a URL: from servers that are good, poor, or hostile."""
import bz2
import gzip
import hashlib
import io
import lzma
import os
import signal
import socket
import subprocess
import zipfile

import pytest
from contract import Client, check_problem, until
from hostile import CONTENT, Server

IMAGES = "/api/v1/images"
POLICY = "loopback = true; private = false; link_local = false;"
QUICK = 'stall_timeout = "500 ms"; retry_pause = "10 ms"; retries = 3; '


@pytest.fixture
def server():
    s = Server()
    yield s
    s.close()


@pytest.fixture
def start(start_trayd):
    def begin(fetch=QUICK + POLICY, **kw):
        trayd = start_trayd(more=f"fetch = {{ {fetch} }};", **kw).wait_ready()
        return trayd, Client(trayd.url)
    return begin


@pytest.fixture
def api(start):
    return start()[1]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def fetch(api, url, status=201, headers=None, **members):
    response = api.post(IMAGES, json={"from": "url", "url": url, **members}, headers=headers)
    assert response.status_code == status, response.text
    if status >= 400:
        check_problem(response)
    return response.json()


def stored(api, name):
    return api.get(f"{IMAGES}/{name}/content").content


def names(api):
    return [image["name"] for image in api.get(IMAGES).json()["images"]]


def hidden(trayd):
    """Files of what is unfinished; records of what is finished do not count."""
    folder = os.path.join(trayd.store, ".trayd")
    return [n for n in os.listdir(folder) if not n.endswith(".json")] if os.path.isdir(folder) else []


# ---- what works ----


def test_a_good_server(api, server):
    response = api.post(IMAGES, json={"from": "url", "url": server.url + "/good/a.iso?sig=secret"})
    assert response.status_code == 201 and response.headers["Location"] == IMAGES + "/a.iso"
    assert response.json()["sha256"] == sha256(CONTENT) and stored(api, "a.iso") == CONTENT
    transfer = api.get("/api/v1/transfers").json()["transfers"][0]
    assert (transfer["kind"], transfer["method"], transfer["state"]) == ("download", "url", "done")
    assert transfer["source"] == server.url + "/good/a.iso" and transfer["bytes"] == transfer["size"] == len(CONTENT)
    assert server.asked("good")[0][2]["User-Agent"].startswith("trayd/")


@pytest.mark.parametrize("how", ["breaks_twice", "breaks_with_date", "no_ranges", "breaks_without_etag", "busy", "chunked",
                                 "hangs_in_the_middle"])
def test_a_poor_server(api, server, how):
    image = fetch(api, f"{server.url}/{how}/a.iso", sha256=sha256(CONTENT))
    assert image["sha256"] == sha256(CONTENT) and stored(api, "a.iso") == CONTENT
    ranges = [r[2].get("Range") for r in server.asked(how)]
    if how == "breaks_twice":
        assert ranges == [None, "bytes=1200000-", "bytes=2400000-"]
    if how == "breaks_with_date":
        assert ranges == [None, "bytes=1200000-"]
    if how == "breaks_without_etag":
        assert ranges == [None, None]  # nothing says that both are the same file


def test_a_file_that_changes_is_fetched_anew(api, server):
    image = fetch(api, server.url + "/changes/a.iso")
    assert image["sha256"] == sha256(CONTENT[::-1] + b"x") and image["size"] == len(CONTENT) + 1


def test_a_redirect(api, server):
    fetch(api, f"{server.url}/to/a.iso?{server.url}/good/other")
    assert stored(api, "a.iso") == CONTENT


def test_digests(start, server):
    trayd, api = start()
    assert fetch(api, server.url + "/good/a.iso", 422, sha256="0" * 64)["code"] == "digest_mismatch"
    assert fetch(api, server.url + "/changes_silently/a.iso", 422, sha256=sha256(CONTENT))["code"] == "digest_mismatch"
    server.sums = f"{'0' * 64}  b.iso\n{sha256(CONTENT)} *a.iso\n"
    assert fetch(api, server.url + "/good/b.iso", 422, sha256_url=server.url + "/sums/S")["code"] == "digest_mismatch"
    assert fetch(api, server.url + "/good/c.iso", 502, sha256_url=server.url + "/sums/S")["code"] == "source_failed"
    assert fetch(api, server.url + "/good/c.iso", 502, sha256_url=server.url + "/missing/S")["code"] == "source_failed"
    assert names(api) == [] and hidden(trayd) == []
    fetch(api, server.url + "/good/a.iso", sha256_url=server.url + "/sums/S")
    # the same again is there already
    asked = len(server.asked("good"))
    assert fetch(api, server.url + "/good/a.iso", 200, sha256=sha256(CONTENT))["name"] == "a.iso"
    assert len(server.asked("good")) == asked


def test_names(api, server):
    fetch(api, server.url + "/good/a.iso", name="b.iso")
    assert fetch(api, server.url + "/good/b.iso", 409)["code"] == "exists"
    assert fetch(api, server.url + "/good/", 400)["code"] == "bad_request"
    assert fetch(api, server.url + "/good/a.iso", 400, name="a/b")["code"] == "invalid_name"
    assert fetch(api, server.url + "/good/a.iso", 404, store="nowhere")["code"] == "not_found"
    assert fetch(api, "ftp://127.0.0.1/a.iso", 400)["code"] == "bad_request"
    assert fetch(api, "file:///etc/passwd", 400)["code"] == "bad_request"
    assert fetch(api, server.url + "/good/a.iso", 400, nonsense=1)["code"] == "bad_request"
    assert api.post(IMAGES, json={"from": "nowhere"}).status_code == 400
    assert api.post(IMAGES, json={"url": "http://h/x"}).status_code == 400


# ---- what does not ----


@pytest.mark.parametrize("how, code", [
    ("missing", "source_failed"), ("broken", "source_failed"), ("nonsense", "source_failed"),
    ("says_too_much", "source_failed"), ("slow", "source_failed"), ("silent", "source_failed"),
    ("endless_headers", "source_failed"), ("loop", "source_failed"),
    ("wrong_range", "source_failed"), ("changes_always", "source_failed"), ("endless", "too_large"),
    ("huge", "too_large"),
])
def test_a_bad_server(start, server, how, code):
    trayd, api = start(QUICK + POLICY + 'largest = "50 MiB";')
    status = {"too_large": 413, "source_failed": 502}[code]
    problem = fetch(api, f"{server.url}/{how}/a.iso", status)
    assert problem["code"] == code, problem
    assert api.get("/api/v1/transfers/" + problem["transfer"]).json()["state"] == "failed"
    assert names(api) == [] and hidden(trayd) == []


def test_the_room_is_there_before_the_body(start, server):
    _, api = start(QUICK + POLICY + 'largest = "4096 TiB";', server='upload_max = "4096 TiB"; ')
    assert fetch(api, server.url + "/huge/a.iso", 507)["code"] == "no_space"


def test_forbidden_addresses(api, server):
    port = server.port
    for host in "169.254.169.254", "10.0.0.1", "[fe80::1]", "[fd00::1]", "0.0.0.0", "[::]", "224.0.0.1", "[::ffff:10.0.0.1]":
        url = f"http://{host}:{port}/good/a.iso"
        assert fetch(api, url, 403)["code"] == "source_forbidden", host
        assert fetch(api, f"{server.url}/to/a.iso?{url}", 403)["code"] == "source_forbidden", host
    assert fetch(api, f"{server.url}/to/a.iso?file:///etc/passwd", 502)["code"] == "source_failed"
    assert fetch(api, f"{server.url}/to/a.iso?gopher://127.0.0.1:{port}/x", 502)["code"] == "source_failed"
    assert not server.asked("good")


def test_loopback_is_off_by_default(start, server):
    _, api = start(QUICK)
    port = server.port
    own = [info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
                 "a.localhost", "127.255.255.254", "[64:ff9b::7f00:1]", *own]:
        assert fetch(api, f"http://{host}:{port}/good/a.iso", 403)["code"] == "source_forbidden", host
    assert not server.requests


def test_credentials(start, server):
    trayd, api = start()
    assert fetch(api, server.url + "/secret/a.iso", 502)["code"] == "source_failed"
    url = server.url.replace("http://", "http://me:pass%20word@")
    fetch(api, url + "/secret/a.iso")
    fetch(api, server.url + "/secret/b.iso", username="me", password="pass word")
    # they do not follow a redirect to another server
    other = Server()
    try:
        fetch(api, f"{server.url}/to/c.iso?{other.url}/good/c.iso", username="me", password="pass word")
        assert all("Authorization" not in r[2] for r in other.requests)
        other.sums = f"{sha256(CONTENT)}  d.iso\n"
        fetch(api, server.url + "/secret/d.iso", username="me", password="pass word", sha256_url=other.url + "/sums/S")
        assert all("Authorization" not in r[2] for r in other.requests)
    finally:
        other.close()
    shown = trayd.messages() + api.get("/api/v1/transfers").text
    assert "pass word" not in shown and "pass%20word" not in shown


# ---- under way ----


def paced(server, mib, hold_at):
    block = CONTENT[:1 << 20]
    server.big = b"".join(bytes([i]) + block[1:] for i in range(mib))
    server.hold_at = hold_at << 20
    return server.url + "/paced/a.iso"


def test_under_way(start, server):
    trayd, api = start('retry_pause = "10 ms"; ' + POLICY)
    url = paced(server, 8, 4)
    transfer = fetch(api, url, 202, {"Prefer": "respond-async"})
    assert transfer["state"] in ("running", "paused") and transfer["source"] == url
    where = "/api/v1/transfers/" + transfer["id"]
    until(lambda: api.get(where).json()["bytes"] >= 5 << 20, "5 MiB came")
    shown = api.get(where).json()
    assert shown["size"] == 8 << 20 and shown["name"] == "a.iso"
    image = api.get(IMAGES + "/a.iso").json()
    assert not image["complete"] and image["size"] == 8 << 20
    # the same again joins it, another of that name does not
    assert fetch(api, url, 202, {"Prefer": "wait=0"})["id"] == transfer["id"]
    assert fetch(api, server.url + "/good/a.iso", 409)["code"] == "exists"
    server.go_on.set()
    until(lambda: api.get(where).json()["state"] == "done", "it is done")
    assert api.get(where).json()["result"]["sha256"] == sha256(server.big)
    assert len(server.asked("paced")) == 1


@pytest.mark.parametrize("how", ["transfer", "image"])
def test_cancel(start, server, how):
    trayd, api = start('retry_pause = "10 ms"; ' + POLICY)
    transfer = fetch(api, paced(server, 8, 4), 202, {"Prefer": "respond-async"})
    where = "/api/v1/transfers/" + transfer["id"]
    until(lambda: api.get(where).json()["bytes"] >= 5 << 20, "5 MiB came")
    assert api.delete(where if how == "transfer" else IMAGES + "/a.iso").status_code in (200, 204)
    until(lambda: api.get(where).json()["state"] == "cancelled", "it has ended")
    until(lambda: not hidden(trayd), "nothing is left")
    assert names(api) == []


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_restart_in_the_middle(start, server, how):
    trayd, api = start('retry_pause = "10 ms"; ' + POLICY)
    url = paced(server, 160, 150)
    transfer = fetch(api, url, 202, {"Prefer": "respond-async"}, sha256=sha256(server.big))
    until(lambda: api.get("/api/v1/transfers/" + transfer["id"]).json()["bytes"] >= 150 << 20, "150 MiB came")
    trayd.stop(*((signal.SIGKILL, -signal.SIGKILL) if how == "kill" else ()))
    server.go_on.set()
    trayd.start().wait_ready()
    api = Client(trayd.url)
    until(lambda: api.get("/api/v1/transfers/" + transfer["id"]).json()["state"] == "done", "it went on")
    assert api.get(IMAGES + "/a.iso").json()["sha256"] == sha256(server.big)
    again = server.asked("paced")[-1][2]
    assert len(server.asked("paced")) == 2 and again["If-Range"] == '"v1"'
    first = int(again["Range"].removeprefix("bytes=").rstrip("-"))
    assert first >= (128 << 20 if how == "kill" else 150 << 20)


def test_a_password_is_not_written_down(start, server):
    """So after a restart it must be given again; then it goes on."""
    trayd, api = start('retry_pause = "10 ms"; ' + POLICY)
    url = paced(server, 8, 6)
    transfer = fetch(api, url, 202, {"Prefer": "respond-async"}, username="me", password="pass word")
    where = "/api/v1/transfers/" + transfer["id"]
    until(lambda: api.get(where).json()["bytes"] >= 6 << 20, "6 MiB came")
    trayd.stop()
    server.go_on.set()
    for folder, _, files in os.walk(trayd.directory):
        for name in files:
            with open(os.path.join(folder, name), "rb") as f:
                data = f.read()
            assert b"pass word" not in data, name
    trayd.start().wait_ready()
    api = Client(trayd.url)
    assert api.get(where).json()["state"] == "paused"
    image = fetch(api, url, username="me", password="pass word")
    assert image["sha256"] == sha256(server.big)
    assert server.asked("paced")[-1][2]["Range"] != "bytes=0-"


def test_memory_is_flat(start, server):
    trayd, api = start('retry_pause = "10 ms"; ' + POLICY)

    def resident():
        with open(f"/proc/{trayd.process.pid}/status", encoding="utf-8") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))

    fetch(api, paced(server, 16, 1000))
    before = resident()
    server.big = b"".join(bytes([i % 256]) + CONTENT[1:1 << 20] for i in range(300))
    image = fetch(api, server.url + "/paced/b.iso", name="b.iso")
    assert image["size"] == 300 << 20
    assert resident() - before < 4096, "KiB more for 300 MiB than for 16"


# ---- unpacking ----


def zipped(*files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in files:
            z.writestr(name, content)
    return out.getvalue()


def zstd(content):
    return subprocess.run(["zstd", "-qc"], input=content, capture_output=True, check=True).stdout


PACKED = {
    "xz": ("a.iso.xz", lzma.compress(CONTENT, preset=0), "a.iso"),
    "gzip": ("a.iso.gz", gzip.compress(CONTENT, 1), "a.iso"),
    "zstd": ("a.iso.zst", zstd(CONTENT), "a.iso"),
    "bzip2": ("a.iso.bz2", bz2.compress(CONTENT), "a.iso"),
    "zip": ("a.zip", zipped(("README.txt", b"hello"), ("dir/a.iso", CONTENT)), "a.img"),
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("how", ["put", "chunked", "url"])
def test_unpacking(api, server, packed, how):
    name, data, wanted = PACKED[packed]
    server.files[name] = data
    if how == "url":
        image = fetch(api, f"{server.url}/file/{name}", sha256=sha256(data))
    else:
        pieces = (data[i:i + 10_000] for i in range(0, len(data), 10_000))
        image = api.upload(name, data if how == "put" else pieces, params={"sha256": sha256(data)})
    assert image["name"] == wanted and image["sha256"] == sha256(CONTENT) and stored(api, wanted) == CONTENT
    assert image["unpacked"] == {"format": packed, "size": len(data), "sha256": sha256(data)}
    transfer = api.get("/api/v1/transfers").json()["transfers"][0]
    assert transfer["bytes"] == len(data)


def test_unpack_or_not(api, server):
    name, data, _ = PACKED["xz"]
    server.files[name] = data
    assert stored(api, api.upload(name, data, params={"unpack": "false"})["name"]) == data
    assert stored(api, fetch(api, f"{server.url}/file/{name}", name="b.xz", unpack=False)["name"]) == data
    assert stored(api, api.upload("c.iso", data, params={"unpack": "true"})["name"]) == CONTENT
    server.files["plain"] = data
    assert stored(api, fetch(api, server.url + "/file/plain", name="d.iso", unpack=True)["name"]) == CONTENT
    assert api.put(IMAGES + "/e.iso", data=data, params={"unpack": "maybe"}).status_code == 400
    response = api.put(IMAGES + "/e.iso", data=CONTENT, params={"unpack": "true"})
    assert response.status_code == 422 and response.json()["code"] == "archive_unusable"


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("how", ["put", "url"])
def test_damaged_and_cut(start, server, packed, how):
    trayd, api = start()
    name, data, _ = PACKED[packed]
    middle = len(data) // 2
    for bad in data[:middle], data[:-30 if packed != "zip" else middle], \
            data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]:
        server.files[name] = bad
        if how == "url":
            problem = fetch(api, f"{server.url}/file/{name}", 422)
        else:
            response = api.put(f"{IMAGES}/{name}", data=bad)
            assert response.status_code == 422
            problem = response.json()
        assert problem["code"] == "archive_unusable", problem
    digest = fetch(api, f"{server.url}/file/{name}", 422, sha256="0" * 64)
    assert digest["code"] in ("digest_mismatch", "archive_unusable")
    assert names(api) == [] and hidden(trayd) == []


def test_bombs(start, server):
    trayd, api = start(QUICK + POLICY + 'largest = "20 MiB";')
    zeros = bytes(64 << 20)
    for name, data in ("a.iso.gz", gzip.compress(zeros)), ("a.iso.xz", lzma.compress(zeros, preset=0)), \
            ("a.iso.bz2", bz2.compress(zeros)), ("a.zip", zipped(("a.iso", zeros))):
        response = api.put(f"{IMAGES}/{name}", data=data)
        assert response.status_code == 413 and response.json()["code"] == "too_large", response.text
        server.files[name] = data
        assert fetch(api, f"{server.url}/file/{name}", 413)["code"] == "too_large"
    assert names(api) == [] and hidden(trayd) == []


def test_packed_and_broken_off(api, server):
    """The helper that fetches goes on, and the one that unpacks does not notice."""
    server.files["x"] = b""
    data = PACKED["xz"][1]

    def breaks(rq):
        rq.part(data, cut=1_100_000 if rq.count <= 2 else None)
    server.behaviours.packed_breaks = breaks
    image = fetch(api, server.url + "/packed_breaks/a.iso.xz")
    assert image["sha256"] == sha256(CONTENT) and len(server.asked("packed_breaks")) == 3


def test_helpers_end(start, server):
    """No helper outlives its job, whatever became of that."""
    trayd, api = start('retry_pause = "10 ms"; ' + POLICY)
    transfer = fetch(api, paced(server, 8, 4), 202, {"Prefer": "respond-async"})
    until(lambda: api.get("/api/v1/transfers/" + transfer["id"]).json()["bytes"] >= 5 << 20, "5 MiB came")

    def helpers():
        found = subprocess.run(["pgrep", "-P", str(trayd.process.pid), "-x", "trayd-helper"], capture_output=True,
                               text=True, check=False)
        return found.stdout.split()
    mine = helpers()
    assert len(mine) == 1
    trayd.stop(signal.SIGKILL, -signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{mine[0]}"), "the helper ends with trayd")
