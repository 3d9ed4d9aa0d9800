"""Talks with trayd as any client would, and holds every answer against api/openapi.json.

A test that sends its requests through a Client cannot see an answer that the document does not describe: an unknown
status, another content type, a member too many or too few end the test.
"""
import copy
import json
import os
import re
import socket
import time

import jsonschema
import requests

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 10  # seconds; a liveness bound

# As the default, but for hosts that notice an empty drive at once, and give up reading soon.
QUICK_DRIVES = """drives = ( { name = "cd0"; type = "cdrom"; dwell = "0 s"; release_quiet = "1 s"; },
                             { name = "usb0"; type = "disk"; dwell = "0 s"; } );"""

METHODS = ("get", "head", "put", "post", "patch", "delete", "options")

with open(os.path.join(ROOT, "api", "openapi.json"), encoding="utf-8") as _file:
    DOCUMENT = json.load(_file)


def resolve(value):
    while isinstance(value, dict) and "$ref" in value:
        target = DOCUMENT
        for step in value["$ref"][2:].split("/"):
            target = target[step]
        value = target
    return value


def operations():
    """(operationId, method, template, operation) of everything that the document describes."""
    for template, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield item[method]["operationId"], method, template, item[method]


def find_operation(method, path):
    """The operation of a request, literal segments first; None where there is none."""
    found = []
    for _, m, template, operation in operations():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and (m == method or (method == "head" and m == "get")):
            found.append((m != method, template.count("{"), template, operation))
    return min(found, key=lambda f: f[:3])[3] if found else None


def check_schema(schema, value):
    """`value` must fit; references lead into the document."""
    jsonschema.Draft202012Validator(
        copy.deepcopy(schema), resolver=jsonschema.RefResolver("", DOCUMENT),
        format_checker=jsonschema.draft202012_format_checker).validate(value)


def check_component(name, value):
    check_schema({"$ref": f"#/components/schemas/{name}"}, value)


def check_problem(response):
    assert response.headers["Content-Type"] == "application/problem+json", response.text
    problem = response.json()
    check_component("Problem", problem)
    assert problem["status"] == response.status_code
    assert problem["type"] == "/problems/" + problem["code"]


def check_response(method, path, response):
    """Returns the operationId. What no route answers must be a problem document too."""
    operation = find_operation(method, path)
    if operation is None:
        assert response.status_code >= 400, f"{method} {path} is not in the document"
        if method != "head":
            check_problem(response)
        return None
    status = str(response.status_code)
    if status not in operation["responses"]:
        assert response.status_code >= 400, f"{operation['operationId']} does not document {status}"
        if method != "head":
            check_problem(response)
        return operation["operationId"]
    described = resolve(operation["responses"][status])
    for header in described.get("headers", {}):
        optional = operation["operationId"].endswith("_image_content")  # no ETag while it is writable in a drive
        assert header in response.headers or optional, f"{operation['operationId']} {status} without {header}"
    content = described.get("content")
    if content is None or method == "head":
        assert not response.content
        return operation["operationId"]
    kind = response.headers["Content-Type"].split(";")[0]
    assert kind in content, f"{operation['operationId']} {status} is {kind}"
    if "schema" in content[kind]:
        check_schema(content[kind]["schema"], response.json())
    return operation["operationId"]


class Client:
    exercised = {}  # operationId -> set of statuses: what the tour of all operations has seen

    def __init__(self, url):
        self.url = url
        self.session = requests.Session()

    def request(self, method, path, **arguments):
        arguments.setdefault("timeout", 60)
        response = self.session.request(method.upper(), self.url + path, **arguments)
        if not arguments.get("stream"):
            name = check_response(method, path.split("?")[0], response)
            Client.exercised.setdefault(name, set()).add(response.status_code)
        return response

    def get(self, path, **arguments):
        return self.request("get", path, **arguments)

    def put(self, path, **arguments):
        return self.request("put", path, **arguments)

    def post(self, path, **arguments):
        return self.request("post", path, **arguments)

    def patch(self, path, **arguments):
        return self.request("patch", path, **arguments)

    def delete(self, path, **arguments):
        return self.request("delete", path, **arguments)

    def head(self, path, **arguments):
        return self.request("head", path, **arguments)

    # ---- what nearly every test needs ----

    def upload(self, name, content, **arguments):
        response = self.put("/api/v1/images/" + requests.utils.quote(name, safe=""), data=content, **arguments)
        assert response.status_code == 201, response.text
        return response.json()

    def drive(self, name):
        return self.get("/api/v1/drives/" + name).json()

    def insert(self, drive, image, status=200, headers=None, **members):
        response = self.put(f"/api/v1/drives/{drive}/medium", json={"image": image, **members}, headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    def eject(self, drive, status=200, headers=None, **query):
        response = self.delete(f"/api/v1/drives/{drive}/medium", params=query, headers=headers)
        assert response.status_code == status, response.text
        return response.json()


def host(trayd, command):
    """One command to the simulated host, such as "lock cd0" (docs/simulation.md). Returns what it answers."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(PATIENCE)
        s.connect(trayd.host_socket)
        s.sendall(command.encode() + b"\n")
        answer = s.recv(8192).decode()
    assert answer.startswith("ok"), f"{command}: {answer}"
    return answer[2:].strip()


def until(condition, what="the condition", seconds=PATIENCE):
    """Waits for something that comes by itself; returns what the condition did."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not come about within {seconds} s")
