"""Operations: the history, and changing what still waits."""
import os
import threading
import time

import pytest
from contract import Client, host, until

WAITING = {"Prefer": "wait=0"}


@pytest.fixture
def api(trayd):
    client = Client(trayd.url)
    client.upload("a.iso", bytes(1 << 20))
    return client


@pytest.fixture
def locked(api, trayd):
    """cd0 has a medium that its host keeps locked."""
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    return api


def get(api, identity):
    return api.get("/api/v1/operations/" + identity).json()


def ended(api, identity):
    return until(lambda: (o := get(api, identity))["state"] in ("done", "failed", "cancelled") and o, "the end")


def test_the_history_is_newest_first(api):
    made = [api.eject(drive)["id"] for drive in ("cd0", "usb0", "cd0", "usb0", "usb0")]
    listed = api.get("/api/v1/operations").json()
    assert [o["id"] for o in listed["operations"]] == made[::-1]
    assert listed["next"] is None
    assert sorted(made) == made  # ids sort by time
    assert [o["id"] for o in api.get("/api/v1/operations?drive=cd0").json()["operations"]] == [made[2], made[0]]
    assert len(api.get("/api/v1/operations?state=done").json()["operations"]) == 5
    assert api.get("/api/v1/operations?state=failed").json()["operations"] == []
    assert api.get("/api/v1/operations?drive=none").json()["operations"] == []


def test_pages(api):
    made = [api.eject("cd0")["id"] for _ in range(7)]
    seen, after = [], ""
    while after is not None:
        page = api.get("/api/v1/operations?limit=3" + (f"&after={after}" if after else "")).json()
        assert len(page["operations"]) <= 3
        seen += [o["id"] for o in page["operations"]]
        after = page["next"]
    assert seen == made[::-1]
    exact = api.get("/api/v1/operations?limit=7").json()
    assert len(exact["operations"]) == 7 and exact["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "state=finished", "drive=", "after=", "from=1",
                                   "after=ffffffffffffffffffff", "limit=1&limit=2"])
def test_malformed_queries(api, query):
    assert api.get("/api/v1/operations?" + query).status_code == 400


@pytest.mark.parametrize("identity", ["x", "0" * 20, "%C3%A4", "0" * 300, "..%20"])
def test_unknown_ones(api, identity):
    path = "/api/v1/operations/" + identity
    assert api.get(path).json()["code"] == "not_found"
    assert api.delete(path).json()["code"] == "not_found"
    assert api.post(path + "/force").json()["code"] == "not_found"


def test_what_waits_can_be_cancelled(locked):
    waiting = locked.eject("cd0", status=202, headers=WAITING, patience=60)
    assert until(lambda: get(locked, waiting["id"])["state"] == "waiting")
    now = get(locked, waiting["id"])
    assert now["waits_for"] and now["patience_until"] and now["finished_at"] is None
    assert now["next"]["what"] == "ask" and now["next"]["at"] < now["next"]["then_at"] and now["next"]["then"] == "fail"
    assert locked.drive("cd0")["operation"]["id"] == waiting["id"]
    answer = locked.delete("/api/v1/operations/" + waiting["id"])
    assert answer.status_code == 200 and answer.json()["state"] == "cancelled" and answer.json()["next"] is None
    assert locked.delete("/api/v1/operations/" + waiting["id"]).status_code == 200
    assert locked.post(f"/api/v1/operations/{waiting['id']}/force").json()["code"] == "too_late"
    drive = locked.drive("cd0")
    assert drive["state"] == "loaded" and drive["operation"] is None


def test_what_waits_can_be_forced(locked):
    waiting = locked.eject("cd0", status=202, headers=WAITING, patience=60)
    answer = locked.post(f"/api/v1/operations/{waiting['id']}/force")
    assert answer.status_code == 200
    assert answer.json()["id"] == waiting["id"] and answer.json()["state"] == "done" and answer.json()["forced"] is True


def test_what_is_over_stays_as_it_is(api):
    done = api.eject("cd0")
    assert api.delete("/api/v1/operations/" + done["id"]).json()["code"] == "too_late"
    assert api.post(f"/api/v1/operations/{done['id']}/force").json()["code"] == "too_late"
    assert get(api, done["id"]) == done


def test_what_stands_behind_a_failure_fails(locked):
    first = locked.eject("cd0", status=202, headers=WAITING, patience=0.5)
    second = locked.insert("cd0", "a.iso", status=202, headers=WAITING, readonly=True, accept_stale_host=True)
    assert locked.drive("cd0")["queue"][0]["id"] == second["id"]
    assert get(locked, second["id"])["state"] == "queued"
    assert ended(locked, first["id"])["code"] == "medium_in_use"
    assert ended(locked, second["id"])["code"] == "earlier_operation_failed"
    assert locked.insert("cd0", "a.iso")["unchanged"] is True  # later requests start afresh


def test_who_waits_for_a_cancelled_one_is_told(locked, trayd):
    waiting = locked.eject("cd0", status=202, headers=WAITING, patience=60)
    answers = []
    other = threading.Thread(target=lambda: answers.append(Client(trayd.url).eject(
        "cd0", status=409, patience=60, headers={"Prefer": "wait=30"})))
    other.start()
    time.sleep(0.2)  # so that it has joined, most likely; if not it cannot be told anything, and the next line says so
    locked.delete("/api/v1/operations/" + waiting["id"])
    other.join()
    assert answers[0]["code"] == "cancelled" and answers[0]["operation"] == waiting["id"]


def test_the_history_survives_a_restart(api, trayd):
    done = api.insert("cd0", "a.iso")
    trayd.restart()
    api = Client(trayd.url)
    assert get(api, done["id"]) == done
    assert [o["id"] for o in api.get("/api/v1/operations").json()["operations"]] == [done["id"]]


def test_what_nobody_knows_any_more_has_failed(locked, trayd):
    """Without its state file, trayd-gadget cannot know what it was doing."""
    waiting = locked.eject("cd0", status=202, headers=WAITING, patience=60)
    trayd.stop()
    os.remove(trayd.directory / "run" / "gadget.state")
    trayd.start().wait_ready()
    api = Client(trayd.url)
    lost = until(lambda: (o := get(api, waiting["id"]))["state"] == "failed" and o, "the end")
    assert lost["code"] == "interrupted" and lost["finished_at"]
    assert not [o for o in api.get("/api/v1/operations").json()["operations"] if o["finished_at"] is None]
