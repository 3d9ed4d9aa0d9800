"""Schedules on the page: made, shown, cancelled, and seen to fire."""


def later(page, drive, kind, **fields):
    page.press(f'.drive[data-drive="{drive}"] .buttons button', "Eject later…")
    page.run("const s = document.querySelector('dialog[open] select'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))", kind)
    for name, value in fields.items():
        page.run("document.querySelector(`dialog[open] [name=${arguments[0]}]`).value = arguments[1]", name, value)
    page.press("dialog[open] button[type=submit]")
    page.gone("dialog[open]")


def schedules(page):
    return page.trayd.request("GET", "/api/v1/schedules").json()["schedules"]


def test_added_shown_and_cancelled(page):
    page.put("cd0", "debian.iso")
    later(page, "cd0", "once", number=1)
    page.wait_card("cd0", "Boot once: ejects when the host restarts")
    later(page, "cd0", "after", number=90)
    page.wait_card("cd0", "Ejects at ")
    later(page, "cd0", "quiet", number=2)
    page.wait_card("cd0", "Ejects when the host has been quiet for 2 min")
    assert [s["when"] for s in schedules(page)] == [{"quiet_for": 120}, {"after": 5400}, {"host_resets": 1}]
    page.gone('.drive[data-drive="usb0"] .scheduled')
    page.press('.drive[data-drive="cd0"] .scheduled li:first-child button', "Cancel")
    page.gone(".scheduled li", "Boot once")
    assert [s["state"] for s in schedules(page)] == ["armed", "armed", "cancelled"]
    page.open()
    page.wait_card("cd0", "Ejects when the host has been quiet for 2 min")


def test_on_a_phone_each_button_is_beside_its_own_line(page):
    """Below it, it would look like the next one's."""
    for when in ({"after": 5400}, {"quiet_for": 120}):
        assert page.trayd.request("POST", "/api/v1/schedules", json={"drive": "cd0", "action": "eject", "when": when}).status_code == 201
    page.put("cd0", "debian.iso")
    page.host("lock cd0")
    for patience in (600, 601):
        r = page.trayd.request("DELETE", f"/api/v1/drives/cd0/medium?patience={patience}", headers={"Prefer": "respond-async"})
        assert r.status_code == 202, r.text
    page.resize((360, 740))
    page.wait_card("cd0", "Scheduled".upper(), "Then".upper(), "quiet for 2 min")
    lines = page.run("""return [...document.querySelectorAll('.scheduled li, .queued')].map(line => {
        const text = line.querySelector('span').getBoundingClientRect(), button = line.querySelector('button').getBoundingClientRect();
        return button.left >= text.right && button.top < text.bottom && button.bottom > text.top; })""")
    assert lines == [True, True, True], lines


def test_at_a_time_of_the_reader(page):
    later(page, "cd0", "at", time="2099-01-02T03:04")
    page.wait_card("cd0", "Ejects at ", "2099")
    offset = page.run("return new Date('2099-01-02T03:04').toISOString()")
    assert schedules(page)[0]["when"]["at"] == offset.replace(".000Z", "Z")


def test_a_time_that_is_over_is_refused(page):
    page.expected = ["400 (Bad Request)"]
    later(page, "cd0", "at", time="2020-01-02T03:04")
    page.wait_card("cd0", "\"at\" is 2020-")
    assert schedules(page) == []


def test_the_host_restarts(page):
    page.put("cd0", "debian.iso")
    later(page, "cd0", "once", number=1)
    page.wait_card("cd0", "Boot once")
    page.host("link reset")
    page.wait_card("cd0", "Empty", "No medium")
    page.gone(".scheduled")


def test_what_others_schedule_is_seen_live(page):
    r = page.trayd.request("POST", "/api/v1/schedules", json={
        "drive": "cd0", "action": "insert", "image": "debian.iso", "when": {"host_ejected": True}})
    assert r.status_code == 201, r.text
    page.wait_card("cd0", "Inserts debian.iso when the host ejects")
    page.trayd.request("DELETE", "/api/v1/schedules/" + r.json()["id"])
    page.gone(".scheduled")
