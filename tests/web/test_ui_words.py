"""What of the page is pure, by node where there is one: each *.test.mjs."""
import pathlib
import shutil
import subprocess

import pytest

TESTS = sorted(pathlib.Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.skipif(not shutil.which("node"), reason="no node here")
@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.name)
def test_words(test):
    done = subprocess.run(["node", "--test", test], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
