"""An HTTP server on loopback that serves one file well, or in any of the ways in which servers do not.

Each behaviour is a function of (request); the path chooses it: /NAME/anything. What was asked of it is in `requests`.
"""
import base64
import http.server
import random
import threading

CONTENT = random.Random(7).randbytes(3_000_000)
BLOCK = random.Random(8).randbytes(1 << 20)
OLD_DATE = "Sat, 01 Aug 2026 10:00:00 GMT"


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, *_):
        pass

    def do_GET(self):
        name = self.path.split("?")[0].strip("/").split("/")[0]
        with self.server.lock:
            self.server.requests.append((name, self.path, dict(self.headers)))
            self.count = sum(1 for r in self.server.requests if r[0] == name)
        self.close_connection = True
        try:
            getattr(self.server.behaviours, name)(self)
        except (BrokenPipeError, ConnectionResetError):
            pass

    # ---- for behaviours ----

    def head(self, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()

    def first(self):
        """Where the client wants to begin; 0 without Range."""
        wanted = self.headers.get("Range", "")
        return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0

    def part(self, content, etag='"v1"', cut=None, **headers):
        """As a good server does, with Range and If-Range; `cut`: breaks off after so many bytes."""
        first = self.first()
        if first and self.headers.get("If-Range", etag) != etag:
            first = 0
        common = {"Content_Length": str(len(content) - first), **({"ETag": etag} if etag else {}), **headers}
        if first:
            self.head(206, Content_Range=f"bytes {first}-{len(content) - 1}/{len(content)}", **common)
        else:
            self.head(200, **common)
        self.wfile.write(content[first:] if cut is None else content[first:first + cut])


class Behaviours:
    def good(self, rq):
        rq.part(CONTENT)

    def sums(self, rq):
        text = rq.server.sums.encode()
        rq.head(Content_Length=str(len(text)))
        rq.wfile.write(text)

    def breaks_twice(self, rq):
        rq.part(CONTENT, cut=1_200_000 if rq.count <= 2 else None)

    def breaks_without_etag(self, rq):
        rq.part(CONTENT, etag=None, cut=1_000_000 if rq.count == 1 else None)

    def breaks_with_date(self, rq):
        """Only Last-Modified, which is old enough to count."""
        first = rq.first() if rq.headers.get("If-Range") == OLD_DATE else 0
        headers = {"Last_Modified": OLD_DATE, "Content_Length": str(len(CONTENT) - first)}
        if first:
            headers["Content_Range"] = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        rq.head(206 if first else 200, **headers)
        rq.wfile.write(CONTENT[first:first + 1_200_000] if rq.count == 1 else CONTENT[first:])

    def no_ranges(self, rq):
        """Sends the whole file again: what is there already is skipped, since the ETag says that it is the same."""
        rq.head(Content_Length=str(len(CONTENT)), ETag='"v1"')
        rq.wfile.write(CONTENT[:1_500_000] if rq.count == 1 else CONTENT)

    def changes(self, rq):
        """Another file, of another length, after the first break."""
        if rq.count == 1:
            rq.part(CONTENT, etag='"v1"', cut=1_000_000)
        else:
            rq.part(CONTENT[::-1] + b"x", etag='"v2"')

    def changes_always(self, rq):
        rq.part(CONTENT, etag=f'"v{rq.count}"', cut=1_000_000)

    def changes_silently(self, rq):
        """The same ETag, other bytes: only a digest tells."""
        rq.part(CONTENT if rq.count == 1 else CONTENT[::-1], cut=1_000_000 if rq.count == 1 else None)

    def wrong_range(self, rq):
        if not rq.first():
            rq.part(CONTENT, cut=1_000_000)
            return
        rq.head(206, Content_Range=f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}", ETag='"v1"',
                Content_Length=str(len(CONTENT) - 5))
        rq.wfile.write(CONTENT[5:])

    def says_too_much(self, rq):
        rq.head(Content_Length=str(len(CONTENT) + 1000), ETag='"v1"')
        rq.wfile.write(CONTENT)

    def chunked(self, rq):
        rq.head(Transfer_Encoding="chunked")
        for at in range(0, len(CONTENT), 100_000):
            piece = CONTENT[at:at + 100_000]
            rq.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        rq.wfile.write(b"0\r\n\r\n")

    def endless(self, rq):
        rq.head()
        while True:
            rq.wfile.write(BLOCK)

    def huge(self, rq):
        rq.head(Content_Length=str(1 << 50), ETag='"v1"')
        rq.wfile.write(BLOCK)

    def endless_headers(self, rq):
        rq.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            rq.wfile.write(b"X-Filler: " + b"y" * 1000 + b"\r\n")

    def slow(self, rq):
        """A byte now and then."""
        rq.head(Content_Length=str(len(CONTENT)), ETag='"v1"')
        while not rq.server.ending.wait(0.05):
            rq.wfile.write(b"x")
            rq.wfile.flush()

    def silent(self, rq):
        rq.server.ending.wait(60)

    def hangs_in_the_middle(self, rq):
        rq.part(CONTENT, cut=1_000_000)
        rq.server.ending.wait(60)

    def paced(self, rq):
        """Good, but stops after each `pace` bytes until the test lets it go on."""
        first = rq.first()
        rq.part(rq.server.big, cut=0)
        for at in range(first, len(rq.server.big), 1 << 20):
            rq.wfile.write(rq.server.big[at:at + (1 << 20)])
            if at >= rq.server.hold_at and not rq.server.go_on.wait(60):
                return

    def to(self, rq):
        """A redirect to what stands behind '?'."""
        rq.head(302, Location=rq.path.split("?", 1)[1], Content_Length="0")

    def loop(self, rq):
        rq.head(302, Location=rq.path + "x", Content_Length="0")

    def secret(self, rq):
        wanted = "Basic " + base64.b64encode(b"me:pass word").decode()
        if rq.headers.get("Authorization") == wanted:
            rq.part(CONTENT)
        else:
            rq.head(401, WWW_Authenticate='Basic realm="x"', Content_Length="0")

    def busy(self, rq):
        if rq.count <= 2:
            rq.head(503, Retry_After="0", Content_Length="0")
        else:
            rq.part(CONTENT)

    def broken(self, rq):
        rq.head(500, Content_Length="0")

    def missing(self, rq):
        rq.head(404, Content_Length="4")
        rq.wfile.write(b"gone")

    def nonsense(self, rq):
        rq.wfile.write(b"\0\1\2 this is no HTTP\r\n\r\n" * 100)

    def file(self, rq):
        content = rq.server.files[rq.path.rsplit("/", 1)[1]]
        rq.part(content)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Request)
        self.lock = threading.Lock()
        self.requests = []
        self.behaviours = Behaviours()
        self.ending = threading.Event()
        self.go_on = threading.Event()
        self.hold_at = 0
        self.big = b""
        self.sums = ""
        self.files = {}
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def handle_error(self, *_):
        pass

    def close(self):
        self.ending.set()
        self.go_on.set()
        self.shutdown()
        self.server_close()

    def asked(self, name):
        with self.lock:
            return [r for r in self.requests if r[0] == name]
