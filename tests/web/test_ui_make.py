"""Images that nobody uploads: from a URL, and blank."""
import gzip
import hashlib
import http.server
import os
import threading

import pytest

CONTENT = os.urandom(700_000)


@pytest.fixture
def server():
    """The address of a server with /a.iso."""
    class Request(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            found = self.path == "/a.iso"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(CONTENT) if found else 0))
            self.end_headers()
            self.wfile.write(CONTENT if found else b"")

    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Request)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{s.server_address[1]}"
    s.shutdown()
    s.server_close()


def fill(page, name, value):
    page.find(f"dialog[open] [name={name}]").send_keys(value)


def test_from_a_url(make_page, server):
    page = make_page(more="fetch = { loopback = true; };").open()
    page.press(".from-url")
    page.find("dialog[open]", "Fetch an image")
    fill(page, "url", server + "/a.iso")
    fill(page, "sha256", hashlib.sha256(CONTENT).hexdigest())
    page.press("dialog[open] button", "Fetch")
    page.gone("dialog[open]")
    page.find(".image", "700 kB")
    assert not page.is_wider_than_window()


def test_what_is_refused_stays_in_the_dialog(make_page):
    page = make_page(["debian.iso"]).open()
    page.expected = ["409 (Conflict)"]
    page.press(".from-url")
    fill(page, "url", "http://host.example/debian.iso")
    page.press("dialog[open] button", "Fetch")
    page.find("dialog[open] .problem", "There is an image \"debian.iso\" already")
    page.press("dialog[open] button", "Cancel")
    page.gone("dialog[open]")


def test_unpacking_is_offered(make_page):
    page = make_page().open()
    page.press(".from-url")
    fill(page, "url", "http://host.example/raspberry.img.xz")
    switch = page.find("dialog[open] .switch", "Unpack it")
    assert page.find("dialog[open] [name=unpack]").is_selected()
    assert page.find("dialog[open] [name=name]").get_attribute("placeholder") == "raspberry.img"
    switch.click()
    assert page.find("dialog[open] [name=name]").get_attribute("placeholder") == "raspberry.img.xz"


@pytest.mark.parametrize("size", [(1280, 900), (360, 740)])
def test_blank(make_page, size):
    page = make_page().open(size)
    page.press(".blank")
    fill(page, "name", "stick.img")
    fill(page, "label", "data")
    assert not page.is_wider_than_window()
    page.press("dialog[open] button", "Make it")
    page.gone("dialog[open]")
    row = page.find(".image", "stick.img")
    assert "4.3 GB" in row.text
    assert os.stat(os.path.join(page.trayd.store, "stick.img")).st_blocks * 512 < 32 << 20


def disc_files(tmp_path):
    folder = tmp_path / "tools"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "hello.txt").write_text("hello")
    (folder / "deep" / "er" / "Grüße.txt").write_text("umlauts")
    (folder / "big.bin").write_bytes(CONTENT)
    return folder


@pytest.mark.parametrize("size", [(1280, 900), (360, 740)])
def test_a_disc_of_a_folder(make_page, tmp_path, size):
    page = make_page().open(size)
    page.press(".make-disc")
    page.find("dialog[open]", "Make a disc")
    page.press("dialog[open] button", "Make it")
    page.find("dialog[open] .problem", "There are no files yet")
    page.browser.find_element("css selector", "dialog[open] input[name=folder]").send_keys(str(disc_files(tmp_path)))
    page.find("dialog[open] .drop-files", "3 files, 700 kB")
    assert page.find("dialog[open] [name=name]").get_attribute("placeholder") == "tools.iso"
    fill(page, "label", "TOOLS")
    assert not page.is_wider_than_window()
    page.press("dialog[open] button", "Make it")
    page.gone("dialog[open]")
    row = page.find(".image", "tools.iso")
    page.gone(".upload")
    page.press("summary", "Files", within=row)
    page.find(".files li", "hello.txt", within=row)
    page.press(".files button", "deep", within=row)
    page.press(".files button", "er", within=row)
    page.find(".files li", "Grüße.txt", within=row)
    assert not page.is_wider_than_window()
    page.press(".path button", "Disc", within=row)
    page.find(".files li", "big.bin", within=row)


def test_a_disc_of_dropped_files(make_page):
    page = make_page().open()
    page.press(".make-disc")
    page.run("""
        const data = new DataTransfer();
        data.items.add(new File(['one'], 'one.txt'));
        data.items.add(new File(['CON'], 'con.txt'));
        const area = document.querySelector('dialog[open] .drop-files');
        const drag = kind => area.dispatchEvent(new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
        drag('dragover');
        drag('drop');""")
    page.find("dialog[open] .drop-files", "2 files, 6 bytes")
    page.run("document.querySelector('dialog[open] [name=kind]').value = 'fat32';"
             "document.querySelector('dialog[open] [name=kind]').dispatchEvent(new Event('change'))")
    page.press("dialog[open] button", "Make it")
    page.find(".upload .problem", '"con.txt" is called like a device of Windows')
    page.press(".upload button", "Remove")
    page.gone(".upload")


def test_a_packed_upload(make_page, tmp_path):
    page = make_page().open()
    path = tmp_path / "stick.img.gz"
    path.write_bytes(gzip.compress(CONTENT))
    page.browser.find_element("css selector", ".drop input[type=file]").send_keys(str(path))
    row = page.find(".image", "stick.img")
    page.gone(".upload")
    assert "700 kB" in row.text
    broken = tmp_path / "other.img.gz"
    broken.write_bytes(gzip.compress(CONTENT)[:-5])
    page.browser.find_element("css selector", ".drop input[type=file]").send_keys(str(broken))
    page.find(".upload .problem", "The gzip data end too early")
