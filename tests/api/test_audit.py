"""The audit log: who changed what, from where, and how it ended."""
import pytest
from contract import Client, host, until

MEMBERS = ("kind", "what", "target", "by", "status", "outcome", "code", "drive", "image")


@pytest.fixture
def api(trayd):
    client = Client(trayd.url)
    client.upload("a.iso", bytes(1 << 20))
    return client


def entries(api, query=""):
    return api.get("/api/v1/audit" + query).json()["entries"]


def told(entry):
    return tuple(entry[name] for name in MEMBERS)


def test_a_change_is_told_with_its_outcome(api):
    inserted = api.insert("cd0", "a.iso")
    log = until(lambda: (e := entries(api)) and len(e) == 3 and e, "three entries")
    assert {told(e) for e in log} == {
        ("request", "put_image", "/api/v1/images/a.iso", "local", 201, "done", None, None, None),
        ("request", "put_medium", "/api/v1/drives/cd0/medium", "local", 200, "done", None, None, None),
        ("operation", "insert", None, "local", None, "done", None, "cd0", "a.iso")}
    assert {e["operation"] for e in log} == {None, inserted["id"]}
    assert [e["id"] for e in log] == sorted((e["id"] for e in log), key=int, reverse=True)
    assert all(e["from"] for e in log if e["kind"] == "request")


def test_force_a_refusal_and_a_cancellation_are_told(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "lock cd0")
    api.eject("cd0", status=423, patience=0)
    waiting = api.eject("cd0", status=202, headers={"Prefer": "wait=0"}, patience=60)
    api.delete("/api/v1/operations/" + waiting["id"])
    api.eject("cd0", mode="forced")
    until(lambda: len([e for e in entries(api) if e["kind"] == "operation"]) == 4, "the ends of four operations")
    log = entries(api)
    ends = [e for e in log if e["kind"] == "operation"]
    assert ends[0]["flags"] == ["forced", "lock_overridden"]
    assert [(e["outcome"], e["code"]) for e in ends[1:3]] == [("cancelled", "cancelled"), ("failed", "medium_in_use")]
    refused = [e for e in log if e["outcome"] == "refused"]
    assert [(e["status"], e["code"], e["what"]) for e in refused] == [(423, "medium_in_use", "delete_medium")] and refused[0]["operation"]
    assert [e["what"] for e in log if e["outcome"] == "under way"] == ["delete_medium"]


def test_what_the_host_takes_out_is_told(api, trayd):
    api.insert("cd0", "a.iso")
    host(trayd, "eject cd0")
    gone = until(lambda: [e for e in entries(api) if e["kind"] == "host"], "the host's eject")
    assert told(gone[0]) == ("host", "eject", None, None, None, "done", None, "cd0", "a.iso")


def test_reading_leaves_no_trace(api):
    before = entries(api)
    for path in "/api/v1/drives", "/api/v1/operations", "/api/v1/audit", "/api/v1/images", "/api/v1/system":
        api.get(path)
    api.head("/api/v1/images/a.iso/content")
    assert entries(api) == before


def test_it_survives_a_restart_and_pages(api, trayd):
    for _ in range(3):
        api.eject("usb0")
    before = until(lambda: len(e := entries(api)) == 7 and e, "all entries")
    trayd.restart()
    client = Client(trayd.url)
    seen, after = [], ""
    while after is not None:
        page = client.get("/api/v1/audit?limit=3" + (f"&after={after}" if after else "")).json()
        seen += page["entries"]
        after = page["next"]
    assert seen == before
    assert entries(client, "?by=nobody") == [] and entries(client, "?by=local") == before


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "after=x", "after=-1", "by=", "who=x"])
def test_malformed_queries(api, query):
    assert api.get("/api/v1/audit?" + query).status_code == 400
