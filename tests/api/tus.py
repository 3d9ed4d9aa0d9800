"""A client of the tus protocol that does as it is told, and what its uploads leave."""
import base64
import hashlib
import os
import random

from contract import until

VERSION = {"Tus-Resumable": "1.0.0"}
PIECE = {**VERSION, "Content-Type": "application/offset+octet-stream"}
MIB = 1 << 20


def content(size, seed=1):
    return random.Random(seed).randbytes(size)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def encode(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def metadata(**values):
    return ",".join(f"{key} {encode(value)}" for key, value in values.items())


class Tus:
    """One upload, with the requests that the protocol has."""

    def __init__(self, api, name, size, status=201, body=None, headers=None, **more):
        self.api = api
        fields = {**VERSION, "Upload-Length": str(size), "Upload-Metadata": metadata(filename=name, **more), **(headers or {})}
        if body is not None:
            fields["Content-Type"] = PIECE["Content-Type"]
        self.created = api.post("/api/v1/uploads", headers=fields, data=body)
        assert self.created.status_code == status, self.created.text
        self.path = self.created.headers.get("Location")
        self.id = self.path and self.path.rsplit("/", 1)[1]

    def piece(self, offset, data, status=204, **headers):
        answer = self.api.request("patch", self.path, data=data, headers={**PIECE, "Upload-Offset": str(offset), **headers})
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer

    def head(self, status=200):
        answer = self.api.head(self.path, headers=VERSION)
        assert answer.status_code == status
        return answer

    def offset(self):
        return int(self.head().headers["Upload-Offset"])

    def delete(self, status=204):
        answer = self.api.delete(self.path, headers=VERSION)
        assert answer.status_code == status, answer.text
        return answer


def assert_image(api, name, data):
    image = api.get("/api/v1/images/" + name).json()
    assert image["complete"] and image["size"] == len(data) and image["sha256"] == sha256(data)
    assert api.get(f"/api/v1/images/{name}/content").content == data


def hidden(trayd):
    folder = os.path.join(trayd.store, ".trayd")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def begin_piece(trayd, tus, offset, length, data, checksum=None):
    """A PATCH that says `length` and sends `data`; the socket, with the answer still to come."""
    s = trayd.connect()
    lines = [f"PATCH {tus.path} HTTP/1.1", f"Host: 127.0.0.1:{trayd.port}", f"Content-Length: {length}",
             f"Upload-Offset: {offset}", *(f"{k}: {v}" for k, v in PIECE.items())]
    if checksum:
        lines.append(f"Upload-Checksum: sha1 {encode(checksum)}")
    s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    until(lambda: state_of(tus.api, tus) == "running", "the beginning of the piece")
    until(lambda: tus.api.get("/api/v1/transfers/" + tus.id).json()["bytes"] == offset + len(data), "the data")
    return s


def state_of(api, tus):
    return api.get("/api/v1/transfers/" + tus.id).json()["state"]


def read_all(s):
    data = b""
    while part := s.recv(65536):
        data += part
    return data
