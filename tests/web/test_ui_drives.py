"""Drives on the page: insert, both ways out, refusals and what to do about them."""
import pytest
from selenium.webdriver.common.keys import Keys

REFUSED = ["423 (Locked)", "409 (Conflict)", "422 (Unprocessable", "503 (Service"]  # the browser reports every error status


def test_insert_from_the_list(page):
    page.wait_card("cd0", "Empty", "No medium")
    page.insert("cd0", "debian.iso")
    page.wait_card("cd0", "Loaded", "debian.iso", "read-only")
    page.find(".operations li", "inserted")
    page.find(".image", "in cd0")


def test_what_others_do_is_seen_live(page):
    page.put("usb0", "stick.img")
    page.wait_card("usb0", "Loaded", "stick.img", "writable")
    page.host("write usb0 3000000")
    page.wait_card("usb0", "It wrote 3 MB, last ")


def test_orderly_eject(page):
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "Loaded")
    page.eject("cd0")
    page.wait_card("cd0", "Empty")
    page.find(".operations li", "ejected")
    focused = page.run("return document.activeElement.className")
    assert focused == "eject", "the focus stays where the person was"


def test_refused_eject_shows_evidence(make_page):
    page = make_page(["debian.iso"], more='drives = ( { name = "cd0"; type = "cdrom"; patience = "1 s"; } );').open()
    page.expected = REFUSED
    page.put("cd0", "debian.iso")
    page.host("lock cd0")
    page.host("read cd0 12400000")
    page.wait_card("cd0", "The host read 12.4 MB")
    page.eject("cd0")
    page.wait_card("cd0", "The host is using the medium", "The host keeps the medium locked", "The host read 12.4 MB, last")
    page.wait_card("cd0", "Loaded", "Wait longer", "Use force…")
    page.find(".operations li", "refused: the host keeps the medium locked")
    page.press(".problem button", "Dismiss")
    page.gone(".problem")


def test_problem_can_be_copied(make_page):
    page = make_page(["debian.iso"], more='drives = ( { name = "cd0"; type = "cdrom"; patience = "0 s"; } );').open()
    page.expected = REFUSED
    page.browser.execute_cdp_cmd("Browser.grantPermissions", {
        "origin": page.trayd.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
    page.put("cd0", "debian.iso")
    page.host("lock cd0")
    page.wait_card("cd0", "Loaded")
    page.eject("cd0")
    page.press(".problem button", "Copy")
    page.find(".problem button", "Copied")
    copied = page.browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    for words in "The host is using the medium", "code: medium_in_use", "operation: ", "Unmount it on the host":
        assert words in copied


def test_waiting_eject_counts_down_and_goes_on_when_the_host_lets_go(page):
    page.put("cd0", "debian.iso")
    page.host("lock cd0")
    page.wait_card("cd0", "Loaded")
    page.eject("cd0")
    page.wait_card("cd0", "Ejecting", "Waits for the host to release the medium; asks again until", "then gives up (2")
    page.wait_card("cd0", "then gives up (21 s)")
    page.host("unlock cd0")
    page.wait_card("cd0", "Empty")


def test_waiting_eject_can_be_cancelled(page):
    page.expected = REFUSED
    page.put("cd0", "debian.iso")
    page.host("lock cd0")
    page.wait_card("cd0", "Loaded")
    page.eject("cd0")
    page.press(".operation button", "Cancel")
    page.wait_card("cd0", "Loaded")
    page.find(".operations li", "cancelled")
    page.gone(".problem")


def test_force_now(page):
    page.put("cd0", "debian.iso")
    page.host("lock cd0")
    page.wait_card("cd0", "Loaded")
    page.eject("cd0")
    page.press(".operation button", "Force now…")
    page.find("dialog[open]", "The host keeps the medium locked.")
    page.press("dialog[open] button", "Take it out by force")
    page.wait_card("cd0", "Empty")
    page.find(".operations li", "ejected by force: the host's lock was overridden")


def test_pinhole_asks_first(page):
    page.put("usb0", "stick.img")
    page.host("write usb0 100000")
    page.wait_card("usb0", "It wrote 100 kB")
    page.pinhole("usb0")
    page.find("dialog[open]", "The host may lose data")
    page.press("dialog[open] button", "Leave it")
    page.wait_card("usb0", "Loaded")
    page.pinhole("usb0")
    page.press("dialog[open] button", "Take it out by force")
    page.wait_card("usb0", "Empty", "only read-only media are safe here")


def test_pinhole_says_why_it_cannot(make_page):
    page = make_page(["debian.iso"], gadget='forced_eject = "off";').open()
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "Loaded", "No pinhole: this kernel cannot force an eject.")
    page.pinhole("cd0")
    assert not page.browser.find_elements("css selector", "dialog[open]")


@pytest.fixture
def stale(page):
    """usb0 was robbed of a writable medium, and a person has just been refused a writable insert."""
    page.expected = REFUSED
    page.put("usb0", "stick.img")
    page.trayd.request("DELETE", "/api/v1/drives/usb0/medium?mode=forced")
    page.wait_card("usb0", "Empty", "only read-only media are safe here")
    page.press('.drive[data-drive="usb0"] .buttons button', "Insert")
    page.press("dialog[open] .choice", "stick.img")
    assert page.find("dialog[open] [role=switch]").is_selected(), "read-only is what is safe"
    page.press("dialog[open] .switch")
    page.find("dialog[open] .warnings", "Read-only is safe")
    page.press("dialog[open] button[type=submit]")
    page.wait_card("usb0", "The host may still hold writes for the old medium")
    return page


def test_stale_host_read_only(stale):
    stale.remedy("usb0", "Insert read-only")
    stale.wait_card("usb0", "Loaded", "read-only")
    stale.gone(".problem")


def test_stale_host_reattach(stale):
    stale.find(".remedies", "keyboard and mouse too")
    stale.remedy("usb0", "Reattach, then insert")
    stale.wait_card("usb0", "Loaded", "writable")
    stale.find(".operations li", "the USB device was reattached")


def test_stale_host_accept(stale):
    stale.remedy("usb0", "Accept the risk")
    stale.wait_card("usb0", "Loaded", "writable")


def test_change_of_a_loaded_drive(page):
    page.image("other.iso", iso=True)
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "debian.iso", "Change the medium…")
    page.press('.drive[data-drive="cd0"] .buttons button', "Change")
    page.press("dialog[open] .choice", "other.iso")
    page.find("dialog[open] .warnings", "is ejected first")
    page.press("dialog[open] button[type=submit]")
    page.wait_card("cd0", "Loaded", "other.iso")


def test_too_large_for_a_cd_is_told_beforehand(page):
    page.image("huge.iso", size=2_400_000_000, iso=True)
    page.press('.drive[data-drive="cd0"] .buttons button', "Insert")
    choice = page.find("dialog[open] .choice", "huge.iso")
    assert "too large for a CD drive" in choice.text
    assert not choice.find_element("css selector", "input").is_enabled()
    page.run("document.querySelector('dialog[open] select').value = 'usb0';"
             "document.querySelector('dialog[open] select').dispatchEvent(new Event('change'))")
    page.wait(lambda: page.find("dialog[open] .choice", "huge.iso").find_element("css selector", "input").is_enabled())


def test_search_in_the_dialog(page):
    page.press('.drive[data-drive="cd0"] .buttons button', "Insert")
    page.find("dialog[open] .choice", "stick.img")
    page.find("dialog[open] input[type=search]").send_keys("DEB")
    page.gone("dialog[open] .choice", "stick.img")
    page.find("dialog[open] .choice", "debian.iso")
    page.find("dialog[open] input[type=search]").send_keys(Keys.ESCAPE, Keys.ESCAPE)


def test_queue_behind_a_waiting_eject(page):
    page.expected = REFUSED
    page.put("cd0", "debian.iso")
    page.host("lock cd0")
    page.wait_card("cd0", "Loaded")
    page.eject("cd0")
    page.wait_card("cd0", "Ejecting")
    page.image("other.iso", iso=True)
    page.press('.drive[data-drive="cd0"] .buttons button', "Change")
    page.press("dialog[open] .choice", "other.iso")
    page.press("dialog[open] button[type=submit]")
    page.find(".queue", "Insert other.iso")
    page.host("unlock cd0")
    page.wait_card("cd0", "Loaded", "other.iso")


def test_host_ejects_by_itself(page):
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "Loaded")
    page.host("eject cd0")
    page.wait_card("cd0", "Empty", "The host itself ejected debian.iso")


def test_stuck_drive_says_what_it_waits_for(make_page):
    page = make_page(["debian.iso"], more='drives = ( { name = "cd0"; type = "cdrom"; stuck_after = "1 s"; } );').open()
    page.expected = REFUSED
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "Loaded")
    page.host("hang cd0 storage")
    page.eject("cd0")
    page.wait_card("cd0", "Stuck", "it waits for the storage", "Waiting for the storage under the image")
    page.host("hang cd0 off")
    page.wait(lambda: "Stuck" not in page.card("cd0").text)


def test_storage_that_stalls_and_is_cut(make_page):
    page = make_page(["debian.iso"], store='cut = "nbd";', gadget='sample_interval = "200 ms";',
                     more='drives = ( { name = "cd0"; type = "cdrom"; host = "linux"; host_command = "9 s"; } );').open()
    page.put("cd0", "debian.iso")
    page.wait_card("cd0", "Loaded")
    page.host("reading cd0 on")
    page.host("hang cd0 storage")
    page.wait_card("cd0", "has waited for the storage under the image", "the storage is cut (nbd)")
    page.wait_card("cd0", "Loaded", "hung and was cut: the host gets errors")
    assert "has waited" not in page.card("cd0").text


def test_steps_on_demand(page):
    page.put("cd0", "debian.iso")
    page.press(".operations summary")
    page.find(".steps", "Opened the image: done")


def test_everything_by_keyboard(page):
    page.find('.drive[data-drive="cd0"] .buttons button').send_keys(Keys.ENTER)
    page.find("dialog[open] .choice", "debian.iso")
    page.find('dialog[open] input[type=radio]').send_keys(Keys.SPACE)
    page.find("dialog[open] button[type=submit]").send_keys(Keys.ENTER)
    page.wait_card("cd0", "Loaded", "debian.iso")
    page.find('.drive[data-drive="cd0"] .eject').send_keys(Keys.SPACE)
    page.wait_card("cd0", "Empty")
