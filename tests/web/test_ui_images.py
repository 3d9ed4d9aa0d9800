"""Images on the page: uploads, names that mean harm, deleting."""
import hashlib
import os
import signal

import pytest

HOSTILE = "<img src=x onerror=alert(1)>.iso"
REVERSING = "report\u202egpj.iso"  # would show as reportosi.jpg; the appliance does not take it
HEBREW = "שלום עולם.iso"
LONG = "x" * 251 + ".iso"


@pytest.fixture
def file(tmp_path):
    def make(name, content=b"\x42" * 300000):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path
    return make


def choose(page, *paths):
    page.find(".drop", "Upload images")
    page.browser.find_element("css selector", "input[type=file]").send_keys("\n".join(map(str, paths)))


def test_upload_and_delete(page, file):
    content = os.urandom(700000)
    choose(page, file("new.img", content))
    row = page.find(".image", "new.img")
    page.gone(".upload")
    assert "700 kB" in row.text
    page.press("summary", "SHA-256", within=row)
    page.wait(lambda: hashlib.sha256(content).hexdigest() in page.find(".image", "new.img").text)
    page.press("button", "Delete…", within=row)
    page.find("dialog[open]", "Delete new.img?")
    page.press("dialog[open] button", "Delete it")
    page.gone(".image", "new.img")
    assert not os.path.exists(os.path.join(page.trayd.store, "new.img"))


def test_several_uploads(page, file):
    choose(page, file("one.img"), file("two.img"), file("three.img"))
    for name in "one.img", "two.img", "three.img":
        page.find(".image", name)
    page.gone(".upload")


def test_dropped_file(page):
    page.run("""
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(5000)], 'dropped.img'));
        const drag = kind => document.querySelector('main').dispatchEvent(
            new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
        if (drag('dragover') || !document.querySelector('.drop.is-over')) throw new Error('not accepted');
        drag('drop');""")
    page.find(".image", "dropped.img")
    page.gone(".upload")


def test_name_that_is_taken(page, file):
    page.expected = ["409 (Conflict)"]
    choose(page, file("stick.img", b"new" * 1000))
    page.find(".upload .problem", "The name is taken")
    page.press(".upload .problem button", "Replace it")
    page.gone(".upload")
    page.find(".image", "3 kB")
    with open(os.path.join(page.trayd.store, "stick.img"), "rb") as f:
        assert f.read() == b"new" * 1000


def test_upload_can_be_cancelled(page, file):
    # Slow enough that there is time for it.
    page.browser.execute_cdp_cmd("Network.enable", {})
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 400_000}
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    try:
        choose(page, file("slow.img", bytes(8_000_000)))
        page.find(".upload", "left")
        page.press(".upload button", "Cancel")
        page.gone(".upload")
    finally:
        page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    page.wait(lambda: page.trayd.request("GET", "/api/v1/images?q=slow").json()["images"] == [])


def test_image_in_a_drive_cannot_be_deleted(page):
    page.put("cd0", "debian.iso")
    row = page.find(".image", "in cd0")
    button = page.find(".buttons .quiet[aria-disabled=true]", within=row)
    assert button.get_attribute("title") == "It is in cd0: eject it first"
    button.click()
    assert not page.browser.find_elements("css selector", "dialog[open]")


def test_upload_of_others_can_be_stopped(page):
    with page.trayd.connect() as s:
        s.sendall(b"PUT /api/v1/images/theirs.img HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: 5000000\r\n\r\n" % page.trayd.port)
        s.sendall(bytes(1000))
        row = page.find(".transfer", "theirs.img")
        page.wait(lambda: "1 kB of 5 MB" in row.text or "1000 bytes of 5 MB" in row.text or "0 bytes of 5 MB" in row.text)
        assert "by local from 127.0.0.1" in row.text
        page.gone(".image", "theirs.img")
        page.press("button", "Cancel", within=row)
        page.gone(".transfer", "theirs.img")
        assert b'"code":"cancelled"' in s.recv(65536)


def paused(page, name):
    found = page.trayd.request("GET", "/api/v1/transfers").json()["transfers"]
    return next((t for t in found if t["name"] == name and t["state"] == "paused"), None)


def test_upload_goes_on_after_the_page_was_loaded_anew(page, file):
    """The tab is closed in the middle; later the same file is chosen again."""
    page.expected = ["409 (Conflict)", "beforeunload"]
    content = os.urandom(40_000_000)
    path = file("long.img", content)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    choose(page, path)
    page.find(".upload", "left")
    page.run("window.addEventListener('beforeunload', event => event.stopImmediatePropagation(), true)")
    page.browser.get("about:blank")
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    there = page.wait(lambda: paused(page, "long.img"), "the upload's pause")["bytes"]
    page.open()
    page.find(".transfer", "choose the same file again to go on")
    page.find(".transfer", "long.img")
    other = file("other/long.img", bytes(len(content)))  # the same name and size, but not the same file
    choose(page, other)
    page.find(".upload .problem", "The name is taken")
    page.press(".upload button", "Remove")
    choose(page, path)
    page.find(".image", "long.img")
    page.gone(".upload")
    page.gone(".transfer")
    with open(os.path.join(page.trayd.store, "long.img"), "rb") as f:
        assert f.read() == content
    transfer = page.trayd.request("GET", "/api/v1/transfers").json()["transfers"][0]
    assert transfer["bytes"] == len(content) and there > 0


def test_upload_goes_on_after_the_service_was_away(page, file):
    """trayd is killed in the middle, and the page does not mind."""
    page.expected += ["Failed to load resource", "ERR_CONNECTION", "ERR_INCOMPLETE"]
    content = os.urandom(30_000_000)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 6_000_000}
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
    port = page.trayd.port
    choose(page, file("kill.img", content))
    page.find(".upload", "left")
    page.trayd.stop(signal.SIGKILL, expect=-signal.SIGKILL)
    page.find(".upload", "It goes on by itself")
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    page.trayd.arguments += ["--listen", f"127.0.0.1:{port}"]
    page.trayd.start()
    page.wait(lambda: os.path.exists(os.path.join(page.trayd.store, "kill.img")), "the image", 30)
    page.gone(".upload")
    with open(os.path.join(page.trayd.store, "kill.img"), "rb") as f:
        assert f.read() == content


def test_rename_note_and_mark(page):
    page.expected = ["409 (Conflict)"]
    page.trayd.request("PUT", "/api/v1/images/mine.img", data=b"x" * 4096)
    row = page.find(".image", "mine.img")
    page.press("button", "Edit…", within=row)
    name = page.find("dialog[open] input[name=name]")
    assert name.get_property("value") == "mine.img"
    name.clear()
    name.send_keys("debian.iso")
    page.press("dialog[open] button", "Save")
    page.find("dialog[open] .problem", "The name is taken")
    name.clear()
    name.send_keys("recovery.img")
    page.find("dialog[open] textarea").send_keys("For the kitchen PC\nv2 <b>bold</b>")
    page.press("dialog[open] input[name=readonly]")
    page.press("dialog[open] button", "Save")
    page.gone("dialog[open]")
    row = page.find(".image", "recovery.img")
    assert "For the kitchen PC\nv2 <b>bold</b>" in row.text and "read-only" in row.text
    page.gone(".image", "mine.img")
    page.find("#images .search").send_keys("KITCHEN")
    page.gone(".image", "debian.iso")
    page.find(".image", "recovery.img")


def test_images_that_others_upload_and_delete(page):
    page.trayd.request("PUT", "/api/v1/images/theirs.img", data=b"x" * 4096)
    page.find(".image", "theirs.img")
    page.trayd.request("DELETE", "/api/v1/images/theirs.img")
    page.gone(".image", "theirs.img")


def test_search_and_sort(page):
    page.find("#images .search").send_keys("STICK")
    page.gone(".image", "debian.iso")
    page.find(".image", "stick.img")
    page.find("#images .search").send_keys("zzz")
    page.find("#images .none", "No image has that in its name or note.")


@pytest.mark.parametrize("name", [HOSTILE, HEBREW, LONG], ids=["markup", "hebrew", "long"])
def test_names_that_mean_harm(make_page, name):
    page = make_page([name]).open()
    page.resize((360, 740))
    page.insert("cd0", "")
    page.wait_card("cd0", "Loaded")
    shown = page.find('.drive[data-drive="cd0"] .medium-name').text
    assert shown == name
    assert page.run("return document.querySelectorAll('main img, main script, main iframe').length") == 0
    assert not page.is_wider_than_window()
    page.press(".operations summary")
    page.pinhole("cd0")
    page.find("dialog[open]", "by force?")
    assert not page.is_wider_than_window()
    page.press("dialog[open] button", "Take it out")
    page.wait_card("cd0", "Empty")
    row = page.find(".image")
    page.press("button", "Delete…", within=row)
    page.press("dialog[open] button", "Delete it")
    page.gone(".image")
    assert os.listdir(page.trayd.store) in ([], [".trayd"])


def test_refused_name_is_shown_as_it_is(page, file):
    page.expected = ["400 (Bad Request)"]
    choose(page, file(REVERSING))
    page.find(".upload .image-name", "report‹U+202E›gpj.iso")
    page.find(".upload .problem", "The name cannot be used")
    page.press(".upload button", "Remove")
    page.gone(".upload")


def test_download_link(page):
    link = page.find(".image a", "Download").get_attribute("href")
    assert link == f"{page.trayd.url}/api/v1/images/debian.iso/content?store=main"


def test_an_unclean_image(page):
    """Taken from a host that wrote to it: the list says so, the insert warns, and a person takes the mark away."""
    page.put("usb0", "stick.img", readonly=False)
    page.host("write usb0 4096")
    page.host("lock usb0")
    assert page.trayd.request("DELETE", "/api/v1/drives/usb0/medium?mode=forced").status_code == 200
    page.host("unlock usb0")
    row = page.find(".image", "Unclean since")
    assert "taken by force" in row.text and "have a host check" in row.text.lower()
    page.press("button", "Insert…", within=row)
    dialog = page.find("dialog[open]", "Unclean since")
    assert page.run("return arguments[0].querySelector('select').value", dialog) == "usb0"
    page.press("dialog[open] button", "Cancel")
    page.press("button", "I have seen to it", within=row)
    page.gone(".image", "Unclean since")
    assert page.trayd.request("GET", "/api/v1/images/stick.img").json()["unclean"] is None
