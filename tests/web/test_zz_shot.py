import pytest
from test_ui_make import disc_files, fill
def shot(page, name):
    page.browser.save_screenshot(f"/tmp/dd/{name}.png")
@pytest.mark.parametrize("size", [(1280, 900), (360, 740)])
def test_shot(make_page, tmp_path, size):
    page = make_page().open(size)
    page.press(".make-disc")
    shot(page, f"a{size[0]}")
    page.browser.find_element("css selector", "dialog[open] input[name=folder]").send_keys(str(disc_files(tmp_path)))
    page.find("dialog[open] .drop-files", "3 files, 700 kB")
    shot(page, f"b{size[0]}")
    page.press("dialog[open] button", "Make it")
    row = page.find(".image", "tools.iso")
    page.gone(".upload")
    page.press("summary", "Files", within=row)
    page.find(".files li", "hello.txt", within=row)
    page.press(".files button", "deep", within=row)
    page.find(".files li", "er", within=row)
    page.press(".path button", "Disc", within=row)
    page.find(".files li", "big.bin", within=row)
    page.run("document.querySelector('.files').scrollIntoView({block: 'center'})")
    shot(page, f"c{size[0]}")
