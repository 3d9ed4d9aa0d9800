#!/usr/bin/env python3
"""Turns api/openapi.json into the route table that the service is compiled with.

usage: gen_routes.py openapi.json OUT.c

OUT.c holds api_routes[] (see http.h) and the document itself, without blanks, as it is served. The document is the
only list of routes, so this is also where its mistakes end: an operation without a role, a path parameter that is
not declared, a body without a limit, a schema of an unknown type, a reference to nothing, a component that nobody
uses. Any of these fails the build with the place and the reason.
"""
import json
import re
import sys

METHODS = ("get", "head", "put", "post", "patch", "delete", "options")
ROLES = ("anybody", "viewer", "operator", "admin")
TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}
OPERATION_KEYS = {"operationId", "x-role", "x-body-max", "x-audit", "tags", "summary", "description", "parameters",
                  "requestBody", "responses"}
STREAMS = {"application/octet-stream", "application/offset+octet-stream"}
PARAMS_MAX = 4       # API_PARAMS_MAX in http.h
QUERY_MAX = 16       # API_QUERY_MAX in http.h
BODY_MAX = 64 << 10  # jansson needs up to 79 bytes of memory for a byte of JSON


class Mistake(Exception):
    pass


def need(condition, place, reason):
    if not condition:
        raise Mistake(f"{place}: {reason}")


def no_doubles(pairs):
    names = [name for name, _ in pairs]
    for name in names:
        need(names.count(name) == 1, name, "stands twice in one object")
    return dict(pairs)


class Document:
    def __init__(self, text):
        self.root = json.loads(text, object_pairs_hook=no_doubles)
        self.used = set()

    def resolve(self, value, place):
        """Follows a $ref, and notes that its target is used."""
        while isinstance(value, dict) and "$ref" in value:
            ref = value["$ref"]
            need(ref.startswith("#/components/"), place, f"{ref} is not a reference into components")
            self.used.add(ref)
            target = self.root
            for step in ref[2:].split("/"):
                need(isinstance(target, dict) and step in target, place, f"{ref} refers to nothing")
                target = target[step]
            value = target
        return value

    def check_references(self, value, place):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                self.resolve(value, place)
            for key, item in value.items():
                self.check_references(item, f"{place}/{key}")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.check_references(item, f"{place}/{index}")

    def check_schema(self, schema, place):
        need(isinstance(schema, dict), place, "a schema must be an object")
        types = schema.get("type", [])
        for name in [types] if isinstance(types, str) else types:
            need(name in TYPES, place, f"unknown type {name!r}")
        known = {"type", "enum", "anyOf", "$ref", "properties", "items"}
        need(known & schema.keys(), place, "the schema says nothing")
        for name, part in schema.get("properties", {}).items():
            self.check_schema(part, f"{place}/{name}")
        for name in schema.get("required", []):
            need(name in schema.get("properties", {}), place, f"required member {name!r} is not described")
        for index, part in enumerate(schema.get("anyOf", [])):
            self.check_schema(part, f"{place}/anyOf/{index}")
        if "items" in schema:
            self.check_schema(schema["items"], f"{place}/items")

    def check_components(self):
        components = self.root["components"]
        for name, schema in components["schemas"].items():
            self.check_schema(schema, f"schemas/{name}")
        self.check_references(self.root, "#")
        for kind, items in components.items():
            for name in items:
                need(f"#/components/{kind}/{name}" in self.used, f"{kind}/{name}", "nobody refers to it")


class Route:
    """One operation, as it goes into the table."""

    def __init__(self, document, template, method, shared, operation):
        self.template, self.method = template, method
        self.place = f"{method.upper()} {template}"
        for key in operation:
            need(key in OPERATION_KEYS, self.place, f"unknown member {key!r}")
        self.name = operation.get("operationId", "")
        need(re.fullmatch(r"[a-z][a-z0-9_]*", self.name), self.place, f"operationId {self.name!r} is not a C name")
        self.role = operation.get("x-role")
        need(self.role in ROLES, self.place, f"x-role must be one of {', '.join(ROLES)}, not {self.role!r}")
        need(operation.get("summary"), self.place, "has no summary")
        self.changes = operation.get("x-audit", method not in ("get", "head", "options"))
        need(isinstance(self.changes, bool), self.place, "x-audit must be true or false")
        self.read_parameters(document, shared + operation.get("parameters", []))
        self.read_body(document, operation)
        self.check_responses(document, operation.get("responses", {}))

    def read_parameters(self, document, parameters):
        segments = self.template.split("/")[1:]
        in_path = [s[1:-1] for s in segments if s.startswith("{") and s.endswith("}")]
        need(self.template.startswith("/") and all(re.fullmatch(r"[\w.-]+|\{\w+\}", s) for s in segments),
             self.place, "the path must be made of names and {parameters}")
        declared, self.query = [], []
        for parameter in parameters:
            parameter = document.resolve(parameter, self.place)
            name, where = parameter.get("name"), parameter.get("in")
            need(where in ("path", "query"), self.place, f"parameter {name!r} is in {where!r}")
            document.check_schema(parameter.get("schema"), f"{self.place} {name}")
            (declared if where == "path" else self.query).append(name)
            need(where == "query" or parameter.get("required") is True, self.place, f"{name!r} must be required")
        need(sorted(declared) == sorted(in_path), self.place,
             f"declares the path parameters {declared}, the path has {in_path}")
        need(len(in_path) <= PARAMS_MAX, self.place, "has too many path parameters")
        need(len(self.query) <= QUERY_MAX, self.place, "has too many query parameters")
        need(len(set(self.query)) == len(self.query), self.place, "declares a query parameter twice")
        for name in self.query:
            need(re.fullmatch(r"[a-z0-9_]+", name), self.place, f"query parameter {name!r} is not a plain word")

    def read_body(self, document, operation):
        self.body, self.body_max, self.optional = "NONE", 0, False
        limit = operation.get("x-body-max")
        if "requestBody" not in operation:
            need(limit is None, self.place, "x-body-max without a body")
            return
        content = operation["requestBody"].get("content", {})
        need(list(content) == ["application/json"] or len(content) == 1 and content.keys() <= STREAMS, self.place,
             f"the body must be application/json or one of {', '.join(sorted(STREAMS))}")
        if content.keys() <= STREAMS:
            need(limit is None, self.place, "x-body-max applies to JSON only")
            self.body, self.optional = "STREAM", operation["requestBody"].get("required") is not True
            return
        schema = document.resolve(content["application/json"].get("schema", {}), self.place)
        need(schema.get("type") == "object" and schema.get("additionalProperties") is False, self.place,
             "the body's schema must be an object with additionalProperties false")
        need(isinstance(limit, int) and 0 < limit <= BODY_MAX, self.place, f"x-body-max must be 1 to {BODY_MAX}")
        self.body, self.body_max = "JSON", limit

    def check_responses(self, document, responses):
        need("default" in responses, self.place, "has no default response")
        for status, response in responses.items():
            need(status == "default" or re.fullmatch(r"[1-5][0-9][0-9]", status), self.place,
                 f"{status!r} is not a status")
            response = document.resolve(response, self.place)
            need(response.get("description"), self.place, f"response {status} has no description")
            for kind, content in response.get("content", {}).items():
                if "schema" in content:
                    document.check_schema(content["schema"], f"{self.place} {status} {kind}")

    def order(self):
        """Literal segments before parameters, so that the first template that fits is the right one."""
        return [(s.startswith("{"), s) for s in self.template.split("/")], METHODS.index(self.method)

    def write(self, out):
        query = "no_query"
        if self.query:
            query = f"{self.name}_query"
        handler = "open" if self.body == "STREAM" else "handle"
        out.append(f"    {{.method = API_{self.method.upper()},\n"
                   f"     .template = \"{self.template}\",\n"
                   f"     .operation = \"{self.name}\",\n"
                   f"     .role = API_{self.role.upper()},\n"
                   f"     .changes = {str(self.changes).lower()},\n"
                   f"     .body = API_BODY_{self.body},\n"
                   f"     .body_max = {self.body_max},\n"
                   f"     .body_optional = {str(self.optional).lower()},\n"
                   f"     .query = {query},\n"
                   f"     .{handler} = api_{self.name}}},")


def read_routes(document):
    routes = []
    for template, item in document.root["paths"].items():
        shared = item.get("parameters", [])
        for method, operation in item.items():
            if method == "parameters":
                continue
            need(method in METHODS, template, f"unknown method {method!r}")
            routes.append(Route(document, template, method, shared, operation))
    names = [route.name for route in routes]
    shapes = [(route.method, re.sub(r"\{\w+\}", "{}", route.template)) for route in routes]
    for route, shape in zip(routes, shapes):
        need(names.count(route.name) == 1, route.place, f"operationId {route.name!r} is used twice")
        need(shapes.count(shape) == 1, route.place, "another path has the same shape")
    return sorted(routes, key=Route.order)


def c_bytes(data):
    rows = (data[i:i + 24] for i in range(0, len(data), 24))
    return "\n".join("    " + " ".join(f"{byte}," for byte in row) for row in rows)


def generate(document):
    routes = read_routes(document)
    document.check_components()
    out = ["/* Made from openapi.json by gen_routes.py; change that instead. */",
           '#include "api/handlers.h"', "", "static const char *const no_query[] = {NULL};"]
    for route in routes:
        if route.query:
            names = ", ".join(f'"{name}"' for name in route.query)
            out.append(f"static const char *const {route.name}_query[] = {{{names}, NULL}};")
    out += ["", "const struct api_route api_routes[] = {"]
    for route in routes:
        route.write(out)
    text = json.dumps(document.root, ensure_ascii=False, separators=(",", ":")).encode()
    out += ["    {.template = NULL},", "};", "", "const unsigned char api_openapi_json[] = {", c_bytes(text), "};",
            f"const size_t api_openapi_json_len = {len(text)};", ""]
    return "\n".join(out)


def main(arguments):
    if len(arguments) != 3:
        sys.exit(__doc__.splitlines()[2])
    with open(arguments[1], encoding="utf-8") as file:
        text = file.read()
    try:
        generated = generate(Document(text))
    except (Mistake, json.JSONDecodeError) as mistake:
        sys.exit(f"{arguments[1]}: {mistake}")
    with open(arguments[2], "w", encoding="utf-8") as file:
        file.write(generated)


if __name__ == "__main__":
    main(sys.argv)
