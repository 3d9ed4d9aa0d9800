"""The document and the service agree: what is served is what is written, and every operation answers as described."""
import io
import json
import os
import subprocess
import sys
import zipfile

import jsonschema
import pytest
from contract import DOCUMENT, QUICK_DRIVES, ROOT, Client, check_schema, host, operations, until

ALL = list(operations())


@pytest.fixture(scope="module")
def api(shared_trayd):
    return Client(shared_trayd.url)


def test_it_is_served_as_it_is_written(api):
    assert api.get("/api/v1/openapi.json").json() == DOCUMENT


def test_it_is_openapi():
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert len({name for name, *_ in ALL}) == len(ALL)
    for name, _, template, operation in ALL:
        assert operation["x-role"] in ("anybody", "viewer", "operator", "admin"), name
        assert operation["responses"].keys() - {"default"}, name
        assert template.startswith("/")


# ---- every operation answers, and the answer fits ----

def test_a_tour_of_every_operation(start_trayd, monkeypatch):
    """One success of each, in an order that makes sense; Client holds each answer against the document."""
    monkeypatch.setattr(Client, "exercised", {})
    trayd = start_trayd(more=QUICK_DRIVES).wait_ready()
    api = Client(trayd.url)
    api.upload("tour.iso", bytes(1 << 20))
    for path in ("/healthz", "/readyz", "/api/v1/openapi.json", "/api/v1/system", "/api/v1/stores", "/api/v1/stores/main",
                 "/api/v1/images", "/api/v1/images/tour.iso", "/api/v1/images/tour.iso/content", "/api/v1/drives",
                 "/api/v1/drives/cd0"):
        assert api.get(path).status_code == 200, path
        assert api.head(path).status_code == 200, path
    with api.get("/api/v1/events", stream=True) as stream:
        assert stream.status_code == 200
        Client.exercised.setdefault("stream_events", set()).add(200)
        stream.raw.close()
    api.insert("cd0", "tour.iso")
    assert api.get("/api/v1/drives/cd0/medium").status_code == 200
    assert api.post("/api/v1/drives/cd0/break-io", json={}).status_code == 200
    for order in ("detach", "attach", "reattach", "rebuild"):
        assert api.post("/api/v1/gadget/" + order).status_code == 200, order
    done = api.eject("cd0")
    made = api.post("/api/v1/schedules", json={"drive": "cd0", "action": "eject", "when": {"after": 600}})
    schedule = made.headers["Location"]
    assert api.get("/api/v1/schedules").json()["schedules"][0]["id"] == made.json()["id"]
    assert api.get(schedule).status_code == 200
    assert api.patch(schedule, json={"enabled": False}).status_code == 200
    assert api.delete(schedule).status_code == 200
    assert api.get("/api/v1/audit").json()["entries"]
    assert api.post("/api/v1/stores/main/rescan").json()["attached"]
    assert api.post("/api/v1/stores/main/detach", json={}).json()["detached"]
    assert api.post("/api/v1/stores/main/attach").json()["attached"]
    assert api.get("/api/v1/operations").json()["operations"]
    assert api.get("/api/v1/operations/" + done["id"]).status_code == 200
    waiting = wait_for_host(trayd, api)
    assert api.post(f"/api/v1/operations/{waiting}/force").status_code == 200
    waiting = wait_for_host(trayd, api)
    assert api.delete("/api/v1/operations/" + waiting).status_code == 200
    api.eject("cd0", mode="forced")
    tour_of_uploads(api)
    assert api.request("patch", "/api/v1/images/tour.iso", json={"note": "seen"}).status_code == 200
    assert api.post("/api/v1/images/tour.iso/verify").json()["result"]["verdict"] == "match"
    assert api.post("/api/v1/images", json={"from": "blank", "name": "blank.img", "size": 1 << 20}).status_code == 201
    assert api.delete("/api/v1/images/tour.iso").status_code == 204
    files = io.BytesIO()
    with zipfile.ZipFile(files, "w") as archive:
        archive.writestr("a.txt", b"a")
    assert api.put("/api/v1/images/files.zip?make=iso9660", data=files.getvalue()).json()["name"] == "files.iso"
    assert [f["name"] for f in api.get("/api/v1/images/files.iso/files").json()["files"]] == ["a.txt"]
    unseen = [name for name, *_ in ALL if not any(s < 400 for s in Client.exercised.get(name, ()))]
    assert not unseen, f"never answered: {unseen}"


def tour_of_uploads(api):
    version = {"Tus-Resumable": "1.0.0"}
    assert api.request("options", "/api/v1/uploads").status_code == 204
    made = api.post("/api/v1/uploads", headers={**version, "Upload-Length": "9", "Upload-Metadata": "filename eA=="})
    assert made.status_code == 201
    path = made.headers["Location"]
    piece = {**version, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    assert api.request("patch", path, headers=piece, data=b"x").status_code == 204
    assert api.head(path, headers=version).status_code == 200
    transfer = "/api/v1/transfers/" + path.rsplit("/", 1)[1]
    assert api.get("/api/v1/transfers").status_code == api.get(transfer).status_code == 200
    assert api.delete(transfer).status_code == 200
    made = api.post("/api/v1/uploads", headers={**version, "Upload-Length": "9", "Upload-Metadata": "filename eA=="})
    assert api.delete(made.headers["Location"], headers=version).status_code == 204


def wait_for_host(trayd, api):
    """An eject that waits for a host that has cd0 locked; its id."""
    api.insert("cd0", "tour.iso")
    host(trayd, "lock cd0")
    waiting = api.eject("cd0", status=202, headers={"Prefer": "wait=0"}, patience=60)["id"]
    until(lambda: api.get("/api/v1/operations/" + waiting).json()["state"] == "waiting", "the host's refusal")
    return waiting


@pytest.mark.parametrize("name, method, template, operation", ALL, ids=[name for name, *_ in ALL])
def test_refusals(api, name, method, template, operation):
    """Unknown query parameters, bodies where none belongs, things that are not there: a problem document each."""
    path = template
    for parameter in ("drive", "operation", "schedule", "image", "store"):
        path = path.replace("{" + parameter + "}", "nowhere")
    answer = api.request(method, path + "?no_such_parameter=1")
    assert answer.status_code == 400
    if method != "head":
        assert "no_such_parameter" in answer.json()["detail"]
    if path != template and "requestBody" not in operation:
        assert api.request(method, path).status_code == 404


@pytest.mark.parametrize("template", list(DOCUMENT["paths"]))
def test_other_methods(api, template):
    """405 with Allow, which names what the document has, and HEAD."""
    path = template.replace("{", "").replace("}", "")
    known = {m.upper() for m in DOCUMENT["paths"][template] if m != "parameters"}
    if "GET" in known:
        known.add("HEAD")
    for method in {"GET", "PUT", "POST", "PATCH", "DELETE"} - known:
        answer = api.request(method.lower(), path)
        assert answer.status_code == 405, f"{method} {path}"
        assert {m.strip() for m in answer.headers["Allow"].split(",")} == known


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/api/v2/drives", "/api/v1/images/a/b", "/api/v1/Drives", "/health"])
def test_what_is_not_there(api, path):
    answer = api.get(path)
    assert answer.status_code == 404 and answer.json()["code"] == "not_found"


# ---- gen_routes.py refuses a document that would make a hole ----

def change(path, value):
    def apply(document):
        target = document
        for step in path[:-1]:
            target = target[step]
        if value is None:
            del target[path[-1]]
        else:
            target[path[-1]] = value
    return apply


DRIVES = ("paths", "/api/v1/drives", "get")
PUT = ("paths", "/api/v1/drives/{drive}/medium", "put")


@pytest.mark.parametrize("mistake, reason", [
    (change(DRIVES + ("x-role",), None), "x-role must be"),
    (change(DRIVES + ("x-role",), "root"), "x-role must be"),
    (change(DRIVES + ("operationId",), "get_drive"), "used twice"),
    (change(DRIVES + ("operationId",), "get-drives"), "is not a C name"),
    (change(DRIVES + ("x-rule",), "viewer"), "unknown member 'x-rule'"),
    (change(DRIVES + ("responses", "default"), None), "no default response"),
    (change(DRIVES + ("responses", "200", "content", "application/json", "schema"), {"type": "drive"}), "unknown type"),
    (change(DRIVES + ("responses", "200", "content", "application/json", "schema"), {"$ref": "#/components/schemas/Drve"}),
     "refers to nothing"),
    (change(("paths", "/api/v1/drives/{drive}", "parameters"), []), "path parameters"),
    (change(PUT + ("x-body-max",), None), "x-body-max must be"),
    (change(PUT + ("x-body-max",), 1 << 20), "x-body-max must be"),
    (change(("components", "schemas", "InsertRequest", "additionalProperties"), None), "additionalProperties false"),
    (change(("components", "schemas", "Spare"), {"type": "object"}), "nobody refers to it"),
    (change(("components", "schemas", "Medium", "required"), ["nothing"]), "is not described"),
    (lambda document: None, None),
])
def test_mistakes_in_the_document(tmp_path, mistake, reason):
    document = json.loads(json.dumps(DOCUMENT))
    mistake(document)
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    done = subprocess.run([sys.executable, os.path.join(ROOT, "api", "gen_routes.py"), tmp_path / "openapi.json",
                           tmp_path / "routes.c"], capture_output=True, text=True, check=False)
    if reason is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode != 0 and reason in done.stderr, done.stderr
        assert not (tmp_path / "routes.c").exists()


def test_the_schemas_can_fail():
    """The check itself: a member too many, one too few, a wrong type."""
    good = {"allow_collateral": True}
    reference = {"$ref": "#/components/schemas/GadgetRequest"}
    check_schema(reference, good)
    for bad in ({"allow_collateral": 1}, {"other": True}, []):
        with pytest.raises(jsonschema.ValidationError):
            check_schema(reference, bad)
