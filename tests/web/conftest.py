"""A browser before the real trayd with a simulated host.

    page     the page of a fresh trayd, at desktop width; it checks at its end that the console is clean
    browser  one headless Chromium for the whole run
    shared   a trayd without a browser

Page has the words that the tests need: card("cd0"), press(...), wait(...), and host("lock cd0") for what the host does.
"""
import importlib.util
import pathlib
import re
import shutil
import socket
import sys
import tempfile
import time

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

LIVENESS = 10  # seconds; a bound on hanging, not on speed
DESKTOP, PHONE = (1280, 900), (360, 740)


def load_api_conftest():
    """The one that starts trayd belongs to the API's tests."""
    path = pathlib.Path(__file__).parent.parent / "api" / "conftest.py"
    sys.path.append(str(path.parent))  # for what it imports in turn
    spec = importlib.util.spec_from_file_location("trayd_process", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


process = load_api_conftest()

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars"]


def start_browser(profile):
    options = webdriver.ChromeOptions()
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)


@pytest.fixture(scope="session")
def browser():
    with tempfile.TemporaryDirectory(prefix="trayd-web-", ignore_cleanup_errors=True) as profile:
        driver = start_browser(profile)
        yield driver
        driver.quit()


def plain(element):
    """Its text without the marks that isolate names from the sentences around them."""
    return re.sub("[\u2068\u2069]", "", element.text)


class Page:
    def __init__(self, browser, trayd):
        self.browser, self.trayd = browser, trayd
        self.expected = []  # words of console messages that a test provokes
        self.messages = []

    def open(self, size=DESKTOP, ready=".drive"):
        self.resize(size)
        self.browser.get(self.trayd.url + "/")
        if ready:
            self.find(ready)
        return self

    def resize(self, size):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False})

    # ---- looking ----

    def wait(self, condition, what="the condition", seconds=LIVENESS):
        """Until condition() is true; elements that are replaced meanwhile count as "not yet"."""
        end = time.monotonic() + seconds
        while True:
            try:
                value = condition()
            except StaleElementReferenceException:
                value = None
            if value:
                return value
            assert time.monotonic() < end, f"not within {seconds} s: {what}\n{self.text()}"
            time.sleep(0.05)

    def find(self, selector, text=None, within=None):
        """The first visible element with that text in it."""
        def look():
            for e in (within or self.browser).find_elements(By.CSS_SELECTOR, selector):
                if e.is_displayed() and (text is None or text in plain(e)):
                    return e
            return None
        return self.wait(look, f"{selector} with {text!r}")

    def gone(self, selector, text=None):
        def look():
            found = self.browser.find_elements(By.CSS_SELECTOR, selector)
            return not any(e.is_displayed() and (text is None or text in plain(e)) for e in found)
        self.wait(look, f"no {selector} with {text!r}")

    def text(self):
        return self.browser.find_element(By.TAG_NAME, "body").text

    def card(self, drive):
        return self.find(f'.drive[data-drive="{drive}"]')

    def wait_card(self, drive, *texts, seconds=LIVENESS):
        self.wait(lambda: all(text in plain(self.card(drive)) for text in texts), f"{drive} with {texts}", seconds)

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def is_wider_than_window(self):
        return self.run("return document.documentElement.scrollWidth > window.innerWidth")

    # ---- doing ----

    def press(self, selector, text=None, within=None):
        button = self.find(selector, text, within)
        self.run("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def eject(self, drive):
        self.press(f'.drive[data-drive="{drive}"] .eject')

    def pinhole(self, drive):
        self.press(f'.drive[data-drive="{drive}"] .pinhole')

    def remedy(self, drive, text):
        self.press(f'.drive[data-drive="{drive}"] .problem button', text)

    def insert(self, drive, image):
        self.press(f'.drive[data-drive="{drive}"] .buttons button', "…")
        self.press("dialog[open] .choice", image)
        self.press("dialog[open] button[type=submit]")

    # ---- the appliance and its host ----

    def image(self, name, size=1 << 20, iso=False):
        """Puts a file into the store, as somebody with a shell would."""
        path = pathlib.Path(self.trayd.store) / name
        with open(path, "wb") as f:
            f.truncate(size)
            if iso:
                f.seek(32768)
                f.write(b"\x01CD001\x01")
        path.chmod(0o666)  # trayd is not us
        return path

    def host(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIVENESS)
            s.connect(self.trayd.host_socket)
            s.sendall(command.encode() + b"\n")
            answer = s.recv(8192).decode()
        assert answer.startswith("ok"), f"{command}: {answer}"

    def put(self, drive, image, **more):
        """Inserts without the page."""
        r = self.trayd.request("PUT", f"/api/v1/drives/{drive}/medium", json={"image": image, **more})
        assert r.status_code == 200, r.text

    # ---- the end ----

    def collect_console(self):
        self.messages += self.browser.get_log("browser")
        return self.messages

    def check_console(self):
        bad = [m["message"] for m in self.collect_console() if m["level"] in ("SEVERE", "WARNING")
               and not any(words in m["message"] for words in self.expected)]
        assert not bad, "\n".join(bad)


DWELL = 'drives = ( { name = "cd0"; type = "cdrom"; dwell = "0 s"; }, { name = "usb0"; type = "disk"; dwell = "0 s"; } );'


@pytest.fixture
def make_page(browser):
    """make_page(images={name: {...}}, more=CONFIG) -> Page of a fresh trayd, not opened yet."""
    pages = []

    def make(images=(), more=DWELL, **kw):
        page = Page(browser, process.Trayd(more=more, **kw).wait_ready())
        pages.append(page)
        for name in images:
            page.image(name, iso=name.endswith(".iso"))
        return page

    browser.get_log("browser")
    yield make
    try:
        for page in pages:
            page.check_console()
    finally:
        browser.get("about:blank")  # lets go of the connections
        for page in pages:
            page.trayd.close()


@pytest.fixture(scope="session")
def shared():
    """A trayd for tests that need no browser and leave it as it is."""
    trayd = process.Trayd().wait_ready()
    yield trayd
    trayd.close()


@pytest.fixture
def page(make_page):
    return make_page(["debian.iso", "stick.img"]).open()
