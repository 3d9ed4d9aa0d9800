"""The page as a whole: what it depends on, how it comes back, and whom it serves."""
import pathlib
import re
import time

import pytest

WEB = pathlib.Path(__file__).parents[2] / "web"


def test_nothing_from_elsewhere_and_nothing_inline(page):
    loaded = page.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded and all(address.startswith(page.trayd.url) for address in loaded)
    source = page.trayd.request("GET", "/").text
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", source)


def test_policy_is_in_force(page):
    """An inline handler does not run, so the policy of the server reaches the page."""
    page.expected = ["Content Security Policy", "Executing inline"]
    page.run("const b = document.createElement('button'); b.setAttribute('onclick', 'window.ran = true');"
             "document.body.append(b); b.click()")
    assert page.run("return window.ran") is None


def test_nothing_polls(page):
    time.sleep(1)
    count = "return performance.getEntriesByType('resource').length"
    before = page.run(count)
    time.sleep(3)
    assert page.run(count) == before


def test_no_code_makes_markup_of_text():
    for file in WEB.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b", file.read_text()), file


def test_files_are_served_as_they_are(shared):
    for file in sorted(WEB.glob("*.*")):
        if file.suffix not in (".html", ".js", ".css", ".svg"):
            continue
        path = "/" if file.name == "index.html" else f"/{file.name}"
        assert shared.request("GET", path).content == file.read_bytes(), file


def test_answers_are_cached_by_their_content(shared):
    answer = shared.request("GET", "/main.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert shared.request("GET", "/main.js", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize("width", [360, 480, 768, 1280, 1920])
def test_no_sideways_scrolling(make_page, width):
    page = make_page(["debian-12.8.0-amd64-netinst.iso", "stick.img"]).open((width, 800))
    page.put("cd0", "debian-12.8.0-amd64-netinst.iso")
    page.host("lock cd0")
    page.wait_card("cd0", "Loaded")
    page.eject("cd0")
    page.wait_card("cd0", "Force now…")
    assert not page.is_wider_than_window()
    page.press('.drive[data-drive="usb0"] .buttons button', "Insert")
    page.find("dialog[open] .choice")
    assert not page.is_wider_than_window()


def test_everything_has_a_name(page):
    """Buttons, links and fields can be told apart by whoever hears the page."""
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "Loaded")
    nodes = page.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    wanted = {"button", "link", "textbox", "searchbox", "combobox", "radio", "switch", "progressbar"}
    named = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes
             if not n.get("ignored") and n.get("role", {}).get("value") in wanted]
    assert len(named) > 10
    assert not [role for role, name in named if not name.strip()]
    names = [name for role, name in named if role == "button"]
    assert "Eject cd0" in names and "Pinhole of usb0: eject by force…" in names


def test_changes_are_announced(page):
    page.put("cd0", "debian.iso")
    page.wait(lambda: "cd0: Loaded" in page.run("return document.getElementById('live').textContent"))


def test_connection_lost_and_found(make_page):
    page = make_page(["debian.iso"])
    page.open()
    page.expected = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET"]
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "Loaded")
    port = page.trayd.port
    page.trayd.stop()
    page.find(".banner", "Connection lost, trying again…")
    config = page.trayd.directory / "trayd.conf"
    config.write_text(config.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{port}"'))
    page.trayd.start().wait_ready()
    page.gone(".banner")
    page.put("usb0", "debian.iso", readonly=True)
    page.wait_card("usb0", "Loaded", "debian.iso")


def test_gadget_unreachable(page):
    page.expected = ["503 (Service Unavailable)"]
    page.trayd.stop_gadget()
    page.find(".banner", "trayd-gadget, which owns the drives, cannot be reached")
    page.trayd.continue_gadget()
    page.gone(".banner", "cannot be reached")
    page.wait_card("cd0", "Empty")


def test_detach_and_attach(page):
    page.press(".system-tools button", "Detach…")
    page.find("dialog[open]", "keyboard and mouse too")
    page.press("dialog[open] button", "Detach")
    page.find(".banner", "No host can see the drives.")
    page.wait_card("cd0", "Detached")
    page.press(".banner button", "Attach it")
    page.gone(".banner")
    page.wait_card("cd0", "Empty")


def test_host_is_unplugged(page):
    page.host("link unplugged")
    page.wait_card("cd0", "No host is connected")


def test_without_javascript(shared):
    source = shared.request("GET", "/").text
    noscript = re.search(r"<noscript>(.*?)</noscript>", source, re.S)[1]
    assert "curl -T debian.iso" in noscript and "mode=forced" in noscript
