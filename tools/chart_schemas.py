"""JSON schemas of the Kubernetes and Dapr objects in the chart, made from their sources.

kubeconform would download them. Here they come with the modules that pin the versions: those of
Kubernetes from its OpenAPI document, those of Dapr from its custom resource definitions.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools import parts

Schema = dict[str, Any]

# A file for each kind, named as kubeconform fills this in.
LOCATION = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"

_REFERENCE = "#/definitions/"
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# What these take is not what their definitions say.
_SPECIAL: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
}
_KEPT = {"type", "properties", "required", "items", "additionalProperties", "enum", "$ref"}


def schemas() -> Path:
    """Return the folder of the schemas, made once by each version of this file."""
    maker = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    return parts.cached(f"schemas-{parts.KUBERNETES}-{parts.DAPR}-{maker}", _make)


def _make(target: Path) -> None:
    kubernetes = parts.go_module("k8s.io/kubernetes", f"v{parts.KUBERNETES}")
    dapr = parts.go_module("github.com/dapr/dapr", f"v{parts.DAPR}")
    openapi = json.loads((kubernetes / "api" / "openapi-spec" / "swagger.json").read_text())
    definitions: dict[str, Schema] = {
        name: _SPECIAL.get(name) or _strict(schema)
        for name, schema in openapi["definitions"].items()
    }
    target.mkdir()
    for name, schema in openapi["definitions"].items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            group = kind["group"] or kind["version"]
            _write(target, group, kind["version"], kind["kind"], definitions[name], definitions)
    for path in sorted((dapr / "charts" / "dapr" / "crds").glob("*.yaml")):
        for definition in yaml.safe_load_all(path.read_text()):
            spec = definition["spec"]
            for version in spec["versions"]:
                schema = _strict(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"$ref": f"{_REFERENCE}{_OBJECT_META}"}
                names = (spec["group"], version["name"], spec["names"]["kind"])
                _write(target, *names, schema, definitions)


def _strict(schema: Schema) -> Schema:
    """Return a schema that refuses unknown fields, without what is not for checking."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    strict = {name: value for name, value in schema.items() if name in _KEPT}
    if "properties" in strict:
        strict["properties"] = {
            name: _strict(value) for name, value in strict["properties"].items()
        }
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            strict.setdefault("additionalProperties", False)
    for inner in ("items", "additionalProperties"):
        if isinstance(strict.get(inner), dict):
            strict[inner] = _strict(strict[inner])
    return strict


def _write(
    folder: Path, group: str, version: str, kind: str, schema: Schema, definitions: Schema
) -> None:
    """Write the schema of a kind, with the definitions that it needs."""
    needed: Schema = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = definitions[name]
            waiting.extend(_references(needed[name]))
    file = folder / f"{group}_{version}_{kind.lower()}.json"
    file.write_text(json.dumps({**schema, "definitions": needed}))


def _references(schema: object) -> Iterator[str]:
    """Yield the names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REFERENCE)
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
