"""Schedules over HTTP: made, changed, cancelled, fired, told."""
import datetime
import json

import pytest
from contract import QUICK_DRIVES, Client, host, until

LATER = {"after": 3600}


@pytest.fixture
def kvm(start_trayd):
    trayd = start_trayd(more=QUICK_DRIVES).wait_ready()
    api = Client(trayd.url)
    for name in "one.iso", "two.iso":
        api.upload(name, bytes(1 << 20))
    return trayd, api


@pytest.fixture
def api(kvm):
    return kvm[1]


def add(api, status=201, **members):
    answer = api.post("/api/v1/schedules", json={"drive": "cd0", "action": "eject", "when": LATER, **members})
    assert answer.status_code == status, answer.text
    return answer.json()


def time_of(text):
    return datetime.datetime.fromisoformat(text)


def get(api, schedule):
    return api.get("/api/v1/schedules/" + schedule["id"]).json()


def ended(api, schedule):
    return until(lambda: (s := get(api, schedule))["operation"] and
                 api.get("/api/v1/operations/" + s["operation"]).json()["state"] in ("done", "failed") and get(api, schedule), "the end")


def test_what_was_given_is_shown(api):
    made = add(api, mode="forced", patience=5, missed="run", lock_policy="respect")
    assert made["state"] == "armed" and made["enabled"] is True and made["missed"] == "run"
    assert (made["mode"], made["patience"], made["when"]) == ("forced", 5, LATER)
    assert made["by"] == "local" and made["waits_for"] == "its time" and made["operation"] is None
    assert abs((time_of(made["next_at"]) - time_of(made["created_at"])).total_seconds() - 3600) < 0.1
    assert get(api, made)["when"] == LATER
    insert = add(api, action="insert", image="one.iso", when={"host_ejected": True})
    assert (insert["image"], insert["store"], insert["next_at"]) == ("one.iso", "main", None)
    assert insert["missed"] == "skip" and insert["waits_for"] == "the host to eject"


@pytest.mark.parametrize("members, status, code", [
    ({"when": {}}, 400, "bad_request"),
    ({"when": {"after": 1, "quiet_for": 5}}, 400, "bad_request"),
    ({"when": {"at": "2020-01-01T00:00:00Z"}}, 400, "bad_request"),
    ({"when": {"at": "noon"}}, 400, "bad_request"),
    ({"when": {"host_resets": 0}}, 400, "bad_request"),
    ({"when": "now"}, 400, "bad_request"),
    ({"missed": "maybe"}, 400, "bad_request"),
    ({"action": "break"}, 400, "bad_request"),
    ({"drive": "cd9"}, 404, "not_found"),
    ({"image": "one.iso"}, 400, "bad_request"),
    ({"action": "insert"}, 400, "bad_request"),
    ({"action": "insert", "image": "none.iso"}, 404, "image_missing"),
    ({"action": "insert", "image": "one.iso", "readonly": False}, 400, "bad_request"),
    ({"mode": "gentle"}, 400, "bad_request"),
    ({"if_match": "x"}, 400, "bad_request"),
    ({"enable": True}, 400, "bad_request"),
])
def test_refused(api, members, status, code):
    assert add(api, status=status, **members)["code"] == code
    assert api.get("/api/v1/schedules").json()["schedules"] == []


def test_pages(api):
    made = [add(api, drive=drive)["id"] for drive in ("cd0", "usb0", "cd0", "cd0", "usb0")]
    seen, after = [], ""
    while after is not None:
        page = api.get("/api/v1/schedules?limit=2" + (f"&after={after}" if after else "")).json()
        seen += [s["id"] for s in page["schedules"]]
        after = page["next"]
    assert seen == made[::-1]
    assert [s["id"] for s in api.get("/api/v1/schedules?drive=usb0").json()["schedules"]] == [made[4], made[1]]
    api.delete("/api/v1/schedules/" + made[1])
    assert [s["id"] for s in api.get("/api/v1/schedules?state=cancelled").json()["schedules"]] == [made[1]]
    assert len(api.get("/api/v1/schedules?state=armed&limit=4").json()["schedules"]) == 4


def test_changed_and_cancelled(api):
    path = "/api/v1/schedules/" + add(api)["id"]
    assert api.patch(path, json={"enabled": False}).json()["enabled"] is False
    changed = api.patch(path, json={"enabled": True, "when": {"quiet_for": 60}, "missed": "run"}).json()
    assert changed["enabled"] and changed["when"] == {"quiet_for": 60} and changed["missed"] == "run"
    for bad in {}, {"drive": "usb0"}, {"when": {"after": -1}}, {"enabled": "yes"}:
        assert api.patch(path, json=bad).status_code == 400, bad
    assert api.delete(path).json()["state"] == "cancelled"
    assert api.delete(path).json()["state"] == "cancelled"
    assert api.patch(path, json={"enabled": True}).json()["code"] == "too_late"
    assert api.get(path).json()["finished_at"]


def test_it_fires_as_an_operation(api):
    api.insert("cd0", "one.iso")
    fired = ended(api, add(api, when={"after": 0.2}))
    assert fired["state"] == "fired" and fired["code"] is None
    operation = api.get("/api/v1/operations/" + fired["operation"]).json()
    assert operation["by"] == "schedule:" + fired["id"] and operation["state"] == "done"
    assert api.drive("cd0")["medium"] is None


def test_what_fails_tells_why(kvm):
    trayd, api = kvm
    api.insert("cd0", "one.iso")
    host(trayd, "lock cd0")
    failed = ended(api, add(api, when={"after": 0.1}, patience=0))
    assert (failed["state"], failed["code"]) == ("failed", "medium_in_use") and "locked" in failed["detail"]


def test_a_set_of_discs_and_boot_once(kvm):
    trayd, api = kvm
    api.insert("cd0", "one.iso")
    second = add(api, action="insert", image="two.iso", when={"host_ejected": True})
    host(trayd, "eject cd0")
    assert ended(api, second)["state"] == "fired"
    assert api.drive("cd0")["medium"]["image"] == "two.iso"
    once = add(api, when={"host_resets": 2})
    host(trayd, "link reset")
    until(lambda: get(api, once)["resets_seen"] == 1, "the reset")
    assert api.drive("cd0")["medium"]
    host(trayd, "link reset")
    assert ended(api, once)["state"] == "fired"
    assert api.drive("cd0")["medium"] is None


def test_events_tell(api):
    with api.get("/api/v1/events", stream=True) as stream:
        lines = stream.iter_lines(decode_unicode=True)
        next(lines)
        made = add(api, when={"after": 0.1})
        seen = []
        for line in lines:
            if line == "event: schedule":
                seen.append(json.loads(next(lines).removeprefix("data: ")))
                assert seen[-1]["id"] == made["id"]
                if seen[-1]["state"] == "fired":
                    break
    assert [s["state"] for s in seen][:3] == ["armed", "firing", "fired"]


def test_they_survive_a_restart(kvm):
    trayd, api = kvm
    made = add(api)
    trayd.restart()
    api = Client(trayd.url)
    again = get(api, made)
    assert again["state"] == "armed"
    assert abs((time_of(again["next_at"]) - time_of(made["next_at"])).total_seconds()) < 0.1
    assert api.get("/api/v1/system").json()["gadget"]["state_trouble"] is None


def test_the_audit_knows_who(api):
    made = add(api)
    api.delete("/api/v1/schedules/" + made["id"])
    entries = api.get("/api/v1/audit").json()["entries"]
    assert {"add_schedule", "cancel_schedule"} <= {e["what"] for e in entries}
    assert all(e["operation"] is None for e in entries if "schedule" in e["what"])
