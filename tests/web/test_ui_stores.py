"""Taking a store away, on the page."""
from conftest import PHONE


def store(page, *texts):
    def look():
        text = page.find('.store[data-store="main"]').text
        return all(t in text for t in texts) and text
    return page.wait(look, f"the store with {texts}")


def begin(page, *switches):
    page.press(".store button", "Remove safely")
    page.find("dialog[open]", "Take main away?")
    for name in switches:
        page.press(f"dialog[open] [name={name}]")
    page.press("dialog[open] button[type=submit]")
    page.gone("dialog[open]")


def test_safely(page):
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "debian.iso")
    store(page, "free of", "Remove safely")
    page.press(".store button", "Remove safely")
    page.find("dialog[open]", "debian.iso is ejected from cd0")
    page.press("dialog[open] button", "Leave it")
    page.gone("dialog[open]")
    page.wait_card("cd0", "debian.iso")
    begin(page)
    store(page, "safe to remove", "Attach")
    page.gone(".image")
    page.find("#images .none", "There is nothing to show: no store is attached")
    page.wait_card("cd0", "Empty")
    for size in (PHONE, (1280, 900)):
        page.resize(size)
        assert not page.is_wider_than_window()
    page.press(".store button", "Attach")
    store(page, "free of", "Remove safely")
    page.find(".image", "debian.iso")
    page.wait_card("cd0", "Empty")


def test_a_host_that_does_not_let_go(page):
    page.put("cd0", "debian.iso")
    page.host("lock cd0")
    begin(page)
    store(page, "ejecting its images", "Keep it")
    page.press(".store button", "Keep it")
    store(page, "free of", "Remove safely")
    page.wait_card("cd0", "debian.iso")
    begin(page, "force")
    store(page, "ejecting its images")
    page.press(".store button", "Keep it")
    store(page, "Remove safely")


def test_what_fails_can_be_asked_for_differently(page):
    page.host("store main fail-unmount")
    begin(page)
    page.find(".store .problem", "main was not detached: unmounting it failed")
    store(page, "free of")
    page.host("store main well")
    page.press(".store .problem button", "Try again")
    store(page, "safe to remove")
    page.gone(".store .problem")


def test_others_see_it(page):
    page.trayd.request("POST", "/api/v1/stores/main/detach", json={})
    store(page, "still mounted", "Attach")
    page.trayd.request("POST", "/api/v1/stores/main/attach")
    store(page, "free of")
