"""The commands of README.md's "With curl" run, in their order, and do what stands beside them."""
import os
import re
import subprocess

from contract import Client

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def commands():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        block = re.search(r"## With curl\n\n```\n(.*?)```", f.read(), re.S).group(1)
    block = re.sub(r"\\\n\s*", "", block)
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.startswith("curl")]


def test_commands(start_trayd, tmp_path):
    trayd = start_trayd().wait_ready()
    api = Client(trayd.url)
    (tmp_path / "debian.iso").write_bytes(bytes(1 << 20))
    found = commands()
    assert len(found) >= 7
    inserted = False
    for command in found:
        stream = " -N " in command
        done = subprocess.run(["bash", "-c", ("timeout 2 " if stream else "") + command], cwd=tmp_path, text=True,
                              capture_output=True, timeout=60, env={**os.environ, "kvm": trayd.url + "/api/v1"}, check=False)
        assert done.returncode == (124 if stream else 0), command + done.stderr
        assert '"status":' not in done.stdout, command + done.stdout
        if "-X PUT" in command:
            inserted = api.drive("cd0")["medium"]["image"] == "debian.iso"
        if stream:
            assert "event: drive" in done.stdout
    assert inserted and api.drive("cd0")["medium"] is None
