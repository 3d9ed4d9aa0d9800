"""The transport: raw sockets against the real program, with what no well-behaved client sends."""
import concurrent.futures
import json
import os
import re
import select
import socket
import subprocess
import tempfile
import time

import pytest
from conftest import BINARY, LIVENESS, check_response, wait_until

HOST = b"Host: localhost:%d\r\n"


def read_answer(stream, method="GET"):
    """One answer from a file made of a socket: (status, headers, parsed JSON or bytes). None: the connection ended."""
    line = stream.readline()
    if not line:
        return None
    status = int(re.fullmatch(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n", line)[1])
    headers = {}
    while (line := stream.readline()) != b"\r\n":
        assert line.endswith(b"\r\n"), line
        name, value = line.decode().split(":", 1)
        headers[name.lower()] = value.strip()
    if status == 100:
        return status, headers, b""
    body = b"" if method == "HEAD" or status in (204, 304) else stream.read(int(headers["content-length"]))
    if "json" in headers.get("content-type", "") and body:
        body = json.loads(body)
    check_response(status, headers, body if isinstance(body, dict) else None)
    return status, headers, body


def send(trayd, s, data):
    """HOST in `data` is completed."""
    s.sendall(data.replace(HOST, HOST % trayd.port))


def exchange(trayd, data, method="GET"):
    """Sends `data` on a connection of its own, reads one answer."""
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, data)
        return read_answer(stream, method)


@pytest.fixture
def trayd(shared_trayd):
    return shared_trayd


@pytest.fixture(autouse=True)
def nothing_is_left(trayd):
    """After each test the server answers, and has as many descriptors and threads as before."""
    settled = lambda: trayd.descriptors() <= before and trayd.threads() <= threads
    trayd.session.close()
    time.sleep(0.05)
    before, threads = trayd.descriptors(), trayd.threads()
    yield
    assert trayd.request("GET", "/healthz").status_code == 200
    trayd.session.close()
    wait_until(settled, "descriptors and threads are given back")
    assert "AddressSanitizer" not in trayd.messages() and "runtime error" not in trayd.messages()


GET = b"GET /healthz HTTP/1.1\r\n" + HOST
PUT_MEDIUM = b"PUT /api/v1/drives/cd0/medium HTTP/1.1\r\n" + HOST
JSON = b"Content-Type: application/json\r\n"

MALFORMED = {
    # request line
    "no HTTP at all": (b"hello\r\n\r\n", 400, "bad_request"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_request"),
    "no version": (b"GET /\r\n\r\n", 400, "bad_request"),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "HTTP/0.9": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "two spaces": (b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "space in the target": (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "bare line feeds": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400, "bad_request"),
    "control character": (b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "NUL": (b"GET /\0 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "unknown method": (b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 501, "not_implemented"),
    "TRACE": (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 501, "not_implemented"),
    "CONNECT": (b"CONNECT localhost:22 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "lower-case method": (b"get /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 501, "not_implemented"),
    # target
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "absolute form": (b"GET http://localhost/healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "no slash": (b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "fragment": (b"GET /healthz#a HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "empty segment": (b"GET //healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "dot-dot": (b"GET /api/../healthz HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "encoded dot-dot": (b"GET /api/v1/images/%2e%2e HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "encoded slash": (b"GET /api/v1/images/a%2fb HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "encoded backslash": (b"GET /api/v1/images/a%5Cb HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "encoded NUL": (b"GET /api/v1/images/a%00b HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "encoded line feed": (b"GET /api/v1/images/a%0ab HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "half an encoding": (b"GET /api/v1/images/a%4 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "not UTF-8": (b"GET /api/v1/images/%ff HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "overlong UTF-8": (b"GET /api/v1/images/%c0%ae HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "raw bytes": (b"GET /api/v1/images/\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "trailing slash": (b"PUT /api/v1/images/ HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n", 400, "bad_request"),
    "unknown path": (b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n", 404, "not_found"),
    "long target": (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "uri_too_long"),
    "endless target": (b"GET /" + b"a" * 20000, 414, "uri_too_long"),
    # query
    "unknown parameter": (b"GET /api/v1/operations?drve=cd0 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "parameter twice": (b"GET /api/v1/operations?drive=a&drive=b HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "parameter without name": (b"GET /api/v1/operations?=b HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    "NUL in a parameter": (b"GET /api/v1/operations?drive=%00 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "bad_request"),
    # header fields
    "no Host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "two Hosts": (GET + HOST + b"\r\n", 400, "bad_request"),
    "malformed Host": (b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_request"),
    "foreign Host": (b"GET /healthz HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", 421, "misdirected"),
    "Host with another port": (b"GET /healthz HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 421, "misdirected"),
    "no colon": (GET + b"nonsense\r\n\r\n", 400, "bad_request"),
    "blank before the colon": (GET + b"Content-Length : 5\r\n\r\nhello", 400, "bad_request"),
    "folded field": (GET + b"X: a\r\n b\r\n\r\n", 400, "bad_request"),
    "control in a field": (GET + b"X: a\x01b\r\n\r\n", 400, "bad_request"),
    "NUL in a field": (GET + b"X: a\0b\r\n\r\n", 400, "bad_request"),
    "huge field": (GET + b"X: " + b"a" * 20000 + b"\r\n\r\n", 431, "headers_too_large"),
    "many fields": (GET + b"X: y\r\n" * 100 + b"\r\n", 431, "headers_too_large"),
    "unknown Expect": (GET + b"Expect: a-miracle\r\n\r\n", 400, "bad_request"),
    # framing
    "two lengths": (PUT_MEDIUM + JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "bad_request"),
    "length and chunked": (
        PUT_MEDIUM + JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "odd encoding": (PUT_MEDIUM + JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "chunked in HTTP/1.0": (
        b"PUT /api/v1/images/x HTTP/1.0\r\n" + HOST +
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
    "negative length": (PUT_MEDIUM + JSON + b"Content-Length: -1\r\n\r\n", 400, "bad_request"),
    "length beyond 64 bits": (PUT_MEDIUM + JSON + b"Content-Length: 99999999999999999999\r\n\r\n", 400, "bad_request"),
    "body where none belongs": (GET + b"Content-Length: 5\r\n\r\nhello", 400, "bad_request"),
    "upload without length": (b"PUT /api/v1/images/x HTTP/1.1\r\n" + HOST + b"\r\n", 411, "length_required"),
    "wrong type": (
        PUT_MEDIUM + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415, "unsupported_media_type"),
    "no type": (PUT_MEDIUM + b"Content-Length: 2\r\n\r\n{}", 415, "unsupported_media_type"),
    "announced too large": (PUT_MEDIUM + JSON + b"Content-Length: 1000000\r\n\r\n", 413, "too_large"),
    "too large in chunks": (
        PUT_MEDIUM + JSON +
        b"Transfer-Encoding: chunked\r\n\r\n" + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 5, 413, "too_large"),
    "not JSON": (PUT_MEDIUM + JSON + b"Content-Length: 5\r\n\r\nhello", 400, "bad_request"),
    "deep JSON": (PUT_MEDIUM + JSON + b"Content-Length: 8000\r\n\r\n" + b"[" * 8000, 400, "bad_request"),
    "deep JSON objects": (PUT_MEDIUM + JSON + b"Content-Length: 8000\r\n\r\n" + b'{"a":' * 1600, 400, "bad_request"),
    # origins
    "foreign Origin": (
        PUT_MEDIUM + JSON + b"Origin: https://evil.example\r\nContent-Length: 2\r\n\r\n{}", 403, "forbidden"),
    "null Origin": (PUT_MEDIUM + JSON + b"Origin: null\r\nContent-Length: 2\r\n\r\n{}", 403, "forbidden"),
    "cross-site read": (GET + b"Sec-Fetch-Site: cross-site\r\n\r\n", 403, "forbidden"),
    "same-site write": (
        PUT_MEDIUM + JSON + b"Sec-Fetch-Site: same-site\r\nContent-Length: 2\r\n\r\n{}", 403, "forbidden"),
    # methods
    "wrong method": (b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n", 405, "method_not_allowed"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed(trayd, what):
    data, status, code = MALFORMED[what]
    got = exchange(trayd, data)
    assert got, "no answer"
    assert (got[0], got[2]["code"]) == (status, code), got
    if status == 405:
        assert got[1]["allow"]


# What libmicrohttpd repairs, without making another request of it than it nearly was; and what does not end.
REPAIRED = {"two spaces", "NUL", "NUL in a field", "folded field", "TLS", "endless target"}


@pytest.mark.parametrize("what", sorted(MALFORMED.keys() - REPAIRED))
def test_malformed_as_second_request(trayd, what):
    """The door lets an open connection pass, so libmicrohttpd meets it: an error, or the end, and nothing after it."""
    data = MALFORMED[what][0]
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, GET + b"\r\n")
        assert read_answer(stream)[0] == 200
        send(trayd, s, data)
        s.shutdown(socket.SHUT_WR)
        rest = stream.read()
    # 301: version 1.0 of it sends who has a space in the target to the encoded address
    assert not re.search(rb"HTTP/1\.1 ([12]\d\d|30[02-9])", rest), rest
    assert not rest or re.match(rb"HTTP/1\.1 (301|4\d\d|5\d\d) ", rest), rest


def test_refused_framing_ends_the_connection(trayd):
    """What follows an ambiguous message is never taken for a request."""
    smuggled = GET + b"\r\n"
    data = PUT_MEDIUM + JSON + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, data)
        assert read_answer(stream)[0] == 400
        assert read_answer(stream) is None


def test_keep_alive_and_pipelining(trayd):
    with trayd.connect() as s, s.makefile("rb") as stream:
        one = (GET + b"\r\n").replace(HOST, HOST % trayd.port)
        missing = one.replace(b"/healthz", b"/nothing")
        s.sendall(one + missing + one)
        assert [read_answer(stream)[0] for _ in range(3)] == [200, 404, 200]
        s.sendall(one)
        assert read_answer(stream)[0] == 200


def test_http_1_0(trayd):
    status, headers, _ = exchange(trayd, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert status == 200 and headers.get("connection") == "close"


def test_head_is_get_without_body(trayd):
    get = exchange(trayd, b"GET /api/v1/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n")
    head = exchange(trayd, b"HEAD /api/v1/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n", "HEAD")
    assert head[0] == get[0] == 200
    assert head[1]["content-length"] == get[1]["content-length"]
    with trayd.connect() as s, s.makefile("rb") as stream:
        both = b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\n" + GET + b"\r\n"
        send(trayd, s, both)
        assert read_answer(stream, "HEAD")[0] == 200
        assert read_answer(stream)[0] == 200


def test_bytewise(trayd):
    with trayd.connect() as s, s.makefile("rb") as stream:
        for byte in (GET + b"\r\n").replace(HOST, HOST % trayd.port):
            s.sendall(bytes([byte]))
        assert read_answer(stream)[0] == 200


def test_slow_head(trayd):
    """A byte now and then does not keep a connection."""
    with trayd.connect(LIVENESS) as s, s.makefile("rb") as stream:
        begin = time.monotonic()
        s.sendall(b"GET /healthz HTTP/1.1\r\n")
        s.setblocking(False)
        while True:
            try:
                if s.recv(1, socket.MSG_PEEK) != b"":
                    break
            except BlockingIOError:
                pass
            assert time.monotonic() - begin < LIVENESS
            try:
                s.sendall(b"X")
            except OSError:
                break
            time.sleep(0.2)
        s.settimeout(LIVENESS)
        assert read_answer(stream)[0] == 408


def test_slow_second_head(trayd):
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, GET + b"\r\n" + GET)
        assert read_answer(stream)[0] == 200
        assert read_answer(stream)[0] == 408
        assert read_answer(stream) is None


def test_slow_json_body(trayd):
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, PUT_MEDIUM + JSON + b"Content-Length: 100\r\n\r\n{")
        assert read_answer(stream)[0] == 408
        assert read_answer(stream) is None


def put_head(name):
    return b"PUT /api/v1/images/%s HTTP/1.1\r\n" % name.encode() + HOST


def image_files(trayd):
    return sorted(p.name for p in (trayd.directory / "images").rglob("*") if p.is_file())


def test_stalled_upload_leaves_nothing(trayd):
    before = image_files(trayd)
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, put_head("stalled.img") + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000)
        assert read_answer(stream)[0] == 408
    wait_until(lambda: image_files(trayd) == before, "the unfinished upload is removed")


@pytest.mark.parametrize("reset", [False, True])
def test_aborted_upload_leaves_nothing(trayd, reset):
    before = image_files(trayd)
    s = trayd.connect()
    send(trayd, s, put_head("aborted.img") + b"Content-Length: 10000000\r\n\r\n" + b"x" * 300000)
    wait_until(lambda: trayd.request("GET", "/api/v1/images/aborted.img").status_code == 200, "the upload has begun")
    if reset:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    s.close()
    gone = lambda: trayd.request("GET", "/api/v1/images/aborted.img").status_code == 404
    wait_until(lambda: gone() and image_files(trayd) == before, "the aborted upload is removed")


def test_chunked_upload_that_breaks_leaves_nothing(trayd):
    before = image_files(trayd)
    got = exchange_bytes(trayd, b"PUT /api/v1/images/broken.img HTTP/1.1\r\n" + HOST +
                         b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n")
    assert got.startswith(b"HTTP/1.1 400") or got == b""
    wait_until(lambda: image_files(trayd) == before, "the broken upload is removed")


def exchange_bytes(trayd, data):
    with trayd.connect() as s:
        send(trayd, s, data)
        s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(65536), b""))


def upload(trayd, name, data, **headers):
    return trayd.request("PUT", f"/api/v1/images/{name}", data=data, headers=headers)


def test_upload_with_length_and_in_chunks(trayd):
    data = os.urandom(1_300_001)
    try:
        assert upload(trayd, "length.img", data).status_code == 201
        assert upload(trayd, "chunks.img", iter([data[:1], data[1:700_000], data[700_000:]])).status_code == 201
        for name in "length.img", "chunks.img":
            assert trayd.request("GET", f"/api/v1/images/{name}/content").content == data
            part = trayd.request("GET", f"/api/v1/images/{name}/content", headers={"Range": "bytes=1000-1999"})
            assert part.status_code == 206 and part.content == data[1000:2000]
    finally:
        for name in "length.img", "chunks.img":
            trayd.request("DELETE", f"/api/v1/images/{name}")


def test_expect_continue_is_answered(trayd):
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, put_head("expect.img") + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
        assert read_answer(stream)[0] == 100
        s.sendall(b"x" * 1000)
        assert read_answer(stream)[0] == 201
    assert trayd.request("DELETE", "/api/v1/images/expect.img").status_code in (200, 204)


REJECTED = {
    "no such address": (b"PUT /api/v1/imges/x", b"Content-Length: 1000000000000\r\n", 404),
    "bad name": (b"PUT /api/v1/images/.hidden", b"Content-Length: 1000000000000\r\n", 400),
    "no space": (b"PUT /api/v1/images/giant.img", b"Content-Length: 9000000000000000\r\n", 507),
    "foreign page": (b"PUT /api/v1/images/x", b"Content-Length: 1000000000000\r\nOrigin: http://evil.example\r\n", 403),
    "JSON too large": (b"PUT /api/v1/drives/cd0/medium", JSON + b"Content-Length: 1000000000000\r\n", 413),
}


@pytest.mark.parametrize("what", REJECTED)
def test_rejected_upload_sends_no_body(trayd, what):
    """With Expect: 100-continue the refusal comes instead of the 100."""
    line, fields, status = REJECTED[what]
    got = exchange(trayd, line + b" HTTP/1.1\r\n" + HOST + fields + b"Expect: 100-continue\r\n\r\n")
    assert got[0] == status, got


@pytest.mark.parametrize("what", REJECTED)
def test_rejected_upload_is_told_to_who_sends_anyway(trayd, what):
    """Without Expect the body is on its way already; the sender still gets to read the answer."""
    line, fields, status = REJECTED[what]
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, line + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n")
        try:
            for _ in range(16):
                s.sendall(b"x" * 65536)
        except OSError:
            pass
        assert read_answer(stream)[0] == status


def test_curl_uploads(trayd, tmp_path):
    """The command of the manual, with curl's own Expect for a large file."""
    image = tmp_path / "ein bild.img"
    image.write_bytes(os.urandom(3_000_000))
    run = lambda: subprocess.run(["curl", "-sS", "-o", "-", "-w", "\n%{http_code} %{size_upload}", "-T", image,
                                  trayd.url + "/api/v1/images/"], capture_output=True, text=True, timeout=LIVENESS)
    first = run().stdout.splitlines()[-1]
    assert first == "201 3000000"
    second = run().stdout.splitlines()[-1]
    assert second == "409 0", "the name is taken: curl must not have sent the body"
    assert trayd.request("DELETE", "/api/v1/images/ein%20bild.img").status_code in (200, 204)


def test_many_connections(trayd):
    """More than fit: those beyond are told so, and all are served again afterwards."""
    sockets = []
    try:
        for _ in range(260):
            sockets.append(trayd.connect())
        readable = wait_until(lambda: select.select(sockets, [], [], 0)[0], "some are refused")
        with readable[-1].makefile("rb") as stream:
            status, _, body = read_answer(stream)
            assert (status, body["code"]) == (503, "unavailable")
    finally:
        for s in sockets:
            s.close()
    wait_until(lambda: exchange(trayd, GET + b"\r\n")[0] == 200, "connections are free again")


def test_in_parallel(trayd):
    def some(_):
        with trayd.connect(60) as s, s.makefile("rb") as stream:
            for _ in range(20):
                send(trayd, s, GET + b"\r\n")
                assert read_answer(stream)[0] == 200
        return True

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(some, range(64)))


def test_event_stream_comes_at_once_and_ends_with_the_client(trayd):
    before = trayd.threads()
    with trayd.connect() as s, s.makefile("rb") as stream:
        send(trayd, s, b"GET /api/v1/events HTTP/1.1\r\n" + HOST + b"\r\n")
        assert stream.readline().startswith(b"HTTP/1.1 200")
        while stream.readline() != b"\r\n":
            pass
        int(stream.readline(), 16)  # a chunk of the snapshot
        assert trayd.threads() == before + 1
    wait_until(lambda: trayd.threads() == before, "the stream's thread ends")


def test_page_has_a_strict_policy(trayd):
    r = trayd.request("GET", "/")
    assert r.status_code == 200 and r.headers["content-type"].startswith("text/html")
    policy = r.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    again = trayd.request("GET", "/", headers={"If-None-Match": r.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert trayd.request("POST", "/").status_code == 405
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert trayd.request("GET", "/", headers=visit).status_code == 200


def test_api_is_not_stored(trayd):
    assert trayd.request("GET", "/api/v1/system").headers["cache-control"] == "no-store"


def test_ends_soon_with_everything_open(start_trayd):
    """A listener, an upload, an idle connection and half a head: the end comes all the same, in order."""
    t = start_trayd().wait_ready()
    pieces = [b"GET /api/v1/events HTTP/1.1\r\n" + HOST + b"\r\n",
              b"PUT /api/v1/images/x.img HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\nx",
              GET + b"\r\n", b"GET /hea"]
    sockets = [t.connect() for _ in pieces]
    for s, data in zip(sockets, pieces):
        send(t, s, data)
    wait_until(lambda: t.threads() > 5, "they are served")
    begin = time.monotonic()
    t.stop()
    assert time.monotonic() - begin < LIVENESS
    assert image_files(t) == []
    assert not list((t.directory / "state").glob("*-wal")), "the database was closed"
    assert "AddressSanitizer" not in t.messages()
    for s in sockets:
        s.close()


def test_starts_again_on_what_it_left(start_trayd):
    t = start_trayd().wait_ready()
    assert upload(t, "kept.img", b"x" * 4096).status_code == 201
    assert t.request("PUT", "/api/v1/drives/usb0/medium", json={"image": "kept.img"}).status_code == 200
    history = t.request("GET", "/api/v1/operations").json()["operations"]
    t.process.kill()
    t.process.wait()
    t.start().wait_ready()
    assert t.request("GET", "/api/v1/operations").json()["operations"] == history
    assert t.request("GET", "/api/v1/images/kept.img").status_code == 200


def test_unix_socket(start_trayd, tmp_path_factory):
    t = start_trayd(arguments=["--listen", "unix:/tmp/trayd-test-%d.sock" % os.getpid()])
    path = t.url.removeprefix("unix:")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(LIVENESS)
        s.connect(path)
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with s.makefile("rb") as stream:
            assert read_answer(stream)[0] == 200
    t.stop()
    if os.path.exists(path):
        os.unlink(path)  # it could not, having given up root


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "192.168.0.1:80", "localhost:80", "nonsense"])
def test_listens_on_loopback_only(listen):
    with tempfile.TemporaryDirectory() as directory:  # a short path: there is a socket in it
        r = subprocess.run([BINARY, "--simulate", "--listen", listen], capture_output=True, text=True,
                           timeout=LIVENESS, env={**os.environ, "TMPDIR": directory})
        assert r.returncode == 1 and listen in r.stderr
        assert not os.listdir(directory)


def test_command_line():
    run = lambda *a: subprocess.run([BINARY, *a], capture_output=True, text=True, timeout=LIVENESS)
    assert run("--version").stdout.startswith("trayd ")
    listed = re.findall(r"^  (--[a-z-]+)", run("--help").stdout, re.M)
    assert {"--config", "--check-config", "--no-gadget", "--simulate", "--listen", "--version", "--help"} == set(listed)
    wrong = run("--simulat")
    assert wrong.returncode == 2 and "--simulate" in wrong.stderr


def test_check_config(tmp_path):
    run = lambda text: (path.write_text(text), subprocess.run([BINARY, "--check-config", "--config", path],
                                                              capture_output=True, text=True, timeout=LIVENESS))[1]
    path = tmp_path / "t.conf"
    good = run("")
    assert (good.returncode, good.stdout) == (0, "ok\n"), good.stderr
    for text in ('server = {\n listen = "0.0.0.0:80"; };', 'gadget = {\n nonsense = 1; };',
                 'stores = (\n { name = "a"; } );'):
        bad = run(text)
        assert bad.returncode == 1 and re.match(re.escape(str(path)) + r":\d+: ", bad.stderr), bad.stderr
