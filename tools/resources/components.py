"""Mistakes in components: their types, names, metadata and secrets."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.ports import HERE, listens
from tools.processes import shown
from tools.resources.component_metadata import complaint
from tools.resources.files import Found, ResourceFiles
from tools.resources.kinds import Component, Item

# pkg/components/category.go of Dapr 1.18.
CATEGORIES = (
    *("bindings", "configuration", "conversation", "crypto", "lock", "middleware"),
    *("nameresolution", "pubsub", "secretstores", "state", "workflow", "workflowbackend"),
)
_HERE = (HERE, "localhost")
_LOCAL_FILE = "secretstores.local.file"


def mistakes(files: ResourceFiles, app_id: str, folder: Path) -> Iterator[str]:
    """Yield what is wrong with the components of an app.

    Args:
        folder: that the sidecar runs in.
    """
    seen: dict[str, Found] = {}
    for found, component in files.components():
        if not found.is_for(app_id):
            continue
        if other := seen.get(found.name):
            yield (
                f"{_name(found)}: the component {found.name} is there twice; the other one is in"
                f" {_name(other)}"
            )
        seen[found.name] = found
        yield from _of_type(found, component)
        for position, item in enumerate(component.spec.metadata):
            place = found.place("spec", "metadata", position, "value")
            if wrong := complaint(component.spec.type, item.name, item.value):
                yield f"{place}: {wrong}"
            yield from (f"{place}: {wrong}" for wrong in _of_secret(item, component, files, folder))
            if component.spec.type == _LOCAL_FILE and item.name == "secretsFile":
                yield from (f"{place}: {wrong}" for wrong in _unreadable(folder / str(item.value)))


def silent_addresses(files: ResourceFiles, app_id: str) -> Iterator[str]:
    """Yield the addresses of Redis on this machine that nobody listens on.

    A sidecar gives up on one only after five seconds.
    """
    for found, component in files.components():
        for position, item in enumerate(component.spec.metadata):
            host, _, port = str(item.value).partition(":")
            if (
                item.name == "redisHost"
                and found.is_for(app_id)
                and host in _HERE
                and (port.isdigit() and not listens(int(port)))
            ):
                place = found.place("spec", "metadata", position, "value")
                yield f"{place}: nobody listens on {item.value}, where {found.name} is to be"


def secrets_of(component: Component, folder: Path) -> Mapping[str, Any] | None:
    """Return the secrets of a file, or None of another store, or where they cannot be read."""
    paths = [str(item.value) for item in component.spec.metadata if item.name == "secretsFile"]
    if component.spec.type != _LOCAL_FILE or not paths:
        return None
    try:
        secrets = json.loads((folder / paths[0]).read_text())
        return secrets if isinstance(secrets, dict) else None
    except (OSError, ValueError):
        return None


def _name(found: Found) -> str:
    return found.place("metadata", "name")


def _of_type(found: Found, component: Component) -> Iterator[str]:
    category, _, name = component.spec.type.partition(".")
    if category not in CATEGORIES or not name:
        yield (
            f"{found.place('spec', 'type')}: there is no type {component.spec.type}: types begin"
            " with what they are, such as state. or pubsub."
        )


def _of_secret(
    item: Item, component: Component, files: ResourceFiles, folder: Path
) -> Iterator[str]:
    if not (wanted := item.secret_key_ref):
        return
    if not component.auth:
        yield (
            f"{item.name} comes from the secret {wanted.name}, but nothing says of which store: add"
            " auth: {secretStore: secretstore}"
        )
        return
    stores = {found.name: each for found, each in files.components()}
    name = component.auth.secret_store
    if name not in stores:
        yield f"{item.name} comes from the secret store {name}, and there is none"
    elif (secrets := secrets_of(stores[name], folder)) is not None and wanted.name not in secrets:
        there = ", ".join(sorted(secrets)) or "none"
        yield f"{item.name} comes from the secret {wanted.name}; {name} has {there}"


def _unreadable(path: Path) -> Iterator[str]:
    try:
        if not isinstance(json.loads(path.read_text()), dict):
            yield f"{shown(path)} is no JSON object"
    except ValueError as error:
        yield f"{shown(path)} is no JSON: {error}"
    except OSError as error:
        yield f"{shown(path)} cannot be read: {error.strerror}"
