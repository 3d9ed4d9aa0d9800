"""The sentences of the page, by node where there is one (words.test.mjs)."""
import pathlib
import shutil
import subprocess

import pytest


@pytest.mark.skipif(not shutil.which("node"), reason="no node here")
def test_words():
    test = pathlib.Path(__file__).parent / "words.test.mjs"
    done = subprocess.run(["node", "--test", test], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
