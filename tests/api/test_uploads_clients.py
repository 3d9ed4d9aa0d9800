"""Uploads by clients that others wrote: the commands of docs/uploads.md with curl, and tus-js-client."""
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading

import pytest
from contract import ROOT, Client, until

NODE_MODULES = os.path.join(ROOT, "build", "npm", "node_modules")
needs_npm = pytest.mark.skipif(not (shutil.which("node") and os.path.isdir(os.path.join(NODE_MODULES, "tus-js-client"))),
                               reason="tus-js-client is not installed (tests/need test)")


def blocks(language):
    with open(os.path.join(ROOT, "docs", "uploads.md"), encoding="utf-8") as f:
        return re.findall(rf"^```{language}\n(.*?)^```", f.read(), re.S | re.M)


@pytest.fixture
def folder(tmp_path):
    """With debian.iso, and the packages of npm where there are some."""
    (tmp_path / "debian.iso").write_bytes(random.Random(3).randbytes((3 << 20) + 7))
    if os.path.isdir(NODE_MODULES):
        os.symlink(NODE_MODULES, tmp_path / "node_modules")
    return tmp_path


def digest(folder):
    return hashlib.sha256((folder / "debian.iso").read_bytes()).hexdigest()


def test_with_curl(trayd, folder):
    script = "set -e\n" + "\n".join(blocks("sh")).replace("http://127.0.0.1:8080", trayd.url)
    assert script.count("curl") >= 4
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f'"sha256":"{digest(folder)}"' in done.stdout, done.stdout


@needs_npm
def test_with_tus_js_client(trayd, folder):
    [script] = blocks("js")
    (folder / "upload.mjs").write_text(script)
    done = subprocess.run(["node", "upload.mjs"], cwd=folder, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "kvm": trayd.url})
    assert done.returncode == 0 and "uploaded to" in done.stdout, done.stdout + done.stderr
    assert Client(trayd.url).get("/api/v1/images/debian-js.iso").json()["sha256"] == digest(folder)


CHUNKS = """
import fs from 'node:fs';
import { Upload } from 'tus-js-client';
const pauses = Array(60).fill(500);
const file = fs.readFileSync('debian.iso');
const upload = new Upload(file, {
    endpoint: process.env.kvm + '/api/v1/uploads', metadata: { filename: 'chunks.iso' }, chunkSize: 200000, retryDelays: pauses,
    ...JSON.parse(process.env.options), onShouldRetry: () => true,
    onChunkComplete: (size, sent) => console.log('sent', sent),
    onError: error => { console.error(error); process.exit(1); },
});
upload.start();
"""


@needs_npm
@pytest.mark.parametrize("options", ['{}', '{"uploadDataDuringCreation": true}', '{"overridePatchMethod": true}'])
def test_in_chunks_with_restarts(start_trayd, folder, options):
    """trayd is killed twice under tus-js-client, which goes on by itself."""
    trayd = start_trayd().wait_ready()
    trayd.arguments += ["--listen", f"127.0.0.1:{trayd.port}"]
    (folder / "chunks.mjs").write_text(CHUNKS)
    client = subprocess.Popen(["node", "chunks.mjs"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "kvm": trayd.url, "options": options})
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(client.stdout))
    kills = 0
    reader.start()
    try:
        while kills < 2 and client.poll() is None:
            have = len(seen)
            until(lambda: len(seen) > have + 2 or client.poll() is not None, "some chunks")
            trayd.stop(signal.SIGKILL, expect=-signal.SIGKILL)
            trayd.start().wait_ready()
            kills += 1
        assert client.wait(60) == 0, client.stderr.read()
    finally:
        client.kill()
        reader.join()
    assert Client(trayd.url).get("/api/v1/images/chunks.iso").json()["sha256"] == digest(folder)
    assert kills >= 1
