"""The conformance script (tests/conformance/) on the simulation; tests/vm/scripts/conformance.sh plays it on kernels."""
import difflib
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent.parent / "conformance"
TIME = 300  # seconds; a bound on hanging


def sections(text):
    """The inside of `gadget = { }`, and the rest of the file: conftest.py has a gadget section of its own."""
    found = re.search(r"^gadget = \{(.*?)^\};", text, re.M | re.S)
    return found[1], text[found.end():]


def test_the_simulation_answers_as_the_kernel_does(start_trayd):
    gadget, more = sections((HERE / "trayd.conf").read_text())
    trayd = start_trayd(gadget=gadget, more=more).wait_ready()
    environment = dict(os.environ, TRAYD_URL=trayd.url, TRAYD_IMAGES=str(trayd.directory / "images"),
                       TRAYD_HOST=str(trayd.directory / "run" / "host.sock"), HOST=str(HERE / "host-sim"))
    done = subprocess.run(["sh", str(HERE / "script.sh")], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=TIME, check=False)
    expected = (HERE / "expected.txt").read_text()
    assert done.returncode == 0, done.stdout
    difference = difflib.unified_diff(expected.splitlines(), done.stdout.splitlines(), "expected", "simulation", "", "", 3)
    assert done.stdout == expected, "\n".join(difference)
