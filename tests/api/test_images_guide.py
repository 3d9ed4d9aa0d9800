"""The commands of docs/images.md, as somebody copies them."""
import hashlib
import json
import lzma
import os
import re
import subprocess

from contract import ROOT, Client
from hostile import CONTENT, Server


def commands(trayd, server):
    with open(os.path.join(ROOT, "docs", "images.md"), encoding="utf-8") as f:
        block = re.search(r"```sh\n(.*?)```", f.read(), re.S).group(1)
    served = block.replace("https://images.example/rescue.iso", server.url + "/good/rescue.iso")
    served = served.replace("https://images.example/SHA256SUMS", server.url + "/sums/SHA256SUMS")
    assert "images.example" not in served and served.count("curl") >= 6
    return "set -e\n" + served.replace("http://127.0.0.1:8080", trayd.url)


def test_the_commands_of_the_document(start_trayd, tmp_path):
    server = Server()
    server.sums = f"{hashlib.sha256(CONTENT).hexdigest()} *rescue.iso\n"
    trayd = start_trayd(more="fetch = { loopback = true; };").wait_ready()
    api = Client(trayd.url)
    plain = os.urandom(1 << 20)
    (tmp_path / "debian.iso").write_bytes(plain)
    (tmp_path / "raspios.img.xz").write_bytes(lzma.compress(plain))
    try:
        done = subprocess.run(["bash", "-c", commands(trayd, server)], cwd=tmp_path, text=True, capture_output=True, timeout=120,
                              check=False)
    finally:
        server.close()
    assert done.returncode == 0, done.stderr
    assert '"status":' not in done.stdout, done.stdout
    images = {image["name"]: image for image in api.get("/api/v1/images").json()["images"]}
    assert set(images) == {"debian.iso", "raspios.img", "rescue.iso", "drivers.img"}
    assert images["raspios.img"]["sha256"] == images["debian.iso"]["sha256"] == hashlib.sha256(plain).hexdigest()
    assert images["rescue.iso"]["size"] == len(CONTENT)
    assert api.get("/api/v1/images/drivers.img").json()["label"] == "DRIVERS"
    assert '"verdict":"match"' in done.stdout
    assert json.loads(done.stdout[done.stdout.rindex('{"name"'):])["name"] == "debian.iso"
